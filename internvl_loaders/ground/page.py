"""A page's blocks held against its witness: boxes, confidences, what is in dispute, what is missing."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from internvl_loaders.document import Block
from internvl_loaders.ground.align import Aligned, align
from internvl_loaders.ground.columns import misplaced
from internvl_loaders.ground.coverage import Coverage, Line, coverage
from internvl_loaders.ground.disputes import Reading, claim_box, differs, dispute, reading
from internvl_loaders.ground.tokens import Atom, Token, atoms, fold, has_digit, tokens
from internvl_loaders.ground.witness import Map, Witness
from internvl_loaders.values import Box, Cell, Dispute, Finding

_SURE_WORD = 0.97
"""Confidence from which a witness's reading of a word without digits is worth a dispute."""
_POOR_PAGE, _SURE_ON_POOR = 0.9, 0.95
"""A page's confidence below which its witness counts only where it is as sure of a word as the second."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A text of a page: a block's, or a cell's."""

    block: int
    cell: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Grounded:
    blocks: tuple[Block, ...]
    disputes: tuple[Dispute, ...] = ()
    findings: tuple[Finding, ...] = ()
    coverage: Coverage | None = None


def ground(blocks: Sequence[Block], witness: Witness) -> Grounded:
    """The blocks as they are, with a box and a confidence (the share of their letters and digits that the
    witness reads the same) wherever the witness has words for them.

    A witness without words says nothing: no confidence, no dispute.
    """
    layout = Map.of(witness)
    if not layout.pieces:
        return Grounded(tuple(blocks))
    units = list(_units(blocks))
    found = [list(atoms(unit.text)) for unit in units]
    aligned = align([atom.text for unit in found for atom in unit], layout)
    starts = _starts(found)
    every = [atom for unit in found for atom in unit]
    covered = coverage(list(_lines(blocks, units, found, starts)), every, aligned, layout, witness)
    page = _Page(units, found, starts, aligned, layout, witness, covered)
    placed = tuple(page.block(number, block) for number, block in enumerate(blocks))
    if covered.elsewhere:
        return Grounded(placed, (), covered.findings, covered)
    tables = ((number, block.table) for number, block in enumerate(placed) if block.table is not None)
    columns = [finding for number, table in tables for finding in misplaced(number, table)]
    return Grounded(placed, tuple(page.disputes(blocks)), (*covered.findings, *columns), covered)


def _units(blocks: Sequence[Block]) -> Iterator[Unit]:
    for number, block in enumerate(blocks):
        if block.table is None:
            yield Unit(number, None, block.text)
        else:
            for place, cell in sorted(enumerate(block.table.cells), key=lambda c: (c[1].row, c[1].col)):
                yield Unit(number, place, cell.text)


def _starts(found: Sequence[Sequence[Atom]]) -> list[int]:
    starts, total = [], 0
    for unit in found:
        starts.append(total)
        total += len(unit)
    return starts


def _lines(
    blocks: Sequence[Block], units: Sequence[Unit], found: Sequence[Sequence[Atom]], starts: Sequence[int]
) -> Iterator[Line]:
    """The lines of texts, and the rows of tables."""
    for (block, row), run in groupby(enumerate(units), key=lambda each: _row(blocks, each[1])):
        numbers = [number for number, _ in run]
        text = "\t".join(units[number].text for number in numbers)
        first, last = numbers[0], numbers[-1]
        if row is not None:
            yield Line(block, text, range(starts[first], starts[last] + len(found[last])))
            continue
        end, at = 0, starts[first]
        for line in text.split("\n"):
            end += len(line) + 1
            upto = starts[first] + bisect_left(found[first], end, key=lambda atom: atom.start)
            yield Line(block, line, range(at, upto))
            at = upto


def _row(blocks: Sequence[Block], unit: Unit) -> tuple[int, int | None]:
    table = blocks[unit.block].table
    return unit.block, None if table is None or unit.cell is None else table.cells[unit.cell].row


