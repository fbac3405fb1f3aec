"""Columns of numbers in which one has a letter for a digit, as `1O5.00` and `l2.50`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from internvl_loaders.ground.checks.grid import Grid
from internvl_loaders.ground.checks.letters import DIGITS_OF
from internvl_loaders.ground.checks.numbers import number_in_cell, western
from internvl_loaders.ground.checks.relations import Figure, Flaw

CHECK = "column"
LEAST, SHARE = 4, 0.75
"""Numbers that make a column one of numbers, and their share of its cells."""


def columns(grid: Grid) -> Iterator[Flaw]:
    """Where all have decimals: identifiers may have letters."""
    for col in range(grid.table.cols):
        figures = grid.column(col)
        cells = [
            cell
            for row in range(grid.first, grid.table.rows)
            if (cell := grid.cells[row][col]) is not None and cell.text.strip() and not cell.header
        ]
        if len(figures) < LEAST or len(figures) < SHARE * len(cells):
            continue
        decimals, usual = Counter(figure.decimals for figure in figures).most_common(1)[0]
        if not decimals or usual < len(figures):
            continue
        for cell in cells:
            meant = number_in_cell(western(cell.text).translate(DIGITS_OF), grid.mark)
            if grid.figures[cell.row][col] is None and meant is not None and meant.decimals == decimals:
                text = cell.text[meant.start : meant.start + len(meant.digits)]
                place = (grid.block, cell.row, cell.col, meant.start)
                figure = Figure(*place, text, meant.value, decimals, money=meant.money, box=cell.box)
                told = f"column: {text} stands in a column of numbers"
                yield Flaw(CHECK, told, grid.block, cell.box, ((figure, meant.value),))
