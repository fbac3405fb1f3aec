"""Small drawings about as wide as high: where boxes to tick, and ticks, may be."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

from internvl_loaders.content import Rect

_LEAST, _MOST = 4.5, 24.0
"""Points a side; smaller ones are bullets and dots."""
_LONGER = 1.5
"""Times the shorter side that the longer may be."""
_FLAT = 2.5
"""Points up to which a drawing is one side of a box."""
_MOST_SHAPES = 2_000
"""A page with more is a drawing."""


class Shapes:
    """Collects boxes of drawings, in points of the upright page."""

    def __init__(self) -> None:
        self._whole: set[Rect] = set()
        self._across: defaultdict[tuple[int, int], list[Rect]] = defaultdict(list)
        self._down: set[tuple[int, int, int]] = set()
        self._count = 0

    def add(self, corner: tuple[float, float], opposite: tuple[float, float]) -> None:
        x0, x1 = sorted((corner[0], opposite[0]))
        y0, y1 = sorted((corner[1], opposite[1]))
        width, height = x1 - x0, y1 - y0
        shorter, longer = (width, height) if width < height else (height, width)
        if not _LEAST <= longer <= _MOST or self._count > _MOST_SHAPES:
            return
        if shorter >= _LEAST and longer <= _LONGER * shorter:
            self._whole.add(Rect(*(round(v, 2) for v in (x0, y0, x1, y1))))
        elif height <= _FLAT:
            self._across[round(x0), round(x1)].append(Rect(x0, y0, x1, y1))
        elif width <= _FLAT:
            self._down.add((round((x0 + x1) / 2), round(y0), round(y1)))
        else:
            return
        self._count += 1

    def found(self) -> list[Rect]:
        """From top to bottom; none where there are too many."""
        if self._count > _MOST_SHAPES:
            return []
        return sorted({*self._whole, *self._of_four_lines()}, key=lambda r: (r.y0, r.x0))

    def _of_four_lines(self) -> set[Rect]:
        boxes = set()
        for sides in self._across.values():
            sides.sort(key=lambda r: r.y0)
            for top, bottom in pairwise(sides):
                width, height = top.x1 - top.x0, bottom.y1 - top.y0
                if not (width <= _LONGER * height and height <= _LONGER * width):
                    continue
                if all(self._has_side(x, top.y0, bottom.y1) for x in (top.x0, top.x1)):
                    boxes.add(Rect(*(round(v, 2) for v in (top.x0, top.y0, top.x1, bottom.y1))))
        return boxes

    def _has_side(self, x: float, y0: float, y1: float) -> bool:
        near = (-1, 0, 1)
        return any(
            (round(x) + a, round(y0) + b, round(y1) + c) in self._down
            for a in near
            for b in near
            for c in near
        )
