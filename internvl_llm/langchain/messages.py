"""LangChain messages and content blocks as ours: pure functions.

Blocks come from anywhere: what they may point to is `media.source`'s to say.
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
from internvl_llm.media.limits import MediaOptions
from internvl_llm.media.source import check_files, data_url, referenced
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
from internvl_llm.openai_forms import parse_detail, parse_role
from internvl_llm.request import DEFAULT_MEDIA

Block = Mapping[str, Any]


_DOCUMENTS = ("application/pdf", "image/tiff")
_CALLS = ("tool_use", "tool_call")
_REPEATED = ("tool_call_chunk", "input_json_delta", "invalid_tool_call")
"""In an assistant's content beside its `tool_calls` and `invalid_tool_calls`."""
_THOUGHTS = ("reasoning", "thinking", "redacted_thinking", "reasoning_content")
"""Left out of the history, as templates of models that think do."""
_REMEDIES = {
    "audio": "InternVL hears nothing: give a transcript as text",
    "input_audio": "InternVL hears nothing: give a transcript as text",
}


def to_messages(messages: Iterable[BaseMessage], media: MediaOptions = DEFAULT_MEDIA) -> tuple[Message, ...]:
    """Raises MessageError for what InternVL cannot be shown; names of people are not shown to it."""
    names: dict[str, str] = {}
    converted: list[Message] = []
    try:
        for message in messages:
            for turn in _turns(message, names):
                names.update((part.id, part.name) for part in turn.parts if isinstance(part, ToolCall))
                converted.append(turn)
    except RecursionError as error:
        raise MessageError("content is nested too deeply", remedy="Give blocks side by side") from error
    if not converted:
        raise MessageError("the conversation is empty", remedy="Give one message at least")
    check_files(converted, media)
    return tuple(converted)


def _turns(message: BaseMessage, names: Mapping[str, str]) -> Iterator[Message]:
    """`names` are those of the tools that were called, by the ids of the calls."""
    if isinstance(message, ToolMessage):
        name = message.name or names.get(message.tool_call_id, "")
        parts = _result_parts(message.content)
        yield Message.tool(ToolResult(message.tool_call_id, name, parts, message.status == "error"))
    elif isinstance(message, FunctionMessage):
        yield Message.tool(ToolResult("", message.name, _result_parts(message.content)))
    elif isinstance(message, AIMessage):
        yield Message("assistant", _assistant_parts(message))
    elif isinstance(message, HumanMessage | SystemMessage | ChatMessage):
        role = parse_role(message.role if isinstance(message, ChatMessage) else message.type)
        yield from _content_turns(role, message.content, names)
    else:
        raise MessageError(
            f"InternVL cannot be shown a {type(message).__name__}",
            remedy="Give system, human, AI and tool messages",
        )


def _content_turns(role: Role, content: Any, names: Mapping[str, str]) -> Iterator[Message]:
    """Anthropic has tool results among what the user says; here they are turns of their own."""
    if isinstance(content, str):
        yield Message(role, content)
        return
    for are_results, blocks in groupby(content, lambda block: _type(block) == "tool_result"):
        if not are_results:
            yield Message(role, tuple(part for block in blocks for part in _parts(block)))
            continue
        for block in blocks:
            call = str(block.get("tool_use_id") or block.get("tool_call_id") or "")
            parts = _result_parts(block.get("content") or "")
            yield Message.tool(ToolResult(call, names.get(call, ""), parts, bool(block.get("is_error"))))


def _result_parts(content: Any) -> tuple[Any, ...]:
    """Of a tool result, which says itself what it cannot hold."""
    if isinstance(content, str):
        return (Text(content),)
    if not isinstance(content, Sequence):
        raise MessageError(
            f"a tool result has a {type(content).__name__} as its content", remedy="Give a text or blocks"
        )
    # What comes from tools is never more than text.
    return tuple(
        Text(part.text) if isinstance(part, Text) else part for block in content for part in _parts(block)
    )


def _assistant_parts(message: AIMessage) -> tuple[Part, ...]:
    """Calls stand where content has them, or else after it."""
    calls = {
        call["id"] or f"call_{index}": ToolCall(call["id"] or f"call_{index}", call["name"], call["args"])
        for index, call in enumerate(message.tool_calls)
    }
    parts: list[Part] = []
    for block in [message.content] if isinstance(message.content, str) else message.content:
        kind = _type(block)
        if kind in _CALLS:
            assert isinstance(block, dict)
            arguments = block.get("args" if kind == "tool_call" else "input") or {}
            call = ToolCall(str(block.get("id") or ""), str(block.get("name") or ""), arguments)
            parts.append(calls.pop(call.id, call))
        elif kind not in _REPEATED and kind not in _THOUGHTS:
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
    if kind not in _CONVERTERS:
        raise MessageError(
            f"InternVL cannot be shown a content block of type {kind or type(block).__name__!r}",
            remedy=_REMEDIES.get(kind, f"Give blocks of the types {', '.join(_CONVERTERS)}"),
        )
    return _CONVERTERS[kind](block)


