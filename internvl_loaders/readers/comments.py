"""What readers of a PDF page write on it: sticky notes and remarks on marked text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from internvl_loaders.content import Rect

MOST_COMMENTS = 1_000
"""Of a page."""
LONGEST = 4_000
"""Characters of one."""


class Comment(NamedTuple):
    """In points of the upright page; `author` may be empty."""

    rect: Rect
    text: str
    author: str = ""


def told(comments: Iterable[Comment]) -> list[Comment]:
    """Those with text, from top to bottom."""
    clean = (Comment(c.rect, _lines(c.text)[:LONGEST], " ".join(c.author.split())[:80]) for c in comments)
    return sorted((c for c in clean if c.text), key=lambda c: (c.rect.y0, c.rect.x0))


def _lines(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())
