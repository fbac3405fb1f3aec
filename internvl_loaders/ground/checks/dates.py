"""Dates that do not exist, whichever of day and month comes first."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

from internvl_loaders.ground.checks.numbers import western

_NUMERIC = re.compile(r"(?<![\w./:,-])(\d{1,2})([./-])(\d{1,2})\2((?:19|20)\d{2}|\d{2})(?![\w/-]|[.,:]\d)")
_YEAR_FIRST = re.compile(r"(?<![\w./:,-])((?:19|20)\d{2})([-/.])(\d{1,2})\2(\d{1,2})(?![\w/-]|[.,:]\d)")
_CHINESE = re.compile(r"((?:19|20)\d{2})\s?年\s?(\d{1,2})\s?月\s?(\d{1,2})\s?日")
_MONTHS = (
    "jan feb mar apr may jun jul aug sep oct nov dec",
    "jan feb mär apr mai jun jul aug sep okt nov dez",
    "janv févr mars avr mai juin juil août sept oct nov déc",
)
_MONTH = {name: place for names in _MONTHS for place, name in enumerate(names.split(), 1)}
_NAME = "(?P<name>(?:" + "|".join(_MONTH) + r")[^\W\d]{0,7})\.?"
_YEAR = r"(?P<year>(?:19|20)\d{2})(?!\w)"
_NAMED = (
    re.compile(rf"(?<![\w./:,-])(?P<day>\d{{1,2}})\.?[ -]{_NAME}[ ,-]{{1,2}}{_YEAR}", re.IGNORECASE),
    re.compile(rf"\b{_NAME} (?P<day>\d{{1,2}})(?:st|nd|rd|th)?,? {_YEAR}", re.IGNORECASE),
)
_TOLD = re.compile(r"dat|vom|\ble\b|\bdu\b|\bon\b|\bam\b|fecha|日期", re.IGNORECASE)


def bad_dates(text: str) -> Iterator[tuple[str, int]]:
    """Their texts and where they start. Those with two digits for the year are told where they have slashes
    or something before them says that they are dates."""
    plain = western(text)
    for match in _NUMERIC.finditer(plain):
        first, second, year = int(match[1]), int(match[3]), int(match[4])
        short = len(match[4]) == 2
        before = plain[max(match.start() - 20, 0) : match.start()]
        if short and match[2] != "/" and not _TOLD.search(before):
            continue  # a section, a version, a telephone number
        full = 2000 + year if short else year
        orders = [(full, second, first), (full, first, second)]
        if short:
            orders.append((2000 + first, second, year))
        if not any(map(_exists, orders)):
            yield text[match.start() : match.end()], match.start()
    for pattern, places in ((_YEAR_FIRST, (1, 3, 4)), (_CHINESE, (1, 2, 3))):
        for match in pattern.finditer(plain):
            year, month, day = (int(match[place]) for place in places)
            if not _exists((year, month, day)):
                yield text[match.start() : match.end()], match.start()
    for match in (match for pattern in _NAMED for match in pattern.finditer(plain)):
        name = match["name"].casefold()
        month = next(_MONTH[name[:length]] for length in (5, 4, 3) if name[:length] in _MONTH)
        if not _exists((int(match["year"]), month, int(match["day"]))):
            yield text[match.start() : match.end()], match.start()


def _exists(year_month_day: tuple[int, int, int]) -> bool:
    try:
        date(*year_month_day)
    except ValueError:
        return False
    return True
