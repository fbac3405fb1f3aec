"""Cells that a transcription has in another column than the page: a debit among the deposits."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from internvl_loaders.document import Table
from internvl_loaders.ground.tokens import has_digit
from internvl_loaders.values import Box, Cell, Finding

_CELLS = 3
"""Figures of a column, with boxes, from which its place is known."""


def misplaced(block: int, table: Table) -> Iterator[Finding]:
    """Figures that do not stand below the others of their column, but below those of another."""
    figures: dict[int, list[tuple[Cell, Box]]] = {}
    for cell in table.cells:
        if cell.box is not None and cell.confidence and cell.col_span == 1 and has_digit(cell.text):
            figures.setdefault(cell.col, []).append((cell, cell.box))
    for col, cells in figures.items():
        for cell, box in cells:
            own = _place([b for c, b in cells if c is not cell])
            if own is None or _shared(box, own) > 0:
                continue
            places = ((other, _place([b for _, b in figures[other]])) for other in figures if other != col)
            under = [other for other, place in places if place is not None and _shared(box, place) >= 0.5]
            if len(under) == 1:
                text = f"{cell.text!r} is in column {col + 1} and stands under column {under[0] + 1}"
                yield Finding(check="column", text=text, block=block, box=box)


def _place(boxes: list[Box]) -> tuple[float, float] | None:
    if len(boxes) < _CELLS:
        return None
    return median(b.x0 for b in boxes), median(b.x1 for b in boxes)


def _shared(box: Box, place: tuple[float, float]) -> float:
    """The share of the box's width that lies in the place."""
    return max(0.0, min(box.x1, place[1]) - max(box.x0, place[0])) / max(box.x1 - box.x0, 1e-6)
