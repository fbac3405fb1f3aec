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

    def nearest(self, part: Line) -> Line:
        if len(self.parts) == 1:
            return self.parts[0]
        at = bisect(self._starts, part.x0)
        if at == 0 or at == len(self.parts):
            return self.parts[max(at - 1, 0)]
        before, after = self.parts[at - 1], self.parts[at]
        return after if _distance(after, part) < _distance(before, part) else before

    def overlaps(self, part: Line) -> bool:
        """False where none of its parts can share half of the smaller height with `part`."""
        half = 0.5 * min(self.least_height, part.height)
        return self.bottom - part.y0 > half or half <= 0

    def add(self, part: Line) -> None:
        at = bisect(self._starts, part.x0)
        self._starts.insert(at, part.x0)
        self.parts.insert(at, part)
        self.bottom = max(self.bottom, part.y1)
        self.least_height = min(self.least_height, part.height)


def _distance(part: Line, other: Line) -> float:
    """Between their sides; negative where they overlap."""
    return max(part.x0 - other.x1, other.x0 - part.x1)


def rows(parts: Sequence[Line]) -> list[list[Line]]:
    """Fragments grouped by shared baseline, each row left to right, rows top to bottom.

    A fragment goes to the row whose horizontally nearest member it overlaps by half a height, so
    a slight tilt does no harm; fragments above one another are never in one row.
    """
    done: list[_Row] = []
    near: list[_Row] = []
    for part in sorted(parts, key=lambda p: (p.y0 + p.y1, p.x0)):
        best: _Row | None = None
        most = 0.5
        near = [row for row in near[-_MOST_NEAR:] if row.bottom >= part.y0]
        for row in near:
            if not row.overlaps(part):
                continue
            other = row.nearest(part)
            beside = min(other.x1, part.x1) - max(other.x0, part.x0)
            if beside >= 0.5 * min(other.width, part.width) + 0.01:
                continue
            height = min(other.y1 - other.y0, part.y1 - part.y0)
            overlap = (min(other.y1, part.y1) - max(other.y0, part.y0)) / height if height > 0 else 1.0
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
