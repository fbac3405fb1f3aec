"""Tools, choices of tools and response formats of LangChain and OpenAI as ours: pure functions."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any

from langchain_core.exceptions import OutputParserException
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.ai import add_ai_message_chunks
from langchain_core.output_parsers import (
    BaseOutputParser,
    JsonOutputKeyToolsParser,
    JsonOutputParser,
    PydanticOutputParser,
    PydanticToolsParser,
)
from langchain_core.runnables import Runnable, RunnableGenerator, RunnableMap, RunnablePassthrough
from langchain_core.utils.function_calling import convert_to_json_schema, convert_to_openai_tool
from langchain_core.utils.pydantic import is_basemodel_subclass

from internvl_llm.errors import OptionError
from internvl_llm.grammar import Grammar, JsonObject, JsonSchema
from internvl_llm.schema import ready
from internvl_llm.tools import Tool, check_tools

METHODS = ("json_schema", "function_calling", "json_mode")


def openai_tools(tools: Sequence[Any], choice: str) -> list[dict[str, Any]]:
    """Plain data, which tracers may write down; a tool that is given twice is there once.

    Raises OptionError where no tool is `choice` or a tool is none the model may call, GrammarError
    where no grammar can follow its schema.
    """
    formatted: list[dict[str, Any]] = []
    for given in map(_openai_tool, tools):
        if _untitled(given) not in map(_untitled, formatted):
            formatted.append(given)
    for tool in check_tools(map(to_tool, formatted), choice):
        ready(tool.parameters, f"the schema of the tool {tool.name}")
    return formatted


def _untitled(schema: Any) -> Any:
    """Without the titles that pydantic gives; a property of that name is no string and stays."""
    if isinstance(schema, list):
        return [_untitled(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _untitled(value) for key, value in schema.items() if key != "title" or not isinstance(value, str)
    }


def _openai_tool(tool: Any) -> dict[str, Any]:
    if isinstance(tool, Tool):
        function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
        return {"type": "function", "function": function}
    try:
        return dict(convert_to_openai_tool(tool))
    except (TypeError, ValueError) as error:
        raise OptionError(
            f"{type(tool).__name__} is no tool ({error})",
            remedy="Give a function, a LangChain tool, a pydantic class, a TypedDict or an OpenAI tool",
        ) from error


def to_tool(tool: Any) -> Tool:
    """Of OpenAI's form, as `openai_tools` makes it."""
    if isinstance(tool, Tool):
        return tool
    function = tool.get("function") if isinstance(tool, Mapping) else None
    if not isinstance(function, Mapping) or not function.get("name"):
        kind = tool.get("type") if isinstance(tool, Mapping) else type(tool).__name__
        raise OptionError(f"a tool of type {kind!r} runs elsewhere", remedy="Give functions of your own")
    parameters = function.get("parameters") or {"type": "object", "properties": {}}
    return Tool(str(function["name"]), str(function.get("description") or ""), parameters)


def to_choice(choice: Any) -> str:
    """`auto`, `any`, `none` or a name, for the forms of LangChain, OpenAI and Anthropic."""
    if isinstance(choice, Mapping):
        function = choice.get("function", choice)
        named = function.get("name") if isinstance(function, Mapping) else None
        choice = named or choice.get("type")
    if choice is None or choice is False:
        return "auto"
    return "any" if choice in (True, "any", "required") else str(choice)


def to_grammar(response_format: Any) -> Grammar | None:
    """Of OpenAI's `response_format`."""
    kind = response_format.get("type") if isinstance(response_format, Mapping) else response_format
    if kind in (None, "text"):
        return None
    if kind == "json_object":
        return JsonObject()
    described = response_format.get("json_schema") if kind == "json_schema" else None
    schema = described.get("schema") if isinstance(described, Mapping) else None
    if not isinstance(schema, Mapping):
        raise OptionError(
            f"no such response_format: {str(response_format)[:200]}",
            remedy='Use {"type": "json_schema", "json_schema": {"name": ..., "schema": ...}}',
        )
    return JsonSchema(schema)


def response_format(schema: Any, strict: bool | None) -> dict[str, Any]:
    """OpenAI's, for a pydantic class, a TypedDict or a JSON schema."""
    described = convert_to_json_schema(schema)
    ready(described, "the schema of the answer")
    named: dict[str, Any] = {"name": str(described.get("title", "answer")), "schema": described}
    return {"type": "json_schema", "json_schema": named | ({} if strict is None else {"strict": strict})}


def json_parser(schema: Any) -> BaseOutputParser[Any]:
    return PydanticOutputParser(pydantic_object=schema) if _is_class(schema) else JsonOutputParser()


def call_parser(schema: Any, name: str) -> BaseOutputParser[Any]:
    if _is_class(schema):
        return PydanticToolsParser(tools=[schema], first_tool_only=True)
    return JsonOutputKeyToolsParser(key_name=name, first_tool_only=True)


def parsed(
    model: Runnable[Any, AIMessage], parser: BaseOutputParser[Any], include_raw: bool
) -> Runnable[Any, Any]:
    """With `include_raw` a dict of `raw`, `parsed` and `parsing_error`.

    An answer that was cut off is an OutputParserException that says so; for a call, LangChain has None.
    """
    whole: Runnable[Any, Any] = RunnableGenerator(_whole, _awhole)
    if not include_raw:
        return model | whole | parser
    tried = RunnablePassthrough.assign(
        parsed=itemgetter("raw") | whole | parser, parsing_error=lambda _: None
    )
    failed = RunnablePassthrough.assign(parsed=lambda _: None)
    return RunnableMap(raw=model) | tried.with_fallbacks([failed], exception_key="parsing_error")


def _whole(messages: Iterator[AIMessage]) -> Iterator[AIMessage]:
    seen: list[AIMessage] = []
    for message in messages:
        seen.append(message)
        yield message
    _check(seen)


async def _awhole(messages: AsyncIterator[AIMessage]) -> AsyncIterator[AIMessage]:
    seen: list[AIMessage] = []
    async for message in messages:
        seen.append(message)
        yield message
    _check(seen)


def _check(seen: Sequence[AIMessage]) -> None:
    """`seen` is one message, or the chunks of one."""
    chunks = [message for message in seen if isinstance(message, AIMessageChunk)]
    [answer] = [add_ai_message_chunks(*chunks)] if chunks else seen
    if answer.tool_calls:
        return
    try:
        json.loads(answer.text)
    except (ValueError, RecursionError) as error:
        raise OutputParserException(
            "the answer was cut off before it was whole. Raise max_tokens, or leave stop strings out.",
            llm_output=answer.text,
        ) from error


def _is_class(schema: Any) -> bool:
    return isinstance(schema, type) and is_basemodel_subclass(schema)
