"""LlamaIndex messages, blocks, tools and choices of tools as ours: pure functions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from io import IOBase
from pathlib import Path
from typing import Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    DocumentBlock,
    ImageBlock,
    MessageRole,
    TextBlock,
    ToolCallBlock,
    VideoBlock,
)

from internvl_llm.errors import MessageError, OptionError
from internvl_llm.messages import (
    Document,
    Image,
    Message,
    Part,
    Role,
    Source,
    Text,
    ToolCall,
    ToolResult,
    Video,
    decode_base64,
)
from internvl_llm.schema import instruction
from internvl_llm.tools import Tool

_ROLES: Mapping[MessageRole, Role] = {
    MessageRole.SYSTEM: "system",
    MessageRole.DEVELOPER: "system",
    MessageRole.USER: "user",
    MessageRole.ASSISTANT: "assistant",
    MessageRole.CHATBOT: "assistant",
    MessageRole.MODEL: "assistant",
    MessageRole.TOOL: "tool",
    MessageRole.FUNCTION: "tool",
}
_REMEDIES = {
    "AudioBlock": "InternVL hears nothing: give a transcript as a TextBlock",
    "CachePoint": "Leave it out: prompts that begin alike are computed once anyway",
    "CitableBlock": "Give its content as blocks of their own",
    "CitationBlock": "Give the cited content as a TextBlock",
    "ThinkingBlock": "Leave it out of the history",
}
_TILES: Mapping[str | None, int | None] = {None: None, "auto": None, "high": None, "low": 1}
"""The most that an image of this `detail` is cut into; None leaves it to the model's settings."""


def to_messages(messages: Sequence[ChatMessage]) -> tuple[Message, ...]:
    """Raises MessageError for what InternVL cannot be shown."""
    names: dict[str, str] = {}
    converted = []
    for message in messages:
        if not isinstance(message, ChatMessage):
            raise MessageError(
                f"a conversation cannot hold {type(message).__name__}", remedy="Give ChatMessage values"
            )
        parts = [_part(block, at) for at, block in enumerate(message.blocks)]
        role = _ROLES[message.role]
        if role == "user" and message.additional_kwargs.get("grounding") is True:
            parts = [Text(part.text, grounding=True) if isinstance(part, Text) else part for part in parts]
        if role == "tool":
            call = str(message.additional_kwargs.get("tool_call_id") or "")
            name = str(message.additional_kwargs.get("name") or names.get(call, ""))
            held: tuple[Any, ...] = tuple(parts)
            parts = [ToolResult(call, name, held)]
        elif role == "assistant" and not any(isinstance(part, ToolCall) for part in parts):
            parts += [_foreign_call(call, at) for at, call in enumerate(_calls_beside(message))]
        names.update((part.id, part.name) for part in parts if isinstance(part, ToolCall))
        converted.append(Message(role, parts))
    return tuple(converted)


def _part(block: Any, at: int) -> Part:
    if isinstance(block, TextBlock):
        return Text(block.text)
    if isinstance(block, ImageBlock):
        return Image(_source(block, block.image), max_tiles=_tiles(block))
    if isinstance(block, VideoBlock):
        if block.fps is not None:
            raise MessageError(
                f"a VideoBlock with fps={block.fps}: InternVL sees a number of frames, evenly spaced",
                remedy="Leave fps out, and set how many with media=MediaOptions(frames=...)",
            )
        _tiles(block)
        return Video(_source(block, block.video))
    if isinstance(block, DocumentBlock):
        return Document(_source(block, block.data))
    if isinstance(block, ToolCallBlock):
        return ToolCall(
            block.tool_call_id or f"call_{at}",
            block.tool_name,
            _arguments(block.tool_kwargs, block.tool_name),
        )
    kind = type(block).__name__
    raise MessageError(
        f"InternVL cannot be shown a {kind}",
        remedy=_REMEDIES.get(kind, "Give text, image, video, document or tool call blocks"),
    )


