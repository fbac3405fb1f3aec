"""Running heads, running feet and page numbers, told from the text by place and repetition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from internvl_loaders.content import Content, Rect, Ruling, Span
from internvl_loaders.running_lines import COUNTED, DIGITS, NUMBER
from internvl_loaders.structure.classify import is_caption
from internvl_loaders.structure.lines import Line, fragments, joined
from internvl_loaders.structure.rows import rows

_ZONE = 0.12
"""The share of a page's height, at top and at bottom, where running lines stand."""
_MOST_ROWS = 4
"""Running rows at one end of a page."""
_WIDE_ZONE = 0.2
"""Where the outermost row may still be a lone page number."""


@dataclass(slots=True)
class Furniture:
    """A page's running lines, top to bottom."""

    head: list[Line]
    foot: list[Line]


@dataclass(slots=True)
class _Row:
    """A printed row in a margin: how far it reaches in, and the white between it and the next."""

    parts: list[Line]
    line: Line
    depth: float
    clearance: float


def find_furniture(
    content: Content,
    spans: Sequence[Span],
    parts: Sequence[Line],
    size: float,
    tables: Sequence[Rect] = (),
    neighbours: Sequence[Content] = (),
) -> Furniture:
    """The running lines among `spans`, whose fragments are `parts`; `size` is the font size of the body text.

    A row is one if it stands alone in the margin as a page number, has one at an end, is cut off
    by a ruling, or if a neighbour has the same text, digits aside, in the same place; and so is what
    stands further out than one.
    """
    repeated: dict[str, list[float]] = {}
    for n in neighbours:
        for key, place in _margin_keys(n):
            repeated.setdefault(key, []).append(place)
    prose = _is_prose(parts)
    rulings = [r for r in content.rulings if r.y0 == r.y1]
    ends: list[list[Line]] = []
    rest = spans
    for head in (True, False):
        margin = _margin(rest, content.height, head)
        running = [
            _is_repeated(r, content.height, repeated)
            or _is_running(r, content.height, rulings, tables, size, prose)
            for r in margin[:_MOST_ROWS]
        ]
        inmost = max((n for n, runs in enumerate(running, start=1) if runs), default=0)
        while any(_is_long(r.line) or is_caption(r.line.text) for r in margin[:inmost]):
            inmost -= 1
        ends.append([r.line for r in margin[:inmost]])
        taken = {id(s) for line in ends[-1] for s in line.spans}
        rest = [s for s in rest if id(s) not in taken]
    if not rest:
        return Furniture([], [])
    return Furniture(ends[0], ends[1][::-1])


def _is_prose(parts: Sequence[Line]) -> bool:
    lengths = [part.chars for part in parts]
    return bool(lengths) and sum(n for n in lengths if n >= 20) >= 0.4 * sum(lengths)


def _margin(spans: Sequence[Span], height: float, head: bool) -> list[_Row]:
    """The rows of one margin, outermost first."""

    def depth(span: Span) -> float:
        return span.y1 if head else height - span.y0

    edge = min((height - s.y1 if not head else s.y0 for s in spans), default=0.0)
    zone = height * _WIDE_ZONE + max(edge - 0.08 * height, 0.0)
    near = [s for s in spans if depth(s) < zone + 0.1 * height]
    grouped = rows(fragments(near))
    if not head:
        grouped.reverse()
    found = []
    for row, following in zip(grouped, [*grouped[1:], []], strict=False):
        line = joined(row)
        reach = line.y1 if head else height - line.y0
        if reach > zone:
            break
        if following:
            inner = min(p.y0 for p in following) - line.y1 if head else line.y0 - max(p.y1 for p in following)
        else:
            inner = zone
        found.append(_Row(row, line, reach, inner))
    return found


def _margin_keys(content: Content) -> list[tuple[str, float]]:
    """Text and place of the rows in a neighbour's margins."""
    spans = [s for s in content.spans if s.upright]
    return [
        (_key(row.line), row.line.middle / content.height)
        for head in (True, False)
        for row in _margin(spans, content.height, head)
    ]


def _key(line: Line) -> str:
    return DIGITS.sub("#", line.text).casefold().replace(" ", "")


def _is_repeated(row: _Row, height: float, repeated: Mapping[str, Sequence[float]]) -> bool:
    key, place = _key(row.line), row.line.middle / height
    return row.depth < _ZONE * height and any(abs(p - place) < 0.01 for p in repeated.get(key, ()))


def _is_running(
    row: _Row,
    height: float,
    rulings: Sequence[Ruling],
    tables: Sequence[Rect],
    size: float,
    prose: bool,
) -> bool:
    line, parts = row.line, row.parts
    inside = row.depth < _ZONE * height
    if line.font_size > 2 * size or _is_long(line):
        return False
    if NUMBER.fullmatch(_undecorated(line)):
        return row.clearance > (0.6 if inside else 1.5) * size
    if not inside or line.font_size > 1.2 * size:
        return False
    if len(parts) > 1 and row.clearance > 0.6 * size and len(parts) <= 4:
        ends = (parts[0], parts[-1])
        if any(COUNTED.fullmatch(p.text) for p in ends):
            return True
        apart = median(b.x0 - a.x1 for a, b in pairwise(parts)) > 1.5 * size
        if prose and apart and any(NUMBER.fullmatch(p.text) for p in ends):
            return True
    if not (prose and row.clearance > 0.6 * size):
        return False
    cutting = [ruling for ruling in rulings if _cuts(ruling, line, size)]
    near = [t for t in tables if line.y0 - 3 * size < t.y1 and t.y0 < line.y1 + 3 * size] if cutting else []
    return any(not any(_within(ruling, t, 1.5 * size) for t in near) for ruling in cutting)


def _undecorated(line: Line) -> str:
    """The text without lone ornaments beside it."""
    words = [s.text for s in line.spans]
    kept = [w for w in words if len(w) > 1 or (w.isascii() and w.isalnum())]
    return " ".join(kept) if 0 < len(kept) < len(words) else line.text


def _is_long(line: Line) -> bool:
    return len(line.text) > 120


def _within(ruling: Ruling, table: Rect, margin: float) -> bool:
    return (
        table.y0 - margin < ruling.y0 < table.y1 + margin
        and table.x0 - margin < ruling.x1
        and ruling.x0 < table.x1 + margin
    )


def _cuts(ruling: Ruling, line: Line, size: float) -> bool:
    """A horizontal ruling right below or above, no shorter than the line."""
    if ruling.x1 - ruling.x0 < max(line.width, 12 * size):
        return False
    return min(abs(ruling.y0 - line.y1), abs(line.y0 - ruling.y0)) < 0.8 * size
