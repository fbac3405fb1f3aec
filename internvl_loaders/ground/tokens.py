"""Texts as atoms that two readings of a page are aligned by, and tokens that a reader would check."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from internvl_loaders.values import DisputeKind

_CJK = (
    "\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u3100-\u312f\u31a0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\U00020000-\U0003ffff"
)
_ATOM = re.compile(
    rf"[{_CJK}]"  # written without spaces: characters one by one
    r"|(?<!\w)(?:S|[A-Z]{2,3}|[$€£¥]?[A-Z]{0,2}[$€£¥])(?=\d[\d.,]*[.,]\d\d(?!\w))"  # currency, `$` read as S
    r"|\d[\dOIl]*(?:[.,:/'’-][\dOIl]+)+(?!\w)"  # a number with its separators, a date, a time
    rf"|[^\W_{_CJK}](?:[\u0300-\u036f]|[^\W_{_CJK}])*"
)
_TOKEN = re.compile(rf"[^\s{_CJK}]+|[{_CJK}]+")
_EDGES = "\"'`()[]{}<>«»“”‘’„‚.,:;!?*|=~_…。、，：；·•#"

_LOOKALIKE = str.maketrans("oliszbgq", "01152899")
_SAME = str.maketrans("oli", "011")

_MONTH = re.compile(
    r"jan|feb|m[aä]r|apr|ma[iy]|jun|jul|aug|sep|okt|oct|nov|dec|dez|f[eé]v|avr|ao[uû]|d[eé]c", re.I
)
_DATE = re.compile(
    r"\d{1,4}([./-])\d{1,2}\1\d{1,4}|\d{1,2}[./-]?[^\W\d_]{3,9}[./-]?\d{2,4}|\d{4}年?|\d{1,2}[月日]"
)
_AMOUNT = re.compile(
    r"[+-]?(?:[^\W\d_]{1,3}|[$€£¥₹%])?\.?[+-]?\(?(?:\d{1,3}(?:[,.' ]\d{3})+|\d+)[.,]\d{2}\)?-?"
    r"(?:[^\W\d_]{1,3}|[$€£¥₹%])?"
)
_NUMBER = re.compile(r"[+-]?\(?\d+(?:[.,:/'x×-]\d+)*\)?%?")


class Atom(NamedTuple):
    """A run of letters or digits (a number with its separators, one CJK character), `text` folded so that
    readings which only differ in case, accents, width or separators are equal; `start` and `end` are its
    place in the text it is of."""

    text: str
    start: int
    end: int

    @property
    def numeric(self) -> bool:
        return any(map(str.isdigit, self.text))


class Token(NamedTuple):
    """What stands between spaces, without punctuation around it."""

    text: str
    start: int
    end: int


@lru_cache(maxsize=1 << 16)
def fold(text: str) -> str:
    """Letters and digits alone, in lower case, without accents, digits of any script as ASCII's."""
    if text.isascii():
        return "".join(filter(str.isalnum, text)).lower()
    plain = unicodedata.normalize("NFKD", text)
    return "".join(str(unicodedata.digit(c)) if c.isdigit() else c for c in plain.casefold() if c.isalnum())


@lru_cache(maxsize=1 << 16)
def lookalike(folded: str) -> str:
    """Letters that OCR takes for digits as those digits: to find a token by, not to judge it."""
    return folded.translate(_LOOKALIKE)


def unsure(folded: str) -> str:
    """With O and 0, and with l, I and 1, as one: no font tells them apart, and no witness counts on them."""
    return folded.translate(_SAME)


def atoms(text: str) -> Iterator[Atom]:
    for found in _ATOM.finditer(text):
        if (folded := fold(found[0])) and not _is_dollar(text, found):
            yield Atom(unsure(folded) if has_digit(folded) else folded, found.start(), found.end())


def _is_dollar(text: str, found: re.Match[str]) -> bool:
    """Whether it is the S that a `$` before an amount is read as."""
    return found[0] == "S" and text[found.end() : found.end() + 1].isdigit()


def tokens(text: str) -> Iterator[Token]:
    for found in _TOKEN.finditer(text):
        bare = found[0].lstrip(_EDGES)
        start = found.end() - len(bare)
        if bare := bare.rstrip(_EDGES):
            yield Token(bare, start, start + len(bare))


def has_digit(text: str) -> bool:
    return any(map(str.isdigit, text))


def kind_of(text: str) -> DisputeKind:
    """What a token seems to be, by its look alone."""
    if not has_digit(text):
        return "name" if text[:1].isupper() and not text.isupper() else "word"
    if _DATE.fullmatch(text) and (not _month_needed(text) or _MONTH.search(text)):
        return "date" if not re.fullmatch(r"\d{4}", text) else "number"
    if _AMOUNT.fullmatch(text):
        return "amount"
    if _NUMBER.fullmatch(text):
        return "identifier" if len(fold(text)) >= 7 and fold(text).isdigit() else "number"
    return "identifier"


def _month_needed(text: str) -> bool:
    return bool(re.search(r"[^\W\d_]", text)) and not re.search(r"[年月日]", text)
