"""Running balances of statements: a balance is the one before it and what was moved since."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, permutations
from typing import TypeAlias

from internvl_loaders.ground.checks.grid import Grid
from internvl_loaders.ground.checks.relations import Figure, Flaw, Relation
from internvl_loaders.ground.checks.sums import TRIED, is_total

CHECK = "balance"
_BALANCE = re.compile(r"balance|saldo\b|kontostand|solde|余额|餘額|結餘|残高|bakiye")
MOST_MOVEMENTS = 6
"""Columns that may hold movements."""


_MOVEMENT = re.compile(
    r"debit|credit|débit|crédit|soll|haben|withdraw|deposit|paid|amount|amt|betrag|umsatz|montant|bedrag|importe"
    r"|支出|收入|借|贷|金额|\b(?:in|out|af|bij|money|dare|avere|debe|haber)\b"
)
_Rule: TypeAlias = tuple[int, tuple[tuple[int, int], ...], bool]
"""The column of balances, those of movements with their signs, and whether the newest is first."""


@dataclass(frozen=True, slots=True)
class _Step:
    before: Figure
    moved: tuple[tuple[int, Figure], ...]
    after: Figure
    columns: int

    @property
    def relation(self) -> Relation:
        return Relation(CHECK, ((1, self.before), *self.moved), self.after)

    @property
    def counts(self) -> bool:
        """That it holds is no accident: something of two digits was moved. That nothing was is none either,
        where the balance is another. After a balance of 0 it may be what each row comes to by itself."""
        if not self.before.value:
            return False
        large = any(abs(figure.value).scaleb(figure.decimals) >= 10 for _, figure in self.moved)
        return large or (not self.moved and self.before.value != self.after.value)


def balances(grid: Grid) -> tuple[list[Relation], list[Flaw]]:
    """Of the column that most rows prove to be one; a movement that stands in the other column is a flaw."""
    best = max(_rules(grid), key=lambda found: found[0], default=None)
    if best is None:
        return [], []
    relations, flaws = [], []
    for step in _steps(grid, *best[1]):
        flaw = None if step.relation.holds else _other_column(step)
        if flaw is None:
            relations.append(step.relation)
        else:
            flaws.append(flaw)
    return relations, flaws


def _rules(grid: Grid) -> Iterator[tuple[tuple[int, int], _Rule]]:
    """Rules that hold, with how well."""
    columns = [col for col in range(grid.table.cols) if _is_money(grid.column(col), 0)]
    told = [col for col in columns if _BALANCE.search(grid.headings[col])]
    if not told:
        columns = [col for col in columns if _is_money(grid.column(col), 0.8)]
    for col in told or columns:
        if len(grid.column(col)) < 3:
            continue
        others = [other for other in columns if other != col][:MOST_MOVEMENTS]
        choices: list[tuple[tuple[int, int], ...]] = []
        choices += [((other, sign),) for other in others for sign in (1, -1)]
        choices += [((plus, 1), (minus, -1)) for plus, minus in permutations(others, 2)]
        for moves in choices:
            for backwards in (False, True):
                steps = islice(_steps(grid, col, moves, backwards), TRIED)
                tried = [step for step in steps if step.counts]
                held = sum(step.relation.holds for step in tried)
                named = told and any(_MOVEMENT.search(grid.headings[other]) for other, _ in moves)
                if _is_one(held, len(tried), named=bool(named), told=bool(told)):
                    yield (held, len(moves) if told else -len(moves)), (col, moves, backwards)


def _is_one(held: int, tried: int, *, named: bool, told: bool) -> bool:
    """Whether so many steps that hold, of those tried, make a rule: fewer do where headings tell of it."""
    if held < 2:
        return named and held == 1 and tried < 4
    return held >= (0.4 if told else 0.6) * tried and held > (1 if told else 2)


def _is_money(figures: Sequence[Figure], least: float) -> bool:
    """Whether a share of them, at least, is."""
    money = sum(figure.money for figure in figures)
    return bool(figures) and money >= least * len(figures) and not any(f.percent for f in figures)


def _steps(grid: Grid, balance: int, moves: Sequence[tuple[int, int]], backwards: bool) -> Iterator[_Step]:
    """Between balances that are printed; rows of totals move nothing."""
    before: Figure | None = None
    moved: list[tuple[int, Figure]] = []
    rows = range(grid.first, grid.table.rows)
    for row in reversed(rows) if backwards else rows:
        if is_total(grid.labels[row]):
            continue
        figures = grid.figures[row]
        moved += [(sign, figure) for col, sign in moves if (figure := figures[col]) is not None]
        after = figures[balance]
        if after is not None:
            if before is not None:
                yield _Step(before, tuple(moved), after, len(moves))
            before, moved = after, []


def _other_column(step: _Step) -> Flaw | None:
    """Where one movement in the other of two columns makes it right."""
    if step.columns < 2:
        return None
    missing = step.after.value - step.before.value - sum(sign * f.value for sign, f in step.moved)
    turned = [(sign, figure) for sign, figure in step.moved if missing == -2 * sign * figure.value]
    if len(turned) != 1 or (len(step.moved) > 1 and not turned[0][1].value):
        return None
    sign, figure = turned[0]
    was, is_ = ("in", "out") if sign > 0 else ("out", "in")
    text = f"balance: {figure.text} is printed as money {was}, by the balance it went {is_}"
    return Flaw(CHECK, text, figure.block, figure.box, ((figure, None),))
