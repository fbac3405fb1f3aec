"""Amounts and dates with a letter that looks like a digit, as `1O5.00` and `O3/03/2018`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, TypeAlias

from internvl_loaders.ground.checks.numbers import western

Kind: TypeAlias = Literal["amount", "date", "number"]

DIGITS_OF = str.maketrans("OoQDlI|SsBZzGqJ", "000011155822693")
"""What a letter in a number is taken for."""

_ALIKE = r"[\dOoQDlI|SsBZzGqJ]"
_LIKE = re.compile(
    rf"(?<![\w.,/:-])(?:(?P<amount>{_ALIKE}{{1,3}}(?:[.,]{_ALIKE}{{3}}){{0,4}}[.,]{_ALIKE}{{2}})"
    rf"|(?P<number>\d+O\d+|\d{{2,}}O|O\d{{2,}})"
    rf"|(?P<date>{_ALIKE}{{1,2}}(?P<mark>[./-]){_ALIKE}{{1,2}}(?P=mark)(?:{_ALIKE}{{4}}|{_ALIKE}{{2}})))(?![\w/:-]|[.,]\w)"
)


def letters_in_numbers(text: str) -> Iterator[tuple[str, Kind, int]]:
    """The tokens, what they are (`amount`, `date`, `number`) and where they start.

    Most of a token must be digits, so that `S.50` and `I.II.IZ` are none; `O.00` is one.
    """
    plain = western(text)
    for found in _LIKE.finditer(plain):
        token = found[0]
        letters = sum(c.isalpha() or c == "|" for c in token)
        digits = sum(c.isdecimal() for c in token)
        whole = token.rpartition(".")[0] or token.rpartition(",")[0]
        if not letters or letters * 2 > digits or (found["amount"] and not _has_digit(whole)):
            continue
        kind: Kind = "amount" if found["amount"] else "number" if found["number"] else "date"
        yield text[found.start() : found.end()], kind, found.start()


def _has_digit(whole: str) -> bool:
    return any(map(str.isdecimal, whole)) or whole in ("O", "o")
