"""Reading order: a recursive cut of the page at column gutters and at what spans them.

The page falls into horizontal strips that no item crosses; consecutive strips that share a gutter
form a band, and a band whose sides are columns of their own is cut there. Where the sides are
labels and values (forms, receipts) the band stays whole and is read row by row.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from internvl_loaders.structure.columns import are_columns, side_of
from internvl_loaders.structure.strips import Gap, Item, Strip, common_gaps, gaps_of, strips_of

_LEAST = 0.5
"""The narrowest gap of one strip that counts as a gutter, in font sizes."""
_LEAST_COMMON = 0.15
"""The narrowest gap that the strips of one band may share."""
_LEAST_BESIDE = 3
"""Items on each side of a gutter that others cross."""
_MAX_DEPTH = 12
_MAX_GUTTERS = 12
"""What has more is a table, if anything."""


@dataclass(slots=True)
class Leaf:
    """Items of one column; `closed` if a column border parts it from what comes before and after."""

    items: list[Item]
    closed: bool = False


class _Settings(NamedTuple):
    size: float
    rtl: bool
    written: bool


@dataclass(slots=True)
class Band:
    """Consecutive strips and the gaps they share; no gaps where no gutter runs through them."""

    strips: list[Strip]
    gaps: list[Gap]

    @property
    def items(self) -> list[Item]:
        return [item for strip in self.strips for item in strip.items]


def reading_order(
    items: Sequence[Item], size: float, *, rtl: bool = False, written: bool = True
) -> list[Leaf]:
    """Leaves in order, holding every item once; `size` is the font size of the body text.

    `rtl` is the direction of columns; for `written` see `are_columns`.
    """
    return _cut(list(items), _Settings(size, rtl, written), _MAX_DEPTH)


def _cut(items: list[Item], settings: _Settings, depth: int) -> list[Leaf]:
    if len(items) < 2 or depth == 0:
        return [Leaf(items)] if items else []
    found: list[Leaf] = []

    def add(leaf: Leaf) -> None:
        if found and not leaf.closed and not found[-1].closed:
            found[-1].items.extend(leaf.items)
        else:
            found.append(leaf)

    for band in _bands(strips_of(items), settings.size):
        for part, columns in _columns_of_parts(band, settings):
            if columns:
                for column in reversed(columns) if settings.rtl else columns:
                    for leaf in _cut(column, settings, depth - 1):
                        add(Leaf(leaf.items, closed=True))
            elif len(part.strips) == 1 and (pieces := _without_bridges(part.strips[0].items)):
                for piece in pieces:
                    for leaf in _cut(piece, settings, depth - 1):
                        add(leaf)
            else:
                add(Leaf(part.items))
    return found


def _columns_of_parts(band: Band, settings: _Settings) -> list[tuple[Band, list[list[Item]]]]:
    """The band with its columns; if it has none as a whole, its parts between blank lines."""
    columns = _columns(band, settings)
    if columns or not band.gaps:
        return [(band, columns)]
    parts = [Band([band.strips[0]], band.gaps)]
    for above, strip in zip(band.strips, band.strips[1:], strict=False):
        if strip.y0 - above.y1 > 1.2 * settings.size:
            parts.append(Band([], []))
        parts[-1].strips.append(strip)
    if len(parts) == 1:
        return [(band, [])]
    for part in parts:
        part.gaps = gaps_of(part.items, _LEAST_COMMON * settings.size)
    return [(part, _columns(part, settings)) for part in parts]


def _columns(band: Band, settings: _Settings) -> list[list[Item]]:
    """The band's items cut at those of its gutters that part columns; empty if none does."""
    gutters = [g for g in band.gaps if g.inner]
    if not 0 < len(gutters) <= _MAX_GUTTERS:
        return []
    low = max(i.y1 for s in band.strips for i in s.items) - band.strips[0].y0
    if low < 2 * settings.size:
        return []
    cells: list[list[Item]] = [[] for _ in range(len(gutters) + 1)]
    for item in band.items:
        middle = (item.x0 + item.x1) / 2
        cells[sum(middle > g.x0 for g in gutters)].append(item)
    sides = [side_of([i.line for i in cell if i.line]) for cell in cells]
    columns = [cells[0]]
    for n, gutter in enumerate(gutters):
        width = (gutter.x1 - gutter.x0) / settings.size
        if are_columns(sides[n], sides[n + 1], width, written=settings.written):
            columns.append(cells[n + 1])
        else:
            columns[-1] = columns[-1] + cells[n + 1]
    return columns if len(columns) > 1 else []