@dataclass
class _Page:
    units: list[Unit]
    found: list[list[Atom]]
    starts: list[int]
    aligned: Aligned
    layout: Map
    witness: Witness
    covered: Coverage

    def __post_init__(self) -> None:
        self.by_block: dict[int, list[int]] = {}
        for number, unit in enumerate(self.units):
            self.by_block.setdefault(unit.block, []).append(number)

    def block(self, number: int, block: Block) -> Block:
        units = self.by_block.get(number, [])
        box, confidence = self._measured(units)
        update: dict[str, object] = {}
        if box is not None:
            update["box"] = box
        if confidence is not None:
            update["confidence"] = confidence
        if block.table is not None:
            cells = list(block.table.cells)
            for unit in units:
                place = self.units[unit].cell
                assert place is not None
                cell_box, sure = self._measured([unit])
                cells[place] = cells[place].model_copy(
                    update={"box": cell_box or cells[place].box, "confidence": sure}
                )
            update["table"] = block.table.model_copy(update={"cells": tuple(_with_places(cells))})
        return block.model_copy(update=update) if update else block

    def _measured(self, units: Sequence[int]) -> tuple[Box | None, float | None]:
        """The place of units' atoms in the witness, strays left out, and the share of their characters that
        it reads the same."""
        boxes: list[Box] = []
        same = total = 0
        for unit in units:
            for number, atom in enumerate(self.found[unit], self.starts[unit]):
                claim = self.aligned.claims[number]
                total += len(atom.text)
                if claim is None:
                    continue
                if number not in self.aligned.again or len(boxes) < 1:
                    box = claim_box(claim, self.layout)
                    if box is not None:
                        boxes.append(box)
                if claim.exact and number not in self.aligned.again:
                    same += len(atom.text)
        return _around(boxes), None if not total else round(same / total, 4)

    def disputes(self, blocks: Sequence[Block]) -> Iterator[Dispute]:
        for number, unit in enumerate(self.units):
            cell = None
            if unit.cell is not None:
                table = blocks[unit.block].table
                assert table is not None
                cell = table.cells[unit.cell]
            for told in self._of_unit(number):
                update: dict[str, object] = {"block": unit.block}
                if cell is not None:
                    update |= {"row": cell.row, "col": cell.col}
                yield told.model_copy(update=update)

    def _of_unit(self, unit: int) -> Iterator[Dispute]:
        own, first = self.found[unit], self.starts[unit]
        at = 0
        for token in tokens(self.units[unit].text):
            while at < len(own) and own[at].end <= token.start:
                at += 1
            upto = at
            while upto < len(own) and own[upto].start < token.end:
                upto += 1
            numbers = range(first + at, first + upto)
            if numbers:
                told = self._of_token(token, numbers)
                if told is not None:
                    yield told

    def _of_token(self, token: Token, numbers: range) -> Dispute | None:
        seen = reading(numbers, self.aligned, self.layout)
        digits = has_digit(token.text)
        if any(n in self.covered.repeated for n in numbers):
            return None  # said once, of the line
        if seen is None or all(n in self.aligned.again for n in numbers):
            if not digits or len(fold(token.text)) < 2 or not self._line_is_seen(numbers):
                return None  # a lone character may be a bullet, and is what OCR overlooks
            return dispute(token, None, self._beside(numbers))
        if differs(token.text, seen.text):
            return dispute(token, seen) if self._counts(seen) else None
        if digits or has_digit(seen.text) or fold(token.text) == fold(seen.text):
            return None
        sure = seen.confidence is None or seen.confidence >= _SURE_WORD
        return dispute(token, seen) if sure and len(fold(seen.text)) > 2 and self._counts(seen) else None

    def _counts(self, seen: Reading) -> bool:
        page, word = self.witness.confidence, seen.confidence
        return page is None or word is None or page >= _POOR_PAGE or word >= _SURE_ON_POOR

    def _line_is_seen(self, numbers: range) -> bool:
        """Whether the witness reads what stands before or after, so that it would have read this too."""
        around = [*range(numbers.start - 2, numbers.start), *range(numbers.stop, numbers.stop + 2)]
        near = [n for n in around if 0 <= n < len(self.aligned.claims)]
        seen = [n for n in near if self.aligned.claims[n] is not None and n not in self.aligned.again]
        return len(seen) * 2 >= len(near) > 0

    def _beside(self, numbers: range) -> Box | None:
        for n in (numbers.start - 1, numbers.stop):
            if 0 <= n < len(self.aligned.claims) and (claim := self.aligned.claims[n]) is not None:
                box = claim_box(claim, self.layout)
                if box is not None:
                    return Box.of(box.x0 - 0.1, box.y0, box.x1 + 0.3, box.y1)
        return None


def _around(boxes: list[Box]) -> Box | None:
    """Of most of them: a word that was found far from the others widens nothing."""
    if len(boxes) > 4:
        middles = sorted(b.y0 + b.y1 for b in boxes)
        low, high = middles[len(middles) // 4], middles[3 * len(middles) // 4]
        room = 3 * max(high - low, 0.04)
        boxes = [b for b in boxes if low - room <= b.y0 + b.y1 <= high + room] or boxes
    return Box.around(boxes)


def _with_places(cells: Sequence[Cell]) -> Iterator[Cell]:
    """Cells without a box where row and column have one: where they cross."""
    rows: dict[int, list[Box]] = {}
    cols: dict[int, list[Box]] = {}
    for cell in cells:
        if cell.box is not None:
            if cell.row_span == 1:
                rows.setdefault(cell.row, []).append(cell.box)
            if cell.col_span == 1:
                cols.setdefault(cell.col, []).append(cell.box)
    for cell in cells:
        across = Box.around([b for r in range(cell.row, cell.row + cell.row_span) for b in rows.get(r, [])])
        down = Box.around([b for c in range(cell.col, cell.col + cell.col_span) for b in cols.get(c, [])])
        if cell.box is None and across is not None and down is not None:
            box = Box(x0=down.x0, y0=across.y0, x1=down.x1, y1=across.y1)
            yield cell.model_copy(update={"box": box})
        else:
            yield cell
