"""LMDeploy's response formats, read by the library that LMDeploy gives them to."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytest.importorskip("xgrammar")

import xgrammar

from internvl_llm.engine import EngineSpec
from internvl_llm.engines.lmdeploy.formats import response_format
from internvl_llm.engines.token_streams import Described, describe
from internvl_llm.errors import GrammarError, MessageError
from internvl_llm.grammar import Choice, Exactly, Grammar, JsonObject, JsonSchema, Regex
from internvl_llm.prompt.dialects import FORMATS
from internvl_llm.request import Request
from tests.kit.checkpoints import built
from tests.kit.engine_contract import CROP, PARAMETERS, WEATHER

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def described() -> Described:
    return describe(EngineSpec(str(built("tiny")), engine="lmdeploy"))


@pytest.fixture(scope="module")
def compiler(described: Described) -> Any:
    info = xgrammar.TokenizerInfo.from_huggingface(described.tokenizer, vocab_size=len(described.tokenizer))
    return xgrammar.GrammarCompiler(info)


def matches(compiler: Any, described: Described, request: Request, said: str | list[int]) -> bool:
    """Whether it may be said, and be all that is said. As LMDeploy compiles it."""
    wanted = response_format(request, described)
    matcher = xgrammar.GrammarMatcher(compiler.compile_structural_tag(json.dumps(wanted, ensure_ascii=False)))
    tokens = said if isinstance(said, list) else described.encoder.words(said)
    end = described.encoder.special["<|im_end|>"]
    return all(matcher.accept_token(token) for token in [*tokens, end])


@pytest.mark.parametrize(
    ("grammar", "good", "bad"),
    [
        (
            JsonSchema(PARAMETERS),
            ['{"city": "Bern", "days": 2}'],
            ['{"city": "Rome", "days": 2}', "{}", "Hello"],
        ),
        (JsonSchema(PARAMETERS), ['{"city":"Ulm","days":1}'], ['{"city":   "Ulm", "days": 1}']),
        (JsonObject(), ['{"a": [1, {}]}', "{}"], ["[1]", "Hello"]),
        (Regex("[a-c]{2}-\\d+"), ["ab-12"], ["ad-12", "ab-"]),
        (Choice(("yes", "no", "né\n")), ["no", "né\n"], ["nope", "y"]),
        (Exactly("It is a table."), ["It is a table."], ["It is a", "It is a table. And"]),
    ],
)
def test_answers(
    compiler: Any, described: Described, grammar: Grammar, good: list[str], bad: list[str]
) -> None:
    request = Request("Go", grammar=grammar)
    assert [matches(compiler, described, request, text) for text in good] == [True] * len(good)
    assert [matches(compiler, described, request, text) for text in bad] == [False] * len(bad)


def call(name: str = "weather", arguments: str = '{"city": "Bern", "days": 2}') -> str:
    return f'<tool_call>\n{{"name": "{name}", "arguments": {arguments}}}\n</tool_call>'


GOOD, WRONG = call(), call(arguments='{"city": "Rome", "days": 2}')
CALLS: list[tuple[dict[str, Any], list[str], list[str]]] = [
    ({"tool_choice": "any"}, [GOOD, f"{GOOD}\n{call('crop', '{}')}"], ["Hello", WRONG, f"{GOOD}Hello", ""]),
    ({"tool_choice": "any", "parallel_tool_calls": False}, [GOOD], [f"{GOOD}\n{GOOD}"]),
    ({"tool_choice": "weather"}, [GOOD], [call("crop", "{}"), f"{GOOD}\n{GOOD}", "Hello"]),
    ({"tool_choice": "auto"}, ["Hello <b>", GOOD, f"Let me see. {GOOD}\n{GOOD}"], [WRONG, f"Now {WRONG}"]),
    ({"tool_choice": "none"}, ["Hello"], [GOOD, f"Hello {GOOD}"]),
    ({"tool_choice": "auto", "grammar": Choice(("yes",))}, ["yes", GOOD], ["Hello", f"yes{GOOD}", WRONG]),
    ({"tool_choice": "none", "grammar": Choice(("yes",))}, ["yes"], ["Hello", GOOD]),
]


@pytest.mark.parametrize(("options", "good", "bad"), CALLS)
def test_calls(
    compiler: Any, described: Described, options: dict[str, Any], good: list[str], bad: list[str]
) -> None:
    request = Request("Go", tools=[WEATHER, CROP], **options)
    assert [matches(compiler, described, request, text) for text in good] == [True] * len(good)
    assert [matches(compiler, described, request, text) for text in bad] == [False] * len(bad)


def test_the_token_of_a_tag_is_the_tag(compiler: Any, described: Described) -> None:
    special, words = described.encoder.special, described.encoder.words
    body = words(GOOD.removeprefix("<tool_call>").removesuffix("</tool_call>"))
    said = [special["<tool_call>"], *body, special["</tool_call>"]]
    for choice in ("any", "auto", "weather"):
        assert matches(compiler, described, Request("Go", tools=[WEATHER], tool_choice=choice), said)
    assert not matches(compiler, described, Request("Go", tools=[WEATHER], tool_choice="none"), said)


def test_tags_of_special_tokens(compiler: Any, described: Described, monkeypatch: pytest.MonkeyPatch) -> None:
    """As InternLM3's, which text never is."""
    form = FORMATS["hermes"]
    other = type(form)("<ref><box>", "</box>", form.arguments)
    monkeypatch.setitem(FORMATS, "hermes", other)
    special, words = described.encoder.special, described.encoder.words
    body = words('\n{"name": "weather", "arguments": {"city": "Bern", "days": 2}}')
    one = [special["<ref>"], special["<box>"], *body, special["</box>"]]
    for choice, said, may in (
        ("any", one, True),
        ("any", [*one, *one], True),
        ("any", words("<ref><box>") + body, False),
        ("auto", [*words("Let me see."), *one], True),
        ("auto", words("Hello"), True),
        ("none", words("Hello"), True),
        ("none", one, False),
    ):
        request = Request("Go", tools=[WEATHER], tool_choice=choice)
        assert matches(compiler, described, request, said) is may, (choice, said)


def test_what_cannot_be(described: Described, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(GrammarError, match="exact answer"):
        response_format(Request("Go", tools=[WEATHER], grammar=Exactly("It is.")), described)
    monkeypatch.delitem(FORMATS, "hermes")
    with pytest.raises(MessageError, match="knows no tools"):
        response_format(Request("Go", tools=[WEATHER]), described)
