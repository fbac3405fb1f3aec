"""Vector drawings to rulings, image and drawing boxes to figures; one code for every reader."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import inf
from operator import itemgetter

from internvl_loaders.content import Rect, Ruling

MAX_DRAWINGS = 10_000
"""A page with more is a map or a plot: its lines part no table and are not looked at."""

Point = tuple[float, float]

_THIN = 3.0
"""Points up to which a filled rectangle is a line."""
_STRAIGHT = 0.7
"""Points a line may rise or lean and still count as horizontal or vertical."""
_SKEWED = 0.05
"""Points by which the side of a drawn rectangle may be out of true."""
_CUT_OUT = 0.7
"""Least share of a filled shape that is cut out where what is left are lines."""
_TOUCH = 0.7
_DASH = 12.0
_DASH_GAP = 3.0
_MIN_LENGTH = 4.0
_MIN_FIGURE = 8.0
_MAX_MERGED = 200


class Drawings:
    """Collects what a page of `width` x `height` points draws, in points of the upright page."""

    def __init__(self, width: float, height: float) -> None:
        self.count = 0
        self.fills: list[Rect] = []
        self._width = width
        self._height = height
        self._horizontal: list[tuple[float, float, float]] = []
        self._vertical: list[tuple[float, float, float]] = []

    def line(self, x0: float, y0: float, x1: float, y1: float) -> None:
        """A stroked segment; oblique ones are of no use."""
        rise, run = abs(y1 - y0), abs(x1 - x0)
        if rise <= _STRAIGHT and rise * 10 <= run:
            self._horizontal.append(((y0 + y1) / 2, min(x0, x1), max(x0, x1)))
        elif run <= _STRAIGHT and run * 10 <= rise:
            self._vertical.append(((x0 + x1) / 2, min(y0, y1), max(y0, y1)))

    def box(self, x0: float, y0: float, x1: float, y1: float, stroked: bool) -> None:
        """A rectangle: its middle line if it is thin, its edges if they are drawn, else nothing."""
        x0, x1 = min(x0, x1), max(x0, x1)
        y0, y1 = min(y0, y1), max(y0, y1)
        flat, slim = y1 - y0 <= _THIN, x1 - x0 <= _THIN
        if flat:
            self._horizontal.append(((y0 + y1) / 2, x0, x1))
        if slim:
            self._vertical.append(((x0 + x1) / 2, y0, y1))
        if stroked and not flat and not slim:
            self._horizontal += [(y0, x0, x1), (y1, x0, x1)]
            self._vertical += [(x0, y0, y1), (x1, y0, y1)]

    def fill(self, x0: float, y0: float, x1: float, y1: float) -> None:
        """A filled shape, by its corners: what is no line may cover text."""
        box = Rect(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
        if min(box.x1 - box.x0, box.y1 - box.y0) > _THIN:
            self.fills.append(box)

    def strike_out(self, corners: Iterable[Point]) -> None:
        """The line that an annotation draws through the text in a quadrilateral, given in any order."""
        x0, y0, x1, y1 = _bounds(list(corners))
        x, y = (x0 + x1) / 2, (y0 + y1) / 2
        self.line(*((x0, y, x1, y) if x1 - x0 >= y1 - y0 else (x, y0, x, y1)))

    def filled(self, outlines: Sequence[Sequence[Point]]) -> None:
        """A filled path by the corners of its outlines: thin ones are lines, one by one; where all but
        thin strips of the first is cut out by the others, these strips are."""
        if len(outlines) == 1:
            self.box(*_bounds(outlines[0]), stroked=False)
            return
        boxes = [_bounds(corners) for corners in outlines if _is_upright(corners)]
        for box in boxes:
            self.box(*box, stroked=False)
        if len(boxes) > 1:
            first, *rest = boxes
            holes = [b for b in rest if _holds(first, b)]
            if sum(map(_area, holes)) >= _CUT_OUT * _area(first):
                for hole in (first, *holes):
                    self.box(*hole, stroked=True)

    def rulings(self) -> list[Ruling]:
        """Merged where they touch or are dashes of one line, cut to the page, no shorter than 4 points."""
        across = _merged(self._horizontal, self._height, self._width)
        down = _merged(self._vertical, self._width, self._height)
        return [Ruling(a, y, b, y) for y, a, b in across] + [Ruling(x, a, x, b) for x, a, b in down]


def _merged(
    lines: list[tuple[float, float, float]], across: float, along: float
) -> Iterator[tuple[float, float, float]]:
    """Lines (place, start, end) with those on one place that touch, or are dashes, made one."""
    places: list[list[tuple[float, float, float]]] = []
    for line in sorted(lines):
        if not -1 <= line[0] <= across + 1:
            continue
        if places and line[0] - places[-1][0][0] <= _STRAIGHT:
            places[-1].append(line)
        else:
            places.append([line])
    for members in places:
        place = members[len(members) // 2][0]
        start, end = inf, -inf
        for _, a, b in [*sorted(members, key=itemgetter(1)), (0, inf, inf)]:
            if a > end + (_DASH_GAP if b - a <= _DASH else _TOUCH):
                if min(end, along) - max(start, 0) >= _MIN_LENGTH:
                    yield round(place, 2), round(max(start, 0.0), 2), round(min(end, along), 2)
                start = a
                end = b
            else:
                end = max(end, b)


def figures_of(boxes: Iterable[Rect], width: float, height: float) -> list[Rect]:
    """Image boxes cut to the page, no smaller than 8 points; strips and tiles of one picture as one."""
    figures = []
    for box in boxes:
        cut = Rect(max(box.x0, 0.0), max(box.y0, 0.0), min(box.x1, width), min(box.y1, height))
        if cut.x1 - cut.x0 >= _MIN_FIGURE and cut.y1 - cut.y0 >= _MIN_FIGURE:
            figures.append(cut)
    figures = sorted(set(figures), key=itemgetter(1, 0))
    merged = len(figures) <= _MAX_MERGED
    while merged:
        merged = False
        kept: list[Rect] = []
        for figure in figures:
            for i, other in enumerate(kept):
                whole = _union(figure, other)
                if _area(whole) <= 1.05 * (_area(figure) + _area(other) - _area(_overlap(figure, other))):
                    kept[i] = whole
                    merged = True
                    break
            else:
                kept.append(figure)
        figures = kept
    return figures


def _union(a: Rect, b: Rect) -> Rect:
    return Rect(min(a.x0, b.x0), min(a.y0, b.y0), max(a.x1, b.x1), max(a.y1, b.y1))


def _overlap(a: Rect, b: Rect) -> Rect:
    x0, y0 = max(a.x0, b.x0), max(a.y0, b.y0)
    return Rect(x0, y0, max(x0, min(a.x1, b.x1)), max(y0, min(a.y1, b.y1)))


def _area(box: Rect) -> float:
    return (box.x1 - box.x0) * (box.y1 - box.y0)


def _bounds(corners: Sequence[Point]) -> Rect:
    xs, ys = [x for x, _ in corners], [y for _, y in corners]
    return Rect(min(xs), min(ys), max(xs), max(ys))


def _is_upright(corners: Sequence[Point]) -> bool:
    """Whether every side is level or plumb."""
    sides = zip(corners, [*corners[1:], corners[0]], strict=True)
    return all(min(abs(x1 - x0), abs(y1 - y0)) <= _SKEWED for (x0, y0), (x1, y1) in sides)


def _holds(outer: Rect, inner: Rect) -> bool:
    return outer.x0 <= inner.x0 and outer.y0 <= inner.y0 and inner.x1 <= outer.x1 and inner.y1 <= outer.y1
