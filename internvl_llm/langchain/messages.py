"""LangChain messages and content blocks as ours: pure functions.

Blocks come from anywhere, so what they point to is a `data:` or http(s) URL, never a file of this machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)

from internvl_llm.errors import MessageError
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

Block = Mapping[str, Any]

_ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "ai": "assistant",
}
_TILES: Mapping[str | None, int | None] = {None: None, "auto": None, "high": None, "low": 1}
"""The most that an image of this OpenAI `detail` is cut into; None leaves it to the model's settings."""

_DOCUMENTS = ("application/pdf", "image/tiff")
_TOLD_ELSEWHERE = ("tool_call_chunk", "input_json_delta", "invalid_tool_call")
"""In an assistant's content beside its `tool_calls` and `invalid_tool_calls`."""
_THOUGHTS = ("reasoning", "thinking", "redacted_thinking", "reasoning_content")
"""Left out of the history, as templates of models that think do."""
_REMEDIES = {
    "audio": "InternVL hears nothing: give a transcript as text",
    "input_audio": "InternVL hears nothing: give a transcript as text",
}


def to_messages(messages: Iterable[BaseMessage]) -> tuple[Message, ...]:
    """Raises MessageError for what InternVL cannot be shown; names of people are not shown to it."""
    names: dict[str, str] = {}
    converted: list[Message] = []
    for message in messages:
        for turn in _turns(message, names):
            names.update((part.id, part.name) for part in turn.parts if isinstance(part, ToolCall))
            converted.append(turn)
    if not converted:
        raise MessageError("the conversation is empty", remedy="Give one message at least")
    return tuple(converted)


def _turns(message: BaseMessage, names: Mapping[str, str]) -> Iterator[Message]:
    if isinstance(message, ToolMessage):
        name = message.name or names.get(message.tool_call_id, "")
        parts = _shown(message.content)
        yield Message.tool(ToolResult(message.tool_call_id, name, parts, message.status == "error"))
    elif isinstance(message, FunctionMessage):
        yield Message.tool(ToolResult("", message.name, _shown(message.content)))
    elif isinstance(message, AIMessage):
        yield Message("assistant", _said(message))
    elif isinstance(message, HumanMessage | SystemMessage | ChatMessage):
        kind = message.role if isinstance(message, ChatMessage) else message.type
        if kind not in _ROLES:
            raise MessageError(f"unknown role {kind!r}", remedy=f"Use one of {', '.join(_ROLES)}")
        yield from _told(_ROLES[kind], message.content, names)
    else:
        raise MessageError(
            f"InternVL cannot be shown a {type(message).__name__}",
            remedy="Give system, human, AI and tool messages",
        )


def _told(role: Role, content: Any, names: Mapping[str, str]) -> Iterator[Message]:
    """Anthropic has tool results among what the user says; here they are turns of their own."""
    if isinstance(content, str):
        yield Message(role, content)
        return
    for results, blocks in groupby(content, lambda block: _type(block) == "tool_result"):
        if not results:
            yield Message(role, tuple(part for block in blocks for part in _parts(block)))
            continue
        for block in blocks:
            call = str(block.get("tool_use_id") or block.get("tool_call_id") or "")
            parts = _shown(block.get("content") or "")
            failed = bool(block.get("is_error"))
            yield Message.tool(ToolResult(call, names.get(call, ""), parts, failed))


def _shown(content: Any) -> tuple[Any, ...]:
    """Of a tool result, which says itself what it cannot hold."""
    if isinstance(content, str):
        return (Text(content),)
    # What comes from tools is never more than text.
    return tuple(
        Text(part.text) if isinstance(part, Text) else part for block in content for part in _parts(block)
    )


def _said(message: AIMessage) -> tuple[Part, ...]:
    """Calls stand where content has them, or else after it."""
    calls = {
        call["id"] or f"call_{at}": ToolCall(call["id"] or f"call_{at}", call["name"], call["args"])
        for at, call in enumerate(message.tool_calls)
    }
    parts: list[Part] = []
    for block in [message.content] if isinstance(message.content, str) else message.content:
        kind = _type(block)
        if kind in ("tool_use", "tool_call"):
            assert isinstance(block, dict)
            call = ToolCall(
                str(block.get("id") or ""),
                str(block.get("name") or ""),
                block.get("args" if kind == "tool_call" else "input") or {},
            )
            parts.append(calls.pop(call.id, call))
        elif kind not in _TOLD_ELSEWHERE and kind not in _THOUGHTS:
            parts.extend(_parts(block))
    parts.extend(calls.values())
    parts.extend(Text(f"{call['name']}({call['args']})") for call in message.invalid_tool_calls)
    return tuple(parts)


def _type(block: Any) -> str:
    return "text" if isinstance(block, str) else str(block.get("type")) if isinstance(block, Mapping) else ""


def _parts(block: Any) -> tuple[Part, ...]:
    if isinstance(block, str):
        return (Text(block),)
    kind = _type(block)
    if kind not in _READERS:
        raise MessageError(
            f"InternVL cannot be shown a content block of type {kind or type(block).__name__!r}",
            remedy=_REMEDIES.get(kind, f"Give blocks of the types {', '.join(_READERS)}"),
        )
    return _READERS[kind](block)


