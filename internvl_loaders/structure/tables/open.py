"""Tables without drawn cells: columns from gutters, rows from lines, headings from their places."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

from internvl_loaders.content import Rect, Ruling
from internvl_loaders.structure.tables.columns import Columns, by_width, columns_of
from internvl_loaders.structure.tables.grid import Grid, GridCell, compact, header_rows
from internvl_loaders.structure.tables.gutters import gutters_of
from internvl_loaders.structure.tables.header import HeaderPiece, header_cells, header_lines
from internvl_loaders.structure.tables.pieces import cell_pieces
from internvl_loaders.structure.tables.rows import row_groups
from internvl_loaders.structure.tables.words import Line, Piece, Word, is_value, lines_of


def open_grid(
    words: Sequence[Word], rect: Rect, across: Sequence[Ruling], walls: Sequence[float] = ()
) -> Grid | None:
    """The words of a region as a grid; None where they form no two columns."""
    lines = lines_of(words)
    gutters = gutters_of(lines, walls) if len(lines) > 1 else []
    if not gutters:
        return None
    columns = columns_of(lines, gutters)
    full, partial = by_width(across, rect, columns)
    pieces = cell_pieces(lines, columns, partial)
    head = header_lines(lines, pieces, full)
    cells, levels = header_cells(
        [
            [HeaderPiece(*columns.spread(p.x0, p.x1), p, line.y0, line.y1) for p in row]
            for line, row in zip(lines[:head], pieces[:head], strict=True)
        ],
        columns.text,
        [*partial, *full],
        columns.em,
    )
    cells += _body_cells(lines[head:], pieces[head:], columns, full, levels)
    grid = compact(
        Grid(
            rect,
            rows=max((p.row + p.row_span for p in cells), default=0),
            cols=len(columns),
            cells=cells,
            header=levels,
            ruled=False,
            leaders=[word for line in lines for word in line.leaders],
            framed=_framed(lines, head, full),
        )
    )
    if not grid.cells:
        return None
    if not grid.header:
        grid.header = header_rows(grid)
    return grid


def _body_cells(
    lines: Sequence[Line],
    pieces: Sequence[Sequence[Piece]],
    columns: Columns,
    full: Sequence[float],
    top: int,
) -> list[GridCell]:
    """The cells below the headings, the first row being row `top`; `full` are the y of rulings over all."""
    by_line = [_line_cells(row, columns) for row in pieces]
    words = [{first: found for first, _, found in row} for row in by_line]
    middles = [line.middle for line in lines]
    ruled = {bisect_left(middles, y) - 1 for y in full}
    cells: list[GridCell] = []
    for r, (begin, end) in enumerate(row_groups(lines, words, ruled, columns.limits()), start=top):
        row: dict[int, GridCell] = {}
        for first, last, words_of_line in (c for line in by_line[begin : end + 1] for c in line):
            cell = row.setdefault(first, GridCell(r, first))
            cell.words += words_of_line
            cell.col_span = max(cell.col_span, last - first + 1)
        _unlap(row)
        if row.keys() == {0} and begin - 1 in ruled and end in ruled and len(columns) > 2:
            row[0].col_span = len(columns)  # a title between rulings
        cells += row.values()
    return cells


def _framed(lines: Sequence[Line], head: int, full: Sequence[float]) -> bool:
    """Whether rulings stand above the headings, below them, and below the last line."""
    return 0 < head < len(lines) and all(
        any(a < y < b for y in full)
        for a, b in (
            (lines[0].y0 - 2 * lines[0].em, lines[0].middle),
            (lines[head - 1].middle, lines[head].middle),
            (lines[-1].middle, lines[-1].y1 + 2 * lines[-1].em),
        )
    )


def _line_cells(pieces: Sequence[Piece], columns: Columns) -> list[tuple[int, int, list[Word]]]:
    """(first column, last column, words) of the cells of one line."""
    cells: list[tuple[int, int, list[Word]]] = []
    for piece in pieces:
        first, last = columns.spread(piece.x0, piece.x1)
        if first == 0:  # a label may run into columns that are empty on its line
            last = 0
        if cells and cells[-1][1] >= first:
            before = cells[-1]
            before[2].extend(piece.words)
            cells[-1] = (before[0], max(before[1], last), before[2])
        else:
            cells.append((first, last, list(piece.words)))
    if len(pieces) == 1 and len(columns) > 2:  # a heading centred between the rows
        piece = pieces[0]
        for first in (1, 0):
            a, b = columns.text[first][0], columns.text[-1][1]
            off = abs((piece.x0 + piece.x1) / 2 - (a + b) / 2)
            if off < 0.03 * (b - a) and piece.x0 > a + columns.em and not is_value(piece.text):
                return [(first, len(columns) - 1, list(piece.words))]
    return cells


def _unlap(row: dict[int, GridCell]) -> None:
    """Ends each cell before the next one of its row begins."""
    starts = sorted(row)
    for c, following in pairwise(starts):
        row[c].col_span = min(row[c].col_span, following - c)
