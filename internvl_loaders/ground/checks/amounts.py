"""Amounts beside their names, in lines of text or rows of a table: net and tax are the gross, cash the total
and the change."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal

from internvl_loaders.document import Block
from internvl_loaders.ground.checks.grid import Grid
from internvl_loaders.ground.checks.numbers import numbers_in_line
from internvl_loaders.ground.checks.relations import Figure, Relation

CHECK = "amounts"
_OTHER = re.compile(
    r"service|serv\.? ?ch|discount|disc\b|saving|rabatt|remise|nachlass|versand|shipping|delivery|freight"
    r"|postage|\btip\b|gratuity|porto|fracht|anzahlung|deposit|voucher|coupon|credit note|zuschl"
    r"|abschl|运费|折扣|surcharge|\bfees?\b"
)
_NAMES = (
    (
        "none",
        r"\b(?:qty|quantity|items?|points?|no\.?|nr\.?|count|pcs)\b|previous|last month|due date|balance b",
    ),
    ("other", _OTHER.pattern),
    ("rounding", r"round|rndg|rundung|arrondi|afronding"),
    ("change", r"\bchange\b|rückgeld|rueckgeld|wechselgeld|rendu|找零|wisselgeld|kembali|\bbaki\b"),
    ("cash", r"^\W*cash\b|tender|^\W*bar\b|gegeben|esp[èe]ces|contant|现金|^\W*tunai"),
    (
        "net",
        r"sub[\s-]*tot|zwischensumme|sous[\s-]*total|\bnetto|\bnet\b|total ht|\bht\b|excl|exkl"
        r"|(?:without|before) (?:tax|gst|vat)|ohne (?:mwst|ust)|不含税|小[计計]|税抜|imponibil|hors tax",
    ),
    ("gross", r"incl|inkl|ttc|tvac|brutto|gross|价税合计|(?:with|after) (?:tax|gst|vat)"),
    (
        "tax",
        r"\b(?:gst|vat|tax|sst|mwst|ust|tva|btw|iva|moms)\b|umsatzsteuer|mehrwertsteuer|steuerbetrag|税额|稅額|消費税|增值税",
    ),
    (
        "gross",
        r"\btotal\b|gesamt|summe|zahlbetrag|[合总總][计計]|totaal|totale|amount due"
        r"|balance due|to pay|zu zahlen|应付",
    ),
)
_ROLES = tuple((role, re.compile(pattern)) for role, pattern in _NAMES)
_RATE = re.compile(r"(\d{1,2}(?:[.,]\d{1,2})?)\s?%")
MOST_TAXES = 4
_ROUNDED = Decimal("0.05")
"""What cash is rounded to where there are no smaller coins."""


def role(label: str) -> str:
    """`net`, `tax`, `gross`, `cash`, `change`, `rounding`, `other`, or '' for what is none of them."""
    label = label.casefold()
    if len(label) > 60:
        return ""
    return next((name for name, pattern in _ROLES if pattern.search(label)), "").replace("none", "")


def amounts(blocks: Sequence[Block], grids: Sequence[Grid], mark: str) -> Iterator[Relation]:
    """Only where every name has one value: on the page, or in a column of a table."""
    lines = list(_of_lines(blocks, mark))
    found = list(_related([*lines, *_of_rows(grids)]))
    for grid in grids:
        for col in grid.numeric:
            rows = range(grid.first, grid.table.rows)
            column = [
                (grid.labels[row], f) for row in rows if (f := grid.figures[row][col]) is not None and f.money
            ]
            if any(sum(figure is not None for figure in grid.figures[f.row or 0]) > 1 for _, f in column):
                found += _related(column)
    for relation in found:  # that one holds is no accident
        yield replace(relation, sure=relation.holds)


def _related(labelled: Sequence[tuple[str, Figure]]) -> Iterator[Relation]:
    named: dict[str, list[tuple[str, Figure]]] = {}
    for label, figure in labelled:
        if name := role(label):
            named.setdefault(name, []).append((label, figure))
    one = {name: found[0] for name, found in named.items() if len({f.value for _, f in found}) == 1}
    if "gross" not in one or "other" in named:
        return
    gross = one["gross"][1]
    is_cash = bool({"cash", "change", "rounding"} & named.keys())
    rounding = [(1, one["rounding"][1])] if "rounding" in one else []
    tolerance = _ROUNDED if is_cash else Decimal(0)
    if "net" in one and one["net"][1].value != gross.value:
        net, taxes = one["net"][1], _distinct(named.get("tax", []))
        if 0 < len(taxes) <= MOST_TAXES:
            terms = [(1, net), *((-1 if tax.value < 0 else 1, tax) for _, tax in taxes)]
            yield _either(terms, rounding, gross, tolerance)
        if len(taxes) == 1 and (rate := _rate(taxes[0][0])) is not None:
            tax = taxes[0][1]
            yield Relation(CHECK, ((1, net),), tax, _ROUNDED, False, scale=rate)
    if "cash" in one and "change" in one:
        yield _either([(1, gross), (1, one["change"][1])], rounding, one["cash"][1], _ROUNDED)


def _distinct(found: Sequence[tuple[str, Figure]]) -> list[tuple[str, Figure]]:
    """The same tax may be told twice, in the sums and in a summary."""
    return list({figure.value: (label, figure) for label, figure in reversed(found)}.values())


def _rate(label: str) -> Decimal | None:
    found = _RATE.findall(label)
    return Decimal(found[0].replace(",", ".")) / 100 if len(found) == 1 else None


def _either(
    terms: list[tuple[int, Figure]], rounding: list[tuple[int, Figure]], result: Figure, tolerance: Decimal
) -> Relation:
    """With what was rounded where that makes it right."""
    turned = [(-sign, figure) for sign, figure in rounding]
    found = [Relation(CHECK, (*terms, *more), result, tolerance, False) for more in ([], rounding, turned)]
    return next((relation for relation in found if relation.holds), found[0])


def _of_lines(blocks: Sequence[Block], mark: str) -> Iterator[tuple[str, Figure]]:
    """A label and its amount: in a line, or in a line and the next."""
    label = ""
    for number, block in enumerate(blocks):
        if block.table is not None:
            label = ""
            continue
        start = 0
        for line in block.text.split("\n"):
            found = [n for n in numbers_in_line(line, mark) if not n.percent]
            if len(found) == 1 and found[0].money:
                value = found[0]
                before = line[: value.start]
                name = before if re.search(r"[^\W\d]{2}", before) else label
                place = (number, None, None, start + value.start)
                yield (
                    name,
                    Figure(*place, value.digits, value.value, value.decimals, money=True, box=block.box),
                )
                label = ""
            else:
                label = line if not found else ""
            start += len(line) + 1


def _of_rows(grids: Sequence[Grid]) -> Iterator[tuple[str, Figure]]:
    """Rows with a label and one figure."""
    for grid in grids:
        for row in range(grid.first, grid.table.rows):
            figures = [figure for figure in grid.figures[row] if figure is not None and not figure.percent]
            if len(figures) == 1 and figures[0].money:
                yield grid.labels[row], figures[0]
