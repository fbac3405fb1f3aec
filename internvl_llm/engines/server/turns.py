"""Prompts as messages of a chat: what a server's template makes of them again is what `render` wrote."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from internvl_llm.errors import MessageError
from internvl_llm.prompt.segments import IMAGE_END, IMAGE_START, Picture, Plain, Prompt, sound

_TURN = re.compile(r"<\|im_start\|>([^\n]*)\n|<\|im_end\|>\n")
_ROLES = ("system", "user", "assistant")
_SPECIAL = re.compile(
    r"<(?=\|[A-Za-z0-9_]{1,40}\|>"
    r"|/?(?:img|IMG_CONTEXT|image|video|quad|ref|box|s|unk|think|tool_call|tool_response)>)"
)
"""What some tokenizer of the family, or some server, takes for a token of its own."""


@dataclass(slots=True)
class Turn:
    """One message; its parts are texts, and images by their number."""

    role: str
    parts: list[str | int] = field(default_factory=list)

    def add(self, text: str) -> None:
        if self.parts and isinstance(self.parts[-1], str):
            self.parts[-1] += text
        elif text:
            self.parts.append(text)

    def message(self, urls: list[str]) -> dict[str, Any]:
        """Text alone is a string, as templates of every kind take it. `urls` are those of the images."""
        if not any(isinstance(part, int) for part in self.parts):
            return {"role": self.role, "content": "".join(map(str, self.parts))}
        content: list[dict[str, Any]] = [
            {"type": "text", "text": part}
            if isinstance(part, str)
            else {"type": "image_url", "image_url": {"url": urls[part]}}
            for part in self.parts
        ]
        return {"role": self.role, "content": content}


def turns(prompt: Prompt) -> list[Turn]:
    """The turns of a prompt that opens no answer. Raises MessageError for images shown as one.

    A server reads special tokens wherever they stand, so text that nobody vouches for gets a backslash in
    what looks like one. A turn of a role of its own (InternLM's tools and results) goes on in the one before.
    """
    made: list[Turn] = []
    shows = False
    for segment in prompt.segments:
        if isinstance(segment, Picture):
            if shows:
                raise MessageError(
                    "a server shows every image by itself", remedy="Give Image parts in the place of Combined"
                )
            made[-1].parts.append(segment.index)
            shows = True
        elif isinstance(segment, Plain):
            made[-1].add(plain(segment.text))
        else:
            text = segment.text
            if shows:  # the template closes an image, and ends its line
                text = text.removeprefix(f"{IMAGE_END}\n")
                shows = False
            _follow(made, text.removesuffix(IMAGE_START))
    return made


def plain(text: str) -> str:
    """Text that nobody vouches for, with a backslash in what a server would read as a special token."""
    return _SPECIAL.sub(r"<\\", sound(text))


def _follow(made: list[Turn], text: str) -> None:
    """What the template says next."""
    at = 0
    for found in _TURN.finditer(text):
        if at < found.start():
            made[-1].add(text[at : found.start()])
        at = found.end()
        role = found[1]
        if role is None:
            continue
        if role in _ROLES or not made:
            made.append(Turn(role if role in _ROLES else "system"))
        else:
            made[-1].add(f"<|im_end|>\n<|im_start|>{role}\n")
    if at < len(text):
        made[-1].add(text[at:])
