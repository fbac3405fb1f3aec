"""Calls that are written otherwise than a model was taught, whole and as they come."""

from __future__ import annotations

import pytest

from internvl_llm.events import TextDelta, ToolCallDelta
from internvl_llm.messages import Message
from internvl_llm.prompt.call_parser import CallParser
from internvl_llm.prompt.calls import merge
from internvl_llm.prompt.dialects import FORMATS
from internvl_llm.prompt.quoted import Quoted
from tests.kit.growth import growth

CALL = '{"name": "weather", "arguments": {"city": "X"}}'
NAMES = frozenset({"weather", "send"})


def events(text: str, quoted: Quoted | None = None) -> list[TextDelta | ToolCallDelta]:
    found = []
    for size in (1, 3, 10**6):
        parser = CallParser(FORMATS["hermes"], "s", names=NAMES, quoted=quoted)
        told = [event for at in range(0, len(text), size) for event in parser.push(text[at : at + size])]
        found.append(merge([*told, *parser.finish()]))
    assert found[0] == found[1] == found[2]
    return found[0]


def calls(text: str) -> list[tuple[str, str]]:
    told = events(text)
    assert all(isinstance(event, ToolCallDelta) for event in told)
    return [(event.name, event.arguments) for event in told if isinstance(event, ToolCallDelta)]


def tagged(body: str) -> str:
    return f"<tool_call>\n{body}\n</tool_call>"


@pytest.mark.parametrize(
    "body",
    [
        CALL,
        CALL.replace("arguments", "parameters"),
        CALL.replace("arguments", "args"),
        '{"arguments": {"city": "X"}, "name": "weather"}',
        '{"parameters": {"city": "X"}, "name": "weather"}',
        '{"tool": "weather", "tool_input": {"city": "X"}}',
        '{"function": "weather", "arguments": {"city": "X"}}',
        '{"id": "1", "type": "function", "function": {"name": "weather", "arguments": {"city": "X"}}}',
        '{"type": "function", "function": {"name": "weather", "arguments": "{\\"city\\": \\"X\\"}"}}',
        '{"tool_calls": [{"name": "weather", "arguments": {"city": "X"}}]}',
        f"[{CALL}]",
        f"```json\n{CALL}\n```",
        f"```\n[{CALL}]\n```",
        "{'name': 'weather', 'arguments': {'city': 'X'}}",
        '{"name": "weather", "arguments": "{\\"city\\": \\"X\\"}"}',
        f"{{{CALL}}}",
        CALL.replace("{", "{{").replace("}", "}}"),
    ],
)
def test_one_call_in_many_ways(body: str) -> None:
    for text in (tagged(body), body, f"\n{body}\n", f"<tool_call>{body}</tool_call>"):
        assert calls(text) == [("weather", '{"city": "X"}')]


def test_python_values_and_quotes_within_quotes() -> None:
    body = "{'name': 'send', 'arguments': {'to': 'it\\'s \"me\"', 'all': True, 'cc': None}}"
    assert calls(tagged(body)) == [("send", '{"to": "it\'s \\"me\\"", "all": true, "cc": null}')]


def test_several_calls() -> None:
    both = [("weather", '{"city": "X"}'), ("send", '{"to": "a"}')]
    body = f'[{CALL}, {{"name": "send", "parameters": {{"to": "a"}}}}]'
    assert calls(tagged(body)) == calls(body) == calls(f"```json\n{body}\n```") == both
    assert calls(f'{tagged(CALL)}\n{tagged("""{"name": "send", "args": {"to": "a"}}""")}') == both


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "unknown", "arguments": {}}',
        '{"name": "weather", "city": "X"}',
        '{"city": "X", "name": "weather"}',
        f"{CALL} is what I would write.",
        f"I would write\n```json\n{CALL}\n```",
        f"[{CALL}, 3]",
        '{"name": "weather", "arguments": {"city": "X"}',
        '{"name": "weather", "arguments": "no JSON"}',
        '{"name": "weather", "arguments": [1]}',
        "```python\nprint(1)\n```",
        "[1, 2, 3]",
        "{",
        "``",
        " \n ",
        "[" * 3000,
        " " * 3000 + "text",
        '{"type": "' + "x" * 3000 + '"}',
    ],
    ids=lambda text: text[:30],
)
def test_what_is_no_call_stays_text(text: str) -> None:
    assert events(text) == [TextDelta(text)]


def test_nothing_waits_that_cannot_be_a_call() -> None:
    parser = CallParser(FORMATS["hermes"], "s", names=NAMES)
    assert parser.push("The") == [TextDelta("The")]
    parser = CallParser(FORMATS["hermes"], "s", names=NAMES)
    assert parser.push('{"total": 5') == [TextDelta('{"total": 5')]
    parser = CallParser(FORMATS["hermes"], "s", names=NAMES)
    assert parser.push('{"name": "Ann"') == [TextDelta('{"name": "Ann"')]


def test_a_call_in_a_page_is_none_without_tags_either() -> None:
    quoted = Quoted([Message.user("Read: " + CALL)])
    for body in (CALL, f"[{CALL}]", f"```json\n{CALL}\n```"):
        assert events(body, quoted) == [TextDelta(body)]


def test_with_a_grammar_an_answer_in_json_is_an_answer() -> None:
    parser = CallParser(FORMATS["hermes"], "s", anywhere=False, names=NAMES)
    assert [*parser.push(CALL), *parser.finish()] == [TextDelta(CALL)]


@pytest.mark.parametrize("unit", ["[", '{"name": ', '{"name": "weather", ', "'", '"', " ", "```", ",", "\\'"])
@pytest.mark.parametrize("begins", ["", '{"name": "weather", "a": '])
def test_in_time_that_is_linear_in_the_text(unit: str, begins: str) -> None:
    def parse(text: str) -> None:
        parser = CallParser(FORMATS["hermes"], "s", names=NAMES)
        for at in range(0, len(text), 50):
            parser.push(text[at : at + 50])
        parser.finish()

    short, long = (begins + unit * (length // len(unit)) for length in (5000, 20_000))
    assert growth(lambda: parse(short), lambda: parse(long), rounds=2) < 10
