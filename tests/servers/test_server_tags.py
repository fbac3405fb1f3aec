"""The structural tags that a server is sent, read by the library that vLLM and SGLang give them to."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytest.importorskip("xgrammar")

import xgrammar

from internvl_llm.engines.server.constraints import constraint
from internvl_llm.engines.server.flavours import SGLANG, VLLM
from internvl_llm.grammar import Choice, JsonSchema, Regex
from internvl_llm.prompt.dialects import FORMATS
from internvl_llm.request import Request
from tests.kit.engine_contract import CROP, WEATHER

pytestmark = pytest.mark.servers

BERN = '<tool_call>\n{"name": "weather", "arguments": {"city": "Bern", "days": 2}}\n</tool_call>'
BLANKS = BERN.replace('"days"', '  "days"')
LEFT = '<tool_call>\n{"name": "crop", "arguments": {"box": "left"}}\n</tool_call>'
ROME = BERN.replace("Bern", "Rome")
ALONE = ["Hi\n" + BERN, BERN + LEFT, '<tool_call>\n{"name": "other"', ROME, BLANKS, ""]
OBJECT = JsonSchema({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]})
CASES: dict[str, tuple[dict[str, Any], list[str], list[str]]] = {
    "auto": (
        {"tool_choice": "auto"},
        ["Hello", "a <tool b", BERN, "Hi\n" + BERN, f"{BERN}\n{LEFT}", '{"a": 1}'],
        ALONE[2:5],
    ),
    "auto, one": (
        {"tool_choice": "auto", "parallel_tool_calls": False},
        ["Hi", "Hi\n" + BERN],
        [BERN + LEFT],
    ),
    "any": ({"tool_choice": "any"}, [BERN, LEFT, f"{BERN}\n{LEFT}"], ["Hello", *ALONE]),
    "any, one": ({"tool_choice": "any", "parallel_tool_calls": False}, [BERN], [f"{BERN}\n{LEFT}", *ALONE]),
    "a name": ({"tool_choice": "crop"}, [LEFT], [BERN, f"{LEFT}\n{LEFT}", "Hello"]),
    "or a schema": ({"grammar": OBJECT}, ['{"a": 1}', BERN], ["Hello", '{"b": 1}', *ALONE]),
    "or a choice": ({"grammar": Choice(("yes", "no"))}, ["yes", BERN], ["maybe", *ALONE]),
    "or a pattern": ({"grammar": Regex("[ab]+")}, ["abba", LEFT], ["c", *ALONE]),
}


@pytest.fixture(scope="module")
def compiler() -> Any:
    """Of bytes, and an end."""
    words = [bytes([value]) for value in range(256)]
    return xgrammar.GrammarCompiler(xgrammar.TokenizerInfo([*words, b"<end>"], stop_token_ids=[256]))


@pytest.mark.parametrize("flavour", [VLLM, SGLANG], ids=lambda flavour: flavour.name)
@pytest.mark.parametrize("case", CASES)
def test_what_may_be_said(compiler: Any, flavour: Any, case: str) -> None:
    options, good, bad = CASES[case]
    request = Request("-", tools=[WEATHER, CROP], **options)
    form = constraint(request, flavour, FORMATS["hermes"]).fields["response_format"]
    grammar = compiler.compile_structural_tag(json.dumps(form))

    def matches(text: str) -> bool:
        matcher = xgrammar.GrammarMatcher(grammar)
        return all(map(matcher.accept_token, text.encode())) and bool(matcher.accept_token(256))

    assert [text for text in good if not matches(text)] == []
    assert [text for text in bad if matches(text)] == []
