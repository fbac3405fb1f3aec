"""What a growing text repeats at its end, and from when on that is no more what a page may hold."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ANCHOR = 32
"""Last characters that are looked for further up: where they stand again, a period may begin."""
_WINDOW = 16_384
"""Characters in which they are looked for: periods are at most half of it."""
_MOST = 4 * _WINDOW
"""Characters of a run that are counted."""
_PLACES = 64
"""Of such places that are looked at."""
_LEAST = 200
"""Characters of the shortest run that is one."""
_TIMES = 3
"""Times that a unit which says something is there, however long it is."""
_RICH, _PARAGRAPH = 6, 15
"""Words from which a unit says something; from which one that is a single line is no row of a list."""
_ROWS, _RICH_ROWS, _EMPTY_ROWS, _POOR = 60, 12, 120, 900
"""Lines or table rows alike that a page holds no more of: with little in them, with much, with nothing; and
the least characters of the first."""
_CELLS = 120
"""Cells alike in a row of a table."""
_LEADERS, _LEADER = frozenset("._-=*~·•…—–―─━▁□☐○◦‥⋯。＿－　 \t\\"), 1000
"""Marks that lines to fill in and leaders are of, and how many of them a line has at most."""
_KNOWN_TIMES = 40
"""Times for which lines may repeat as long as the page is known to hold as much text."""

_TAG = re.compile(r"<[^<>]*>|&nbsp;")
_WORD = re.compile(r"[⺀-鿿豈-﫿぀-ヿ]|[^\W\d_]{2,}")
"""A character of Chinese and Japanese is a word."""
_NUMBER = re.compile(r"\d+")
_ROW_END = re.compile(r"(?:\n|</tr>|<br\s*/?>)\s*", re.IGNORECASE)
_PART_END = re.compile(r"(?<=>)|\s+")


@dataclass(frozen=True, slots=True)
class Repetition:
    """`unit` is repeated from `start` to the end of the text."""

    start: int
    unit: str


def at_end(
    text: str, end: int | None = None, *, known: bool = False, stopped: bool = False
) -> Repetition | None:
    """The endless repetition that the text ends with, if it does; of its first `end` characters.

    `known` is whether the page is known to hold as much text as this: lines may then repeat more often, as
    on a sheet of labels; `stopped`, whether what runs the model ended it before its time, so that any
    repetition tells why. Takes time in proportion to the window, whatever the text.
    """
    size = len(text) if end is None else end
    if size < (2 * _ANCHOR if stopped else _LEAST):
        return None
    anchor, low = text[size - _ANCHOR : size], max(0, size - _WINDOW)
    before = size - 1
    for _ in range(_PLACES):
        at = text.rfind(anchor, low, before)
        if at < 0:
            return None
        period = size - _ANCHOR - at
        run = period + _reach(text, size, period, _MOST)
        enough = run >= max(2 * _ANCHOR if stopped else _LEAST, _TIMES * period)
        if enough and (stopped or run >= needed(text[size - period : size], known=known)):
            start = size - period - _reach(text, size, period, size)
            return Repetition(start, text[start : start + period])
        # Within its run other places are multiples of the same period.
        before = min(at + _ANCHOR - 1, size - run + _ANCHOR)
    return None


def needed(unit: str, *, known: bool = False) -> int:
    """Characters from which a repetition of `unit` is none of a page."""
    period, unit = len(unit), _begun(unit)
    bare, rows = _TAG.sub(" ", unit), len(_ROW_END.findall(unit))
    table = "|" in unit or bare != unit
    if not any(c.isalnum() for c in bare):
        if rows:
            return max(_LEAST, _EMPTY_ROWS * period // rows)
        if table:
            return max(_LEAST, _CELLS * period)
        return _LEADER if _LEADERS.issuperset(unit) else _LEAST
    words = len(set(_WORD.findall(bare)))
    rich = words + len(set(_NUMBER.findall(bare))) / 2
    if rich < _RICH and (rows or table):
        return max(_POOR, _ROWS * period // max(rows, 1))
    if not (rows or table):
        return _curve(period, 240)
    if known and len(unit) < 2 * _LEAST:
        return _KNOWN_TIMES * period
    if rows <= 1 and words < _PARAGRAPH:
        return max(2 * _LEAST, min(_RICH_ROWS * period, _curve(period, 1500)))
    return _curve(period, 400)


def _begun(unit: str) -> str:
    """The same repetition, begun where a line begins, or a tag, or a word."""
    twice = unit + unit[:8]
    end = _ROW_END.search(twice) or _PART_END.search(twice)
    cut = end.end() % len(unit) if end else 0
    return unit[cut:] + unit[:cut]


def _curve(period: int, short: int) -> int:
    """Three times of long units, `short` characters more of very short ones."""
    return _TIMES * period + max(0, short - period // 2)


def _reach(text: str, size: int, period: int, most: int) -> int:
    """How many of the last characters before `size`, up to `most`, stand the period before too."""
    most = min(most, size - period)
    reach, step = 0, 256
    while reach < most and step:
        step = min(step, most - reach)
        end = size - reach
        if text[end - step : end] == text[end - step - period : end - period]:
            reach += step
            step *= 2
        else:
            most = reach + step - 1
            step //= 2
    return reach