def _source(block: ImageBlock | VideoBlock | DocumentBlock, data: Any) -> Source:
    """Bytes are base64 in blocks; a URL must not name a file, which only `path`, the caller's own, may."""
    if isinstance(data, IOBase):
        data.seek(0)
        return bytes(data.read())
    if data:
        return decode_base64(bytes(data).decode("latin-1"))
    if block.path is not None:
        return Path(block.path)
    url = str(block.url or "")
    scheme = url[:64].partition(":")[0].lower()
    if scheme in ("data", "http", "https"):
        return url
    kind = type(block).__name__
    if url:
        raise MessageError(
            f"the url of the {kind} is {url[:100]!r}", remedy="Give a data: or http(s) URL, or a path as path"
        )
    raise MessageError(f"the {kind} is empty", remedy="Give its bytes, a path or a url")


def _tiles(block: ImageBlock | VideoBlock) -> int | None:
    if block.detail not in _TILES:
        raise MessageError(f"unknown detail {block.detail!r}", remedy="Use low, high, auto or None")
    return _TILES[block.detail]


def _calls_beside(message: ChatMessage) -> list[Any]:
    """Calls that another integration left in `additional_kwargs`, in OpenAI's form."""
    return list(message.additional_kwargs.get("tool_calls") or ())


def _foreign_call(call: Any, at: int) -> ToolCall:
    said = call if isinstance(call, Mapping) else call.model_dump() if hasattr(call, "model_dump") else {}
    function = said.get("function")
    if not isinstance(function, Mapping) or not function.get("name"):
        raise MessageError(
            f"a tool call is given as {type(call).__name__} without a function",
            remedy="Give ToolCallBlocks, or calls in OpenAI's form",
        )
    name = str(function["name"])
    return ToolCall(str(said.get("id") or f"call_{at}"), name, _arguments(function.get("arguments"), name))


def _arguments(given: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(given, str):
        return given or {}
    try:
        parsed = json.loads(given or "{}")
    except ValueError as error:
        raise MessageError(
            f"the arguments of the call of {name} are not JSON ({error})", remedy="Give a mapping"
        ) from error
    return parsed  # type: ignore[no-any-return]  # ToolCall refuses what is no mapping


def calls(message: ChatMessage) -> list[ToolCall]:
    """What the message calls: from its blocks, or else its `additional_kwargs`."""
    found = [_part(block, at) for at, block in enumerate(message.blocks) if isinstance(block, ToolCallBlock)]
    return [part for part in found if isinstance(part, ToolCall)] or [
        _foreign_call(call, at) for at, call in enumerate(_calls_beside(message))
    ]


def to_tool(tool: Any) -> Tool:
    """A LlamaIndex tool, one in OpenAI's form, or ours."""
    if isinstance(tool, Tool):
        return tool
    if isinstance(tool, Mapping):
        function = tool.get("function", tool)
        parameters = function.get("parameters") or {"type": "object", "properties": {}}
        return Tool(str(function.get("name")), str(function.get("description") or ""), parameters)
    told = tool.metadata
    return Tool(told.get_name(), told.description or "", told.get_parameters_dict())


def openai_tool(tool: Any) -> dict[str, Any]:
    """As `tools` of `chat`: plain data, which handlers of events may write down."""
    held = to_tool(tool)
    function = {"name": held.name, "description": held.description, "parameters": dict(held.parameters)}
    return {"type": "function", "function": function}


def choice_of(choice: Any, *, required: bool = False) -> str:
    """Ours (`auto`, `any`, `none`, a name) for LlamaIndex's and OpenAI's forms."""
    if isinstance(choice, Mapping):
        function = choice.get("function", choice)
        choice = function.get("name") if isinstance(function, Mapping) else None
        if not choice:
            raise OptionError("tool_choice names no function", remedy="Use auto, any, none or a tool's name")
    if choice in (None, "auto"):
        return "any" if required else "auto"
    return "any" if choice in ("required", "any", True) else str(choice)


def with_schema(messages: Sequence[ChatMessage], schema: Mapping[str, Any]) -> list[ChatMessage]:
    """The schema told at the end of the last thing the user says."""
    told = instruction(schema)
    *before, last = messages or [ChatMessage(role=MessageRole.USER, blocks=[])]
    if last.role != MessageRole.USER:
        return [*messages, ChatMessage(role=MessageRole.USER, content=told)]
    lead = "\n\n" if last.blocks else ""
    return [*before, last.model_copy(update={"blocks": [*last.blocks, TextBlock(text=f"{lead}{told}")]})]
