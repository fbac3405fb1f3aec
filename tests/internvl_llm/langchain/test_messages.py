"""LangChain's messages as ours, without any model."""

from __future__ import annotations

import base64
from typing import Any

import pytest

pytest.importorskip("langchain_core")

from langchain_core.messages import (
    AIMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)

from internvl_llm.errors import MessageError
from internvl_llm.langchain.messages import to_messages
from internvl_llm.messages import Document, Image, Message, Text, ToolCall, ToolResult, Video

DATA = b"\x89PNG?"
BASE64 = base64.b64encode(DATA).decode()
URL = f"data:image/png;base64,{BASE64}"
WEB = "https://example.org/a.png"
PDF = f"data:application/pdf;base64,{BASE64}"

BLOCKS: list[tuple[Any, Any]] = [
    ("bare", Text("bare")),
    ({"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}, Text("a")),
    ({"type": "text", "text": "<ref>a</ref>", "grounding": True}, Text("<ref>a</ref>", grounding=True)),
    ({"type": "text", "text": "a", "extras": {"grounding": True}}, Text("a", grounding=True)),
    ({"type": "text", "text": "a", "grounding": "yes"}, Text("a")),
    ({"type": "text-plain", "text": "a", "title": "T", "mime_type": "text/plain"}, Text("T\na")),
    ({"type": "text-plain", "base64": base64.b64encode(b"a").decode()}, Text("a")),
    ({"type": "image_url", "image_url": {"url": URL}}, Image(URL)),
    ({"type": "image_url", "image_url": WEB}, Image(WEB)),
    ({"type": "image_url", "image_url": {"url": WEB, "detail": "low"}}, Image(WEB, max_tiles=1)),
    ({"type": "image", "base64": BASE64, "mime_type": "image/png"}, Image(DATA)),
    ({"type": "image", "url": WEB, "extras": {"max_tiles": 24}}, Image(WEB, max_tiles=24)),
    ({"type": "image", "source_type": "base64", "data": BASE64}, Image(DATA)),
    ({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": BASE64}}, Image(DATA)),
    ({"type": "image", "source": {"type": "url", "url": WEB}}, Image(WEB)),
    ({"type": "file", "base64": BASE64, "mime_type": "application/pdf"}, Document(DATA)),
    ({"type": "file", "url": WEB, "mime_type": "application/pdf", "pages": "2-3"}, Document(WEB, "2-3")),
    ({"type": "file", "base64": BASE64, "mime_type": "image/png"}, Image(DATA)),
    ({"type": "file", "base64": BASE64, "mime_type": "video/mp4"}, Video(DATA)),
    ({"type": "file", "base64": base64.b64encode(b"a,b").decode(), "mime_type": "text/csv"}, Text("a,b")),
    ({"type": "file", "file": {"filename": "a.pdf", "file_data": PDF}}, Document(PDF)),
    ({"type": "file", "file": {"filename": "a.png", "file_data": URL}}, Image(URL)),
    (
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": BASE64}},
        Document(DATA),
    ),
    ({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a"}}, Text("a")),
    (
        {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "a"}]}},
        Text("a"),
    ),
    ({"type": "video", "base64": BASE64, "mime_type": "video/mp4", "frames": 3}, Video(DATA, 3)),
    ({"type": "video_url", "video_url": {"url": WEB}}, Video(WEB)),
]

REFUSED: list[tuple[Any, str]] = [
    ({"type": "hologram"}, "'hologram'.*text.*image_url"),
    ({"no": "type"}, "type"),
    ({"type": "audio", "base64": BASE64}, "'audio'.*transcript"),
    ({"type": "input_audio", "input_audio": {"data": BASE64, "format": "wav"}}, "transcript"),
    ({"type": "text"}, "no text"),
    ({"type": "image_url", "image_url": {"url": "/etc/passwd"}}, "/etc/passwd.*data:"),
    ({"type": "image_url", "image_url": "file:///etc/passwd"}, "data:"),
    ({"type": "image_url", "image_url": {}}, "None"),
    ({"type": "image_url", "image_url": {"url": WEB, "detail": "ultra"}}, "ultra"),
    ({"type": "image", "url": "picture.png"}, "base64"),
    ({"type": "image", "source": {"type": "url", "url": "ftp://x/y"}}, "ftp"),
    ({"type": "image", "file_id": "file-1"}, "file_id.*no file store"),
    ({"type": "image", "base64": "not base64!"}, "base64"),
    ({"type": "file", "url": "../secret.pdf", "mime_type": "application/pdf"}, "secret"),
    ({"type": "file", "file": {"file_data": "/etc/passwd"}}, "passwd"),
    ({"type": "file", "base64": BASE64, "mime_type": "application/zip"}, "zip"),
    ({"type": "file", "url": WEB, "mime_type": "text/plain"}, "Fetch it yourself"),
    ({"type": "video", "url": "movie.mp4"}, "movie"),
    ({"type": "tool_use", "name": "f", "input": {}}, "tool_use"),
    ({"type": "non_standard", "value": {}}, "non_standard"),
    ({"type": "image_url", "image_url": {"url": WEB, "detail": ["low"]}}, "unknown detail"),
    ({"type": "document", "source": "/etc/passwd"}, "document block|file block"),
    ({"type": "file", "source": {"type": "content", "content": 7}}, "int as its content"),
    ({"type": "file", "url": WEB, "pages": 3}, "pages cannot be 3"),
    ({"type": "file", "url": WEB, "pages": "1," * 10**6}, "pages cannot be"),
    ({"type": "video", "url": WEB, "frames": 10**9}, "cannot have 1000000000 frames"),
    ({"type": "video", "url": WEB, "frames": 2.5}, "frames"),
    ({"type": "video", "url": WEB, "start": float("nan")}, "from nan"),
    ({"type": "video", "url": WEB, "end": float("inf")}, "to inf"),
    ({"type": "video", "url": WEB, "end": 1e300}, "to 1e"),
    ({"type": "video", "url": WEB, "start": "0"}, "from '0'"),
    *(
        ({"type": "image", "url": WEB, name: tiles}, "tiles")
        for name in ("min_tiles", "max_tiles")
        for tiles in (
            129,
            10**6,
            10**5000,
            0,
            -1,
            True,
            1.5,
            float("nan"),
            float("inf"),
            "12",
            [12],
            {"a": 1},
        )
    ),
]


@pytest.mark.parametrize(("block", "part"), BLOCKS)
def test_blocks(block: Any, part: Any) -> None:
    assert to_messages([HumanMessage([block])]) == (Message.user(part),)


@pytest.mark.parametrize(("block", "part"), BLOCKS)
def test_blocks_of_tool_results(block: Any, part: Any) -> None:
    message = ToolMessage([block], tool_call_id="1", name="f")
    if isinstance(part, Video):
        with pytest.raises(MessageError, match="tool result cannot hold Video"):
            to_messages([message])
    else:
        plain = Text(part.text) if isinstance(part, Text) else part  # no tags of grounding from tools
        assert to_messages([message]) == (Message.tool(ToolResult("1", "f", (plain,))),)


@pytest.mark.parametrize(("block", "what"), REFUSED)
def test_refused_blocks(block: Any, what: str) -> None:
    with pytest.raises(MessageError, match=what) as caught:
        to_messages([HumanMessage([block])])
    assert caught.value.remedy


def test_blocks_in_blocks_in_blocks() -> None:
    block: dict[str, Any] = {"type": "text", "text": "a"}
    for _ in range(5000):
        block = {"type": "document", "source": {"type": "content", "content": [block]}}
    message = HumanMessage("")
    message.content = [block]
    with pytest.raises(MessageError, match="nested too deeply"):
        to_messages([message])


def test_roles() -> None:
    told = [SystemMessage("s"), HumanMessage("h", name="Bo"), AIMessage("a"), ChatMessage("c", role="user")]
    assert to_messages(told) == (
        Message.system("s"),
        Message.user("h"),
        Message.assistant("a"),
        Message.user("c"),
    )
    with pytest.raises(MessageError, match="narrator"):
        to_messages([ChatMessage("c", role="narrator")])
    with pytest.raises(MessageError, match="RemoveMessage"):
        to_messages([RemoveMessage(id="1")])
    with pytest.raises(MessageError, match="empty"):
        to_messages([])


CALL: Any = {"name": "f", "args": {"a": 1}, "id": "1", "type": "tool_call"}


@pytest.mark.parametrize(
    "content",
    [
        "Let me see",
        [{"type": "text", "text": "Let me see"}],
        [
            {"type": "text", "text": "Let me see"},
            {"type": "tool_use", "id": "1", "name": "f", "input": {"a": 1}},
        ],
        [{"type": "text", "text": "Let me see"}, CALL],
        [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Let me see"}],
        [{"type": "reasoning", "reasoning": "hm"}, "Let me see"],
    ],
)
def test_calls_are_there_once(content: Any) -> None:
    (turn,) = to_messages([AIMessage(content, tool_calls=[CALL])])
    assert turn == Message.assistant("Let me see", ToolCall("1", "f", {"a": 1}))


def test_calls_without_tool_calls_are_calls() -> None:
    (turn,) = to_messages([AIMessage([{"type": "tool_use", "id": "1", "name": "f", "input": {"a": 1}}])])
    assert turn == Message.assistant(ToolCall("1", "f", {"a": 1}))


def test_calls_that_were_cut_off_are_words() -> None:
    broken: Any = {"name": "f", "args": '{"a', "id": "1", "error": None, "type": "invalid_tool_call"}
    (turn,) = to_messages([AIMessage("", invalid_tool_calls=[broken])])
    assert turn.text == 'f({"a)'


def test_results_know_what_was_called() -> None:
    *_, result = to_messages(
        [
            HumanMessage("h"),
            AIMessage("", tool_calls=[CALL]),
            ToolMessage("no", tool_call_id="1", status="error"),
        ]
    )
    assert result == Message.tool(ToolResult("1", "f", (Text("no"),), is_error=True))
    (old,) = to_messages([FunctionMessage("3", name="f")])
    assert old == Message.tool(ToolResult("", "f", (Text("3"),)))


def test_anthropic_results_are_turns() -> None:
    said: list[Any] = [
        {"type": "tool_result", "tool_use_id": "1", "content": [{"type": "image", "base64": BASE64}]},
        {"type": "tool_result", "tool_use_id": "2", "content": "bad", "is_error": True},
        {"type": "text", "text": "Well?"},
    ]
    turns = to_messages([AIMessage("", tool_calls=[CALL]), HumanMessage(said)])
    assert turns[1:] == (
        Message.tool(ToolResult("1", "f", (Image(DATA),))),
        Message.tool(ToolResult("2", "", (Text("bad"),), is_error=True)),
        Message.user("Well?"),
    )
