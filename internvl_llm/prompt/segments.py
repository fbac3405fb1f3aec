"""What a prompt is made of: trusted template text, untrusted words, and places for images."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

IMAGE_START, IMAGE_END, IMAGE_CONTEXT = "<img>", "</img>", "<IMG_CONTEXT>"


@dataclass(frozen=True, slots=True)
class Control:
    """Trusted: the special tokens in it are meant."""

    text: str


@dataclass(frozen=True, slots=True)
class Plain:
    """Untrusted: never a special token."""

    text: str


@dataclass(frozen=True, slots=True)
class Picture:
    """The place of image `index`, in order of appearance; as many context tokens as its tiles give."""

    index: int


Segment: TypeAlias = Control | Plain | Picture


@dataclass(frozen=True, slots=True)
class Prompt:
    segments: tuple[Segment, ...]

    @property
    def pictures(self) -> int:
        return sum(isinstance(segment, Picture) for segment in self.segments)

    @property
    def text(self) -> str:
        """To be read by people: it does not tell template from words, and has one context token an image."""
        return "".join(IMAGE_CONTEXT if isinstance(s, Picture) else s.text for s in self.segments)


_NO_TEXT = re.compile(
    f"[\0\ufdd0-\ufdef{''.join(chr(plane << 16 | low) for plane in range(17) for low in (0xFFFE, 0xFFFF))}]"
)


def sound(text: str) -> str:
    """What JSON can smuggle in and is no text, lone surrogates, NUL and noncharacters, as U+FFFD."""
    return _NO_TEXT.sub("\ufffd", text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
