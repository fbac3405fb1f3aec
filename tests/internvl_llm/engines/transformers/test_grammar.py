"""Grammars over real tokenizers: what they allow, token by token, and what they refuse."""

from __future__ import annotations

import json
import random
from contextlib import suppress
from decimal import Decimal
from typing import Any

import numpy as np
import pydantic
import pytest
import torch

from internvl_llm.engines import lark
from internvl_llm.engines.transformers.guidance import Guidance, allowed, mask
from internvl_llm.errors import EngineError, GrammarError, OptionError
from internvl_llm.grammar import Choice, Grammar, JsonObject, JsonSchema, Regex
from internvl_llm.prompt.dialects import FORMATS
from internvl_llm.prompt.encoder import Encoder
from internvl_llm.request import Request
from internvl_llm.schema import ready
from internvl_llm.tools import Tool
from tests.kit.checkpoints import built
from tests.kit.schemas import schema
from tests.kit.tokenizers import sentencepiece_like

ADD = Tool("add", "Adds.", {"properties": {"a": {"type": "integer"}}, "required": ["a"]})
SAY = Tool('s"ay\n', "", {"type": "object", "properties": {"x": {"enum": ["a/b", "é"]}}})
ONE = '<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>'
TWO = '<tool_call>\n{"name": "s\\"ay\\n", "arguments": {"x": "a/b"}}\n</tool_call>'


@pytest.fixture(scope="module", params=["tiny", "smollm2", "sentencepiece"])
def guidance(request: pytest.FixtureRequest) -> Guidance:
    """<tool_call> is a token of its own in the first, plain text in the others."""
    from transformers import AutoTokenizer

    kind = request.param
    tokenizer = (
        sentencepiece_like() if kind == "sentencepiece" else AutoTokenizer.from_pretrained(built(kind))
    )
    encoder = Encoder(tokenizer)
    made = Guidance(tokenizer, encoder, frozenset({encoder.special["<|im_end|>"]}))
    made.encoder = encoder  # type: ignore[attr-defined]
    return made


def fits(guidance: Guidance, text: str, **asked: Any) -> bool:
    """Whether the whole text is an answer, in whatever tokens."""
    dialect = asked.pop("dialect", "hermes")
    written = lark.grammar(Request("Hi", **asked), FORMATS[dialect], guidance.special)
    assert written is not None
    constraint = guidance.constraint(written)
    tokens = guidance._tokenizer.tokenize_str(text)
    taken = constraint.matcher.try_consume_tokens(tokens)
    return bool(taken == len(tokens) and constraint.matcher.is_accepting())


@pytest.mark.parametrize("text", ["\ufdd0\ufffe", "a\0b", "\U0001ffff\ufffd", "\ufeff\u2028"])
def test_what_is_hardly_text_can_be_asked_for(guidance: Guidance, text: str) -> None:
    """NUL and noncharacters are characters of UTF-8: a grammar that wants them can be followed to its end."""
    written = lark.grammar(Request("Hi", grammar=Choice((text,))), None, {})
    assert written is not None
    constraint, said = guidance.constraint(written), list[int]()
    while not constraint.complete:
        [token, *_] = allowed([constraint], "cpu")[0].nonzero().flatten().tolist()
        constraint.take(token)
        said.append(token)
    assert guidance._tokenizer.decode_bytes(said) == text.encode()


GRAMMARS: list[tuple[Grammar, list[str], list[str]]] = [
    (
        Choice(("yes", "yes please", 'n/o\n"é')),
        ["yes", "yes please", 'n/o\n"é'],
        ["", "y", "yes p", "yesyes", "no"],
    ),
    (Regex("^a/b\\d{2}\n$"), ["a/b12\n"], ["a/b12", "xa/b12\n", "a/b1"]),
    (Regex("cost: 3\\$"), ["cost: 3$"], ["cost: 3", "cost: 3\\"]),
    (
        JsonObject(),
        ["{}", '{"a": [1,2, {"b": null}]}'],
        ["[]", "{ }", '{"a":  1}', '{"a":\n1}', '{"a": NaN}', "{} "],
    ),
    (
        JsonSchema({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}}),
        ["{}", '{"a": 1}', '{"a":1,"b": "x\\n"}'],
        ['{"c": 1}', '{"b": "x", "a": 1}', '{"a": 1.5}', '{"b": "\\ud800"}', '{"a": 1,}'],
    ),
    (JsonSchema({"type": "object", "properties": {}, "additionalProperties": True}), ['{"c": 1}'], []),
    (JsonSchema({"type": "string", "format": "date"}), ['"2024-02-29"'], ['"2023-02-29"', '"2024-04-31"']),
    (JsonSchema({"type": "string", "format": "no-such"}), ['"x"'], []),
    (JsonSchema({"enum": ["</tool_call>", "<box>"]}), ['"</tool_call>"', '"<box>"'], ['"<ref>"']),
]


@pytest.mark.parametrize(("grammar", "good", "bad"), GRAMMARS)
def test_answers(guidance: Guidance, grammar: Grammar, good: list[str], bad: list[str]) -> None:
    assert [text for text in good if not fits(guidance, text, grammar=grammar)] == []
    assert [text for text in bad if fits(guidance, text, grammar=grammar)] == []