def _text(block: Block) -> tuple[Part, ...]:
    text = block.get("text")
    if not isinstance(text, str):
        raise MessageError(f"a {_type(block)} block has no text", remedy='Give {"type": "text", "text": ...}')
    return (Text(text, _settings(block, "grounding").get("grounding") is True),)


def _plain_text(block: Block) -> tuple[Part, ...]:
    """A text file, after its title and context where it has them."""
    text = block.get("text")
    if text is None:
        text = _decode_text(_source(block))
    lead = [f"{block[name]}\n" for name in ("title", "context") if block.get(name)]
    return (Text("".join([*lead, str(text)])),)


def _image_url(block: Block) -> tuple[Part, ...]:
    fields = _nested(block, "image_url")
    tiles = parse_detail(fields.get("detail", block.get("detail")))
    settings = {"max_tiles": tiles} | _settings(block, "min_tiles", "max_tiles")
    return (Image(referenced(fields.get("url"), "image_url block"), **settings),)


def _image(block: Block) -> tuple[Part, ...]:
    return (Image(_source(block), **_settings(block, "min_tiles", "max_tiles")),)


def _video(block: Block) -> tuple[Part, ...]:
    fields = _nested(block, "video_url") if block.get("video_url") else block
    return (Video(_source(fields, "video"), **_settings(block, "frames", "start", "end")),)


def _file(block: Block) -> tuple[Part, ...]:
    """A file is shown as what its MIME type says; without one it is a PDF."""
    fields = block["file"] if isinstance(block.get("file"), Mapping) else block
    source = fields.get("source")
    if isinstance(source, Mapping) and source.get("type") == "content":  # Anthropic's, made of blocks
        return _result_parts(source.get("content") or "")
    if isinstance(source, Mapping) and source.get("type") == "text":
        return _plain_text({**block, "text": source.get("data")})
    stated = fields.get("mime_type") or (source.get("media_type") if isinstance(source, Mapping) else None)
    mime = str(stated or _data_url_type(fields) or _DOCUMENTS[0])
    has_data = "file_data" in fields
    content = referenced(fields["file_data"], "file block") if has_data else _source(fields, "file")
    if mime in _DOCUMENTS:
        return (Document(content, **_settings(block, "pages")),)
    if mime.startswith("image/"):
        return (Image(content, **_settings(block, "min_tiles", "max_tiles")),)
    if mime.startswith("video/"):
        return (Video(content, **_settings(block, "frames", "start", "end")),)
    if mime.startswith("text/"):
        return (Text(_decode_text(content)),)
    raise MessageError(
        f"InternVL cannot be shown a file of type {mime}", remedy="Give a PDF, an image, a video or a text"
    )


_CONVERTERS: Mapping[str, Callable[[Block], tuple[Part, ...]]] = {
    "text": _text,
    "input_text": _text,
    "output_text": _text,
    "text-plain": _plain_text,
    "image_url": _image_url,
    "image": _image,
    "file": _file,
    "document": _file,
    "video": _video,
    "video_url": _video,
}


def _nested(block: Block, name: str) -> Block:
    """OpenAI's `{name: {"url": ...}}`, or the URL itself there."""
    value = block.get(name)
    return value if isinstance(value, Mapping) else {"url": value}


def _source(block: Block, kind: str = "") -> Source:
    """Of `base64`, `url`, or Anthropic's `source`."""
    kind = kind or _type(block)
    nested = block.get("source")
    fields = nested if isinstance(nested, Mapping) else block
    data = fields.get("base64") or fields.get("data")
    if isinstance(data, bytes):
        return data
    if isinstance(data, str) and data:
        return decode_base64(data)
    if "url" in fields:
        return referenced(fields["url"], f"{kind} block")
    present = ", ".join(sorted(set(map(str, fields)) - {"type"})) or "nothing"
    raise MessageError(f"the {kind} block has {present}", remedy="Give base64 or url; there is no file store")


def _data_url_type(block: Block) -> str | None:
    """The MIME type in a `data:` URL."""
    url = block.get("file_data") or block.get("url")
    if not isinstance(url, str) or url[:5].lower() != "data:":
        return None
    return url[5:].partition(",")[0].partition(";")[0] or "text/plain"


def _decode_text(content: Source) -> str:
    if isinstance(content, bytes):
        return content.decode("utf-8", "replace")
    if isinstance(content, str) and content[:5].lower() == "data:":
        return data_url(content, "the text").decode("utf-8", "replace")
    raise MessageError("a text is given as a URL", remedy="Fetch it yourself and give it as text")


def _settings(block: Block, *names: str) -> dict[str, Any]:
    """Of the part itself, beside the block's own fields or among its `extras`."""
    extras = block.get("extras")
    fields = {**(extras if isinstance(extras, Mapping) else {}), **block}
    return {name: fields[name] for name in names if fields.get(name) is not None}
