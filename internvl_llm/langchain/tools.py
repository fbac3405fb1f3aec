"""Tools and schemas of LangChain in OpenAI's form, and the parsers of answers to them: pure functions."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Sequence
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
from internvl_llm.grammar import JsonSchema
from internvl_llm.openai_forms import dump_response_format, dump_tool, parse_tool
from internvl_llm.schema import ready
from internvl_llm.tools import MOST_TOOLS, Tool, check_tools

METHODS = ("json_schema", "function_calling", "json_mode")


def openai_tools(tools: Sequence[Any], choice: str) -> list[dict[str, Any]]:
    """Plain data, which tracers may write down; a tool that is given twice is there once.

    Raises OptionError where no tool is `choice` or a tool is none the model may call, GrammarError
    where no grammar can follow its schema.
    """
    if len(tools) > MOST_TOOLS:
        raise OptionError(f"{len(tools):,} tools", remedy=f"Give {MOST_TOOLS} at most")
    distinct: dict[str, dict[str, Any]] = {}
    for form in map(_openai_tool, tools):
        distinct.setdefault(json.dumps(_untitled(form), sort_keys=True, default=repr), form)
    forms = list(distinct.values())
    for tool in check_tools(map(parse_tool, forms), choice):
        ready(tool.parameters, f"the schema of the tool {tool.name}")
    return forms


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
        return dump_tool(tool)
    try:
        return dict(convert_to_openai_tool(tool))
    except (TypeError, ValueError) as error:
        raise OptionError(
            f"{type(tool).__name__} is no tool ({error})",
            remedy="Give a function, a LangChain tool, a pydantic class, a TypedDict or an OpenAI tool",
        ) from error


def response_format(schema: Any, strict: bool | None) -> dict[str, Any]:
    """OpenAI's, for a pydantic class, a TypedDict or a JSON schema."""
    json_schema = convert_to_json_schema(schema)
    ready(json_schema, "the schema of the answer")
    return dump_response_format(JsonSchema(json_schema), strict)


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
    whole: Runnable[Any, Any] = RunnableGenerator(_pass_whole, _apass_whole)
    if not include_raw:
        return model | whole | parser
    success = RunnablePassthrough.assign(
        parsed=itemgetter("raw") | whole | parser, parsing_error=lambda _: None
    )
    failure = RunnablePassthrough.assign(parsed=lambda _: None)
    return RunnableMap(raw=model) | success.with_fallbacks([failure], exception_key="parsing_error")


def _pass_whole(messages: Iterator[AIMessage]) -> Iterator[AIMessage]:
    received: list[AIMessage] = []
    for message in messages:
        received.append(message)
        yield message
    _check_whole(received)


async def _apass_whole(messages: AsyncIterator[AIMessage]) -> AsyncIterator[AIMessage]:
    received: list[AIMessage] = []
    async for message in messages:
        received.append(message)
        yield message
    _check_whole(received)


def _check_whole(received: Sequence[AIMessage]) -> None:
    """`received` is one message, or the chunks of one."""
    chunks = [message for message in received if isinstance(message, AIMessageChunk)]
    [answer] = [add_ai_message_chunks(*chunks)] if chunks else received
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
