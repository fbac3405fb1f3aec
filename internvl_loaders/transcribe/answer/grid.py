"""Rows of cells with spans to a grid in which no two overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from internvl_loaders.document import MAX_PLACES, Block, Cell, Table

MAX_SPAN = 1000
"""Columns one cell may span, as in HTML."""


@dataclass(frozen=True, slots=True)
class AnswerCell:
    """A cell as it was written. `row_span` 0 is to the end of the table."""

    text: str
    row_span: int = 1
    col_span: int = 1
    header: bool = False


def table_of(rows: Sequence[Sequence[AnswerCell]]) -> Table | None:
    """Each cell at the first free place of its row, spans cut short where they would overlap or leave
    the table. None where there is no cell, or spans or rows would need too many places."""
    if not any(rows):
        return None
    plain = [[replace(cell, row_span=1, col_span=1) for cell in row] for row in rows]
    for spanning in (rows, plain):
        cells = _placed(spanning)
        if cells is not None:
            cols = max(cell.col + cell.col_span for cell in cells)
            return Table(rows=len(rows), cols=cols, cells=tuple(cells))
    return None


def _placed(rows: Sequence[Sequence[AnswerCell]]) -> list[Cell] | None:
    """None where the grid would have more than MAX_PLACES places."""
    cells: list[Cell] = []
    taken: set[tuple[int, int]] = set()
    width = 0
    for row, written in enumerate(rows):
        col = 0
        for cell in written:
            while (row, col) in taken:
                col += 1
            tall = min(cell.row_span or len(rows), len(rows) - row)
            wide = 1
            while wide < min(cell.col_span, MAX_SPAN) and (row, col + wide) not in taken:
                wide += 1
            width = max(width, col + wide)
            if width * len(rows) > MAX_PLACES or len(taken) + tall * wide > MAX_PLACES:
                return None
            places = [(r, c) for r in range(row, row + tall) for c in range(col, col + wide)]
            if any(place in taken for place in places):
                tall = 1
                places = [(row, c) for c in range(col, col + wide)]
            taken.update(places)
            cells.append(
                Cell(row=row, col=col, row_span=tall, col_span=wide, text=cell.text, header=cell.header)
            )
            col += wide
    return cells


def table_block(table: Table) -> Block:
    """With the cells' texts row by row, as for tables that were found on a page."""
    by_row: dict[int, list[str]] = {}
    for cell in table.cells:
        by_row.setdefault(cell.row, []).append(cell.text)
    return Block(type="table", text="\n".join("\t".join(texts) for texts in by_row.values()), table=table)
