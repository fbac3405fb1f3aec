"""Whether extracted text is language at all, or what a font without a true Unicode map leaves behind."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from itertools import pairwise

_LISTED = """
    aa ab ac ad ag ah ai ak al am an ap ar as at au av ay ba be bi bo ca ce ch ci co da de di do du ec
    ed ee eg ei ek el em en er es et fo ga ge gi go gr ha he hi ho ia ic id ie ig ij ik il im in io ir
    is it ja je ka ke ki ko ku la le li ll lo lu ma me mi mo mu na nc nd ne ng ni no ns nt od og ol om
    on oo op or os ot ov pa pe pi po pr ra rd re ri ro rs rt ru sa se sh si sk so ss st su ta te th ti
    to tr tu ue ul um un ur us ut va ve vi vo wa ya za zi
"""
_PAIRS = frozenset(_LISTED.split())
"""The commonest pairs of letters over 31 languages in Latin script, accents aside.

They are 58 % (Welsh) to 90 % of the pairs of such a language, 21 % (median) of a text whose letters
a font has exchanged at random, 33 % where it numbers them by first use.
"""
_FEW_PAIRS, _SURE_PAIRS = 60, 150
_WRONG_BELOW, _WRONG_BELOW_IF_FEW = 0.47, 0.40

_HANGUL = frozenset(
    "이의다는에로하한기을서가은지사으년대리시스인고일국도자를어아부주전정라있구나제수과동월위해성관화원상여되며장"
)
"""55 % of the syllables of Korean text; 0.5 % of random ones."""
_HAN = frozenset(
    "的一是不了在人有中大年月日本国國中上下和以地方用作時时所行文名合同公司工家学學生事出分成部区區及理主會会个個"
    "第者代社金元税號号数數量計计价價期表電电長长自子小高等與与为為於于對对其他後后前市県三二十四五六七八九百千万萬"
)
"""A tenth and more of Chinese or Japanese text, invoices and tables included."""

_LATIN_WORD = re.compile(r"[^\W\d_]{3,}")
_JUNK = frozenset("!\"#$%&'()*+,/:;<=>?@[\\]^`{|}~¡¢£¤¥¦§¨©ª«¬®¯°±´¶·¸º»¿×÷")
_LEADERS = frozenset(".…_-–—‐‑−·•*=~ ")
_MIXED = re.compile(r"[A-Za-zÀ-ɏ][Ͱ-ԯ֐-ۿऀ-๿]{2}|[Ͱ-ԯ֐-ۿऀ-๿]{2}[A-Za-zÀ-ɏ]")


def illegible(words: Sequence[str]) -> str | None:
    """Why these words cannot be what the page shows, as a phrase; None where they may be."""
    text = "".join(words)
    return (
        _unmapped(words)
        or _symbols(text)
        or _set_apart(words)
        or _no_language(words)
        or _wrong_script(words, text)
    )


def _unmapped(words: Sequence[str]) -> str | None:
    """Characters without a meaning; alone they may be bullets or pieces of formulas."""
    lost = [w for w in words if any(_meaningless(c) for c in w)]
    if not lost:
        return None
    within = sum(len(w) > 1 for w in lost)
    characters = sum(_meaningless(c) for w in lost for c in w)
    share = characters / sum(map(len, words))
    if share > 0.5 or (share > 0.1 and within > 0.1 * len(words)):
        return f"{share:.0%} of its characters have no Unicode meaning"
    return None


def _meaningless(char: str) -> bool:
    return char >= "\ue000" and (char == "\ufffd" or unicodedata.category(char) in {"Co", "Cn"})


def _symbols(text: str) -> str | None:
    telling = [c for c in text if c not in _LEADERS]
    junk = sum(c in _JUNK for c in telling)
    if len(telling) >= 4 and junk > 0.6 * len(telling):
        return f"{junk / len(telling):.0%} of it is symbols where letters should be"
    return None


def _set_apart(words: Sequence[str]) -> str | None:
    single = sum(len(w) == 1 and w.isalpha() and w < "\u2000" for w in words)
    if len(words) >= 60 and single > 0.75 * len(words):
        return f"{single / len(words):.0%} of its words are single letters"
    return None


def _no_language(words: Sequence[str]) -> str | None:
    """By pairs of letters, which differ little between languages in Latin script."""
    total = known = 0
    for word in words:
        for letters in _LATIN_WORD.findall(word):
            plain = letters if letters.isascii() else _without_accents(letters)
            if not plain.isascii():
                continue
            found = [a + b for a, b in pairwise(plain.lower())]
            total += len(found)
            known += sum(pair in _PAIRS for pair in found)
    limit = _WRONG_BELOW if total >= _SURE_PAIRS else _WRONG_BELOW_IF_FEW
    if total >= _FEW_PAIRS and known < limit * total:
        return f"only {known / total:.0%} of its pairs of letters are common in any language"
    return None


def _without_accents(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))


def _wrong_script(words: Sequence[str], text: str) -> str | None:
    letters = [c for c in text if c.isalpha()]
    if len(letters) >= 60 and sum("À" <= c <= "ÿ" for c in letters) > 0.5 * len(letters):
        return "most of its letters are accented ones"
    hangul = [c for c in letters if "가" <= c <= "힣"]
    if len(hangul) >= 60 and sum(c in _HANGUL for c in hangul) < 0.15 * len(hangul):
        return "its Hangul syllables are not those of Korean"
    han = [c for c in letters if "一" <= c <= "鿿" or "㐀" <= c <= "䶿" or c >= "\U00020000"]
    if len(han) >= 100 and sum(c in _HAN for c in han) < 0.03 * len(han):
        return "its ideographs are not those of Chinese or Japanese"
    mixed = sum(_MIXED.search(w) is not None for w in words)
    if mixed >= 10 and mixed > 0.2 * len(words):
        return "it mixes scripts within words"
    return None
