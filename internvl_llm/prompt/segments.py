"""What a prompt is made of: trusted template text, untrusted words, and places for images."""

from __future__ import annotations

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