def _text(block: Block) -> tuple[Part, ...]:
    text = block.get("text")
    if not isinstance(text, str):
        raise MessageError(f"a {_type(block)} block has no text", remedy='Give {"type": "text", "text": ...}')
    return (Text(text, _settings(block, "grounding").get("grounding") is True),)


def _plain(block: Block) -> tuple[Part, ...]:
    """A text file, after its title and context where it has them."""
    text = block.get("text")
    if text is None:
        text = _utf8(_source(block))
    lead = [f"{block[name]}\n" for name in ("title", "context") if block.get(name)]
    return (Text("".join([*lead, str(text)])),)


def _image_url(block: Block) -> tuple[Part, ...]:
    given = block.get("image_url")
    held = given if isinstance(given, Mapping) else {"url": given}
    detail = held.get("detail", block.get("detail"))
    if detail not in _TILES:
        raise MessageError(f"unknown detail {detail!r}", remedy="Use low, high or auto")
    settings = {"max_tiles": _TILES[detail]} | _settings(block, "min_tiles", "max_tiles")
    return (Image(_url(held.get("url"), "image_url"), **settings),)


def _image(block: Block) -> tuple[Part, ...]:
    return (Image(_source(block), **_settings(block, "min_tiles", "max_tiles")),)


def _video(block: Block) -> tuple[Part, ...]:
    given = block.get("video_url")
    held = given if isinstance(given, Mapping) else {"url": given} if given else block
    return (Video(_source(held, "video"), **_settings(block, "frames", "start", "end")),)


def _file(block: Block) -> tuple[Part, ...]:
    """A file is shown as what its MIME type says; without one it is a PDF."""
    held = block["file"] if isinstance(block.get("file"), Mapping) else block
    source = held.get("source")
    if isinstance(source, Mapping) and source.get("type") == "content":  # Anthropic's, made of blocks
        return _shown(source.get("content") or "")
    if isinstance(source, Mapping) and source.get("type") == "text":
        return _plain({**block, "text": source.get("data")})
    mime = str(held.get("mime_type") or (source or {}).get("media_type") or _declared(held) or _DOCUMENTS[0])
    content = _url(held["file_data"], "file") if "file_data" in held else _source(held, "file")
    if mime in _DOCUMENTS:
        return (Document(content, **_settings(block, "pages")),)
    if mime.startswith("image/"):
        return (Image(content, **_settings(block, "min_tiles", "max_tiles")),)
    if mime.startswith("video/"):
        return (Video(content, **_settings(block, "frames", "start", "end")),)
    if mime.startswith("text/"):
        return (Text(_utf8(content)),)
    raise MessageError(
        f"InternVL cannot be shown a file of type {mime}", remedy="Give a PDF, an image, a video or a text"
    )


_READERS: Mapping[str, Callable[[Block], tuple[Part, ...]]] = {
    "text": _text,
    "input_text": _text,
    "output_text": _text,
    "text-plain": _plain,
    "image_url": _image_url,
    "image": _image,
    "file": _file,
    "document": _file,
    "video": _video,
    "video_url": _video,
}


def _source(block: Block, what: str = "") -> Source:
    """Of `base64`, `url`, or Anthropic's `source`."""
    what = what or _type(block)
    nested = block.get("source")
    held = nested if isinstance(nested, Mapping) else block
    data = held.get("base64") or held.get("data")
    if isinstance(data, bytes):
        return data
    if isinstance(data, str) and data:
        return decode_base64(data)
    if "url" in held:
        return _url(held["url"], what)
    told = ", ".join(sorted(set(map(str, held)) - {"type"})) or "nothing"
    raise MessageError(f"the {what} block has {told}", remedy="Give base64 or url; there is no file store")


def _url(url: Any, what: str) -> str:
    scheme = url[:64].partition(":")[0].lower() if isinstance(url, str) else ""
    if scheme not in ("data", "http", "https"):
        raise MessageError(
            f"the url of the {what} block is {str(url)[:100]!r}",
            remedy="Give a data: or http(s) URL; read files yourself and give them as base64",
        )
    return str(url)


def _declared(block: Block) -> str | None:
    """The MIME type in a `data:` URL."""
    url = block.get("file_data") or block.get("url")
    if not isinstance(url, str) or url[:5].lower() != "data:":
        return None
    return url[5:].partition(",")[0].partition(";")[0] or "text/plain"


def _utf8(content: Source) -> str:
    if isinstance(content, bytes):
        return content.decode("utf-8", "replace")
    if isinstance(content, str) and content[:5].lower() == "data:":
        from internvl_llm.media.source import data_url

        return data_url(content, "the text").decode("utf-8", "replace")
    raise MessageError("a text is given as a URL", remedy="Fetch it yourself and give it as text")


def _settings(block: Block, *names: str) -> dict[str, Any]:
    """Of the part itself, beside the block's own fields or among its `extras`."""
    extras = block.get("extras")
    held = {**(extras if isinstance(extras, Mapping) else {}), **block}
    return {name: held[name] for name in names if held.get(name) is not None}


def with_schema(
    messages: Sequence[Message], system: str | None, schema: Mapping[str, Any]
) -> tuple[tuple[Message, ...], str | None]:
    """The schema told in the system turn, so that the turns of an agent begin alike."""
    told = instruction(schema)
    first, *rest = messages
    if first.role == "system":
        return (Message("system", (*first.parts, f"\n\n{told}")), *rest), system
    return tuple(messages), told if system is None else f"{system}\n\n{told}"
