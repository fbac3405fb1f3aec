"""Field accuracy: which true key values stand in the text a reader gave."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from rapidfuzz import fuzz

from internvl_loaders.evaluate.metrics import normalise

LENIENT_RATIO = 90.0
"""Per cent of a long value's letters that must agree for a lenient match."""
LENIENT_LENGTH = 12
"""Letters and digits from which a lenient match may have errors at all."""

_MONTHS = {
    prefix: number
    for number, prefixes in enumerate(
        (
            "jan ene gen janv",
            "feb fév fev",
            "mar mär mrt maa",
            "apr avr abr",
            "may mai mei mag maj",
            "jun juin giu",
            "jul juil lug",
            "aug aoû aou ago",
            "sep set",
            "oct okt ott out",
            "nov",
            "dec dez déc dic",
        ),
        start=1,
    )
    for prefix in prefixes.split()
}
_YEAR_FIRST = re.compile(r"(?<!\d)(\d{4})\s?[-/.年]\s?(\d{1,2})\s?[-/.月]\s?(\d{1,2})(?!\d)")
_YEAR_LAST = re.compile(r"(?<!\d)(\d{1,2})\s?([-/.])\s?(\d{1,2})\s?\2\s?(\d{4}|\d{2})(?!\d)")
_DAY_NAME = re.compile(
    r"(?<!\d)(\d{1,2})(?:st|nd|rd|th|er|\.)?[\s/-]*(?:de\s)?([^\W\d_]{3,10})\.?,?[\s/-]*(?:de\s)?'?(\d{4}|\d{2})(?!\d)"
)
_NAME_DAY = re.compile(r"([^\W\d_]{3,10})\.?\s*(\d{1,2})(?:st|nd|rd|th)?\s*,?\s*(\d{4})(?!\d)")
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})")
_NUMBER = re.compile(r"(?<![\d.,])(?:\d{1,3}(?:[ .,'’]\d{3})+(?:[.,]\d+)?|\d+(?:[.,]\d+)?)(?![\d]|[.,]\d)")
_AMOUNT = re.compile(r"\D{0,4}?-?\s?\d[\d ,.'’]*[.,]\d{1,4}\s?\D{0,3}")


class Field(NamedTuple):
    """A key of the truth and whether its value was found."""

    name: str
    value: str
    exact: bool
    lenient: bool


def find_dates(text: str) -> set[date]:
    """Every date `text` may mean: 03/04/2018 is both 3 April and 4 March, a two-digit year after 1969."""
    text = text.casefold()
    candidates = [(m[1], m[2], m[3]) for m in _YEAR_FIRST.finditer(text)]
    for m in _YEAR_LAST.finditer(text):
        candidates += [(m[4], m[3], m[1]), (m[4], m[1], m[3])]
    for m in _DAY_NAME.finditer(text):
        candidates.append((m[3], _month(m[2]), m[1]))
    for m in _NAME_DAY.finditer(text):
        candidates.append((m[3], _month(m[1]), m[2]))
    dates = (_date(*year_month_day) for year_month_day in candidates)
    return {d for d in dates if d is not None}


def _month(name: str) -> str:
    return str(_MONTHS.get(name[:4]) or _MONTHS.get(name[:3]) or 0)


def _date(year: str, month: str, day: str) -> date | None:
    full = int(year) if len(year) == 4 else int(year) + (1900 if int(year) >= 70 else 2000)
    try:
        return date(full, int(month), int(day))
    except ValueError:
        return None


def find_amounts(text: str) -> set[Decimal]:
    """Every unsigned number `text` may mean: `1,136` is both 1136 and 1.136."""
    return {value for m in _NUMBER.finditer(text) for value in _numeric_values(m[0])}


def _numeric_values(number: str) -> Iterator[Decimal]:
    digits = re.sub(r"\D", "", number)
    if re.fullmatch(r"\d{1,3}(?:[ .,'’]\d{3})+|\d+", number):
        yield Decimal(digits)
    decimals = re.search(r"[.,](\d+)$", number)
    if decimals:
        yield Decimal(digits).scaleb(-len(decimals[1]))


def match_field(name: str, value: object, text: str) -> Field:
    """Looks for one value in a document's text.

    exact: as written (letters' case and runs of white space aside), not within a longer word or number. A
    machine form (a JSON number, an ISO date, YYYYMMDD under a name with `date`) is never printed as
    such: there it is the date or amount in any form.
    lenient: a date or amount (sign aside) in any form; otherwise letters and digits only, and from
    LENIENT_LENGTH of them on up to 10 % wrong, as long as every number in the value is there.
    """
    written = normalise(str(value), fold_case=True)
    text = normalise(text, fold_case=True)
    compact = _COMPACT.fullmatch(written) if "date" in name.casefold() else None
    machine_date = _date(*compact.groups()) if compact else None
    if machine_date or re.fullmatch(r"\d{4}-\d{2}-\d{2}", written):
        dates = {machine_date} if machine_date else find_dates(written)
        found = bool(dates & find_dates(text))
        return Field(name, str(value), found, found)
    if isinstance(value, int | float) and not isinstance(value, bool):
        found = abs(Decimal(str(value))) in find_amounts(text)
        return Field(name, str(value), found, found)
    exact = _stands_in(written, text)
    return Field(name, str(value), exact, exact or _nearly_in(written, text))


def _stands_in(value: str, text: str) -> bool:
    """A digit must not go on at a digit (nor `1,` before it), a letter not at a letter."""

    def edge(c: str) -> str:
        if c.isdigit():
            return "digit"
        return "letter" if c.isascii() and c.isalpha() else ""

    guards = {"digit": (r"(?<!\d)(?<!\d[.,])", r"(?!\d|[.,]\d)"), "letter": (r"(?<![a-z])", r"(?![a-z])")}
    before = guards[edge(value[0])][0] if value and edge(value[0]) else ""
    after = guards[edge(value[-1])][1] if value and edge(value[-1]) else ""
    return bool(value) and re.search(before + re.escape(value) + after, text) is not None


def _nearly_in(value: str, text: str) -> bool:
    dates = find_dates(value)
    if dates and len(value) <= 20:
        return bool(dates & find_dates(text))
    if _AMOUNT.fullmatch(value):
        return bool(find_amounts(value) & find_amounts(text))
    bare, bare_text = _bare(value), _bare(text)
    if len(bare) < LENIENT_LENGTH:
        return bool(bare) and bare in bare_text
    if len(bare) > len(bare_text):
        return False
    near = fuzz.partial_ratio(bare, bare_text) >= LENIENT_RATIO
    return near and all(_stands_in(n, text) for n in re.findall(r"\d+", value))


def _bare(text: str) -> str:
    return "".join(c for c in text if c.isalnum())


def match_fields(fields: Mapping[str, object], text: str) -> list[Field]:
    """`match_field` for every value; a list's items are named `name.1`, `name.2` ..."""
    results = []
    for name, value in fields.items():
        items = value if isinstance(value, list) else [value]
        for number, item in enumerate(items, start=1):
            label = f"{name}.{number}" if isinstance(value, list) else name
            if isinstance(item, str | int | float) and str(item).strip():
                results.append(match_field(label, item, text))
    return results


def field_scores(results: list[Field]) -> dict[str, float]:
    """Shares of the fields found; empty where there are none."""
    if not results:
        return {}
    return {
        "fields": sum(f.exact for f in results) / len(results),
        "fields_lenient": sum(f.lenient for f in results) / len(results),
    }
