"""Fragments to printed lines: what stands on one baseline, and stacked formulas in written order."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator, Sequence
from statistics import median

from internvl_loaders.structure.lines import Line, joined

_MOST_NEAR = 8
"""Rows beside which a fragment may stand; on a page with more, words lie about and form no rows."""


class _Row:
    """A row being gathered, its parts by x0."""

    def __init__(self, part: Line) -> None:
        self.parts = [part]
        self.bottom = part.y1
        self.least_height = part.height
        self._starts = [part.x0]

    def nearest(self, x0: float, x1: float) -> Line:
        """The part with the least white between its sides and these, of those whose x0 are next to `x0`."""
        parts = self.parts
        at = bisect(self._starts, x0)
        if at == 0:
            return parts[0]
        before = parts[at - 1]
        if at == len(parts):
            return before
        after = parts[at]
        white, following = x0 - before.x1, after.x0 - x1
        if before.x0 - x1 > white:
            white = before.x0 - x1
        if x0 - after.x1 > following:
            following = x0 - after.x1
        return after if following < white else before

    def add(self, part: Line) -> None:
        at = bisect(self._starts, part.x0)
        self._starts.insert(at, part.x0)
        self.parts.insert(at, part)
        self.bottom = max(self.bottom, part.y1)
        self.least_height = min(self.least_height, part.height)


def rows(parts: Sequence[Line]) -> list[list[Line]]:
    """Fragments grouped by shared baseline, each row left to right, rows top to bottom.

    A fragment goes to the row whose horizontally nearest member it overlaps by half a height, so
    a slight tilt does no harm; fragments above one another are never in one row.
    """
    done: list[_Row] = []
    near: list[_Row] = []
    for part in sorted(parts, key=lambda p: (p.y0 + p.y1, p.x0)):
        x0, y0, x1, y1 = part.x0, part.y0, part.x1, part.y1
        height, width = y1 - y0, x1 - x0
        best: _Row | None = None
        most = 0.5
        near = [row for row in near[-_MOST_NEAR:] if row.bottom >= y0]
        for row in near:
            half = 0.5 * (row.least_height if row.least_height < height else height)
            if row.bottom - y0 <= half and half > 0:  # none of its parts can share so much height
                continue
            other = row.nearest(x0, x1)
            left, right = (other.x0 if other.x0 > x0 else x0), (other.x1 if other.x1 < x1 else x1)
            other_width = other.x1 - other.x0
            if right - left >= 0.5 * (other_width if other_width < width else width) + 0.01:
                continue
            top, bottom = (other.y0 if other.y0 > y0 else y0), (other.y1 if other.y1 < y1 else y1)
            lower = other.y1 - other.y0 if other.y1 - other.y0 < height else height
            overlap = (bottom - top) / lower if lower > 0 else 1.0
            if overlap > most:
                best, most = row, overlap
        if best is None:
            row = _Row(part)
            done.append(row)
            near.append(row)
        else:
            best.add(part)
    done.sort(key=lambda row: median(p.middle for p in row.parts))
    return [row.parts for row in done]


def printed_lines(parts: Sequence[Line], *, written: bool) -> list[Line]:
    """The lines of a column, top to bottom.

    Where stacked fragments (displayed formulas) were `written` in one go but in another order than
    rows would give, that order is kept: it is the logical one.
    """
    if not written:
        return [joined(row) for row in rows(_rejoined(parts))]
    grouped = rows(parts)
    lines: list[Line] = []
    for group in _out_of_order(grouped):
        if len(group) > 1 and _stacked(group):
            lines += _as_written([p for row in group for p in row])
        else:
            lines += [joined(row) for row in group]
    return lines


def _rejoined(parts: Sequence[Line]) -> list[Line]:
    """Pieces of one OCR line that no gutter parted, whole again: tilt cannot scatter them."""
    whole: dict[int, list[Line]] = {}
    for n, part in enumerate(parts):
        number = part.spans[0].line
        whole.setdefault(number if number >= 0 else -1 - n, []).append(part)
    return [
        pieces[0]
        if len(pieces) == 1
        else Line([s for p in sorted(pieces, key=lambda p: p.order) for s in p.spans], pieces[0].order)
        for pieces in whole.values()
    ]


def _out_of_order(grouped: list[list[Line]]) -> Iterator[list[list[Line]]]:
    """The shortest runs of rows such that all of one was written before all of the next."""
    ranks = {p: n for n, p in enumerate(sorted((p for row in grouped for p in row), key=lambda p: p.order))}
    run: list[list[Line]] = []
    count, highest = 0, -1
    for row in grouped:
        run.append(row)
        count += len(row)
        highest = max(highest, *(ranks[p] for p in row))
        if highest < count:
            yield run
            run = []


def _stacked(group: list[list[Line]]) -> bool:
    """A few rows that touch or overlap, as those of a fraction or a matrix do."""
    size = median(p.size for row in group for p in row)
    if len(group) > 12 or any(p.chars > 60 for row in group for p in row):
        return False
    bottom = max(p.y1 for p in group[0])
    for row in group[1:]:
        if min(p.y0 for p in row) - bottom > 0.12 * size:
            return False
        bottom = max(bottom, *(p.y1 for p in row))
    return bottom - min(p.y0 for p in group[0]) < 9 * size


def _as_written(parts: list[Line]) -> list[Line]:
    """Fragments in writing order, a new line wherever writing returns to the left and below."""
    parts.sort(key=lambda p: p.order)
    lines: list[list[Line]] = []
    for part in parts:
        first = lines[-1][0] if lines else None
        if first is None or (
            part.x0 < first.x1 and part.x0 < first.x0 + part.size and part.y0 > first.middle
        ):
            lines.append([])
        lines[-1].append(part)
    return [joined(line) for line in lines]
