"""Schemas, patterns, choices and tools of a size that no grammar is made for."""

from __future__ import annotations

import time
from typing import Any

import pytest

from internvl_llm.errors import GrammarError, OptionError
from internvl_llm.grammar import Choice, Exactly, Regex
from internvl_llm.schema import ready
from internvl_llm.tools import Tool, check_tools


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


def doubling(levels: int, key: str) -> dict[str, Any]:
    defs: dict[str, Any] = {
        f"d{n}": {key: [{"$ref": f"#/$defs/d{n + 1}"}, {"$ref": f"#/$defs/d{n + 1}"}]} for n in range(levels)
    }
    return {"$ref": "#/$defs/d0", "$defs": {**defs, f"d{levels}": {"type": "string"}}}


HUGE: dict[str, tuple[Any, str]] = {
    "properties": (
        {"type": "object", "properties": {f"p{n}": {} for n in range(10**4)}},
        "10,001 properties",
    ),
    "deep": (nested(400), "levels"),
    "deeper": (nested(20_000), "levels|no JSON"),
    "enum": ({"enum": [f"v{n}" for n in range(10**4)]}, "values of enums"),
    "long": ({"enum": ["v" * 10**6]}, "characters"),
    "pattern": ({"type": "string", "pattern": "a|" * 10**4}, "pattern.*characters"),
    "repeats": ({"type": "string", "pattern": "a{1000000}"}, "pattern.*repeats"),
    "repeats of repeats": ({"type": "string", "pattern": "((a{1,999}){999}){99,}"}, "pattern.*repeats"),
    "pattern of names": ({"type": "object", "patternProperties": {"^(a{999}){999}$": {}}}, "repeats"),
    **{f"references in {key}": (doubling(40, key), "references") for key in ("allOf", "anyOf", "oneOf")},
}


@pytest.mark.parametrize(("schema", "said"), HUGE.values(), ids=HUGE)
def test_what_no_grammar_is_made_for(schema: Any, said: str) -> None:
    begun = time.process_time()
    with pytest.raises(GrammarError, match=said) as refused:
        ready(schema, "the schema")
    assert time.process_time() - begun < 5
    assert refused.value.remedy and len(str(refused.value)) < 400


def test_large_ones_that_are() -> None:
    ready({"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(500)}}, "the schema")
    ready(nested(30), "the schema")
    ready(doubling(5, "anyOf"), "the schema")
    tree = {"$defs": {"t": {"type": "array", "items": {"$ref": "#/$defs/t"}}}, "$ref": "#/$defs/t"}
    ready(tree, "the schema")


@pytest.mark.parametrize("half", ["\ud800", "a\udfff", "\udc00\ud800"])
def test_half_a_character_is_refused_where_it_would_be_written(half: str) -> None:
    """JSON can smuggle it in; UTF-8 cannot carry it."""
    named = {"type": "object", "properties": {half: {}}}
    for asked in (
        lambda: ready(named, "the schema"),
        lambda: ready({"enum": [{"a": [half]}]}, "the schema"),
        lambda: ready({"type": "string", "pattern": half}, "the schema"),
        lambda: Regex(half),
        lambda: Choice(("yes", half)),
        lambda: Exactly(half),
        lambda: check_tools([Tool(half, "", {})], "auto"),
    ):
        with pytest.raises(GrammarError, match="half a character") as refused:
            asked()  # type: ignore[no-untyped-call]
        str(refused.value).encode()
    described = {"type": "string", "description": half, "examples": [half], "title": half}
    assert ready({"type": "object", "properties": {"title": described}}, "the schema") == {
        "type": "object", "properties": {"title": {"type": "string"}}, "additionalProperties": False
    }  # fmt: skip


def test_other_grammars_and_tools() -> None:
    for grammar in (
        lambda: Regex("a" * 10**6),
        lambda: Regex("(a{1000}){1000}"),
        lambda: Choice(tuple(str(n) for n in range(10**5))),
        lambda: Choice(("a" * 10**6,)),
    ):
        with pytest.raises(GrammarError):
            grammar()
    with pytest.raises(OptionError, match="100,000 tools"):
        check_tools([Tool(f"t{n}", "", {}) for n in range(10**5)], "auto")
