"""Text that runs up or down the page, turned upright and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Literal

from internvl_loaders.content import Content, Span
from internvl_loaders.document import Box
from internvl_loaders.structure.script import has_cjk

Direction = Literal["up", "down"]


def direction_of(spans: Sequence[Span]) -> Direction:
    """The way most of the text runs, by the order of words; lone words run down in CJK, else up."""
    down = up = 0
    for a, b in pairwise(spans):
        if a.line == b.line >= 0:
            down += b.y0 > a.y0
            up += b.y0 < a.y0
    if down == up:
        return "down" if any(has_cjk(s.text) for s in spans) else "up"
    return "down" if down > up else "up"


def turned(spans: Sequence[Span], width: float, height: float, direction: Direction) -> Content:
    """A page on which these spans stand upright."""
    return Content(
        width=height,
        height=width,
        spans=[
            replace(s, x0=s.y0, x1=s.y1, y0=width - s.x1, y1=width - s.x0, upright=True)
            if direction == "down"
            else replace(s, x0=height - s.y1, x1=height - s.y0, y0=s.x0, y1=s.x1, upright=True)
            for s in spans
        ],
    )


def turned_back(box: Box, direction: Direction) -> Box:
    """From the turned page's fractions to the page's own."""
    if direction == "down":
        return Box.of(1 - box.y1, box.x0, 1 - box.y0, box.x1)
    return Box.of(box.y0, 1 - box.x1, box.y1, 1 - box.x0)
