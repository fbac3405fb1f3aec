"""OpenAI's forms and what frameworks make of them, both ways."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from internvl_llm.errors import MessageError, OptionError
from internvl_llm.events import TokenLogprob
from internvl_llm.grammar import JsonObject, JsonSchema
from internvl_llm.messages import ToolCall
from internvl_llm.openai_forms import (
    dump_logprobs,
    dump_response_format,
    dump_tool,
    dump_tool_call,
    dump_tool_choice,
    parse_detail,
    parse_response_format,
    parse_role,
    parse_tool,
    parse_tool_call,
    parse_tool_choice,
)
from internvl_llm.tools import Tool

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = Tool("weather", "The weather of a city.", SCHEMA)


def test_roles() -> None:
    names = {"system": "developer system", "user": "human user", "assistant": "ai model chatbot assistant"}
    for role, spellings in {**names, "tool": "function tool"}.items():
        assert {parse_role(name) for name in spellings.split()} == {role}
    with pytest.raises(MessageError, match="'narrator'.*system"):
        parse_role("narrator")


def test_detail() -> None:
    assert [parse_detail(detail) for detail in (None, "auto", "high", "low")] == [None, None, None, 1]
    with pytest.raises(MessageError, match="unknown detail 'best'.*low"):
        parse_detail("best")


@pytest.mark.parametrize(
    "form",
    [
        WEATHER,
        dump_tool(WEATHER),
        dump_tool(WEATHER)["function"],
        {"type": "function", "name": "weather", "description": WEATHER.description, "parameters": SCHEMA},
        {"name": "weather", "description": WEATHER.description, "input_schema": SCHEMA},
        {"type": "custom", "name": "weather", "description": WEATHER.description, "input_schema": SCHEMA},
    ],
)
def test_tools(form: Any) -> None:
    assert parse_tool(form) == WEATHER


def test_a_tool_of_nothing_but_a_name() -> None:
    assert parse_tool({"name": "now"}) == Tool("now", "", {"type": "object", "properties": {}})


@pytest.mark.parametrize(
    ("form", "kind"),
    [
        ({"type": "web_search"}, "'web_search'"),
        ({"type": "web_search_20250305", "name": "web_search"}, "'web_search_20250305'"),
        ({"type": "function"}, "'function'"),
        ({"type": "function", "function": {"description": "nameless"}}, "'function'"),
        (7, "'int'"),
    ],
)
def test_tools_that_are_none_of_ours(form: Any, kind: str) -> None:
    with pytest.raises(OptionError, match=f"a tool of type {kind} runs elsewhere"):
        parse_tool(form)


@pytest.mark.parametrize(
    ("form", "choice"),
    [
        *((form, "auto") for form in (None, False, "auto", {"type": "auto"})),
        *((form, "any") for form in (True, "any", "required", {"type": "any"}, {"type": "required"})),
        *((form, "none") for form in ("none", {"type": "none"})),
        *((form, "f") for form in ("f", {"type": "tool", "name": "f"}, {"type": "function", "name": "f"})),
        ({"type": "function", "function": {"name": "f"}}, "f"),
    ],
)
def test_choices(form: Any, choice: str) -> None:
    assert parse_tool_choice(form) == choice
    assert parse_tool_choice(dump_tool_choice(choice)) == choice


@pytest.mark.parametrize("form", [{}, {"type": "function"}, {"type": "allowed_tools"}, {"function": 7}])
def test_choices_of_nothing(form: Any) -> None:
    with pytest.raises(OptionError, match="names no function.*auto, any, none"):
        parse_tool_choice(form)


def test_response_formats() -> None:
    assert parse_response_format(None) is parse_response_format({"type": "text"}) is None
    for grammar in (JsonObject(), JsonSchema({"title": "Place", **SCHEMA})):
        assert parse_response_format(dump_response_format(grammar)) == grammar
    form = dump_response_format(JsonSchema({"title": "Place"}), strict=True)
    assert form["json_schema"] == {"name": "Place", "schema": {"title": "Place"}, "strict": True}
    assert dump_response_format(JsonSchema(SCHEMA))["json_schema"]["name"] == "answer"
    for form in (
        {"type": "xml"},
        {"type": "json_schema"},
        {"type": "json_schema", "json_schema": {}},
        "json",
    ):
        with pytest.raises(OptionError, match="no such response_format"):
            parse_response_format(form)


def test_tool_calls() -> None:
    call = ToolCall("1", "weather", {"city": "Zürich"})
    form = dump_tool_call(call)
    assert form["function"]["arguments"] == '{"city": "Zürich"}'

    class OfClient(BaseModel):
        id: str
        function: dict[str, Any]

    for same in (
        form,
        OfClient(**form),
        form | {"function": {"name": "weather", "arguments": call.arguments}},
    ):
        assert parse_tool_call(same, 0) == call
    assert parse_tool_call({"function": {"name": "now", "arguments": ""}}, 3) == ToolCall("call_3", "now", {})
    for wrong, message in (
        (7, "given as int without a function"),
        ({"function": {}}, "without a function"),
        ({"function": {"name": "f", "arguments": "{not"}}, "arguments of the call of f are not JSON"),
        ({"function": {"name": "f", "arguments": "[" * 100_000}}, "arguments of the call of f are not JSON"),
        ({"function": {"name": "f", "arguments": "[1]"}}, "arguments of the call of f are not JSON"),
    ):
        with pytest.raises(MessageError, match=message):
            parse_tool_call(wrong, 0)


def test_logprobs() -> None:
    token = TokenLogprob("yes", -0.1, (("yes", -0.1), ("no", -2.0)))
    [content] = dump_logprobs([token])["content"]
    assert (content["token"], content["logprob"]) == ("yes", -0.1)
    assert content["top_logprobs"][1] == {"token": "no", "logprob": -2.0}