def _bands(strips: list[Strip], size: float) -> list[Band]:
    """Maximal runs of strips with a common gutter, and the runs without one between them."""
    bands: list[Band] = []
    for strip in strips:
        gaps = gaps_of(strip.items, _LEAST * size)
        last = bands[-1] if bands else None
        if last and last.gaps:
            common = common_gaps(last.gaps, gaps, _LEAST_COMMON * size)
            kept = sum(g.inner for g in common)
            lost = sum(g.inner for g in last.gaps) - kept
            if kept and not (lost and strip.y0 - last.strips[-1].y1 > size):
                last.strips.append(strip)
                last.gaps = common
                continue
            if tail := _tail(last, strip):
                last = Band(tail, [])
                bands.append(last)
        if any(g.inner for g in gaps):
            band = Band([strip], gaps)
            if last and not last.gaps:
                _absorb(last, band, size)
                if not last.strips:
                    bands.pop()
            bands.append(band)
        elif last and not last.gaps:
            last.strips.append(strip)
        else:
            bands.append(Band([strip], []))
    return bands


def _tail(band: Band, below: Strip) -> list[Strip]:
    """Takes from a band's end what stands left of its gutters and closer to the strip below."""
    edge = min(g.x0 for g in band.gaps if g.inner)
    tail: list[Strip] = []
    while len(band.strips) > 1:
        last = band.strips[-1]
        if any(i.x1 > edge + 0.01 for i in last.items) or below.y0 - last.y1 >= last.y0 - band.strips[-2].y1:
            break
        tail.append(band.strips.pop())
        below = last
    return tail[::-1]


def _absorb(above: Band, band: Band, size: float) -> None:
    """Moves to a band's top what stands directly above it and wholly right of its gutter."""
    taken: list[Strip] = []
    below = band.strips[0]
    while above.strips:
        strip = above.strips[-1]
        edge = min(g.x1 for g in band.gaps if g.inner) - 0.3 * size
        if any(i.x0 < edge for i in strip.items) or below.y0 - strip.y1 > 2 * size:
            break
        common = common_gaps(band.gaps, gaps_of(strip.items, _LEAST * size), _LEAST_COMMON * size)
        if not any(g.inner for g in common):
            break
        below = above.strips.pop()
        taken.append(below)
        band.gaps = common
    band.strips[:0] = taken[::-1]


def _without_bridges(items: list[Item]) -> list[list[Item]]:
    """A strip cut above and below the few items that cross a gutter; empty if there are none."""
    edge = _emptiest_gutter(items)
    if edge is None:
        return []
    bridges = sorted([i for i in items if i.x0 < edge < i.x1], key=lambda i: i.middle)
    middles = [bridge.middle for bridge in bridges]
    beside: list[list[Item]] = [[] for _ in range(len(bridges) + 1)]
    for item in items:
        if not item.x0 < edge < item.x1:
            beside[bisect_left(middles, (item.y0 + item.y1) / 2)].append(item)
    pieces = [beside[0]]
    for bridge, below in zip(bridges, beside[1:], strict=True):
        pieces += ([bridge], below)
    return [p for p in pieces if p]


def _emptiest_gutter(items: Sequence[Item]) -> float | None:
    """The x that the fewest items cross, if there are some; each side of it needs three lines and five
    times as many as cross."""
    if len(items) < 2 * _LEAST_BESIDE + 1:
        return None
    ends = sorted([i.x1 for i in items])
    starts = sorted([i.x0 for i in items])
    count = len(items)
    begun = ended = 0
    best, fewest = None, count
    for edge in sorted(set(ends)):
        while begun < count and starts[begun] < edge:
            begun += 1
        while ended < count and ends[ended] <= edge:
            ended += 1
        crossing, right = begun - ended, count - begun
        if 0 < crossing < fewest and min(ended, right) >= max(_LEAST_BESIDE, 5 * crossing):
            best, fewest = edge, crossing
    return best
