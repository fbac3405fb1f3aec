"""Tables for tests, written as they look."""

from __future__ import annotations

from internvl_loaders.document import Block, Box
from internvl_loaders.transcribe.answer.grid import AnswerCell, table_block, table_of


def grid(text: str, *, head: int = 1, box: Box | None = None) -> Block:
    """A line a row, cells apart by `|`; the first `head` rows are headings. With `box`, cells have places."""
    rows = [[cell.strip() for cell in line.split("|")] for line in text.strip().splitlines()]
    table = table_of([[AnswerCell(cell, header=n < head) for cell in row] for n, row in enumerate(rows)])
    assert table is not None
    if box is not None:
        wide, tall = (box.x1 - box.x0) / table.cols, (box.y1 - box.y0) / table.rows
        cells = [
            cell.model_copy(
                update={
                    "box": Box.of(
                        box.x0 + cell.col * wide,
                        box.y0 + cell.row * tall,
                        box.x0 + (cell.col + 1) * wide,
                        box.y0 + (cell.row + 1) * tall,
                    )
                }
            )
            for cell in table.cells
        ]
        table = table.model_copy(update={"cells": tuple(cells)})
    return table_block(table).model_copy(update={"box": box})


STATEMENT = """
Date | Description | Withdrawals | Deposits | Balance
01/03 | Opening balance | | | 1,000.00
02/03 | Salary | | 2,500.00 | 3,500.00
03/03 | Rent | 1,185.00 | | 2,315.00
04/03 | Groceries | 67.40 | | 2,247.60
05/03 | Refund | | 20.00 | 2,267.60
06/03 | Electricity | 143.15 | | 2,124.45
"""

INVOICE = """
Item | Qty | Unit price | Amount
Paper A4 | 20 | 9.90 | 198.00
Toner | 3 | 61.25 | 183.75
Stapler | 2 | 14.50 | 29.00
Total | | | 410.75
"""
