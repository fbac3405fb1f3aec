"""The state and the instructions of LangChain's decision models as text and media: pure functions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from langchain_core.messages import BaseMessage, HumanMessage

from internvl_llm.errors import MessageError
from internvl_llm.langchain.messages import to_messages
from internvl_llm.messages import Message, Part, Text, ToolCall, ToolResult

Piece: TypeAlias = str | Part

_MEDIA = ("image", "image_url", "video", "video_url", "file", "document", "audio", "input_audio")
_CONTENT = ("base64", "data", "url", "source", "image_url", "video_url", "file", "file_id", "input_audio")
_MAX_DEPTH = 100
"""Levels of a state."""


def pieces(state: Any) -> Iterator[Piece]:
    """Text as it is, and so what users and content blocks say; all else as JSON, with media and messages
    where they stand in it. Raises MessageError for what is neither."""
    if isinstance(state, str):
        yield state
        return
    items = [state] if isinstance(state, BaseMessage) or _is_media(state) else state
    if _is_sequence(items) and items:
        if all(isinstance(item, HumanMessage) for item in items):
            yield from _turn_pieces(to_messages(items))
            return
        if any(map(_is_media, items)) and all(isinstance(item, str) or _is_block(item) for item in items):
            yield from _turn_pieces(to_messages([HumanMessage(list(items))]))
            return
    yield from _json(state, 0)


def _turn_pieces(turns: Sequence[Message]) -> Iterator[Piece]:
    for index, turn in enumerate(turns):
        if index:
            yield "\n"
        for part in turn.parts:
            yield from [part] if not isinstance(part, ToolCall | ToolResult) else _part(part)


def _json(value: Any, depth: int) -> Iterator[Piece]:
    if depth > _MAX_DEPTH:
        raise MessageError(f"the state is nested deeper than {_MAX_DEPTH} levels", remedy="Make it flatter")
    if isinstance(value, BaseMessage):
        turns = to_messages([value])
        yield f'{{"role": {json.dumps(turns[0].role)}, "content": '
        yield from _list(_part(part) for turn in turns for part in turn.parts)
        yield "}"
    elif _is_media(value):
        yield from _turn_pieces(to_messages([HumanMessage([dict(value)])]))
    elif isinstance(value, Mapping):
        for index, (key, item) in enumerate(value.items()):
            if not isinstance(key, str):
                raise MessageError(f"a key of the state is {key!r}", remedy="Give strings as keys")
            yield f"{', ' if index else '{'}{_text(key)}: "
            yield from _json(item, depth + 1)
        yield "}" if value else "{}"
    elif _is_sequence(value):
        yield from _list(_json(item, depth + 1) for item in value)
    else:
        yield _text(value)


def _part(part: Part) -> Iterator[Piece]:
    if isinstance(part, Text):
        yield _text(part.text)
    elif isinstance(part, ToolCall):
        yield _text({"call": part.name, "arguments": dict(part.arguments)})
    elif isinstance(part, ToolResult):
        yield f'{{"result of": {_text(part.name)}, "content": '
        yield from _list(map(_part, part.parts))
        yield "}"
    else:
        yield part


def _list(items: Iterable[Iterator[Piece]]) -> Iterator[Piece]:
    yield "["
    for index, item in enumerate(items):
        if index:
            yield ", "
        yield from item
    yield "]"


def _text(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise MessageError(
            f"the state holds what is not JSON ({error})",
            remedy="Give texts, finite numbers, true, false, null, lists, objects and messages",
        ) from error


def _is_sequence(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray)


def _is_block(value: Any) -> bool:
    return _is_media(value) or (
        isinstance(value, Mapping) and value.get("type") == "text" and "text" in value
    )


def _is_media(value: Any) -> bool:
    return (
        isinstance(value, Mapping) and value.get("type") in _MEDIA and any(name in value for name in _CONTENT)
    )
