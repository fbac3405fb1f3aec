"""A region's words laid out as rows, columns and spanning cells."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from internvl_loaders.content import Rect
from internvl_loaders.structure.tables.words import Word, bounds, is_value

MAX_HEADER_ROWS = 6


@dataclass(slots=True)
class GridCell:
    """A cell in the making."""

    row: int
    col: int
    row_span: int = 1
    col_span: int = 1
    words: list[Word] = field(default_factory=list)

    @property
    def text(self) -> str:
        if len(self.words) == 1:  # most have one
            return self.words[0].text
        return " ".join([w.text for w in self.words])


@dataclass(slots=True)
class Grid:
    """`header` leading rows hold column headings; `ruled` where drawn lines make the cells."""

    rect: Rect
    rows: int
    cols: int
    cells: list[GridCell]
    header: int
    ruled: bool
    leaders: list[Word] = field(default_factory=list)
    """Dotted leaders: consumed, but no text."""
    framed: bool = False
    """Rulings stand above and below the headings and at the end."""

    def filled(self) -> list[GridCell]:
        return [p for p in self.cells if p.words]

    def body(self) -> list[GridCell]:
        return [p for p in self.cells if p.words and p.row >= self.header]

    def words(self) -> list[Word]:
        return [w for p in self.cells for w in p.words]


def compact(grid: Grid) -> Grid:
    """Without rows and columns in which no cell begins or ends with text of its own."""
    rows = sorted({r for p in grid.filled() for r in (p.row, p.row + p.row_span - 1)})
    cols = sorted({c for p in grid.filled() for c in (p.col, p.col + p.col_span - 1)})
    cells = []
    for p in grid.filled():
        top, bottom = bisect_left(rows, p.row), bisect_left(rows, p.row + p.row_span)
        left, right = bisect_left(cols, p.col), bisect_left(cols, p.col + p.col_span)
        cells.append(GridCell(top, left, bottom - top, right - left, p.words))
    header = sum(r < grid.header for r in rows)
    return replace(grid, rows=len(rows), cols=len(cols), cells=cells, header=header)


def trimmed(grid: Grid) -> Grid:
    """Without a title above and notes below: leading and trailing rows of one cell over all columns."""
    first, last = 0, grid.rows
    by_row = _by_row(grid)
    while last - first > 2 and (p := _whole(grid, by_row[first])):
        first = p.row + p.row_span
    while last - first > 2 and (p := _whole(grid, by_row[last - 1])):
        last = p.row
    if (first, last) == (0, grid.rows):
        return grid
    kept = [p for p in grid.cells if first <= p.row < last]
    if not kept:
        return grid
    ends = bounds(w for p in kept for w in p.words)
    rect = Rect(
        grid.rect.x0,
        ends.y0 if first else grid.rect.y0,
        grid.rect.x1,
        ends.y1 if last < grid.rows else grid.rect.y1,
    )
    for p in kept:
        p.row -= first
    return replace(grid, rect=rect, rows=last - first, cells=kept, header=max(grid.header - first, 0))


def _by_row(grid: Grid) -> list[list[GridCell]]:
    by_row: list[list[GridCell]] = [[] for _ in range(grid.rows)]
    for p in grid.cells:
        for r in range(p.row, p.row + p.row_span):
            by_row[r].append(p)
    return by_row


def _whole(grid: Grid, found: Sequence[GridCell]) -> GridCell | None:
    """The row's only cell, if it goes from the first column to the last."""
    if len(found) == 1 and found[0].col_span == grid.cols and grid.cols > 1:
        return found[0]
    return None


def header_rows(grid: Grid) -> int:
    """Leading rows of headings, told by spans, bold type, and words above numbers."""
    by_row = _by_row(grid)
    bold = [all(w.bold for p in row for w in p.words) for row in by_row]
    count = 0
    while count < min(grid.rows - 1, MAX_HEADER_ROWS):
        row = by_row[count]
        set_off = len(row) > 1 and bold[count] and not all(bold)
        heads_values = count == 0 and len(row) > 1 and _stands_above_values(by_row)
        if not (set_off or heads_values or _has_span(row) or _is_reached_into(row, count)):
            break
        count += 1
    return count


def _has_span(row: list[GridCell]) -> bool:
    return any(p.col_span > 1 and p.col > 0 for p in row)


def _is_reached_into(row: list[GridCell], number: int) -> bool:
    """A cell of the row above goes down into it, or one of the first row goes on below."""
    return any(p.row < number or (number == 0 and p.row_span > 1) for p in row)


def _stands_above_values(by_row: Sequence[list[GridCell]]) -> bool:
    """Whether the first row is of words or years, or values are as rare below it."""
    values = [_value_share(row) for row in by_row]
    below = sum(values[1:]) / max(len(values) - 1, 1)
    return values[0] <= 0.5 or below <= 0.4 or _years(by_row[0])


def _value_share(row: list[GridCell]) -> float:
    cells = [p for p in row if p.col > 0 and p.words]
    return sum(is_value(p.text) for p in cells) / len(cells) if cells else 0.0


def _years(row: list[GridCell]) -> bool:
    cells = [p.text for p in row if p.col > 0]
    return all(len(t) >= 4 and t[:4].isdigit() and t[:2] in ("18", "19", "20") for t in cells)
