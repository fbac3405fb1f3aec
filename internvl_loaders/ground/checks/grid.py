"""Tables as checks see them: figures by row and column, what their headings and rows are called."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from internvl_loaders.document import Block, Cell, Table
from internvl_loaders.ground.checks.numbers import number_in_cell
from internvl_loaders.ground.checks.relations import Figure

MAX_PLACES = 12_000
MAX_COLS = 40
"""Of tables that are looked into; what is larger is not checked."""


@dataclass(frozen=True)
class Grid:
    """`figures[row][col]` of the body's rows, the first of which is `first` of the table."""

    block: int
    table: Table
    mark: str

    @cached_property
    def cells(self) -> list[list[Cell | None]]:
        """By place; a spanning cell at its first place alone."""
        cells: list[list[Cell | None]] = [[None] * self.table.cols for _ in range(self.table.rows)]
        for cell in self.table.cells:
            cells[cell.row][cell.col] = cell
        return cells

    @cached_property
    def figures(self) -> list[list[Figure | None]]:
        return [[self._figure(cell) for cell in row] for row in self.cells]

    def _figure(self, cell: Cell | None) -> Figure | None:
        if cell is None or (cell.header and cell.row < self.table.header_rows):
            return None
        number = number_in_cell(cell.text, self.mark)
        if number is None:
            return None
        return Figure(
            block=self.block,
            row=cell.row,
            col=cell.col,
            start=number.start,
            text=number.digits,
            value=number.value,
            decimals=number.decimals,
            percent=number.percent,
            money=number.money,
            box=cell.box,
        )

    def column(self, col: int) -> list[Figure]:
        return [figure for row in self.figures if (figure := row[col]) is not None]

    @cached_property
    def numeric(self) -> list[int]:
        """Columns with numbers in two rows at least."""
        return [col for col in range(self.table.cols) if len(self.column(col)) > 1]

    @cached_property
    def first(self) -> int:
        """The first row with a figure, below the head."""
        rows = range(self.table.header_rows, self.table.rows)
        return next((row for row in rows if any(self.figures[row])), self.table.rows)

    @cached_property
    def headings(self) -> list[str]:
        """What stands over each column, case folded."""
        found: list[list[str]] = [[] for _ in range(self.table.cols)]
        for cell in self.table.cells:
            if cell.row < self.first:
                for col in range(cell.col, cell.col + cell.col_span):
                    found[col].append(cell.text)
        return [" ".join(texts).casefold() for texts in found]

    @cached_property
    def labels(self) -> list[str]:
        """What each row begins with: its first text that is no number, case folded."""
        return [
            next(
                (
                    cell.text.casefold()
                    for cell, figure in zip(cells, figures, strict=True)
                    if cell is not None and figure is None and re.search(r"[^\W\d]", cell.text)
                ),
                "",
            )
            for cells, figures in zip(self.cells, self.figures, strict=True)
        ]


def grids(blocks: Sequence[Block], mark: str) -> Iterator[Grid]:
    for number, block in enumerate(blocks):
        table = block.table
        if table is not None and table.rows * table.cols <= MAX_PLACES and table.cols <= MAX_COLS:
            yield Grid(number, table, mark)
