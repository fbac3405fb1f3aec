"""What depends on the script: spaces between words, the hyphen at a line's end, direction."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

_LONG = 4096
"""Characters of a text that are joined on; what is longer is put aside, so that cost grows with length."""
SOFT_HYPHEN = "\N{SOFT HYPHEN}"
_HYPHENS = "-\N{HYPHEN}\N{SOFT HYPHEN}"
_SUSPENDED = frozenset(
    (
        "und",
        "oder",
        "bzw",
        "sowie",
        "noch",
        "bis",
        "and",
        "or",
        "nor",
        "to",
        "et",
        "ou",
        "y",
        "e",
        "o",
        "u",
        "en",
    )
)
"""Words after which a trailing hyphen stands for a part left out (`Vor- und Nachname`)."""

_CJK = re.compile(
    "[\u1100-\u11ff\u2e80-\u2fdf\u3000-\u30ff\u3100-\u312f\u31a0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff65\U00020000-\U0003ffff]"
)
_RTL = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefe]")
_LTR = re.compile(r"[A-Za-z\u00c0-\u024f\u0370-\u052f\u4e00-\u9fff]")


def is_cjk(char: str) -> bool:
    """Of a script written without spaces (Chinese, Japanese; Hangul syllables are spaced)."""
    return char >= "\u1100" and _CJK.match(char) is not None


def has_cjk(text: str) -> bool:
    return not text.isascii() and _CJK.search(text) is not None


def is_rtl(text: str) -> bool:
    """More right-to-left letters than left-to-right ones."""
    if text.isascii():
        return False
    return len(_RTL.findall(text)) > len(_LTR.findall(text))


def has_rtl(text: str) -> bool:
    return not text.isascii() and _RTL.search(text) is not None


def joined_lines(
    lines: Sequence[str], hard_breaks: Sequence[bool] = (), seen: Mapping[str, int] | None = None
) -> str:
    """Printed lines as running text by `join_lines`, the first at least; a new line after those that
    `hard_breaks` says end where they do."""
    done: list[str] = []
    whole = lines[0]
    for n, text in enumerate(lines[1:]):
        is_hard = n < len(hard_breaks) and hard_breaks[n]
        whole = f"{whole}\n{text}" if is_hard else join_lines(whole, text, seen)
        if len(whole) > _LONG:  # joining looks at the last word only, and no word is so long
            end = whole.rfind(" ", 0, -_LONG // 2)
            end = end if end > 0 else len(whole) - _LONG // 2
            done.append(whole[:end])
            whole = whole[end:]
    return "".join([*done, whole])


def join_lines(upper: str, lower: str, seen: Mapping[str, int] | None = None) -> str:
    """Two printed lines of one paragraph as running text.

    A hyphen between lower-case letters goes, unless `seen` (how often lower-case words stand on
    the page, broken ones not counted as whole) speaks for a compound.
    """
    if not upper or not lower:
        return upper or lower
    last = upper[-1]
    if last in _HYPHENS and len(upper) > 1 and upper[-2].isalnum():
        if last == SOFT_HYPHEN:
            return upper[:-1] + lower
        first = lower.split(None, 1)[0]
        if first.strip(".,;:()") in _SUSPENDED:
            return f"{upper} {lower}"
        if not (upper[-2].islower() and lower[0].islower()):
            return upper + lower
        head = upper.rsplit(None, 1)[-1].lstrip("(\"'„“‚‘«[")[:-1].lower()
        tail = first.rstrip(".,;:!?)]\"'“”’»").lower()
        return upper + lower if _is_compound(head, tail, seen or {}) else upper[:-1] + lower
    if is_cjk(last) and is_cjk(lower[0]):
        return upper + lower
    return f"{upper} {lower}"


def _is_compound(head: str, tail: str, seen: Mapping[str, int]) -> bool:
    """Seen with its hyphen, or both halves seen as words of their own, and never seen whole."""
    if seen.get(head + tail):
        return False
    if seen.get(f"{head}-{tail}"):
        return True
    return min(len(head), len(tail)) > 3 and seen.get(head, 0) > 0 and seen.get(tail, 0) > 1
