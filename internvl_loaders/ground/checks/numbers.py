"""Numbers as documents print them: groups and decimal marks of many countries, signs, currencies, CR and DR.

Values are exact decimals. A number that may mean two values (`1,234`) is read by the decimal mark of the
text around it, which `decimal_mark` finds.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

MAX_LENGTH = 48
"""Characters of a cell beyond which it is no number."""

_FULL_WIDTH = {0xFF01 + i: 0x21 + i for i in range(94)}
_FULL_WIDTH |= dict.fromkeys((0x3000, 0xA0, 0x202F, 0x2009, 0x2007), 0x20)
_FULL_WIDTH |= dict.fromkeys((0x2212, 0x2010, 0x2011, 0x2013, 0x2014), 0x2D)
_FULL_WIDTH |= {0xFFE5: 0xA5, 0xFFE1: 0xA3, 0x2019: 0x27}
_CURRENCY = (
    r"(?:[$€£¥₹₩₽₺₫฿元円]|(?:US|CA|AU|A|C|HK|NZ|S|NT|R)\$|RM|Rs\.?|CHF|SFr\.?|Fr\.|EUR|USD|GBP|JPY"
    r"|CNY|RMB|INR|MYR|SGD|AUD|CAD|HKD|NZD|SEK|NOK|DKK|PLN|CZK|HUF|RUB|TRY|BRL|MXN|ZAR|kr\.?|zł|Kč)"
)
_MONEY = re.compile(_CURRENCY, re.IGNORECASE)
_DIGITS = r"(?:\d{1,3}(?:[ .,']\d{2,3})+(?:[.,]\d{1,6})?|\d{1,15}(?:[.,]\d{1,6})?|[.,]\d{1,6})(?:[.,]-{1,2})?"
_CELL = re.compile(
    rf"\s*(?P<open>\()?\s*{_CURRENCY}?\s*(?P<sign>[-+])?\s*{_CURRENCY}?\s*(?P<digits>{_DIGITS})"
    rf"(?P<after>-)?\s*{_CURRENCY}?\s*(?P<close>\))?\s*(?P<percent>%)?\s*(?P<side>CR|DR|[SH])?\.?\s*",
    re.IGNORECASE,
)
_IN_LINE = re.compile(
    rf"(?<![\w.,'/:#-])(?P<open>\()?(?:{_CURRENCY} ?)?(?P<sign>[-+] ?)?(?:{_CURRENCY} ?)?"
    r"(?P<digits>\d{1,3}(?: \d{3})+,\d{2}|\d{1,3}(?:[.,']\d{3})+[.,]\d{2}|\d{1,12}[.,]\d{2})"
    r"(?P<after>-)?(?P<close>\))?(?P<percent> ?%)?(?![\d'/:]|[.,]\d|-\d)",
    re.IGNORECASE,
)
_VOTE = re.compile(r"(?<![\w.,'/:-])\d{1,12}(?:[.,' ]\d{3}){0,5}([.,])\d{1,2}(?![\w/:]|[.,]\d)")
_GROUPED = re.compile(r"\d{1,3}(?:([ .,'])\d{3})(?:\1\d{3})*")
_INDIAN = re.compile(r"\d{1,2}(?:,\d{2})+,\d{3}")


@dataclass(frozen=True, slots=True)
class Number:
    """`digits` stand in the text from character `start` on: without currency, sign and percent."""

    digits: str
    start: int
    value: Decimal
    decimals: int
    percent: bool = False
    money: bool = False
    """It has two decimals, or a currency beside it."""


def western(text: str) -> str:
    """Full-width forms, minus signs and spaces as those of ASCII; as long as `text`."""
    return text.translate(_FULL_WIDTH)


def decimal_mark(texts: Iterable[str]) -> str:
    """`.` or `,`, as most of the numbers have it; '' where none tells."""
    votes = Counter(match[1] for text in texts for match in _VOTE.finditer(western(text)))
    ranked = votes.most_common(2)
    if not ranked or (len(ranked) == 2 and ranked[0][1] == ranked[1][1]):
        return ""
    return ranked[0][0]


def number_in_cell(text: str, mark: str = "") -> Number | None:
    """The number that is all of a cell's text; DR, S and (...) make it negative."""
    if len(text) > MAX_LENGTH:
        return None
    found = _CELL.fullmatch(western(text))
    if found is None or bool(found["open"]) != bool(found["close"]):
        return None
    side = (found["side"] or "").upper()
    return _number(text, found, mark, debit=side in {"DR", "S"})


def numbers_in_line(text: str, mark: str = "") -> list[Number]:
    """The amounts of a line of text: numbers with two decimals, and no dates, times or parts of names."""
    found = (_number(text, match, mark) for match in _IN_LINE.finditer(western(text)))
    return [number for number in found if number is not None]


def _number(text: str, found: re.Match[str], mark: str, *, debit: bool = False) -> Number | None:
    start = found.start("digits")
    digits = found["digits"].rstrip("-").rstrip(".,") if found["digits"].endswith("-") else found["digits"]
    read = value_of(digits, mark)
    if read is None:
        return None
    value, decimals = read
    negative = found["open"] or (found["sign"] or "").strip() == "-" or found["after"] or debit
    return Number(
        text[start : start + len(digits)],
        start,
        -value if negative else value,
        decimals,
        percent=bool(found["percent"]),
        money=not found["percent"] and (decimals == 2 or _MONEY.search(found[0]) is not None),
    )


def value_of(digits: str, mark: str = "") -> tuple[Decimal, int] | None:
    """Value and decimals of digits with separators; None for what is no number, such as `12.05.2018`."""
    digits = western(digits)
    whole, decimals = _parted(digits, mark)
    if not (whole.isdecimal() or _GROUPED.fullmatch(whole) or _INDIAN.fullmatch(whole) or not whole):
        return None
    plain = "".join(c for c in whole if c.isdecimal())
    return Decimal(f"{plain or '0'}.{decimals}" if decimals else plain), len(decimals)


def _parted(digits: str, mark: str) -> tuple[str, str]:
    place = max(digits.rfind("."), digits.rfind(","))
    if place < 0:
        return digits, ""
    last, before, after = digits[place], digits[:place], digits[place + 1 :]
    if last in before:  # twice: groups
        return digits, ""
    if len(after) == 3 and not set(before) & set(".,' ") and 0 < len(before) <= 3 and before != "0":
        return (before, after) if mark == last else (digits, "")
    if len(after) == 3 and "'" not in before and " " in before and mark != last:
        return digits, ""
    return before, after
