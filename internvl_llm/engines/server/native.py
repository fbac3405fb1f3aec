"""Conversations for servers that have tools of their own: calls and results stand in their own fields."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from internvl_llm.engines.server.turns import plain
from internvl_llm.errors import MessageError
from internvl_llm.messages import Combined, Document, Image, Message, Part, Text, ToolCall, ToolResult, Video
from internvl_llm.openai_forms import dump_tool_call
from internvl_llm.request import Request

Messages = Callable[[list[str]], list[dict[str, Any]]]


def messages(request: Request, counts: Sequence[int]) -> Messages:
    """`counts` are how many images each thing shown became. Raises MessageError for images shown as one."""
    turns = request.messages
    if turns[0].role != "system" and request.system is not None:
        turns = (Message.system(request.system), *turns)
    if any(isinstance(part, Combined) and len(part.images) > 1 for turn in turns for part in turn.parts):
        raise MessageError(
            "a server shows every image by itself", remedy="Give Image parts in the place of Combined"
        )

    def made(urls: list[str]) -> list[dict[str, Any]]:
        left, shown = iter(counts), iter(urls)
        return [message for turn in turns for message in _messages(turn, left, shown)]

    return made


def _messages(turn: Message, counts: Iterator[int], urls: Iterator[str]) -> Iterator[dict[str, Any]]:
    if turn.role == "tool":
        for result in turn.parts:
            assert isinstance(result, ToolResult)
            parts: tuple[Part, ...] = result.parts
            if result.is_error:
                parts = (Text("Error: "), *parts)
            yield {"role": "tool", "tool_call_id": result.call_id, "content": _content(parts, counts, urls)}
        return
    message: dict[str, Any] = {"role": turn.role, "content": _content(turn.parts, counts, urls)}
    calls = [dump_tool_call(part) for part in turn.parts if isinstance(part, ToolCall)]
    yield message | ({"tool_calls": calls} if calls else {})


def _content(parts: Sequence[Part], counts: Iterator[int], urls: Iterator[str]) -> Any:
    content: list[dict[str, Any]] = []
    for part in parts:
        if isinstance(part, Text):
            content.append({"type": "text", "text": plain(part.text)})
        elif isinstance(part, Image | Combined | Document | Video):
            for number in range(1, next(counts) + 1):
                if isinstance(part, Video):
                    content.append({"type": "text", "text": f"Frame{number}: "})
                content.append({"type": "image_url", "image_url": {"url": next(urls)}})
    if all(one["type"] == "text" for one in content):
        return "".join(one["text"] for one in content)
    return content
