"""Tokens that a transcription and its witness read differently."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein

from internvl_loaders.ground.align import Aligned, Claim, spans
from internvl_loaders.ground.tokens import Token, fold, has_digit, kind_of, unsure
from internvl_loaders.ground.witness import Map
from internvl_loaders.values import Box, Dispute

_PLAIN = re.compile(r"\W*(?:[A-Z]{1,3})?\W*?(\d+((?:[.,]\d+)*))\W*")
"""A number with or without separators (group 2), perhaps after a currency."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the witness has where a token stands: its text, the place, how sure it is."""

    text: str
    box: Box | None
    confidence: float | None


def reading(numbers: Sequence[int], aligned: Aligned, witness: Map) -> Reading | None:
    """Of the atoms `numbers`, which are one token's: with what else is in the same word and no other atom's.
    None where the witness has nothing for them."""
    used: dict[int, tuple[int, int]] = {}
    for number in numbers:
        claim = aligned.claims[number]
        if claim is None:
            continue
        for piece, at, until in spans(claim, witness):
            a, b = used.get(piece, (at, until))
            used[piece] = min(a, at), max(b, until)
    if not used:
        return None
    own = set(numbers)
    first, last = min(used), max(used)
    for piece in range(first, last + 1):  # what is passed over between them
        if piece not in used and last - first <= 6:
            used[piece] = (0, len(witness.pieces[piece].text))
    used[first] = (_back_to(first, used[first][0], aligned, own), used[first][1])
    used[last] = (used[last][0], _up_to(last, used[last][1], aligned, own, len(witness.pieces[last].text)))
    for step, piece in ((-1, first - 1), (1, last + 1)):
        beside = first if step < 0 else last
        whole = used[beside][0] == 0 if step < 0 else used[beside][1] == len(witness.pieces[beside].text)
        while (
            whole
            and 0 <= piece < len(witness.pieces)
            and witness.pieces[piece].word == witness.pieces[beside].word
            and piece not in aligned.taken
        ):
            used[piece] = (0, len(witness.pieces[piece].text))
            piece += step
    return _told(used, witness)


def _back_to(piece: int, at: int, aligned: Aligned, own: set[int]) -> int:
    others = [b for _, b, n in aligned.taken.get(piece, ()) if n not in own and b <= at]
    return max(others, default=0)


def _up_to(piece: int, until: int, aligned: Aligned, own: set[int], size: int) -> int:
    others = [a for a, _, n in aligned.taken.get(piece, ()) if n not in own and a >= until]
    return min(others, default=size)


def _told(used: dict[int, tuple[int, int]], witness: Map) -> Reading:
    text, last_word, end = "", -1, 0
    boxes, sure = [], []
    for piece in sorted(used):
        folded, number, start, stop = witness.pieces[piece]
        word = witness.words[number]
        at, until = used[piece]
        whole = at == 0 and until == len(folded)
        begin, finish = (start, stop) if whole else _raw(word.text[start:stop], start, at, until)
        if number == last_word:
            text += word.text[end:begin] if whole else ""
        elif text:
            text += " "
        text += word.text[begin:finish]
        last_word, end = number, finish
        boxes.append(witness.box(piece, at, until))
        if word.confidence is not None:
            sure.append(word.confidence)
    return Reading(text, Box.around(boxes), min(sure, default=None))


def _raw(text: str, start: int, at: int, until: int) -> tuple[int, int]:
    """The place in a word of characters `at` to `until` of an atom's folded text."""
    count = 0
    begin = finish = start
    for offset, char in enumerate(text):
        size = len(fold(char))
        if count <= at and size:
            begin = start + offset
        count += size
        if count <= until:
            finish = start + offset + 1
    return begin, max(finish, begin)


def differs(text: str, other: str) -> bool:
    """Whether two readings of a token say something else in their digits, or in a letter beside one."""
    one, two = fold(text), fold(other)
    if "$" in text and len(two) > 1 and two[0] in "s58" and one != two:
        two = two[1:] if len(two) > len(one) else two
    if unsure(one) == unsure(two):
        return _letter_among_digits(one, two, other) or _other_decimals(text, other)
    if not has_digit(one) and 2 * sum(map(str.isdigit, two)) <= len(two):
        return False
    return any(_weighs(one, two, *edit) for edit in _edits(unsure(one), unsure(two)))


def _edits(one: str, two: str) -> Iterator[tuple[int, int, int, int]]:
    for code in Levenshtein.opcodes(one, two):
        if code.tag != "equal":
            yield code.src_start, code.src_end, code.dest_start, code.dest_end


def _weighs(one: str, two: str, a: int, b: int, c: int, d: int) -> bool:
    if has_digit(one[a:b]) or has_digit(two[c:d]):
        return True
    if a == b or c == d:  # a letter more or less, as of a unit or a stain
        return False
    return has_digit(one[max(a - 1, 0) : a] + one[b : b + 1]) and has_digit(
        two[max(c - 1, 0) : c] + two[d : d + 1]
    )


def _letter_among_digits(one: str, two: str, other: str) -> bool:
    """A letter that the witness reads as a digit, in what is a number but for it: among its digits, or before
    those of one with separators."""
    if len(one) != len(two) or one == two:
        return False
    wrong = [i for i, (x, y) in enumerate(zip(one, two, strict=True)) if x.isalpha() and y.isdigit()]
    letters = sum(map(str.isalpha, one))
    inside = bool(wrong) and (wrong[0] > 0 or re.search(r"\d[.,:/]\d", other) is not None)
    return inside and letters == len(wrong) and letters < len(one)


def _other_decimals(text: str, other: str) -> bool:
    """Digits that are the same, parted elsewhere (`185.00`, `18.500`), or parted in the witness alone,
    as an amount's are: a separator that the witness does not see is no dispute."""
    one, two = _decimals(text), _decimals(other)
    if one is None or two is None or two == 0 or max(one, two) > 3:
        return False
    return two == 2 if one == 0 else one != two


def _decimals(text: str) -> int | None:
    """Digits after the last point or comma, 0 without one; None in what is no plain number."""
    found = _PLAIN.fullmatch(text)
    return None if found is None else len(re.split("[.,]", found[1])[-1]) if found[2] else 0


def dispute(token: Token, seen: Reading | None, box: Box | None = None) -> Dispute:
    kind = kind_of(token.text)
    if seen is not None and not has_digit(token.text):
        kind = kind_of(seen.text)
    return Dispute(
        text=token.text,
        witness=seen.text if seen is not None else "",
        kind=kind,
        confidence=None if seen is None or seen.confidence is None else round(seen.confidence, 4),
        box=seen.box if seen is not None else box,
        start=token.start,
    )


def claim_box(claim: Claim, witness: Map) -> Box | None:
    return Box.around([witness.box(*span) for span in spans(claim, witness)])
