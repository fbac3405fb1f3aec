"""Amounts beside their names, in lines of text or rows of a table: net and tax are the gross, cash the total
and the change."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
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
        r"|(?:without|before) (?:tax|gst|vat)|ohne (?:mwst|ust)|不含税|imponibil|hors tax",
    ),
    ("gross", r"incl|inkl|ttc|tvac|brutto|gross|价税合计|(?:with|after) (?:tax|gst|vat)"),
    (
        "tax",
        r"\b(?:gst|vat|tax|sst|mwst|ust|tva|btw|iva|moms)\b|umsatzsteuer|mehrwertsteuer|steuerbetrag|税额|稅額",
    ),
    (
        "gross",
        r"\btotal\b|gesamt|summe|zahlbetrag|合计|总计|totaal|totale|amount due"
        r"|balance due|to pay|zu zahlen|应付",
    ),
)
_ROLES = tuple((role, re.compile(pattern)) for role, pattern in _NAMES)
_ROUNDED = Decimal("0.05")
"""What cash is rounded to where there are no smaller coins."""


def role(label: str) -> str:
    """`net`, `tax`, `gross`, `cash`, `change`, `rounding`, `other`, or '' for what is none of them."""
    label = label.casefold()
    if len(label) > 60:
        return ""
    return next((name for name, pattern in _ROLES if pattern.search(label)), "").replace("none", "")


def amounts(blocks: Sequence[Block], grids: Sequence[Grid], mark: str) -> Iterator[Relation]:
    """Only where every name has one value on the page."""
    named: dict[str, list[Figure]] = {}
    for label, figure in (*_of_lines(blocks, mark), *_of_rows(grids)):
        if name := role(label):
            named.setdefault(name, []).append(figure)
    one = {name: found[0] for name, found in named.items() if len({f.value for f in found}) == 1}
    gross = one.get("gross")
    if gross is None or "other" in named:
        return
    rounding = [(1, one["rounding"])] if "rounding" in one else []
    tax, net, cash, change = (one.get(name) for name in ("tax", "net", "cash", "change"))
    if net is not None and tax is not None and net.value != gross.value:
        yield _either([(1, net), (1, tax)], rounding, gross)
    if cash is not None and change is not None:
        yield _either([(1, gross), (1, change)], rounding, cash)


def _either(terms: list[tuple[int, Figure]], rounding: list[tuple[int, Figure]], result: Figure) -> Relation:
    """With what was rounded where that makes it right."""
    turned = [(-sign, figure) for sign, figure in rounding]
    found = [Relation(CHECK, (*terms, *more), result, _ROUNDED, False) for more in ([], rounding, turned)]
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
            if len(found) == 1 and found[0].is_money:
                value = found[0]
                before = line[: value.start]
                name = before if re.search(r"[^\W\d]{2}", before) else label
                place = (number, None, None, start + value.start)
                yield name, Figure(*place, value.digits, value.value, value.decimals, box=block.box)
                label = ""
            else:
                label = line if not found else ""
            start += len(line) + 1


def _of_rows(grids: Sequence[Grid]) -> Iterator[tuple[str, Figure]]:
    """Rows with a label and one figure."""
    for grid in grids:
        for row in range(grid.first, grid.table.rows):
            figures = [figure for figure in grid.figures[row] if figure is not None and not figure.percent]
            if len(figures) == 1 and figures[0].decimals == 2:
                yield grid.labels[row], figures[0]
