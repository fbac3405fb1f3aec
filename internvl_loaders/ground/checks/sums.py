"""Totals of columns and rows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import combinations, islice

from internvl_loaders.ground.checks.grid import Grid
from internvl_loaders.ground.checks.relations import Figure, Relation

CHECK = "sum"
_TOTAL = re.compile(
    r"(?:grand|sub|net|gross|overall|final|invoice|page|sous|general)?[\s-]*totals?\b|sum\b|summe\b|summa\b"
    r"|(?:zwischen|gesamt|end|netto|brutto|rechnungs|positions)-?(?:summe|betrag)|(?:ins)?gesamt\b"
    r"|[合总總小]\s*[计計额額]|(?:sub)?totaal\b|(?:sub)?totale\b|suma\b|razem\b|totalt\b|yhteens"
    r"|i alt\b|итого|всего"
)
_NO_SUM = re.compile(
    r"%|percent|rate\b|price|preis|prix|average|mean|avg|mittel|median|ratio|index|\bper\b|pro |je "
    r"|satz|单价|年|year|jahr|année"
)
_LESS = re.compile(r"discount|less\b|rabatt|remise|nachlass|abz|skonto|korting|折扣|减")
MOST_ADDED = 200_000
"""Places of a table times its totals that are looked at."""
MOST_LEFT_OUT = 20
TRIED = 40
"""Rows that tell whether a rule is one; all are held against it then."""
MOST_TRIED = 12
"""Columns among which pairs that come to a third are looked for."""


def is_total(label: str) -> bool:
    return _TOTAL.match(label.strip(" *:#")) is not None and not _NO_SUM.search(label)


def totals(grid: Grid) -> Iterator[Relation]:
    """Rows that their label calls a total, by the rows that most of their figures are the sum of.

    Where not one figure is the sum of the rows above it, the table's totals are something else, unless
    there is but one column: that is suspected where one digit would do.
    """
    rows = range(grid.first, grid.table.rows)
    found = [row for row in rows if is_total(grid.labels[row]) and any(grid.figures[row])]
    found = found[: max(MOST_ADDED // (grid.table.rows * grid.table.cols), 1)]
    for total in found:
        best: tuple[int, list[Relation]] = (0, [])
        plain: list[Relation] = []
        for place, addends in enumerate(_addends(grid, total, found)):
            tried = [r for col in range(grid.table.cols) if (r := _total(grid, total, col, addends))]
            holding = sum(relation.holds for relation in tried)
            if holding > best[0]:
                best = holding, tried
            if place == 0:
                plain = tried
        holding, tried = best
        if holding:
            sure = holding * 2 > len(tried)
            yield from _as_exact([_surely(relation, sure) for relation in tried])
        else:
            yield from (_surely(r, False) for r in plain if _is_plain(r))


def _as_exact(relations: Sequence[Relation]) -> Iterator[Relation]:
    """Without rounding where all but one, and eight, come out without it."""
    exact = sum(relation.computed == relation.result.value for relation in relations)
    for relation in relations:
        if exact > 7 and len(relations) - exact < 2:
            yield replace(relation, tolerance=Decimal(0))
        else:
            yield relation


def _surely(relation: Relation, sure: bool) -> Relation:
    return replace(relation, sure=sure or relation.holds)


def _addends(grid: Grid, total: int, totals: Sequence[int]) -> Iterator[list[int]]:
    """Rows that a total may be the sum of, the usual ones first."""
    rows = list(range(grid.first, grid.table.rows))
    above = [row for row in rows if row < total and row not in totals]
    earlier = [row for row in totals if row < total]
    section = [row for row in above if not earlier or row > earlier[-1]]
    yield section
    if earlier:
        yield above
        yield earlier
        yield [earlier[-1], *section]
    below = [row for row in rows if row > total]
    later = [row for row in totals if row > total]
    yield [row for row in below if row not in totals and (not later or row < later[0])]
    yield [row for row in below if row not in totals]


def _total(grid: Grid, total: int, col: int, rows: Sequence[int]) -> Relation | None:
    """None where there is nothing to add."""
    result = grid.figures[total][col]
    if result is None or result.percent or _NO_SUM.search(grid.headings[col]):
        return None
    terms = [
        (-1 if _LESS.search(grid.labels[row]) and figure.value > 0 else 1, figure)
        for row in rows
        if (figure := grid.figures[row][col]) is not None
    ]
    if not any(figure.value for _, figure in terms) or any(figure.percent for _, figure in terms):
        return None
    if len(rows) < 2:
        return None
    whole = Relation(CHECK, tuple(terms), result, _rounding([f for _, f in terms], result))
    return next(_ends(whole), whole)


def _ends(relation: Relation) -> Iterator[Relation]:
    """With which it holds: all its terms, or but the last ones where others are of another kind."""
    terms = relation.terms
    total = relation.computed
    for first in range(min(len(terms) - 1, MOST_LEFT_OUT)):
        if abs(total - relation.result.value) <= relation.tolerance:
            yield Relation(CHECK, terms[first:], relation.result, relation.tolerance)
        sign, figure = terms[first]
        total -= sign * figure.value


def _rounding(terms: Sequence[Figure], result: Figure) -> Decimal:
    """None of money; figures in thousands and shares were rounded each by itself."""
    if all(figure.money for figure in (*terms, result)):
        return Decimal(0)
    return Decimal(len(terms) + 1) / 2 * Decimal(1).scaleb(-min(f.decimals for f in (*terms, result)))


def _is_plain(relation: Relation) -> bool:
    return len(relation.terms) > 1 and all(figure.money for figure in relation.figures)


def across(grid: Grid) -> Iterator[Relation]:
    """Columns that in most rows are the sum of two others, or of all others left of them."""
    columns = [col for col in grid.numeric if not _NO_SUM.search(grid.headings[col])][:MOST_TRIED]
    done: set[int] = set()
    for col in columns:
        others = [other for other in columns if other != col]
        left = [other for other in others if other < col]
        choices: list[tuple[int, ...]] = [tuple(left), tuple(others)] if len(left) > 2 else []
        choices += combinations(others, 2)
        for choice in choices:
            if col in done or done & set(choice):
                continue
            tried = list(islice(_rows(grid, col, choice), TRIED))
            holding = sum(relation.holds and _counts(relation) for relation in tried)
            if holding > 2 and holding >= 0.75 * len(tried):
                done.add(col)
                sure = holding > 4 and holding >= 0.9 * len(tried)
                whole = [r if sure else replace(r, sure=r.holds) for r in _rows(grid, col, choice)]
                yield from _as_exact(whole)


def _rows(grid: Grid, col: int, addends: Sequence[int]) -> Iterator[Relation]:
    for row in range(grid.first, grid.table.rows):
        result = grid.figures[row][col]
        terms = [figure for other in addends if (figure := grid.figures[row][other]) is not None]
        if result is None or not terms or any(figure.percent for figure in (*terms, result)):
            continue
        if len(addends) == 2 and len(terms) < 2:
            continue
        yield Relation(CHECK, tuple((1, figure) for figure in terms), result, _rounding(terms, result))


def _counts(relation: Relation) -> bool:
    """That it holds is no accident."""
    large = [f for _, f in relation.terms if abs(f.value).scaleb(f.decimals) >= 10]
    return len(large) > 1
