from __future__ import annotations

import base64
import copy
import pickle
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from internvl_llm.errors import InternVLError, MessageError
from internvl_llm.messages import (
    Combined,
    Document,
    Image,
    Message,
    Text,
    ToolCall,
    ToolResult,
    Video,
    conversation,
    decode_base64,
    media,
)


def test_strings_are_texts() -> None:
    assert Message("user", "hi") == Message.user("hi") == Message("user", (Text("hi"),))
    assert Message.user("hi").parts == (Text("hi"),)
    assert Message.user("see", Image("a.png")).parts == (Text("see"), Image("a.png"))
    assert Message("user", Image("a.png")).parts == (Image("a.png"),)
    assert Message.system("be brief").role == "system"
    assert Message.assistant("a", ToolCall("1", "f", {})).text == "a"
    assert ToolResult("1", "f", ("x", Text("y"))).parts == (Text("x"), Text("y"))  # type: ignore[arg-type]
    assert ToolResult("1", "f", "x").parts == (Text("x"),)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("role", "parts"),
    [
        ("system", [Image("a.png")]),
        ("system", [ToolCall("1", "f", {})]),
        ("user", [ToolCall("1", "f", {})]),
        ("user", [ToolResult("1", "f", ())]),
        ("user", [42]),
        ("user", [{"type": "text", "text": "hi"}]),
        ("assistant", [Video("a.mp4")]),
        ("tool", ["bare words"]),
    ],
)
def test_what_a_role_may_not_hold(role: Any, parts: list[Any]) -> None:
    with pytest.raises(MessageError, match=f"a message of role {role} cannot hold") as caught:
        Message(role, parts)
    assert "It holds" in str(caught.value) and isinstance(caught.value, InternVLError | ValueError)


@pytest.mark.parametrize("role", ["user", "system", "tool"])
@pytest.mark.parametrize("parts", ["", [], [Text("")]])
def test_empty_messages(role: Any, parts: Any) -> None:
    with pytest.raises(MessageError):
        Message(role, parts)
    assert Message.assistant().parts == () and Message("assistant", "").text == ""


def test_other_refusals() -> None:
    with pytest.raises(MessageError, match="unknown role 'human'"):
        Message("human", "hi")  # type: ignore[arg-type]
    with pytest.raises(MessageError, match="the conversation is empty"):
        conversation([])
    with pytest.raises(MessageError, match="cannot hold dict"):
        conversation([{"role": "user"}])  # type: ignore[list-item]
    with pytest.raises(MessageError, match="1 <= min_tiles <= max_tiles"):
        Image("a", min_tiles=3, max_tiles=2)
    with pytest.raises(MessageError, match="1 <= min_tiles"):
        Image("a", max_tiles=0)
    with pytest.raises(MessageError, match="0 frames"):
        Video("a", frames=0)
    for start, end in ((-1.0, None), (2.0, 2.0), (None, 0.0), (float("nan"), None)):
        with pytest.raises(MessageError, match="0 <= start < end"):
            Video("a", start=start, end=end)
    with pytest.raises(MessageError, match="one at least"):
        Combined(())
    with pytest.raises(MessageError, match="no name"):
        ToolCall("1", "", {})
    assert Image("a", min_tiles=24).min_tiles == 24


def test_a_conversation() -> None:
    assert conversation("hi") == conversation(Message.user("hi")) == (Message.user("hi"),)
    assert conversation(iter([Message.user("hi")])) == (Message.user("hi"),)


def test_arguments_are_a_copy_that_json_can_express() -> None:
    inner = [1, 2]
    call = ToolCall("1", "f", {"a": inner, "b": {"c": (3, None)}})
    inner.append(3)
    assert call.arguments == {"a": [1, 2], "b": {"c": [3, None]}}
    cycle: dict[str, Any] = {}
    cycle["a"] = cycle
    for arguments in ({"a": object()}, {"a": float("nan")}, {"a": b"x"}, cycle, "words", None, [("a", 1)]):
        with pytest.raises(MessageError, match="are not JSON"):
            ToolCall("1", "f", arguments)  # type: ignore[arg-type]


def test_media_in_order_of_appearance() -> None:
    one, two, three, four = Image("1"), Video("2"), Document("3"), Combined((Image("4"),))
    messages = [
        Message.user(one, "and", two),
        Message.tool(ToolResult("1", "f", (Text("x"), one)), ToolResult("2", "f", (one,))),
        Message.user(three, four),
    ]
    assert list(media(messages)) == [one, two, one, one, three, four]


def test_results_stand_in_the_order_of_their_calls() -> None:
    def result(call: str) -> ToolResult:
        return ToolResult(call, "f", (Text(f"of {call}"),))

    def calls(*ids: str) -> Message:
        return Message.assistant(*(ToolCall(one, "f", {}) for one in ids))

    given = [
        Message.tool(result("stray")),
        calls("a", "b", "c"),
        Message.tool(result("unknown"), result("c")),
        Message.tool(result("a")),
        Message.tool(result("b")),
        calls("", ""),
        Message.tool(result("")),
        calls("c", "a"),
        Message.tool(result("a")),
        Message.tool(result("c")),
    ]
    found = [
        [part.call_id for part in turn.parts if isinstance(part, ToolResult)]
        for turn in conversation(given)
        if turn.role == "tool"
    ]
    assert found == [["stray"], ["a", "b"], ["c"], ["unknown"], [""], ["c"], ["a"]]
    assert [turn.role for turn in conversation(given)] == [turn.role for turn in given]


def test_values() -> None:
    message = Message.user("hi", Image(b"x" * 10_000), Document(Path("a.pdf"), pages="1-3"))
    assert pickle.loads(pickle.dumps(message)) == message == copy.deepcopy(message)
    assert len(repr(message)) < 300
    with pytest.raises(FrozenInstanceError):
        message.role = "system"  # type: ignore[misc]
    assert hash(message) == hash(copy.deepcopy(message))


@given(st.binary())
def test_base64(data: bytes) -> None:
    plain = base64.b64encode(data).decode()
    assert decode_base64(plain) == decode_base64(plain.rstrip("=")) == data
    assert decode_base64(base64.urlsafe_b64encode(data).decode()) == data
    assert decode_base64(base64.encodebytes(data).decode()) == data


@pytest.mark.parametrize("text", ["a*b=", "abcde", "é", "data:image/png;base64,aaaa", "=aaa"])
def test_not_base64(text: str) -> None:
    with pytest.raises(MessageError, match="not base64"):
        decode_base64(text)
