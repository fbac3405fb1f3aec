"""Tables whose cells are drawn: a lattice of rulings, its missing walls making spanning cells."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import pairwise

from internvl_loaders.structure.tables.grid import Grid, GridCell, compact, header_rows
from internvl_loaders.structure.tables.gutters import gutters_of
from internvl_loaders.structure.tables.open import open_grid
from internvl_loaders.structure.tables.partial import parted
from internvl_loaders.structure.tables.rows import row_groups
from internvl_loaders.structure.tables.rulings import Axis, Lattice
from internvl_loaders.structure.tables.sideways import Numbered, put_into
from internvl_loaders.structure.tables.words import PIECE_GAP, Line, Word, is_value, lines_of

MAX_SLOTS = 20_000
MOST_SPLITS = 100
"""Gutters looked at inside one ruled column."""
_NUMBER = re.compile(r"\d{1,3}[a-z]?")
"""A row's."""
FEW_RULED_ROWS = 3
"""Rows with text up to which rulings part headings, body and sums, and not the rows of the body."""


def lattice_grid(lattice: Lattice, inside: Sequence[Word], sideways: Sequence[Numbered] = ()) -> Grid | None:
    """The lattice's cells with the words inside, and text that runs up or down in the others; a mere
    frame is laid out as if it had no rulings."""
    rect = lattice.rect
    if len(inside) < 2:
        return None
    em = sorted(w.em for w in inside)[len(inside) // 2]
    ys = Axis([(r.y0, r.x0, r.x1) for r in lattice.across], rect.y0, rect.y1)
    xs = Axis([(r.x0, r.y0, r.y1) for r in lattice.down if r.y1 - r.y0 > 0.7 * em], rect.x0, rect.x1)
    if len(xs) * len(ys) > MAX_SLOTS:
        return None
    _drop_thin(xs, [(w.x0 + w.x1) / 2 for w in inside], em)
    _drop_thin(ys, [w.middle for w in inside], 0.6 * em)
    if len(xs) < 2 or _rows_unruled(xs, ys, inside):
        return open_grid(inside, rect, lattice.across, xs.at[1:-1])
    _split_columns(xs, ys, inside)
    _split_rows(xs, ys, inside)
    if len(xs) * len(ys) > MAX_SLOTS:
        return None
    cells, leaders = _filled_cells(xs, ys, inside)
    leaders += put_into(cells, xs, ys, sideways)
    grid = compact(Grid(rect, len(ys), len(xs), cells, 0, True, leaders))
    if not grid.cells:
        return None
    grid.header = header_rows(grid)
    return grid


def _filled_cells(xs: Axis, ys: Axis, words: Sequence[Word]) -> tuple[list[GridCell], list[Word]]:
    """The cells with their words line by line, and dotted leaders apart."""
    cells = _merge_slots(xs, ys)
    slot = {
        (r, c): p
        for p in cells
        for r in range(p.row, p.row + p.row_span)
        for c in range(p.col, p.col + p.col_span)
    }
    leaders: list[Word] = []
    for line in lines_of(words):
        leaders += line.leaders
        for w in line.words:
            slot[ys.index_at(w.middle), xs.index_at((w.x0 + w.x1) / 2)].words.append(w)
    for p in cells:
        if len(p.words) > 1:
            p.words = [w for line in lines_of(p.words) for w in line.words]
    return parted(cells, xs, ys), leaders


def _drop_thin(axis: Axis, at: Sequence[float], least: float) -> None:
    """Takes out intervals without words that are too thin for a cell: double rulings, mostly."""
    ordered = sorted(at)
    for i in range(len(axis) - 1, -1, -1):
        a, b = axis.at[i], axis.at[i + 1]
        if len(axis) > 1 and b - a < least and bisect_left(ordered, a) == bisect_left(ordered, b):
            gone, stays = (i, i + 1) if i else (i + 1, i)
            axis.drawn[stays] = sorted(axis.drawn[stays] + axis.drawn[gone])
            axis.remove(gone)


def _rows_unruled(xs: Axis, ys: Axis, words: Sequence[Word]) -> bool:
    """Whether rulings part columns, and headings from data, but not the rows of the data."""
    if len(ys) > 5:
        return False
    slots: dict[tuple[int, int], list[Word]] = {}
    for w in words:
        slots.setdefault((ys.index_at(w.middle), xs.index_at((w.x0 + w.x1) / 2)), []).append(w)
    stacked: set[int] = set()
    for (row, _), found in slots.items():
        lines = lines_of(found)
        if len(lines) > 3 and sum(is_value(line.words[-1].text) for line in lines) * 5 >= len(lines) * 4:
            if row in stacked:
                return True
            stacked.add(row)
    return False


def _split_columns(xs: Axis, ys: Axis, words: Sequence[Word]) -> None:
    """Adds gutters inside a ruled column where most of its rows have values behind one, or their number
    well before it."""
    columns: list[list[Word]] = [[] for _ in range(len(xs) + 2)]
    for w in words:
        columns[bisect_left(xs.at, (w.x0 + w.x1) / 2)].append(w)
    for c in range(len(xs) - 1, -1, -1):
        lines = lines_of(columns[c + 1])
        if len(lines) < 4:
            continue
        for gutter in gutters_of(lines)[:MOST_SPLITS]:
            right = [[w.text for w in line.words if w.x0 > gutter.middle] for line in lines]
            values = sum(is_value(" ".join(r)) for r in right if r)
            if values >= 4 and values * 5 >= len(lines) * 3:
                xs.add(gutter.middle)
            elif c == 0 and gutter.x1 - gutter.x0 > PIECE_GAP * lines[0].em:
                left = [" ".join(w.text for w in line.words if w.x0 < gutter.middle) for line in lines]
                numbers = sum(
                    bool(_NUMBER.fullmatch(n)) and bool(r) for n, r in zip(left, right, strict=True)
                )
                rows = {ys.index_at(line.middle) for line in lines}
                if numbers >= 4 and numbers * 5 >= len(lines) * 4 and len(rows) == len(lines):
                    xs.add(gutter.middle)


def _split_rows(xs: Axis, ys: Axis, words: Sequence[Word]) -> None:
    """Adds row borders where one ruled row holds several rows of text."""
    bands: list[list[Word]] = [[] for _ in range(len(ys))]
    for w in words:
        bands[ys.index_at(w.middle)].append(w)
    ruled = sum(1 for band in bands if band)
    for r in range(len(bands) - 1, -1, -1):
        lines = lines_of(bands[r])
        if len(lines) < 2:
            continue
        cells = [_by_column(line, xs) for line in lines]
        sparse = ruled <= FEW_RULED_ROWS and r > 0 and len(lines) > 3
        if sparse or _values_are_stacked(cells):
            groups = row_groups(lines, cells, set(), xs.at[1:])
            for (_, last), (first, _) in pairwise(groups):
                ys.add((lines[last].middle + lines[first].middle) / 2)


def _by_column(line: Line, xs: Axis) -> dict[int, list[Word]]:
    row: dict[int, list[Word]] = {}
    for w in line.words:
        row.setdefault(xs.index_at((w.x0 + w.x1) / 2), []).append(w)
    return row


def _values_are_stacked(cells: Sequence[Mapping[int, Sequence[Word]]]) -> bool:
    """Whether columns beside the labels have values on at least half of the lines.

    Half of all such columns; where two have, half of those with any value.
    """
    values = [
        sum(c in row and is_value(" ".join(w.text for w in row[c])) for row in cells)
        for c in sorted({c for row in cells for c in row} - {0})
    ]
    stacked = sum(n > 1 and n * 2 >= len(cells) for n in values)
    among = sum(n > 0 for n in values) if stacked > 1 else len(values)
    return stacked > 0 and stacked * 2 >= among


def _merge_slots(xs: Axis, ys: Axis) -> list[GridCell]:
    """Slots joined to rectangles where the wall between them is missing."""
    runs: list[GridCell] = []
    above: dict[tuple[int, int], GridCell] = {}
    for r in range(len(ys)):
        top, bottom = ys.at[r], ys.at[r + 1]
        current: dict[tuple[int, int], GridCell] = {}
        c = 0
        while c < len(xs):
            end = c + 1
            while end < len(xs) and not xs.wall(end, top, bottom):
                end += 1
            key = (c, end)
            cell = above.get(key)
            if cell is not None and not ys.wall(r, xs.at[c], xs.at[end]):
                cell.row_span += 1
            else:
                cell = GridCell(r, c, 1, end - c)
                runs.append(cell)
            current[key] = cell
            c = end
        above = current
    return runs
