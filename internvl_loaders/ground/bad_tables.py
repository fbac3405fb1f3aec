"""A table whose figures do not come out or whose rows are ragged, and another reading of it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from internvl_loaders.document import Block, Cell, Table
from internvl_loaders.ground.changes import SOURCE, with_table
from internvl_loaders.ground.checks import check
from internvl_loaders.ground.readings import key
from internvl_loaders.transcribe.answer.blocks import blocks
from internvl_loaders.values import Dispute

MOST_ANSWERED = 200_000
LEAST_RAGGED = 0.1
"""Share of the rows, and two, whose cells are too few for the columns, of a table that is ragged."""
LEAST_SHARED = 0.7
"""Share of the texts of either table that the other has too: else it is another one."""


def better_table(block: Block, answer: str) -> Block | None:
    """The block with the table of `answer`, where its figures come out as often and fewer are wrong, or fewer
    rows are too short.

    Cells keep the boxes of those they stand for.
    """
    old = block.table
    if old is None or len(answer) > MOST_ANSWERED:
        return None
    new = next((found.table for found in blocks(answer) if found.table is not None), None)
    if new is None or not _is_same_table(old, new):
        return None
    read = with_table(block, _boxed(new.cells, old), new)
    before, after = check([block]), check([read])
    gains = len(before.findings) - len(after.findings), len(_short(old)) - len(_short(new))
    return read if after.held >= before.held and min(gains) >= 0 < max(gains) else None


def ragged(blocks: Sequence[Block]) -> list[int]:
    """Blocks whose tables are."""
    return [
        number
        for number, block in enumerate(blocks)
        if block.table is not None and len(_short(block.table)) >= max(2, LEAST_RAGGED * block.table.rows)
    ]


def _short(table: Table) -> list[int]:
    """Rows with places that no cell covers; one with a single cell is a heading within the table."""
    places = Counter(row for cell in table.cells for row, _ in cell.places)
    cells = Counter(cell.row for cell in table.cells)
    return [row for row in range(table.rows) if places[row] < table.cols and cells[row] > 1]


def _is_same_table(old: Table, new: Table) -> bool:
    """Columns may have been joined or parted, and rows lost or doubled, but most texts are the same."""
    if abs(old.cols - new.cols) > 2 or not 0.7 * old.rows - 1 <= new.rows <= 1.5 * old.rows + 2:
        return False
    one, two = (Counter(key(cell.text) for cell in table.cells if cell.text.strip()) for table in (old, new))
    shared = (one & two).total()
    return shared >= LEAST_SHARED * max(min(one.total(), two.total()), 1)


def _boxed(cells: Sequence[Cell], old: Table) -> list[Cell]:
    """By place where the grids are alike, by a text that both have once where they are not."""
    alike = (old.rows, old.cols) == (len({c.row for c in cells}), max(c.col + c.col_span for c in cells))
    places = {(cell.row, cell.col): cell for cell in old.cells}
    texts = Counter(cell.text for cell in old.cells)
    once = {cell.text: cell for cell in old.cells if texts[cell.text] == 1}
    found = []
    for cell in cells:
        known = places.get((cell.row, cell.col)) if alike else once.get(cell.text)
        same = known is not None and known.text == cell.text
        update: dict[str, object] = {"source": "" if same else SOURCE}
        if known is not None:
            update |= {"box": known.box, "confidence": known.confidence if same else None}
            update |= {"source": known.source} if same else {}
        found.append(cell.model_copy(update=update))
    return found


def moved(dispute: Dispute, table: Table) -> Dispute:
    """Where the token of `dispute` stands in a table that was read again; nowhere if that has neither it nor
    what the witness reads there."""
    cells = sorted(
        table.cells,
        key=lambda c: (abs(c.row - (dispute.row or 0)), abs(c.col - (dispute.col or 0))),
    )
    near = [cell for cell in cells if abs(cell.row - (dispute.row or 0)) < 2]
    now = dispute.text if dispute.settled is None else dispute.settled
    for text in filter(None, (now, dispute.witness)):
        for cell in near:
            if text in cell.text:
                settled = dispute.settled if text == now else text
                place = {"row": cell.row, "col": cell.col, "start": cell.text.index(text)}
                return dispute.model_copy(update={**place, "settled": settled})
    return dispute.model_copy(update={"row": None, "col": None, "start": None, "settled": None})
