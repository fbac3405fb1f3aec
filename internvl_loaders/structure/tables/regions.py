"""Where tables without drawn cells may be: between rulings of equal width, and in runs of aligned lines."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from internvl_loaders.content import Rect, Ruling
from internvl_loaders.structure.tables.breaks import in_other_columns, parts_of
from internvl_loaders.structure.tables.prose import without_prose
from internvl_loaders.structure.tables.rulings import between
from internvl_loaders.structure.tables.runs import CAPTION, headings_start, run_end
from internvl_loaders.structure.tables.words import Row, Word, bounds, is_data, is_value, rows_of

MAX_STACKS = 40
"""Groups of equally wide rulings looked at on one page."""
MOST_OPEN_STACKS = 256
"""Groups that a ruling may belong to, the latest; on a page with more they are no groups."""
MOST_AROUND = 10
"""How often a page's words are looked at as what stands around some rulings."""


@dataclass(slots=True)
class Region:
    """Words that may be a table, and the rulings across it."""

    rect: Rect
    words: list[Word]
    across: list[Ruling]
    whole: bool = True
    """Nothing was cut off."""


def stacked_regions(words: Sequence[Word], across: Sequence[Ruling]) -> list[Region]:
    """What stands between rulings of about equal left and right ends, as far as it looks like rows."""
    if not words:
        return []
    em = sorted(w.em for w in words)[len(words) // 2]
    wide = [r for r in across if r.x1 - r.x0 > 8 * em]
    words = sorted(words, key=lambda w: w.middle)
    regions: list[Region] = []
    left = MOST_AROUND * len(words) + 10_000
    for stack in _stacks(wide, em):
        x0, x1 = min(r.x0 for r in stack), max(r.x1 for r in stack)
        run = [stack[0]]
        for upper, lower in pairwise(stack):
            band = _inside(words, Rect(x0 - 2, upper.y0, x1 + 2, lower.y0))
            if _is_tabular(band, x1 - x0) if band else lower.y0 - upper.y0 <= 2 * em:
                run.append(lower)
            else:
                left = _between(run, words, across, left, regions)
                run = [lower]
        left = _between(run, words, across, left, regions)
    return regions


def _stacks(rulings: Sequence[Ruling], em: float) -> list[list[Ruling]]:
    stacks: list[list[Ruling]] = []
    for ruling in sorted(rulings, key=lambda r: r.y0):
        for stack in stacks[-MOST_OPEN_STACKS:]:
            slack = max(0.8 * em, 0.03 * (ruling.x1 - ruling.x0))
            if abs(stack[-1].x0 - ruling.x0) < slack and abs(stack[-1].x1 - ruling.x1) < slack:
                stack.append(ruling)
                break
        else:
            stacks.append([ruling])
    return sorted((s for s in stacks if len(s) > 1), key=len, reverse=True)[:MAX_STACKS]


def _between(
    run: Sequence[Ruling], words: Sequence[Word], across: Sequence[Ruling], left: int, found: list[Region]
) -> int:
    """Adds the regions of a run to those found; of the `left` words it may look at, those that are left."""
    if len(run) < 2:
        return left
    rect = Rect(min(r.x0 for r in run), run[0].y0, max(r.x1 for r in run), run[-1].y0)
    around = _inside(words, Rect(rect.x0, rect.y0 - 120, rect.x1, rect.y1 + 1200))
    if len(around) <= left:
        found += _regions_between(run, rect, rows_of(around), across)
    return left - len(around)


def _regions_between(
    run: Sequence[Ruling], rect: Rect, near: Sequence[Row], across: Sequence[Ruling]
) -> list[Region]:
    """The regions between the first and the last ruling of a run, with what goes on above and below."""
    first = sum(row.line.middle < rect.y0 for row in near)
    last = sum(row.line.middle < rect.y1 for row in near)
    if first == last:
        return []
    open_end = not any(is_data(row) for row in near if run[-2].y0 < row.line.middle < rect.y1)
    if open_end and last < len(near) and near[last].line.y0 - rect.y1 < 2 * near[last].line.em:
        begin = last + 1 if len(near[last].pieces) == 1 else last
        if begin < len(near) and len(near[begin].pieces) > 1:
            last = run_end(near, begin, ())
    if first and _has_headings(near[first - 1], near[first:last], rect.y0):
        first -= 1
    elif is_data(near[first]):
        first = headings_start(near, first, last, (), 0)
    return _regions(near[first:last], across, rect)


def _has_headings(row: Row, below: Sequence[Row], ruling: float) -> bool:
    """Whether the row on the ruling has the headings of the rows of values below it, the first of which
    may follow a line of text."""
    lead = next((r for r in below[:2] if len(r.pieces) > 1), None)
    if lead is None or not is_data(lead) or not 2 < len(row.pieces) == len(lead.pieces):
        return False
    words = not any(is_value(p.text) for p in row.pieces)
    return words and ruling - row.line.y1 < row.line.em and not in_other_columns(row, [lead], row.line.em)


def _regions(rows: Sequence[Row], across: Sequence[Ruling], ruled: Rect | None = None) -> list[Region]:
    """The rows, parted where something else begins; `ruled` is what the rulings around them enclose."""
    inside = [w for row in rows for w in row.words]
    near = rulings_in(across, _around(bounds(inside), ruled, rows[0].line.em))
    parts = parts_of(rows, near)
    regions = []
    for part in parts:
        words = [w for row in rows[part.first : part.last] for w in row.words]
        whole = part == parts[0] and part.first == 0 and part.last == len(rows)
        rect = _around(bounds(words), ruled if whole else None, rows[part.first].line.em)
        regions.append(Region(rect, words, rulings_in(near, rect), whole))
    return regions


def _around(rect: Rect, ruled: Rect | None, em: float) -> Rect:
    if ruled is None:
        return Rect(rect.x0 - em, rect.y0 - em, rect.x1 + em, rect.y1 + em)
    return Rect(ruled.x0, min(ruled.y0, rect.y0), ruled.x1, max(ruled.y1, rect.y1))


def rulings_in(across: Sequence[Ruling], rect: Rect) -> list[Ruling]:
    return [
        r
        for r in between(across, rect.y0 - 1, rect.y1 + 1)
        if min(r.x1, rect.x1) - max(r.x0, rect.x0) > 0.5 * (r.x1 - r.x0)
    ]


def _inside(words: Sequence[Word], rect: Rect) -> list[Word]:
    """Those of the words, sorted by height, that lie in the rectangle."""
    first = bisect_left(words, rect.y0, key=lambda w: w.middle)
    last = bisect_right(words, rect.y1, key=lambda w: w.middle)
    return [w for w in words[first:last] if rect.x0 - w.em <= (w.x0 + w.x1) / 2 <= rect.x1 + w.em]


def _is_tabular(words: Sequence[Word], width: float) -> bool:
    """Whether the lines between two rulings may be rows of a table rather than running text."""
    rows = rows_of(words)
    if any(CAPTION.match(row.text) for row in rows):
        return False
    running = sum(
        len(row.pieces) == 1 and len(row.line.words) > 5 and row.line.x1 - row.line.x0 > 0.6 * width
        for row in rows
    )
    several = sum(len(row.pieces) > 1 for row in rows)
    if several == 0:
        return len(rows) == 1 and rows[0].line.x1 - rows[0].line.x0 < 0.5 * width
    return running * 2 < len(rows)


def run_regions(words: Sequence[Word], across: Sequence[Ruling]) -> list[Region]:
    """Runs of lines with pieces one above the other, with the headings above them."""
    kept = without_prose(words)
    rows = rows_of(kept)
    regions: list[Region] = []
    i = done = 0
    while i < len(rows):
        if len(rows[i].pieces) < 2:
            i += 1
            continue
        end = run_end(rows, i, across)
        several = [r for r in rows[i:end] if len(r.pieces) > 1]
        if len(several) < 2:
            i += 1
            continue
        start = headings_start(rows, i, end, across, done)
        regions += _regions(rows[start:end], across)
        i = end
        if any(is_data(row) for row in several):
            done = end
    return regions