TOOLS: list[tuple[dict[str, Any], list[str], list[str]]] = [
    (
        {},
        ["", "Hello <b> <tool", "a <box>[[1]]</box>", ONE, f"Sure.\n{ONE}", f"{ONE}\n{TWO}"],
        [
            "<tool_call>",
            "<tool_call>no",
            f"{ONE} and",
            ONE.replace("add", "sub"),
            ONE.replace("1", '"x"'),
            ONE[:-1],
        ],
    ),
    ({"parallel_tool_calls": False}, ["Hello", ONE, f"Sure.\n{TWO}"], [f"{ONE}\n{TWO}"]),
    ({"tool_choice": "any"}, [ONE, f"{ONE}\n{TWO}"], ["", "Hello", f"Sure.\n{ONE}"]),
    ({"tool_choice": "any", "parallel_tool_calls": False}, [ONE, TWO], [f"{ONE}\n{TWO}"]),
    ({"tool_choice": "add"}, [ONE], [TWO, f"{ONE}\n{ONE}", "Hello"]),
    ({"tool_choice": "none"}, ["Hello", "a <tool_call", ""], ["<tool_call>", ONE]),
    ({"grammar": Choice(("yes",))}, ["yes", ONE, f"{ONE}\n{ONE}"], ["", "Hello", f"yes{ONE}", f"yes\n{ONE}"]),
    ({"grammar": Choice(("yes",)), "tool_choice": "any"}, [ONE], ["yes"]),
    ({"grammar": Choice(("yes",)), "tool_choice": "none"}, ["yes"], [ONE]),
]


@pytest.mark.parametrize(("asked", "good", "bad"), TOOLS)
def test_calls(guidance: Guidance, asked: dict[str, Any], good: list[str], bad: list[str]) -> None:
    assert [text for text in good if not fits(guidance, text, tools=[ADD, SAY], **asked)] == []
    assert [text for text in bad if fits(guidance, text, tools=[ADD, SAY], **asked)] == []


def test_internlm_calls_have_tokens_of_their_own() -> None:
    tokenizer = sentencepiece_like()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|action_start|>", "<|action_end|>"]})
    encoder = Encoder(tokenizer)
    made = Guidance(tokenizer, encoder, frozenset({encoder.special["<|im_end|>"]}))
    for choice, lead in (("auto", "Well. "), ("any", "")):
        written = lark.grammar(
            Request("Hi", tools=[ADD], tool_choice=choice), FORMATS["internlm"], made.special
        )
        assert written is not None
        constraint = made.constraint(written)
        opens, closes = ("<|action_start|>", "<|plugin|>"), encoder.special["<|action_end|>"]
        body = encoder.words('\n{"name": "add", "parameters": {"a": 1}}')
        call = [*(encoder.special[name] for name in opens), *body, closes]
        tokens = [*encoder.words(lead), *call, *call]
        assert constraint.matcher.try_consume_tokens(tokens) == len(tokens)
        assert not constraint.complete and constraint.matcher.is_accepting()
    spelled = encoder.words('<|action_start|><|plugin|>\n{"name": "sub"')
    assert made.constraint(written).matcher.try_consume_tokens(spelled) == 0


def test_only_end_tokens_are_special(guidance: Guidance) -> None:
    special = {token for name, token in guidance.special.items() if name != "<|im_end|>"}
    for asked in ({"tools": [ADD]}, {"tools": [ADD], "tool_choice": "none"}, {"grammar": Regex("(?s:.*)")}):
        written = lark.grammar(Request("Hi", **asked), FORMATS["hermes"], guidance.special)
        assert written is not None
        can = set(torch.nonzero(allowed([guidance.constraint(written)], "cpu")[0]).flatten().tolist())
        assert not can & special
        assert guidance.special["<|im_end|>"] in can


def test_masks_of_several_are_masks_of_each(guidance: Guidance) -> None:
    texts = [lark.grammar(Request("Hi", grammar=one), None, {}) for one, _, _ in GRAMMARS[:5]]
    constraints = [guidance.constraint(text) for text in texts if text is not None]
    together = allowed(constraints, "cpu")
    for row, one in enumerate(constraints):
        assert torch.equal(together[row], allowed([one], "cpu")[0])
    logits = torch.randn(6, guidance._tokenizer.vocab_size + 3)
    before = logits.clone()
    mask(logits, [0, 2, 3, 4, 5], together)
    assert torch.equal(logits[1], before[1])
    assert torch.equal(torch.isfinite(logits[2, : together.shape[1]]), together[1, : logits.shape[1]])
    assert not torch.isfinite(logits[5, guidance._tokenizer.vocab_size :]).any()


def test_a_token_that_is_not_allowed(guidance: Guidance) -> None:
    constraint = guidance.constraint('start: "ab"\n')
    with pytest.raises(EngineError, match="cannot be followed"):
        constraint.take(guidance._tokenizer.tokenize_str("x")[0])
    assert not allowed([constraint, guidance.constraint('start: "ab"\n')], "cpu")[0].any()


