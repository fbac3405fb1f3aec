"""Checks of a page's figures that need no second reading of it: what they must come to by what is printed.

They accuse, and order what is asked again; none of them ever clears a figure that a witness disputes.
What is not checked: figures over page breaks, tables larger than `grid.MAX_PLACES`, totals that are no
sum of the rows around them, and sums with discounts or charges that have no row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from internvl_loaders.document import Block, Box, Finding
from internvl_loaders.ground.checks.amounts import amounts
from internvl_loaders.ground.checks.balances import balances
from internvl_loaders.ground.checks.columns import columns
from internvl_loaders.ground.checks.dates import bad_dates
from internvl_loaders.ground.checks.grid import grids
from internvl_loaders.ground.checks.identifiers import bad_identifiers
from internvl_loaders.ground.checks.items import items
from internvl_loaders.ground.checks.letters import DIGITS_OF, letters_in_numbers
from internvl_loaders.ground.checks.numbers import decimal_mark, number_in_cell, western
from internvl_loaders.ground.checks.products import products
from internvl_loaders.ground.checks.relations import Figure, Flaw, Relation, flaws
from internvl_loaders.ground.checks.sums import across, totals
from internvl_loaders.values import DisputeKind

CHECKS = ("balance", "sum", "product", "amounts", "column", "identifier", "date", "amount", "number")
"""Names of findings."""
MAX_TEXT = 200_000
"""Characters of a page that are looked into."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """A token that a check speaks against: where it stands, as in a `Dispute`, and the check's sentence.

    `expected` is the value that would make the check come out, `unique` whether no other token would do;
    one that is not `misread` is right, and in the wrong place.
    """

    text: str
    kind: DisputeKind
    check: str
    block: int
    row: int | None = None
    col: int | None = None
    start: int = 0
    box: Box | None = None
    expected: Decimal | None = None
    unique: bool = True
    misread: bool = True


@dataclass(frozen=True, slots=True)
class Checked:
    """What the checks of a page came to. `bad_tables` are blocks whose figures are wrong in many rows, `held`
    is how many rules came out."""

    findings: tuple[Finding, ...] = ()
    suspects: tuple[Suspect, ...] = ()
    bad_tables: tuple[int, ...] = ()
    held: int = 0


def check(blocks: Sequence[Block]) -> Checked:
    """Pure; for the blocks of one page."""
    if sum(len(block.text) for block in blocks) > MAX_TEXT:
        return Checked()
    texts = [cell.text for block in blocks if block.table is not None for cell in block.table.cells]
    mark = decimal_mark([*texts, *(block.text for block in blocks if block.table is None)])
    tables = list(grids(blocks, mark))
    relations: list[Relation] = []
    found: list[Flaw] = []
    for grid in tables:
        steps, moved = balances(grid)
        relations += [*steps, *totals(grid), *across(grid), *products(grid)]
        found += moved
    relations += [*amounts(blocks, tables, mark), *items(blocks, mark)]
    tokens = list(_tokens(blocks, mark))
    known = {_place(suspect) for suspect in tokens}
    odd = [flaw for grid in tables for flaw in columns(grid)]
    found += [flaw for flaw in odd if not known & {_place(figure) for figure, _ in flaw.culprits}]
    found += flaws(relations)
    findings = [Finding(check=f.check, text=f.text, block=f.block, box=f.box) for f in found]
    findings += [Finding(check=s.kind, text=s.check, block=s.block, box=s.box) for s in tokens]
    # Of several about one token the first counts: that it cannot be, then that it alone is why.
    suspects: dict[tuple[object, ...], Suspect] = {}
    for suspect in sorted([*tokens, *_suspects(found)], key=lambda suspect: not suspect.unique):
        suspects.setdefault(_place(suspect), suspect)
    return Checked(
        tuple(findings),
        tuple(suspects.values()),
        tuple(_bad_tables(relations, found)),
        sum(relation.holds for relation in relations),
    )


def _place(token: Suspect | Figure) -> tuple[object, ...]:
    return token.block, token.row, token.col, token.start


def _suspects(found: Iterable[Flaw]) -> Iterator[Suspect]:
    for flaw in found:
        for figure, expected in flaw.culprits:
            kind: DisputeKind = "amount" if figure.money else "number"
            place = (figure.block, figure.row, figure.col, figure.start, figure.box)
            alone, misread = len(flaw.culprits) == 1, not flaw.is_misplaced
            yield Suspect(figure.text, kind, flaw.text, *place, expected, alone, misread)


def _tokens(blocks: Sequence[Block], mark: str) -> Iterator[Suspect]:
    """Identifiers, dates and amounts that cannot be."""
    for number, block in enumerate(blocks):
        if block.table is None:
            texts: list[tuple[str, int | None, int | None, Box | None]] = [
                (block.text, None, None, block.box)
            ]
        else:
            texts = [(cell.text, cell.row, cell.col, cell.box) for cell in block.table.cells]
        for text, row, col, box in texts:
            for token, kind, start in letters_in_numbers(text):
                told = f"there is a letter in the {kind} {token}"
                meant = number_in_cell(western(token).translate(DIGITS_OF), mark) if kind != "date" else None
                place = (number, row, col, start, box)
                yield Suspect(token, kind, told, *place, meant.value if meant is not None else None)
            for bad in bad_identifiers(text):
                told = f"the check digits of {bad.name} {bad.text} are wrong"
                yield Suspect(bad.text, "identifier", told, number, row, col, bad.start, box)
            for date, start in bad_dates(text):
                yield Suspect(date, "date", f"there is no date {date}", number, row, col, start, box)


def _bad_tables(relations: Sequence[Relation], found: Sequence[Flaw]) -> Iterator[int]:
    """Where three rules that rows prove, and a third of all, are broken, or a figure is in a wrong column."""
    for block in sorted({relation.result.block for relation in relations}):
        sure = [r for r in relations if r.sure and r.result.block == block and r.result.row is not None]
        broken = sum(not relation.holds for relation in sure)
        moved = sum(flaw.is_misplaced and flaw.block == block for flaw in found)
        if (broken > 2 and 3 * broken >= len(sure)) or moved:
            yield block
