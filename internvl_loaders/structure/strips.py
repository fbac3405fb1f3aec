"""Horizontal strips of a region, and the white columns in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from operator import attrgetter
from typing import NamedTuple

from internvl_loaders.structure.lines import Line

_SHRINK = 0.25
"""Share of its height that an item loses at top and at bottom before strips are sought: OCR boxes
and boxes of tilted lines overlap their neighbours."""

_MOST_GAPS = 64
"""White columns of one strip that count, the widest: what has so many is no text in columns."""


@dataclass(slots=True, eq=False)
class Item:
    """A fragment, or a figure or table (`line` None), which is never cut."""

    x0: float
    y0: float
    x1: float
    y1: float
    line: Line | None = None
    payload: object = None

    @property
    def middle(self) -> float:
        return (self.y0 + self.y1) / 2


class Gap(NamedTuple):
    """A white column; the outer ones of a strip reach to infinity."""

    x0: float
    x1: float

    @property
    def inner(self) -> bool:
        return self.x0 > -inf and self.x1 < inf


class Strip(NamedTuple):
    items: list[Item]
    y0: float
    y1: float


def strips_of(items: list[Item]) -> list[Strip]:
    """Items grouped by shared height, top to bottom."""
    spans = []
    for n, item in enumerate(items):
        shrink = _SHRINK * (item.y1 - item.y0) if item.line else 0.0
        spans.append((item.y0 + shrink, item.y1 - shrink, n, item))
    spans.sort()
    strips: list[Strip] = []
    group: list[Item] = []
    y0, y1 = spans[0][:2]
    for top, bottom, _, item in spans:
        if top >= y1 and group:
            strips.append(Strip(group, y0, y1))
            group, y0 = [], top
        group.append(item)
        if bottom > y1:
            y1 = bottom
    return _zipped([*strips, Strip(group, y0, y1)])


def _zipped(strips: list[Strip]) -> list[Strip]:
    """Three and more strips in turns left and right that touch in height made one: the lines of
    two columns whose baselines lie half a line apart."""
    runs: list[list[Strip]] = []
    for strip in strips:
        if runs and _in_turn(runs[-1][-1], strip):
            runs[-1].append(strip)
        else:
            runs.append([strip])
    zipped: list[Strip] = []
    for run in runs:
        if len(run) > 2:
            zipped.append(Strip([i for s in run for i in s.items], run[0].y0, max(s.y1 for s in run)))
        else:
            zipped += run
    return zipped


def _in_turn(above: Strip, below: Strip) -> bool:
    """Apart in x, not in y."""
    left, right = sorted((above.items, below.items), key=lambda items: min(i.x0 for i in items))
    if max(i.x1 for i in left) > min(i.x0 for i in right):
        return False
    overlap = max(i.y1 for i in above.items) - min(i.y0 for i in below.items)
    return overlap > 0.2 * min(i.y1 - i.y0 for i in below.items)


def gaps_of(items: Sequence[Item], least: float) -> list[Gap]:
    """The white columns beside and among the items, left to right, at least so wide."""
    gaps: list[Gap] = []
    right = -inf
    for item in sorted(items, key=attrgetter("x0")):
        if item.x0 - right >= least:
            gaps.append(Gap(right, item.x0))
        if item.x1 > right:
            right = item.x1
    gaps.append(Gap(right, inf))
    if len(gaps) > _MOST_GAPS:
        least = sorted((g.x1 - g.x0 for g in gaps), reverse=True)[_MOST_GAPS - 1]
        gaps = [g for g in gaps if g.x1 - g.x0 >= least][: _MOST_GAPS - 1] + gaps[-1:]
    return gaps


def common_gaps(some: list[Gap], others: list[Gap], least: float) -> list[Gap]:
    """What two lists of gaps share."""
    common: list[Gap] = []
    i = j = 0
    while i < len(some) and j < len(others):
        x0, x1 = max(some[i].x0, others[j].x0), min(some[i].x1, others[j].x1)
        if x1 - x0 >= least:
            common.append(Gap(x0, x1))
        if some[i].x1 < others[j].x1:
            i += 1
        else:
            j += 1
    return common
