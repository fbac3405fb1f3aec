"""Pictures of a page: which count, and which text stands on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product

from internvl_loaders.content import Content, Rect
from internvl_loaders.structure.lines import Line

_MIN_SIDES = (10.0, 24.0)
"""Points, shorter and longer side; anything smaller is a bullet, an icon or a drawn line."""
_MAX_FIGURES = 400
_CELLS = 32
"""Of the grid that figures are looked up in, along each side."""


@dataclass(slots=True, eq=False)
class Figure:
    """A picture and the text fragments printed on it."""

    rect: Rect
    lines: list[Line] = field(default_factory=list)


def find_figures(content: Content, parts: Sequence[Line]) -> tuple[list[Figure], list[Line]]:
    """The page's figures with their text, and the fragments on none.

    A picture behind the whole page is no figure where there is text on it.
    """
    page = max(content.width * content.height, 1e-6)
    rects = []
    for r in content.figures[: 10 * _MAX_FIGURES]:
        rect = Rect(max(r.x0, 0.0), max(r.y0, 0.0), min(r.x1, content.width), min(r.y1, content.height))
        shorter, longer = sorted((rect.x1 - rect.x0, rect.y1 - rect.y0))
        if shorter < _MIN_SIDES[0] or longer < _MIN_SIDES[1]:
            continue
        if parts and _area(rect) > 0.85 * page:
            continue
        rects.append(rect)
    found = [Figure(r) for r in _united(rects)]
    if not found:
        return [], list(parts)
    free = []
    near = _Grid(found, content)
    for part in parts:
        x, y = (part.x0 + part.x1) / 2, part.middle
        for figure in near.at(x, y):
            r = figure.rect
            if r.x0 <= x <= r.x1 and r.y0 <= y <= r.y1:
                figure.lines.append(part)
                break
        else:
            free.append(part)
    return found, free


class _Grid:
    """Figures by the cells of the page that they lie over, in their order."""

    def __init__(self, figures: Sequence[Figure], content: Content) -> None:
        self._scale = _CELLS / max(content.width, 1e-6), _CELLS / max(content.height, 1e-6)
        self._cells: dict[tuple[int, int], list[Figure]] = {}
        for figure in figures:
            (x0, y0), (x1, y1) = self._cell(*figure.rect[:2]), self._cell(*figure.rect[2:])
            for cell in product(range(x0, x1 + 1), range(y0, y1 + 1)):
                self._cells.setdefault(cell, []).append(figure)

    def at(self, x: float, y: float) -> Sequence[Figure]:
        return self._cells.get(self._cell(x, y), ())

    def _cell(self, x: float, y: float) -> tuple[int, int]:
        last = _CELLS - 1
        return min(max(int(x * self._scale[0]), 0), last), min(max(int(y * self._scale[1]), 0), last)


def _area(rect: Rect) -> float:
    return (rect.x1 - rect.x0) * (rect.y1 - rect.y0)


def _united(rects: list[Rect]) -> list[Rect]:
    """Overlapping or touching pieces as one; the largest `_MAX_FIGURES` only."""
    united: list[Rect] = []
    for rect in sorted(rects, key=_area, reverse=True)[:_MAX_FIGURES]:
        merged = rect
        while hits := [r for r in united if _touch(r, merged)]:
            united = [r for r in united if r not in hits]
            merged = Rect(
                min(merged.x0, *(r.x0 for r in hits)),
                min(merged.y0, *(r.y0 for r in hits)),
                max(merged.x1, *(r.x1 for r in hits)),
                max(merged.y1, *(r.y1 for r in hits)),
            )
        united.append(merged)
    return united


def _touch(a: Rect, b: Rect) -> bool:
    """Overlapping, or edge to edge within a point along most of the shorter edge."""
    across = min(a.x1, b.x1) - max(a.x0, b.x0)
    down = min(a.y1, b.y1) - max(a.y0, b.y0)
    if across > 1 and down > 1:
        return True
    if across >= -1 and down > 0.8 * min(a.y1 - a.y0, b.y1 - b.y0):
        return True
    return down >= -1 and across > 0.8 * min(a.x1 - a.x0, b.x1 - b.x0)
