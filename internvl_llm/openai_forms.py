"""OpenAI's JSON as our values, and our values as OpenAI's JSON. Forms of Anthropic, LangChain and LlamaIndex
that mean the same are read too. Pure functions, of no framework."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from internvl_llm.errors import MessageError, OptionError
from internvl_llm.events import TokenLogprob
from internvl_llm.grammar import Grammar, JsonObject, JsonSchema
from internvl_llm.messages import Role, ToolCall
from internvl_llm.tools import Tool

_ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "ai": "assistant",
    "chatbot": "assistant",
    "model": "assistant",
    "tool": "tool",
    "function": "tool",
}
_MAX_TILES: Mapping[str | None, int | None] = {None: None, "auto": None, "high": None, "low": 1}
_CHOICES = {"auto": "auto", "any": "any", "required": "any", "none": "none"}


def parse_role(name: str) -> Role:
    """Raises MessageError."""
    if name not in _ROLES:
        raise MessageError(f"unknown role {name!r}", remedy=f"Use one of {', '.join(_ROLES)}")
    return _ROLES[name]


def parse_detail(detail: Any) -> int | None:
    """The most tiles of an image; None leaves it to the model's settings. Raises MessageError."""
    if not isinstance(detail, str | None) or detail not in _MAX_TILES:
        raise MessageError(f"unknown detail {str(detail)[:100]!r}", remedy="Use low, high or auto")
    return _MAX_TILES[detail]


def parse_tool(tool: Any) -> Tool:
    """Of `{"type": "function", "function": {...}}`, of the function alone, or of Anthropic's form.

    Raises OptionError.
    """
    if isinstance(tool, Tool):
        return tool
    fields = tool if isinstance(tool, Mapping) else {"type": type(tool).__name__}
    kind = fields.get("type", "function")
    function = fields.get("function", fields) if kind == "function" or "input_schema" in fields else None
    if not isinstance(function, Mapping) or not function.get("name"):
        raise OptionError(f"a tool of type {kind!r} runs elsewhere", remedy="Give functions of your own")
    parameters = function.get("parameters") or function.get("input_schema")
    return Tool(
        str(function["name"]),
        str(function.get("description") or ""),
        parameters or {"type": "object", "properties": {}},
    )


def dump_tool(tool: Tool) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return {"type": "function", "function": function}


def parse_tool_choice(choice: Any) -> str:
    """`auto`, `any`, `none` or a tool's name. Raises OptionError."""
    if isinstance(choice, Mapping):
        function = choice.get("function", choice)
        name = function.get("name") if isinstance(function, Mapping) else None
        choice = name or _CHOICES.get(str(choice.get("type")))
        if not choice:
            raise OptionError("tool_choice names no function", remedy="Use auto, any, none or a tool's name")
        return str(choice)
    if choice is None or isinstance(choice, bool):
        return "any" if choice else "auto"
    return _CHOICES.get(str(choice), str(choice))


def dump_tool_choice(choice: str) -> str | dict[str, Any]:
    forms = {"auto": "auto", "any": "required", "none": "none"}
    return forms.get(choice) or {"type": "function", "function": {"name": choice}}


def parse_response_format(form: Any) -> Grammar | None:
    """Raises OptionError."""
    kind = form.get("type") if isinstance(form, Mapping) else form
    if kind in (None, "text"):
        return None
    if kind == "json_object":
        return JsonObject()
    described = form.get("json_schema") if kind == "json_schema" and isinstance(form, Mapping) else None
    schema = described.get("schema") if isinstance(described, Mapping) else None
    if not isinstance(schema, Mapping):
        raise OptionError(
            f"no such response_format: {str(form)[:200]}",
            remedy='Use {"type": "json_schema", "json_schema": {"name": ..., "schema": ...}}',
        )
    return JsonSchema(schema)


def dump_response_format(grammar: JsonObject | JsonSchema, strict: bool | None = None) -> dict[str, Any]:
    if isinstance(grammar, JsonObject):
        return {"type": "json_object"}
    described = {"name": str(grammar.schema.get("title", "answer")), "schema": dict(grammar.schema)}
    return {"type": "json_schema", "json_schema": described | ({} if strict is None else {"strict": strict})}


def parse_tool_call(call: Any, index: int) -> ToolCall:
    """Of a mapping, or an object of OpenAI's client; `index` names a call that has no id.

    Raises MessageError.
    """
    fields = call.model_dump() if hasattr(call, "model_dump") else call
    function = fields.get("function") if isinstance(fields, Mapping) else None
    if not isinstance(function, Mapping) or not function.get("name"):
        raise MessageError(
            f"a tool call is given as {type(call).__name__} without a function",
            remedy='Give {"id": ..., "type": "function", "function": {"name": ..., "arguments": ...}}',
        )
    name = str(function["name"])
    arguments = parse_arguments(function.get("arguments"), name)
    return ToolCall(str(fields.get("id") or f"call_{index}"), name, arguments)


def parse_arguments(arguments: Any, name: str) -> Mapping[str, Any]:
    """Of JSON text, or as they are; ToolCall refuses what is no mapping. Raises MessageError."""
    if not isinstance(arguments, str):
        return arguments or {}
    try:
        return json.loads(arguments or "{}")  # type: ignore[no-any-return]
    except (ValueError, RecursionError) as error:
        raise MessageError(
            f"the arguments of the call of {name} are not JSON ({error})", remedy="Give a mapping"
        ) from error


def dump_tool_call(call: ToolCall) -> dict[str, Any]:
    arguments = json.dumps(call.arguments, ensure_ascii=False)
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def dump_logprobs(tokens: Sequence[TokenLogprob]) -> dict[str, Any]:
    content = [
        {
            "token": token.token,
            "logprob": token.logprob,
            "top_logprobs": [{"token": text, "logprob": logprob} for text, logprob in token.top],
        }
        for token in tokens
    ]
    return {"content": content}
