"""Text metrics: character error rate, edit distance, word recall and F1, after one normalisation."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

from rapidfuzz.distance import Levenshtein

_LOOKALIKES = str.maketrans(
    dict.fromkeys("‘’‚‛′`´", "'") | dict.fromkeys("“”„‟″«»", '"') | dict.fromkeys("‐‑‒–—―−⁃", "-")
)
# Han, kana, bopomofo, CJK punctuation and full-width forms: scripts that are written without spaces.
_CJK = "\u2e80-\u312f\u31a0-\ua4cf\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef\U00020000-\U0003ffff"
_INVISIBLE = frozenset({"Cc", "Cf", "Cn"})
_CJK_GAP = re.compile(rf"(?<=[{_CJK}])\s+(?=[{_CJK}])")
_LEADER = re.compile(r"(\.)(?:\s?\.){2,}|([-_=*])\2{2,}")
_BROKEN_WORD = re.compile(r"(?<=[^\W\d_])-[^\S\n]*\n\s*(?=([^\W\d_]))")
_WORD = re.compile(rf"[{_CJK}]|[^\W{_CJK}]+(?:[.,:/'@-][^\W{_CJK}]+)*")


def normalise(text: str, *, fold_case: bool = False) -> str:
    """What is compared, of truth and reading alike.

    Compatibility forms become plain ones (NFKC: ligatures, full width, superscripts); control,
    format (soft hyphens, direction marks) and unassigned characters go; every quote is ' or ", every
    dash is -; a word broken by a hyphen at the end of a line (next letter lower case) is joined;
    leaders and drawn lines (three or more of the same of . - _ = *) are three; white space runs are
    one space, and none between two CJK characters.
    """
    text = unicodedata.normalize("NFKC", text.translate(_LOOKALIKES)).translate(_LOOKALIKES)
    text = "".join(c for c in text if c.isspace() or unicodedata.category(c) not in _INVISIBLE)
    text = _BROKEN_WORD.sub(lambda m: "" if m[1].islower() else m[0], text)
    text = _CJK_GAP.sub("", " ".join(_LEADER.sub(lambda m: 3 * (m[1] or m[2]), text).split()))
    return text.casefold() if fold_case else text


def is_upper_case(text: str) -> bool:
    """Whether `text` has letters with case, and none is lower case: such truth cannot tell case."""
    return any(c.isupper() for c in text) and not any(c.islower() for c in text)


def cer(truth: str, reading: str) -> float:
    """Levenshtein distance by the truth's length; may pass 1. Against empty truth: 0 or 1."""
    if not truth:
        return float(bool(reading))
    return Levenshtein.distance(truth, reading) / len(truth)


def edit_distance(truth: str, reading: str) -> float:
    """Levenshtein distance by the longer length, 0 to 1."""
    return Levenshtein.normalized_distance(truth, reading)


def words(text: str) -> list[str]:
    """Runs of letters and digits, inner `. , : / ' @ -` kept (`1,136.00`); a CJK character is one."""
    return _WORD.findall(text)


def word_scores(truth: str, reading: str) -> dict[str, float]:
    """Recall and F1 of the words as multisets, whatever their order; empty when truth has no words."""
    true, read = Counter(words(truth)), Counter(words(reading))
    if not true:
        return {}
    common = (true & read).total()
    return {
        "word_recall": common / true.total(),
        "word_f1": 2 * common / (true.total() + read.total()),
    }


def text_scores(truth: str, reading: str) -> dict[str, float]:
    """All text metrics of a document; case counts unless the truth is all upper case."""
    fold = is_upper_case(truth)
    true, read = normalise(truth, fold_case=fold), normalise(reading, fold_case=fold)
    return {
        "cer": cer(true, read),
        "edit_distance": edit_distance(true, read),
        **word_scores(true, read),
    }
