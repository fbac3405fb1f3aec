"""Rows of cells with spans to a grid in which no two overlap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from internvl_loaders.document import MAX_PLACES, Block, Box, Cell, Table

MAX_SPAN = 1000
"""Columns one cell may span, as in HTML."""


@dataclass(frozen=True, slots=True)
class AnswerCell:
    """A cell as it was written. `row_span` 0 is to the end of the table."""

    text: str
    row_span: int = 1
    col_span: int = 1
    header: bool = False
    box: Box | None = None


def table_of(rows: Sequence[Sequence[AnswerCell]], notes: list[str]) -> Table | None:
    """Each cell at the first free place of its row, spans cut short where they would overlap or leave
    the table. None where there is no cell, or spans or rows would need too many places. `notes` are told
    what it mended."""
    if not any(rows):
        return None
    mended: list[str] = []
    rows = _parted(_without_empty(rows), mended)
    plain = [[replace(cell, row_span=1, col_span=1) for cell in row] for row in rows]
    for spanning in (rows, plain):
        said: list[str] = []
        cells = _placed(spanning, said)
        if cells is not None:
            cols = max(cell.col + cell.col_span for cell in cells)
            table = Table(rows=len(rows), cols=cols, cells=tuple(cells))
            if spanning is plain and plain != rows:
                said.append("spans that need too many places were left out")
            notes += [*mended, *said, *_filled(table)]
            return table
    return None


def _without_empty(rows: Sequence[Sequence[AnswerCell]]) -> list[Sequence[AnswerCell]]:
    """Without rows that have no cell and that no span reaches."""
    kept: list[Sequence[AnswerCell]] = []
    covered = 0
    for row in rows:
        if row or covered > 0:
            kept.append(row)
        tallest = max((cell.row_span or len(rows) for cell in row), default=0)
        covered = max(covered - 1, tallest - 1)
    while kept and not kept[-1]:
        kept.pop()
    return kept


def _width(row: Sequence[AnswerCell]) -> int:
    return sum(min(cell.col_span, MAX_SPAN) for cell in row)


def _parted(rows: list[Sequence[AnswerCell]], notes: list[str]) -> list[Sequence[AnswerCell]]:
    """Rows that ran into one are parted, and empty cells beyond the last column are gone: told by what most
    rows agree on. Nothing is done where cells are tall."""
    if any(cell.row_span != 1 for row in rows for cell in row):
        return rows
    (usual, count), *_ = Counter(_width(row) for row in rows).most_common(1)
    found: list[Sequence[AnswerCell]] = []
    parted = dropped = 0
    for row in rows:
        width = _width(row)
        agreed = count > 1 and 2 * count > len(rows) and usual > 1
        if agreed and width > usual and width % usual == 0 and len(row) == width:
            found += [row[at : at + usual] for at in range(0, width, usual)]
            parted += 1
            continue
        extra = width - usual
        if agreed and 0 < extra < len(row) and all(not c.text and c.col_span == 1 for c in row[-extra:]):
            row = row[:-extra]
            dropped += 1
        found.append(row)
    if parted:
        notes.append(f"{parted} of a table's rows ran into one another and were parted")
    if dropped:
        notes.append(f"empty cells beyond a table's last column were left out ({dropped} rows)")
    return found


def _placed(rows: Sequence[Sequence[AnswerCell]], notes: list[str]) -> list[Cell] | None:
    """None where the grid would have more than MAX_PLACES places."""
    cells: list[Cell] = []
    taken: set[tuple[int, int]] = set()
    width = cut = 0
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
            cut += tall < cell.row_span or wide < cell.col_span
            taken.update(places)
            cells.append(
                Cell(
                    row=row, col=col, row_span=tall, col_span=wide,
                    text=cell.text, header=cell.header, box=cell.box,
                )
            )  # fmt: skip
            col += wide
    if cut:
        notes.append(f"{cut} of a table's spans overlapped others or left it and were cut short")
    return cells


def _filled(table: Table) -> list[str]:
    """Which rows lack places."""
    places = Counter(row for cell in table.cells for row, _ in cell.places)
    short = [row for row in range(table.rows) if places[row] < table.cols]
    if not short:
        return []
    if len(short) == 1:
        return [f"row {short[0] + 1} of a table was filled up to {table.cols} columns"]
    some = ", ".join(str(row + 1) for row in short[:8]) + (" …" if len(short) > 8 else "")
    return [f"{len(short)} rows of a table were filled up to {table.cols} columns (rows {some})"]


def table_block(table: Table) -> Block:
    """With the cells' texts row by row, as for tables that were found on a page."""
    by_row: dict[int, list[str]] = {}
    for cell in table.cells:
        by_row.setdefault(cell.row, []).append(cell.text)
    return Block(type="table", text="\n".join("\t".join(texts) for texts in by_row.values()), table=table)
