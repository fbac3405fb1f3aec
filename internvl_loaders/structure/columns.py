"""Columns of text, or labels and values? What the two sides of a gutter show."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from internvl_loaders.structure.lines import Line
from internvl_loaders.structure.rows import rows

_VALUE = re.compile(r"(?=\D*\d)[\d.,:;%/\-+()\s$€£¥₹]*(?:[A-Za-z]{1,3})?")
"""In time that grows with the text's length only."""

_PLACE = re.compile(
    r"\b\d{1,6}[a-z]?\s+[^\W\d]|[^\W\d]\s+\d{1,6}[a-z]?\b|\b[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}\b"
)
"""A house number or a postcode beside a word."""
_ADDRESSEE = re.compile(
    r"(?:bill(?:ed|ing)?|ship(?:ped|ping)?|sold|deliver(?:y|ed)?|invoiced?|send|remit|from|to|seller|buyer|supplier"
    r"|customer|consignee|vendor|client|rechnung|liefer|versand|von|an|absender|empfänger|käufer|verkäufer"
    r"|facturer|factur|livrer|livraison|expéditeur|destinataire|adresse|enviar|facturar|cliente|proveedor"
    r"|fatturare|spedire|mittente|destinatario|factuur|aflever|verzend|leverancier|klant)",
    re.IGNORECASE,
)
"""How the words over an address begin."""
_BETWEEN_ADDRESSES, _MOST_OF_ADDRESS = 1.5, 9
"""Font sizes between two addresses at least; lines of one at most."""


@dataclass(slots=True)
class Side:
    """One side of a gutter: its printed rows (top, bottom) and what they look like."""

    lines: Sequence[Line]
    rows: list[tuple[float, float]]
    chars: float
    fill: float
    letters: float
    labels: float
    values: float
    tight: bool

    @property
    def prose(self) -> bool:
        return len(self.rows) >= 3 and self.chars >= 18 and self.fill >= 0.6 and self.letters >= 0.65

    @property
    def block(self) -> bool:
        """A few lines of words set close, such as an address."""
        return (
            len(self.rows) >= 3
            and self.chars >= 12
            and self.letters >= 0.6
            and self.tight
            and not self.values
        )


def side_of(lines: Sequence[Line]) -> Side | None:
    """None if there is no text, only figures or tables."""
    if not lines:
        return None
    grouped = rows(lines)
    texts = [" ".join(p.text for p in row) for row in grouped]
    widths = [row[-1].x1 - row[0].x0 for row in grouped]
    whole = max(p.x1 for p in lines) - min(p.x0 for p in lines)
    places = [(min(p.y0 for p in row), max(p.y1 for p in row)) for row in grouped]
    height = median(p.height for p in lines)
    steps = [(c + d - a - b) / 2 for (a, b), (c, d) in pairwise(places)]
    text = "".join(texts)
    letters = sum(map(str.isalpha, text))
    return Side(
        lines=lines,
        rows=places,
        chars=median(map(len, texts)),
        fill=median(widths) / whole if whole > 0 else 1.0,
        letters=letters / max(letters + sum(map(str.isdigit, text)), 1),
        labels=sum(t.endswith((":", "：")) for t in texts) / len(texts),
        values=sum(_VALUE.fullmatch(t) is not None for t in texts) / len(texts),
        tight=bool(steps) and median(steps) < 1.7 * height,
    )


def are_columns(a: Side | None, b: Side | None, gutter: float, *, written: bool) -> bool:
    """Whether to read all of the left side before the right.

    `gutter` is in font sizes; `written` tells that lines are ordered as the page was written
    (a text layer) and not just from top to bottom (OCR).
    """
    if a is None or b is None:
        return True
    few, many = sorted((a, b), key=lambda s: len(s.rows))
    aligned = _aligned(few, many)
    switches = _switches(a.lines, b.lines) if written else 0
    if len(few.rows) == 1:
        return len(many.rows) > 3 and aligned == 0 and few.values == 0
    if a.prose and b.prose:
        return gutter >= 1 or len(few.rows) >= 6 or switches == 1
    listed = a.labels >= 0.4 or b.values >= 0.4 or a.values >= 0.6
    if gutter >= _BETWEEN_ADDRESSES and _is_address(a) and _is_address(b) and _are_headed(a, b):
        return True
    if switches == 1:
        return not (listed and aligned > 0.8)
    if listed or switches >= len(few.rows):
        return False
    if aligned < 0.5:
        return True
    if len(few.rows) == len(many.rows) and aligned == 1:
        return False
    return a.block and b.block and gutter >= 1.5


def _is_address(side: Side) -> bool:
    """A few short lines of words set close, one with a number of a house or a place."""
    texts = [line.text for line in side.lines]
    return (
        3 <= len(side.rows) <= _MOST_OF_ADDRESS
        and side.tight
        and not side.labels
        and not side.values
        and max(map(len, texts)) <= 45
        and any(_PLACE.search(t) for t in texts[1:])
    )


def _are_headed(a: Side, b: Side) -> bool:
    """Whether both begin with words that say whose address it is, or set off in bold, at one height."""
    first = [min(side.lines, key=lambda line: line.y0) for side in (a, b)]
    if abs(first[0].middle - first[1].middle) > 0.5 * first[0].height:
        return False
    bold = [all(s.bold for s in line.spans) for line in first]
    rest = [
        s.bold
        for side, head in zip((a, b), first, strict=True)
        for x in side.lines
        if x is not head
        for s in x.spans
    ]
    if all(bold) and sum(rest) * 4 < len(rest):
        return True
    return all(_ADDRESSEE.match(line.text) for line in first)


def _switches(first: Sequence[Line], second: Sequence[Line]) -> int:
    """How often the order of writing changes sides."""
    sides = [s for _, s in sorted([(x.order, 0) for x in first] + [(x.order, 1) for x in second])]
    return sum(s != t for s, t in pairwise(sides))


def _aligned(few: Side, many: Side) -> float:
    """The share of one side's rows that stand beside one of the other."""
    count = n = 0
    for y0, y1 in few.rows:
        while n < len(many.rows) and many.rows[n][1] <= y0:
            n += 1
        for top, bottom in many.rows[n : n + 2]:
            if min(bottom, y1) - max(top, y0) > 0.5 * min(bottom - top, y1 - y0):
                count += 1
                break
    return count / len(few.rows)
