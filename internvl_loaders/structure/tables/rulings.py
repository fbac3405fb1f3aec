"""Drawn rulings: joined from their pieces, and grouped into lattices that touch."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from statistics import fmean
from typing import TypeVar

from internvl_loaders.content import Rect, Ruling

TOUCH = 3.0
"""Points within which rulings meet."""
MAX_PIECES = 40_000
MAX_RULINGS = 3_000
"""A page with more rulings is a drawing: they say nothing about tables."""

T = TypeVar("T")


@dataclass(slots=True)
class Lattice:
    """Rulings that touch one another."""

    rect: Rect
    across: list[Ruling] = field(default_factory=list)
    down: list[Ruling] = field(default_factory=list)


def cluster(items: Iterable[T], key: Callable[[T], float], gap: float) -> list[list[T]]:
    """Items sorted by `key`, parted where neighbours differ by more than `gap`."""
    groups: list[list[T]] = []
    last = 0.0
    for item in sorted(items, key=key):
        at = key(item)
        if groups and at - last <= gap:
            groups[-1].append(item)
        else:
            groups.append([item])
        last = at
    return groups


def merged(intervals: Iterable[tuple[float, float]], slack: float) -> list[tuple[float, float]]:
    """Their union, where gaps up to `slack` do not count."""
    union: list[tuple[float, float]] = []
    for a, b in sorted(intervals):
        if union and a <= union[-1][1] + slack:
            union[-1] = (union[-1][0], max(union[-1][1], b))
        else:
            union.append((a, b))
    return union


def covered(intervals: Iterable[tuple[float, float]], a: float, b: float) -> float:
    """Which fraction of a..b the (disjoint) intervals cover."""
    return sum(max(0.0, min(b, y) - max(a, x)) for x, y in intervals) / (b - a) if b > a else 0.0


def between(rulings: Sequence[Ruling], y0: float, y1: float) -> Sequence[Ruling]:
    """Those of the rulings across, from top to bottom, that lie from y0 to y1."""
    return rulings[bisect_left(rulings, y0, key=_level) : bisect_right(rulings, y1, key=_level)]


def _level(ruling: Ruling) -> float:
    return ruling.y0


def join_rulings(rulings: Iterable[Ruling]) -> tuple[list[Ruling], list[Ruling]]:
    """Horizontal and vertical rulings, each joined from its pieces, without specks; the horizontal ones
    from top to bottom."""
    rulings = list(rulings)
    if len(rulings) > MAX_PIECES:
        return [], []
    across = _join([(r.y0, r.x0, r.x1) for r in rulings if r.x1 - r.x0 > r.y1 - r.y0])
    down = _join([(r.x0, r.y0, r.y1) for r in rulings if r.y1 - r.y0 > r.x1 - r.x0])
    if len(across) + len(down) > MAX_RULINGS:
        return [], []
    return [Ruling(a, at, b, at) for at, a, b in across], [Ruling(at, a, at, b) for at, a, b in down]


def _join(rulings: list[tuple[float, float, float]]) -> list[tuple[float, float, float]]:
    """(position, start, end) of collinear, overlapping or nearly touching pieces."""
    joined: list[tuple[float, float, float]] = []
    for group in cluster(rulings, lambda r: r[0], 1.0):
        at = fmean(r[0] for r in group)
        joined += [(at, a, b) for a, b in merged(((a, b) for _, a, b in group), TOUCH) if b - a >= 6]
    return joined


def lattices(across: list[Ruling], down: list[Ruling]) -> list[Lattice]:
    """Groups of touching rulings with at least two across and one down."""
    parent = list(range(len(across) + len(down)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    order = sorted(range(len(down)), key=lambda i: down[i].x0)
    xs = [down[i].x0 for i in order]
    for a, ruling in enumerate(across):
        low, high = bisect_left(xs, ruling.x0 - TOUCH), bisect_right(xs, ruling.x1 + TOUCH)
        for i in order[low:high]:
            if down[i].y0 - TOUCH <= ruling.y0 <= down[i].y1 + TOUCH:
                parent[root(len(across) + i)] = root(a)
    groups: dict[int, Lattice] = {}
    for i, ruling in enumerate(across + down):
        lattice = groups.setdefault(root(i), Lattice(Rect(*ruling)))
        r = lattice.rect
        lattice.rect = Rect(
            min(r.x0, ruling.x0), min(r.y0, ruling.y0), max(r.x1, ruling.x1), max(r.y1, ruling.y1)
        )
        (lattice.across if i < len(across) else lattice.down).append(ruling)
    return [g for g in groups.values() if len(g.across) >= 2 and g.down]


class Axis:
    """Positions of parallel rulings along one axis, each with the intervals it is drawn over."""

    def __init__(self, rulings: Iterable[tuple[float, float, float]], start: float, end: float) -> None:
        """`rulings` are (position, from, to); `start` and `end` bound the axis, drawn or not."""
        self._last: tuple[list[tuple[float, float]], list[float], list[float]] | None = None
        self.at: list[float] = [start]
        self.drawn: list[list[tuple[float, float]]] = [[]]
        for group in cluster(rulings, lambda r: r[0], TOUCH):
            at = fmean(r[0] for r in group)
            spans = merged(((a, b) for _, a, b in group), TOUCH)
            if at - start <= TOUCH:
                self.drawn[0] = spans
            elif at < end - TOUCH:
                self.at.append(at)
                self.drawn.append(spans)
            else:
                last = spans
                break
        else:
            last = []
        self.at.append(end)
        self.drawn.append(last)

    def __len__(self) -> int:
        """Intervals between neighbouring positions."""
        return len(self.at) - 1

    def add(self, at: float) -> None:
        """A position that no ruling marks but that parts everything."""
        i = bisect_left(self.at, at)
        self.at.insert(i, at)
        self.drawn.insert(i, [(-1e9, 1e9)])

    def remove(self, i: int) -> None:
        del self.at[i], self.drawn[i]

    def index_at(self, at: float) -> int:
        """The interval that holds `at`, the outer ones reaching out."""
        return min(max(bisect_right(self.at, at) - 1, 0), len(self) - 1)

    def wall(self, i: int, a: float, b: float) -> bool:
        """Whether position `i` parts what lies on both sides of it from a to b."""
        drawn = self.drawn[i]
        if len(drawn) > 8:
            starts, ends = self._bounds(drawn)
            drawn = drawn[bisect_right(ends, a) : bisect_left(starts, b)]
        return covered(drawn, a, b) > 0.5

    def _bounds(self, drawn: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
        """Where the intervals start, and how far those up to each of them go."""
        if self._last is None or self._last[0] is not drawn:
            ends = list(accumulate((b for _, b in drawn), max))
            self._last = drawn, [a for a, _ in drawn], ends
        return self._last[1:]
