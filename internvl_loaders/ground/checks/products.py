"""Quantity times price is the amount; net times rate is the tax."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from itertools import combinations, islice

from internvl_loaders.ground.checks.grid import Grid
from internvl_loaders.ground.checks.numbers import number_in_cell, western
from internvl_loaders.ground.checks.relations import Figure, Relation
from internvl_loaders.ground.checks.sums import TRIED, is_total

CHECK = "product"
_QUANTITY = re.compile(
    r"qty|quant|menge|anzahl|stück|stk|数量|數量|aantal|hours|stunden|units|cantidad|qté|antal"
)
_PRICE = re.compile(
    r"price|preis|prix|单价|單價|単価|prijs|precio|prezzo|rate\b|unit|each"
    r"|\bpris\b|cena|\bp\.?\s?u\.?\b"
)
_AMOUNT = re.compile(
    r"amount|amt|betrag|montant|金额|金額|total|gesamt|summe|bedrag|importe|importo|sum\b|belopp|wert"
)
_WITH_UNIT = re.compile(r"\s*(\d[\d.,]{0,12})\s?[^\W\d_]{1,8}\.?\s*")
_LESS = re.compile(r"disc|rabatt|remise|nachlass|korting|descuento|sconto|折")
CENT = Decimal("0.01")
MOST_TRIED = 10


def products(grid: Grid) -> Iterator[Relation]:
    """By the columns that prove it in most rows, or whose headings tell."""
    headings = grid.headings
    if any(map(_LESS.search, headings)):
        return
    columns = [
        col
        for col, heading in enumerate(headings)
        if grid.column(col) or (_QUANTITY.search(heading) and grid.numeric)
    ][:MOST_TRIED]
    done: set[int] = set()
    for result in reversed(columns):
        for first, second in combinations([col for col in columns if col != result], 2):
            if {result, first, second} & done:
                continue
            relations = list(islice(_rows(grid, first, second, result), TRIED))
            telling = [r for r in relations if counts(r)]
            holding = sum(relation.holds for relation in telling)
            if holding > 1 and holding * 3 >= len(telling) * 2:
                done |= {result}
                yield from _rows(grid, first, second, result)
                continue
            names = headings[first], headings[second]
            told = any(
                _QUANTITY.search(a) and _PRICE.search(b) for a, b in (names, names[::-1])
            ) and _AMOUNT.search(headings[result])
            if told and 2 * sum(r.holds for r in relations) >= len(relations) - 1:
                done |= {result}
                for r in _rows(grid, first, second, result):
                    yield Relation(r.check, r.terms, r.result, r.tolerance, r.holds, r.factor, r.scale)


def _rows(grid: Grid, first: int, second: int, result: int) -> Iterator[Relation]:
    for row in range(grid.first, grid.table.rows):
        a, b = (grid.figures[row][col] or _quantity(grid, row, col) for col in (first, second))
        c = grid.figures[row][result]
        if a is None or b is None or c is None or c.percent or (a.percent and b.percent):
            continue
        if is_total(grid.labels[row]):
            continue
        scale = CENT if a.percent or b.percent else Decimal(1)
        yield Relation(CHECK, ((1, a),), c, CENT, factor=b, scale=scale)


def _quantity(grid: Grid, row: int, col: int) -> Figure | None:
    """A number with its unit, `12 Std`."""
    cell = grid.cells[row][col]
    found = None if cell is None else _WITH_UNIT.fullmatch(western(cell.text))
    number = None if found is None else number_in_cell(found[1], grid.mark)
    if cell is None or found is None or number is None:
        return None
    place = (grid.block, row, col, found.start(1) + number.start)
    return Figure(*place, number.digits, number.value, number.decimals, box=cell.box)


def counts(relation: Relation) -> bool:
    """That it holds is no accident: neither factor is 1 or 0."""
    factors = (relation.terms[0][1].value, relation.factor.value if relation.factor else 0)
    return all(abs(value) not in (0, 1) for value in factors) and abs(relation.result.value) > CENT * 10
