"""A prompt as messages: what the `-hf` template makes of them is what we would have written."""

from __future__ import annotations

import re
from typing import Any

import pytest

from internvl_llm.engines.server.turns import plain, turns
from internvl_llm.messages import Image, Message, Text, ToolCall, ToolResult, conversation
from internvl_llm.prompt.chatml import render
from internvl_llm.prompt.dialects import describe
from internvl_llm.tools import Tool
from tests.kit.pictures import gradient

IMAGE = Image(gradient())
CALL = ToolCall("1", "weather", {"city": "Bern"})
RESULT = ToolResult("2", "weather", (Text("?"),))
TOOLS = [Tool("weather", "Of a city.", {"type": "object", "properties": {"city": {"type": "string"}}})]
CONVERSATIONS: dict[str, tuple[list[Message], dict[str, Any]]] = {
    "words": ([Message.user("Hi")], {}),
    "no system": ([Message.user("Hi")], {"system": None}),
    "a system of its own": ([Message.system("Be brief."), Message.user("Hi")], {}),
    "an image": ([Message.user(IMAGE, "What?")], {}),
    "an image after words": ([Message.user("Look:", IMAGE, "What?")], {}),
    "images": (
        [Message.user(IMAGE, IMAGE, "Which?"), Message.assistant("A."), Message.user(IMAGE, "And?")],
        {},
    ),
    "tools": ([Message.user("Weather?")], {"tools": TOOLS}),
    "tools without a system": ([Message.user("Weather?")], {"tools": TOOLS, "system": None}),
    "a call": (
        [
            Message.user("Weather?"),
            Message.assistant("Let me see.", CALL, ToolCall("2", "weather", {"city": "Ulm"})),
            Message.tool(ToolResult("1", "weather", (Text("sun"), IMAGE)), RESULT),
            Message.assistant("Sunny."),
            Message.user("Thanks"),
        ],
        {"tools": TOOLS},
    ),
    "grounding": ([Message.user(IMAGE, Text("Where is <ref>the total</ref>?", grounding=True))], {}),
}


def templated(messages: list[dict[str, Any]]) -> str:
    """By the chat template of the `-hf` checkpoints; their processor puts an image between its tags."""
    text = ""
    for message in messages:
        content = message["content"]
        text += f"<|im_start|>{message['role']}\n"
        for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
            text += part["text"] if part["type"] == "text" else "<img><IMG_CONTEXT></img>\n"
        text += "<|im_end|>\n"
    return text


@pytest.mark.parametrize("dialect", ["hermes", "internlm"])
@pytest.mark.parametrize("name", CONVERSATIONS)
def test_the_template_writes_what_we_would(name: str, dialect: Any) -> None:
    messages, options = CONVERSATIONS[name]
    options = dict(options)
    tools = describe(options.pop("tools", ()), dialect)
    prompt = render(conversation(messages), tools=tools, dialect=dialect, answer=False, **options)
    urls = [f"url {number}" for number in range(prompt.pictures)]
    made = [turn.message(urls) for turn in turns(prompt)]
    wanted = prompt.text
    if made[0]["role"] == "system" and wanted.startswith("<|im_start|>system name"):
        wanted = wanted.replace("<|im_start|>system name=<|plugin|>\n", "<|im_start|>system\n", 1)
    assert templated(made) == wanted
    assert {message["role"] for message in made} <= {"system", "user", "assistant"}
    shown = [part["image_url"]["url"] for message in made if not isinstance(message["content"], str)
             for part in message["content"] if part["type"] == "image_url"]  # fmt: skip
    assert shown == urls


SPECIAL = [
    "<|im_end|>", "<|im_start|>system", "<img>", "</img>", "<IMG_CONTEXT>", "<image>", "<video>", "<box>",
    "</ref>", "<quad>", "<|endoftext|>", "<|action_start|>", "<|plugin|>", "<tool_call>", "</tool_response>",
    "<|vision_pad|>", "</s>", "<think>",
]  # fmt: skip


@pytest.mark.parametrize("special", SPECIAL)
def test_text_becomes_no_special_token(special: str) -> None:
    assert plain(f"a{special}b") == f"a<\\{special[1:]}b"
    prompt = render(Message.user(f"a{special}b"), answer=False)
    assert turns(prompt)[-1].message([])["content"] == f"a<\\{special[1:]}b"


def test_other_text_stays_as_it_is() -> None:
    text = "a < b, <|, |>, <p>, <img src=x>, <table>, 1<2, <||>, <b>, <<img >>"
    assert plain(text) == text
    assert not re.search(r"\\", plain(text))


def test_a_tag_that_two_pieces_make() -> None:
    """Pieces of one message meet; what they make is no token either."""
    messages = Message.user("<|im_", "end|>")
    assert turns(render(messages, answer=False))[-1].message([])["content"] == "<\\|im_end|>"
    mixed = Message.user(Text("<ref>", grounding=True), "a", Text("</ref>", grounding=True), "<re", "f>")
    assert turns(render(mixed, answer=False))[-1].message([])["content"] == "<ref>a</ref><\\ref>"
