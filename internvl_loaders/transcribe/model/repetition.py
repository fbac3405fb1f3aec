"""Whether a model has begun to repeat itself without end."""

from __future__ import annotations

import re
from dataclasses import dataclass

STEP = 256
"""Characters between two looks at a growing text."""

_TAIL = 6000
_LONG = 25
_LEAST = {"short": (40, 400), "long": (10, 600), "table": (60, 1800), "marks": (200, 3000)}
"""Times and characters from which a repetition is no more what a page may hold: of short units, of
units of 25 characters and more, of units in tables (rows may be alike), and of units without a letter
or digit (rules, dot leaders, empty cells)."""
_TAG = re.compile(r"<[^<>]*>|&nbsp;")


@dataclass(frozen=True, slots=True)
class Repetition:
    """`unit` is repeated from `start` to the end of the text."""

    start: int
    unit: str


def at_end(text: str) -> Repetition | None:
    """The endless repetition that the text ends with, if it does. Linear in the tail it looks at."""
    tail = text[-_TAIL:]
    period = _period(tail)
    if period is None:
        return None
    start = len(text) - period
    while start > 0 and text[start - 1] == text[start - 1 + period]:
        start -= 1
    return Repetition(start, text[start : start + period])


def anywhere(text: str) -> Repetition | None:
    """Like `at_end`, of any beginning of the text."""
    for end in [*range(STEP * 4, len(text), STEP * 4), len(text)]:
        if found := at_end(text[:end]):
            return found
    return None


def _period(tail: str) -> int | None:
    """By the failure function of the reversed text: what it ends with has the smallest period there is."""
    back = tail[::-1]
    failure = [0] * (len(back) + 1)
    matched = 0
    for size in range(2, len(back) + 1):
        while matched and back[size - 1] != back[matched]:
            matched = failure[matched]
        matched += back[size - 1] == back[matched]
        failure[size] = matched
        period = size - matched
        if size >= 400 and size >= 10 * period and _endless(back[:period][::-1], size):
            return period
    return None


def _endless(unit: str, characters: int) -> bool:
    if not any(c.isalnum() for c in _TAG.sub("", unit)):
        kind = "marks"
    elif "|" in unit or "<t" in unit.lower():
        kind = "table"
    else:
        kind = "short" if len(unit) < _LONG else "long"
    times, least = _LEAST[kind]
    return characters >= least and characters >= times * len(unit)