REFUSED: list[tuple[Grammar, str]] = [
    (JsonSchema({"type": "object", "properties": {"a": {"not": {}}}}), "has not at #/properties/a"),
    (JsonSchema({"type": "array", "uniqueItems": True}), "uniqueItems at #.*plain list"),
    (JsonSchema({"items": {"if": {}, "then": {}}}), "(if|then) at #/items"),
    (JsonSchema({"type": "object", "minProperties": 2}), "minProperties 2 at #"),
    (JsonSchema({"oneOf": [{"type": "string"}, {"maxLength": 3}]}), "the schema .oneOf.*Use anyOf"),
    (JsonSchema({"$ref": "http://a.example/b"}), "under .defs"),
    (JsonSchema({"$ref": "#/$defs/none"}), "does not exist"),
    (JsonSchema({"$ref": "#"}), "must be able to end"),
    (JsonSchema({"enum": []}), "at least one value"),
    (JsonSchema({"type": "string", "pattern": "(?=a)"}), "without looking ahead"),
    (JsonSchema({"type": "integer", "minimum": 2, "maximum": 1}), "minimum"),
    (JsonSchema({"const": float("nan")}), "no JSON"),
    (JsonSchema({"const": {1, 2}}), "no JSON"),
    (Regex("("), "Rust's regex"),
    (Regex("a(?!b)"), "without looking ahead"),
]


@pytest.mark.parametrize(("grammar", "why"), REFUSED)
def test_refused(guidance: Guidance, grammar: Grammar, why: str) -> None:
    with pytest.raises(GrammarError, match=why) as caught:
        fits(guidance, "", grammar=grammar)
    assert isinstance(caught.value, OptionError)
    assert caught.value.remedy
    assert "start:" not in str(caught.value)


def test_refused_tools_are_named(guidance: Guidance) -> None:
    for parameters, why in (({"$ref": "#/nope"}, "does not exist"), ({"type": "array"}, "of no object")):
        with pytest.raises(GrammarError, match=f'the schema of tool "bad".*{why}'):
            fits(guidance, "", tools=[ADD, Tool("bad", "", parameters)])
    with pytest.raises(GrammarError):
        Choice(())


def test_deep_and_hostile_schemas_are_answered(guidance: Guidance) -> None:
    deep: dict[str, Any] = {"type": "string"}
    for _ in range(5000):
        deep = {"type": "array", "items": deep}
    for hostile in (deep, {"pattern": "(a{1000}){1000}"}, {"x-guidance": {"whitespace_flexible": True}}):
        with suppress(GrammarError):
            assert not fits(guidance, '{"a":\n\n1}', grammar=JsonSchema(hostile))


class Line(pydantic.BaseModel):
    what: str
    price: Decimal
    children: list[Line] = []


def test_models_of_pydantic(guidance: Guidance) -> None:
    good = '{"what": "tea","price": "-1.50", "children": [{"what": "cup","price": 2}]}'
    assert fits(guidance, good, grammar=JsonSchema(Line.model_json_schema()))
    assert Line.model_validate_json(good).price == Decimal("-1.50")
    decimal = JsonSchema({"type": "string", "pattern": r"^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$"})
    for number, valid in (("-1.50", True), (".5", True), ("-", False), (".", False), ("", False)):
        assert fits(guidance, f'"{number}"', grammar=decimal) is valid


def test_what_is_closed() -> None:
    plain = {"type": "object", "properties": {"a": {"type": "object", "properties": {"b": {}}}}}
    closed = ready(plain, "it")
    assert closed["additionalProperties"] is closed["properties"]["a"]["additionalProperties"] is False
    assert "additionalProperties" not in plain
    for open_ in (
        {"type": "object"},
        {"properties": {"a": {}}, "required": ["b"]},
        {"properties": {"a": {}}, "patternProperties": {"^x": {}}},
        {"properties": {"a": {}}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
        {"properties": {"a": {}}, "allOf": [{"properties": {"b": {}}}, {}]},
    ):
        assert "additionalProperties" not in ready(open_, "it")


def test_random_walks_validate(guidance: Guidance) -> None:
    """Tokens drawn blindly from the masks, end tokens first: whatever ends is what the schema accepts."""
    import jsonschema

    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    draw, ended = random.Random(1), 0
    for seed in range(40):
        wanted = schema(seed)
        written = lark.grammar(Request("Hi", grammar=JsonSchema(wanted)), None, {})
        assert written is not None
        constraint, tokens = guidance.constraint(written), list[int]()
        while len(tokens) < 150 and not constraint.complete:
            if constraint.matcher.is_accepting():
                break
            tokens.append(draw.choice(np.flatnonzero(allowed([constraint], "cpu")[0].numpy()).tolist()))
            constraint.take(tokens[-1])
        if constraint.matcher.is_accepting():
            ended += 1
            value = json.loads(guidance._tokenizer.decode_bytes(tokens))
            jsonschema.Draft202012Validator(wanted, format_checker=checker).validate(value)
    assert ended >= 15
