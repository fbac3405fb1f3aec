"""A block of the page in the making: its lines, and how they become one text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from internvl_loaders.document import BlockType
from internvl_loaders.structure.classify import Marker
from internvl_loaders.structure.lines import Line
from internvl_loaders.structure.script import joined_lines

_MAX_INDENT = 200
"""Spaces before a word of code; hostile pages have letters of no width."""


@dataclass(slots=True)
class Draft:
    """A block in the making; `hard_breaks` has for every line but the last whether it ends there."""

    type: BlockType
    lines: list[Line]
    hard_breaks: list[bool] = field(default_factory=list)
    marker: Marker | None = None
    level: int | None = None

    @property
    def x0(self) -> float:
        return min(line.x0 for line in self.lines)

    @property
    def y0(self) -> float:
        return min(line.y0 for line in self.lines)

    @property
    def y1(self) -> float:
        return max(line.y1 for line in self.lines)

    @property
    def font_size(self) -> float:
        return self.lines[0].font_size

    def text(self, seen: Mapping[str, int] | None = None) -> str:
        if self.type == "code":
            return _code(self.lines)
        texts = [line.text for line in self.lines]
        if self.marker:
            texts[0] = texts[0][self.marker.end :]
        return joined_lines(texts, self.hard_breaks, seen)


def _code(lines: Sequence[Line]) -> str:
    """Monospaced lines with their indents, inner spaces and blank lines."""
    left = min(line.x0 for line in lines)
    advance = median((s.x1 - s.x0) / len(s.text) for line in lines for s in line.spans) or 1.0
    steps = [b.middle - a.middle for a, b in pairwise(lines)]
    pitch = min((s for s in steps if s > 0.5 * lines[0].height), default=0.0)
    texts = []
    for line, step in zip(lines, [*steps, 0.0], strict=True):
        place = left
        parts: list[str] = []
        for span in line.spans:
            gap = min(max(round((span.x0 - place) / advance), 1 if parts else 0), _MAX_INDENT)
            parts += (" " * gap, span.text)
            place = span.x1
        if pitch > 0 and step > 1.6 * pitch:
            parts.append("\n")
        texts.append("".join(parts))
    return "\n".join(texts)
