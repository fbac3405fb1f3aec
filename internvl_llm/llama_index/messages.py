"""LlamaIndex messages, blocks and tools as ours: pure functions."""

from __future__ import annotations

import os
from collections.abc import Sequence
from io import IOBase
from typing import Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    DocumentBlock,
    ImageBlock,
    TextBlock,
    ToolCallBlock,
    VideoBlock,
)

from internvl_llm.errors import MessageError
from internvl_llm.media.limits import MediaOptions
from internvl_llm.media.source import check_files, referenced
from internvl_llm.messages import (
    Document,
    Image,
    Message,
    Part,
    Source,
    Text,
    ToolCall,
    ToolResult,
    Video,
    decode_base64,
)
from internvl_llm.openai_forms import (
    parse_arguments,
    parse_detail,
    parse_role,
    parse_tool,
    parse_tool_call,
)
from internvl_llm.request import DEFAULT_MEDIA
from internvl_llm.tools import Tool

_REMEDIES = {
    "AudioBlock": "InternVL hears nothing: give a transcript as a TextBlock",
    "CachePoint": "Leave it out: prompts that begin alike are computed once anyway",
    "CitableBlock": "Give its content as blocks of their own",
    "CitationBlock": "Give the cited content as a TextBlock",
    "ThinkingBlock": "Leave it out of the history",
}


def to_messages(messages: Sequence[ChatMessage], media: MediaOptions = DEFAULT_MEDIA) -> tuple[Message, ...]:
    """Raises MessageError for what InternVL cannot be shown."""
    names: dict[str, str] = {}
    converted = []
    for message in messages:
        if not isinstance(message, ChatMessage):
            raise MessageError(
                f"a conversation cannot hold {type(message).__name__}", remedy="Give ChatMessage values"
            )
        parts = [_part(block, index) for index, block in enumerate(message.blocks)]
        role = parse_role(message.role.value)
        if role == "user" and message.additional_kwargs.get("grounding") is True:
            parts = [Text(part.text, grounding=True) if isinstance(part, Text) else part for part in parts]
        if role == "tool":
            call = str(message.additional_kwargs.get("tool_call_id") or "")
            name = str(message.additional_kwargs.get("name") or names.get(call, ""))
            content: tuple[Any, ...] = tuple(parts)
            parts = [ToolResult(call, name, content)]
        elif role == "assistant" and not any(isinstance(part, ToolCall) for part in parts):
            parts += _additional_calls(message)
        names.update((part.id, part.name) for part in parts if isinstance(part, ToolCall))
        converted.append(Message(role, parts))
    check_files(converted, media)
    return tuple(converted)


def _part(block: Any, index: int) -> Part:
    if isinstance(block, TextBlock):
        return Text(block.text)
    if isinstance(block, ImageBlock):
        return Image(_source(block, block.image), max_tiles=parse_detail(block.detail))
    if isinstance(block, VideoBlock):
        if block.fps is not None:
            raise MessageError(
                f"a VideoBlock with fps={block.fps}: InternVL sees a number of frames, evenly spaced",
                remedy="Leave fps out, and set how many with media=MediaOptions(frames=...)",
            )
        parse_detail(block.detail)
        return Video(_source(block, block.video))
    if isinstance(block, DocumentBlock):
        return Document(_source(block, block.data))
    if isinstance(block, ToolCallBlock):
        arguments = parse_arguments(block.tool_kwargs, block.tool_name)
        return ToolCall(block.tool_call_id or f"call_{index}", block.tool_name, arguments)
    kind = type(block).__name__
    raise MessageError(
        f"InternVL cannot be shown a {kind}",
        remedy=_REMEDIES.get(kind, "Give text, image, video, document or tool call blocks"),
    )


def _source(block: ImageBlock | VideoBlock | DocumentBlock, data: Any) -> Source:
    """Bytes are base64 in blocks. A message may have been JSON, so its `path` is not the caller's word; it is
    of the folder that the process is in, as LlamaIndex has it."""
    if isinstance(data, IOBase):
        data.seek(0)
        return bytes(data.read())
    if data:
        return decode_base64(bytes(data).decode("latin-1"))
    if block.path is not None:
        return referenced(os.path.abspath(block.path), type(block).__name__)
    if block.url:
        return referenced(str(block.url), type(block).__name__)
    raise MessageError(f"the {type(block).__name__} is empty", remedy="Give its bytes, a path or a url")


def _additional_calls(message: ChatMessage) -> list[ToolCall]:
    """Calls that another integration left in `additional_kwargs`, in OpenAI's form."""
    calls = message.additional_kwargs.get("tool_calls") or ()
    return [parse_tool_call(call, index) for index, call in enumerate(calls)]


def tool_calls(message: ChatMessage) -> list[ToolCall]:
    """What the message calls: from its blocks, or else its `additional_kwargs`."""
    parts = [
        _part(block, index) for index, block in enumerate(message.blocks) if isinstance(block, ToolCallBlock)
    ]
    return [part for part in parts if isinstance(part, ToolCall)] or _additional_calls(message)


def to_tool(tool: Any) -> Tool:
    """A LlamaIndex tool, with its description at any length; or ours, or one in OpenAI's form."""
    metadata = getattr(tool, "metadata", None)
    if metadata is None:
        return parse_tool(tool)
    return Tool(metadata.get_name(), metadata.description or "", metadata.get_parameters_dict())
