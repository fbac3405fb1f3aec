"""Lattices whose rulings part rows in some columns only, or columns in some rows only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from internvl_loaders.content import Rect
from internvl_loaders.structure.tables.grid import GridCell
from internvl_loaders.structure.tables.prose import without_prose
from internvl_loaders.structure.tables.rulings import TOUCH, Axis, Lattice
from internvl_loaders.structure.tables.words import PIECE_GAP, Line, Word, is_value, lines_of

LEAST_ROWS = 3
"""Rows that a cell with text must go over, to be those rows' cells; fewer where all is values."""
OVER = 0.25
"""Ems by which a line may reach over the border of its row."""
LABELLED = 0.8
"""Share of the rows beside a lattice that have their label there."""
LEAST_BREAKS = 0.6
"""Share of the borders at which the text above has come to an end."""


def parted(cells: Sequence[GridCell], xs: Axis, ys: Axis) -> list[GridCell]:
    """The cells, with those cut into rows or columns whose text stands in the rows or columns of the
    cells beside or above them."""
    filled = {c.row for c in cells if c.row_span == 1 and c.words}
    done: list[GridCell] = []
    for cell in cells:
        rows = _in_rows(cell, xs, ys, filled) if cell.row_span > 1 and cell.words else None
        for part in rows or [cell]:
            done += _in_columns(part, xs) or [part]
    return done


def _in_rows(cell: GridCell, xs: Axis, ys: Axis, filled: set[int]) -> list[GridCell] | None:
    rows: dict[int, list[Line]] = {}
    for line in lines_of(cell.words):
        row = ys.index_at(line.middle)
        over = max(ys.at[row] - line.y0, line.y1 - ys.at[row + 1])
        inset = (line.height - line.em) / 2  # boxes are taller than letters
        if over - max(inset, 0.0) > OVER * line.em:
            return None
        rows.setdefault(row, []).append(line)
    own = range(cell.row, cell.row + cell.row_span)
    if len(rows) < 2 or any(r in filled and r not in rows for r in own):
        return None
    texts = [[w for line in rows[r] for w in line.words] for r in sorted(rows)]
    if not all(is_value(_text(words)) for words in texts):
        limit = xs.at[cell.col + cell.col_span]
        ends = [_ends(above[-1], rows[below][0], limit) for above, below in _borders(rows)]
        if len(rows) < LEAST_ROWS or sum(ends) < LEAST_BREAKS * len(ends):
            return None
    return [
        GridCell(r, cell.col, 1, cell.col_span, words) for r, words in zip(sorted(rows), texts, strict=True)
    ]


def _borders(rows: dict[int, list[Line]]) -> Iterator[tuple[list[Line], int]]:
    for above, below in pairwise(sorted(rows)):
        yield rows[above], below


def _ends(above: Line, below: Line, limit: float) -> bool:
    """Whether the line above need not have ended where it does: the next word had room, or begins anew."""
    first = below.words[0]
    if first.text[0].islower():
        return False
    return above.x1 + first.x1 - first.x0 + 0.5 * above.em < limit or not first.text[0].isalpha()


def _in_columns(cell: GridCell, xs: Axis) -> list[GridCell] | None:
    """Values that stand one in each of the columns that the cell goes over."""
    if cell.col_span == 1 or len(cell.words) < cell.col_span:
        return None
    columns: dict[int, list[Word]] = {}
    for w in cell.words:
        at = xs.index_at((w.x0 + w.x1) / 2)
        if not xs.at[at] <= w.x0 < w.x1 <= xs.at[at + 1]:
            return None
        columns.setdefault(at, []).append(w)
    if len(columns) < cell.col_span or not all(is_value(_text(words)) for words in columns.values()):
        return None
    for left, right in pairwise(sorted(columns)):
        gap = min(w.x0 for w in columns[right]) - max(w.x1 for w in columns[left])
        if gap < PIECE_GAP * columns[left][0].em:
            return None
    return [GridCell(cell.row, c, cell.row_span, 1, columns[c]) for c in sorted(columns)]


def _text(words: Sequence[Word]) -> str:
    return " ".join(w.text for w in words)


def with_labels(lattice: Lattice, inside: Sequence[Word], left: Sequence[Word]) -> Lattice:
    """The lattice, reaching over what stands to its `left` where its rows of values have their labels
    there, one line each."""
    rect = lattice.rect
    left = [w for w in left if w.x1 <= rect.x0 + OVER * w.em]
    ys = Axis([(r.y0, r.x0, r.x1) for r in lattice.across], rect.y0, rect.y1)
    if not inside or not LEAST_ROWS <= len(ys) <= 2 * len(left) or not _starts_with_values(lattice, inside):
        return lattice
    labels = lines_of(left)
    values = {ys.index_at(line.middle): line for line in lines_of(inside)}
    level = {
        row
        for row, line in ((ys.index_at(line.middle), line) for line in labels)
        if row in values and abs(values[row].middle - line.middle) < OVER * line.em
    }
    if len(level) < LEAST_ROWS or len(level) < LABELLED * max(len(values), len(labels)):
        return lattice
    led = sum(bool(line.leaders) for line in labels) * 2 > len(labels)
    if not led and len(without_prose(left)) < len(left):
        return lattice
    x0 = min(line.x0 for line in labels) - labels[0].em
    return Lattice(Rect(x0, rect.y0, rect.x1, rect.y1), lattice.across, lattice.down)


def _starts_with_values(lattice: Lattice, inside: Sequence[Word]) -> bool:
    """Whether the first column has no labels of its own."""
    rect = lattice.rect
    limit = min((r.x0 for r in lattice.down if r.x0 > rect.x0 + TOUCH), default=rect.x1)
    first = lines_of(w for w in inside if (w.x0 + w.x1) / 2 < limit)
    values = sum(is_value(" ".join(w.text for w in line.words)) for line in first)
    return values >= LABELLED * len(first)
