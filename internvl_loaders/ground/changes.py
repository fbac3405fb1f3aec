"""A token of a page's blocks put right, and all that counts the characters of its text with it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from internvl_loaders.document import Block, Box, Cell, Link, Table, TextSpan
from internvl_loaders.values import Dispute

SOURCE = "crop"
"""Of cells whose text was read on a crop of the page."""

_Marked = TypeVar("_Marked", Link, TextSpan)


def changed(blocks: Sequence[Block], dispute: Dispute, text: str) -> tuple[list[Block], int] | None:
    """With `text` where `dispute` stands, and where it begins in its text; None where that is not there."""
    number = dispute.block
    if number is None or not 0 <= number < len(blocks):
        return None
    block = blocks[number]
    if block.table is None:
        start = _start(block.text, dispute)
        if start is None:
            return None
        new = block.model_copy(
            update={
                "text": _put(block.text, start, dispute.text, text),
                "spans": _shifted(block.spans, start, dispute.text, text),
                "links": _shifted(block.links, start, dispute.text, text),
            }
        )
    else:
        cell = next((c for c in block.table.cells if (c.row, c.col) == (dispute.row, dispute.col)), None)
        start = None if cell is None else _start(cell.text, dispute)
        if cell is None or start is None:
            return None
        put = cell.model_copy(
            update={
                "text": _put(cell.text, start, dispute.text, text),
                "spans": _shifted(cell.spans, start, dispute.text, text),
                "links": _shifted(cell.links, start, dispute.text, text),
                "source": SOURCE,
            }
        )
        new = with_table(block, [put if c is cell else c for c in block.table.cells])
    new = new.model_copy(update={"words": _words(block, dispute, text)})
    return [*blocks[:number], new, *blocks[number + 1 :]], start


def with_table(block: Block, cells: Sequence[Cell], table: Table | None = None) -> Block:
    """A table's block with other cells; its text is theirs, row by row."""
    known = table or block.table
    assert known is not None
    by_row: dict[int, list[str]] = {}
    for cell in cells:
        by_row.setdefault(cell.row, []).append(cell.text)
    text = "\n".join("\t".join(texts) for texts in by_row.values())
    return block.model_copy(update={"text": text, "table": known.model_copy(update={"cells": tuple(cells)})})


def _start(text: str, dispute: Dispute) -> int | None:
    at = dispute.start
    if at is not None and text.startswith(dispute.text, at):
        return at
    return text.index(dispute.text) if text.count(dispute.text) == 1 else None


def _put(text: str, start: int, old: str, new: str) -> str:
    return text[:start] + new + text[start + len(old) :]


def _shifted(marked: Sequence[_Marked], start: int, old: str, new: str) -> tuple[_Marked, ...]:
    """What ends or begins within the token goes to its end or beginning."""
    more, end = len(new) - len(old), start + len(old)

    def moved(at: int, inside: int) -> int:
        return at if at <= start else at + more if at >= end else inside

    found = []
    for mark in marked:
        update: dict[str, object] = {
            "start": moved(mark.start, start),
            "end": moved(mark.end, start + len(new)),
        }
        if isinstance(mark, Link) and mark.start <= start and end <= mark.end:
            update["text"] = _put(mark.text, start - mark.start, old, new)
        found.append(mark.model_copy(update=update))
    return tuple(found)


def _words(block: Block, dispute: Dispute, text: str) -> tuple[object, ...]:
    return tuple(
        word.model_copy(update={"text": word.text.replace(dispute.text, text, 1)})
        if dispute.text in word.text and (dispute.box is None or _meet(word.box, dispute.box))
        else word
        for word in block.words
    )


def _meet(one: Box, two: Box) -> bool:
    return one.x0 <= two.x1 and two.x0 <= one.x1 and one.y0 <= two.y1 and two.y0 <= one.y1
