"""Tables for tests, written as they look."""

from __future__ import annotations

from internvl_loaders.document import Block, Box, Cell, Table


def grid(text: str, *, head: int = 1, box: Box | None = None) -> Block:
    """A line a row, cells apart by `|`; the first `head` rows are headings. With `box`, cells have places."""
    rows = [[cell.strip() for cell in line.split("|")] for line in text.strip().splitlines()]
    cols = max(map(len, rows))
    cells = [
        Cell(row=r, col=c, text=cell, header=r < head, box=box and _part(box, r, c, len(rows), cols))
        for r, row in enumerate(rows)
        for c, cell in enumerate(row)
    ]
    table = Table(rows=len(rows), cols=cols, cells=tuple(cells))
    return Block(type="table", text="\n".join("\t".join(row) for row in rows), table=table, box=box)


def _part(box: Box, row: int, col: int, rows: int, cols: int) -> Box:
    wide, tall = (box.x1 - box.x0) / cols, (box.y1 - box.y0) / rows
    x, y = box.x0 + col * wide, box.y0 + row * tall
    return Box.of(x, y, x + wide, y + tall)


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
