"""Gutters between columns: strips that stay clear of words over many lines."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from math import inf
from statistics import median
from typing import NamedTuple

from internvl_loaders.structure.tables.words import Line, any_within, is_value, pieces_of, word_gap


@dataclass(slots=True)
class Gutter:
    """A clear strip between two columns; `wall` where a ruling marks it."""

    x0: float
    x1: float
    wall: bool = False

    @property
    def middle(self) -> float:
        return (self.x0 + self.x1) / 2


class _Least(NamedTuple):
    """What parts columns: ems that stay clear, and the median gap in ems and in usual spaces."""

    clear: float
    gap: float
    spaces: float


_BETWEEN_VALUES = _Least(0.22, 0.35, 1.15)
"""Two numbers side by side are two cells with hardly a gap."""
_BETWEEN_WORDS = ((6, _Least(0.4, 0.55, 1.6)), (3, _Least(0.55, 0.7, 2)), (1, _Least(0.9, 1.0, 2)))
"""By the lines that show the gutter: in few, spaces between words may fall in line by chance."""

_MOST_COMPARED = 200_000
"""Gutters times lines: where there are more, gutters are looked at in some of the lines."""


def body_lines(lines: Sequence[Line], walls: Sequence[float] = ()) -> list[Line]:
    """The lines that show the columns best: rows of values if there are some, else the fullest."""
    cut = [(line, pieces_of(line.words, walls)) for line in lines]
    most = max((len(pieces) for _, pieces in cut), default=0)
    full = [line for line, pieces in cut if len(pieces) >= max(2, most / 2)]
    data = [
        (line, len(pieces))
        for line, pieces in cut
        if len(pieces) > 1 and sum(is_value(p.text) for p in pieces) * 2 >= len(pieces)
    ]
    if len(data) < 2 or len(data) * 4 < len(full):
        return full
    counts = [count for _, count in data]
    telling = min(counts) == most if len(data) == 2 else max(counts) * 2 >= most
    return [line for line, _ in data] if telling else full


def gutters_of(lines: Sequence[Line], walls: Sequence[float] = ()) -> list[Gutter]:
    """Gutters between columns, left to right; walls are always among them."""
    body = body_lines(lines, walls)
    if not body:
        return [Gutter(x, x, True) for x in walls]
    usual = word_gap(body)
    em = median(line.em for line in body)
    found = _clear_strips(body, walls, em)
    found = _strong(body[:: 1 + len(body) * len(found) // _MOST_COMPARED], found, em, usual)
    return _join_signs(body, found, em)


def _strong(body: Sequence[Line], gutters: Sequence[Gutter], em: float, usual: float) -> list[Gutter]:
    """Those left when the weakest that parts no columns has gone, again and again."""
    middles = [[(w.x0 + w.x1) / 2 for w in line.words] for line in body]
    last = len(gutters)
    before, after = list(range(-1, last - 1)), list(range(1, last + 1))

    def strength(i: int) -> float:
        left = gutters[before[i]].middle if before[i] >= 0 else -1e9
        right = gutters[after[i]].middle if after[i] < last else 1e9
        return _strength(body, middles, gutters[i], (left, right), em, usual)

    scores = [strength(i) for i in range(last)]
    gone: set[int] = set()
    weakest = [(score, i) for i, score in enumerate(scores)]
    heapify(weakest)
    while weakest and weakest[0][0] < 1:
        score, i = heappop(weakest)
        if i in gone or score != scores[i]:
            continue
        gone.add(i)
        if before[i] >= 0:
            after[before[i]] = after[i]
        if after[i] < last:
            before[after[i]] = before[i]
        for j in (before[i], after[i]):
            if 0 <= j < last:
                scores[j] = strength(j)
                heappush(weakest, (scores[j], j))
    return [g for i, g in enumerate(gutters) if i not in gone]


def _clear_strips(body: Sequence[Line], walls: Sequence[float], em: float) -> list[Gutter]:
    """Every strip at least a thin space wide that (nearly) no word of the body lines crosses."""
    allowed = len(body) // 12
    events = sorted(
        event
        for line in body
        for w in line.words
        for event in ((w.x0 + 0.05 * em, 1), (max(w.x1 - 0.05 * em, w.x0 + 0.06 * em), -1))
    )
    strips: list[Gutter] = []
    depth, start = 0, None
    for x, step in events:
        if step > 0 and depth == allowed and start is not None:
            if x - start >= 0.2 * em:
                strips.append(Gutter(start, x))
            start = None
        depth += step
        if step < 0 and depth == allowed:
            start = x
    if strips and allowed:  # the margins are also hardly crossed
        left = sorted(line.x0 for line in body)[allowed]
        right = sorted((line.x1 for line in body), reverse=True)[allowed]
        strips = [s for s in strips if s.x0 > left and s.x1 < right]
    strips = [s for s in strips if not any_within(walls, s.x0 - em, s.x1 + em)]
    strips += [
        Gutter(x, x, True) for x, later in zip(walls, [*walls[1:], inf], strict=False) if later > x + em
    ]
    return sorted(strips, key=lambda s: s.middle)


def _strength(
    body: Sequence[Line],
    middles: Sequence[Sequence[float]],
    gutter: Gutter,
    sides: tuple[float, float],
    em: float,
    usual: float,
) -> float:
    """At least 1 where the gutter parts two columns, that reach to `sides`, rather than words of one."""
    if gutter.wall:
        return 1e9
    left, right = sides
    middle = gutter.middle
    gaps: list[float] = []
    values = 0
    for line, xs in zip(body, middles, strict=True):
        k = bisect_right(xs, middle)
        if 0 < k < len(xs) and xs[k - 1] > left and xs[k] < right:
            before, after = line.words[k - 1], line.words[k]
            gaps.append((after.x0 - before.x1) / em)
            values += is_value(before.text) and is_value(after.text)
    clear = (gutter.x1 - gutter.x0) / em
    if not gaps:
        return clear
    gap = median(gaps)
    if values * 5 >= len(gaps) * 3 and len(gaps) >= 2:
        least = _BETWEEN_VALUES
    else:
        least = next(needed for lines, needed in _BETWEEN_WORDS if len(gaps) >= lines)
    return min(clear / least.clear, gap / max(least.gap, least.spaces * usual))


CURRENCY = frozenset({"$", "€", "£", "¥", "US$", "USD", "EUR", "GBP", "CHF", "RM", "Rs.", "("})
_CLOSING = frozenset({"%", ")", "*", "**", "***", "†", "‡", "€", "$", "‰"})


def _join_signs(body: Sequence[Line], gutters: list[Gutter], em: float) -> list[Gutter]:
    """Without columns that hold nothing but a currency or percent sign: they belong to their number."""
    middles = [g.middle for g in gutters]
    columns: list[set[str]] = [set() for _ in range(len(gutters) + 1)]
    for line in body:
        for w in line.words:
            columns[bisect_left(middles, (w.x0 + w.x1) / 2)].add(w.text)
    gone: set[int] = set()
    for i, texts in enumerate(columns):
        if texts and texts <= CURRENCY and i < len(gutters) and not gutters[i].wall:
            gone.add(i)
        elif texts and texts <= _CLOSING and i > 0 and gutters[i - 1].x1 - gutters[i - 1].x0 < 0.7 * em:
            gone |= set() if gutters[i - 1].wall else {i - 1}
    return [g for i, g in enumerate(gutters) if i not in gone]
