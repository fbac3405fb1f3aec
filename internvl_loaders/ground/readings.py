"""What a model read on a crop, and which of several readings of a token is to stand. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from decimal import Decimal

from rapidfuzz.distance import OSA

from internvl_loaders.document import Block
from internvl_loaders.ground.checks.numbers import number_in_cell, western
from internvl_loaders.transcribe.answer.blocks import blocks

MOST_ANSWERED = 4_000
"""Characters of an answer about one crop; a longer one is no reading of it."""
MOST_OTHER = 0.6
"""Share of a token that a reading no witness shares may have otherwise; beyond, it is of something else."""
LEAST_ALIKE = 0.5
"""Share of a token that a word among others on a crop has of it, to be taken for it."""

_BRACKETS = "()[]"
_EDGES = " \t\n\"'`*_<>«»“”‘’„‚,;:!?|~…。、，：；·•#="
_UNREAD = re.compile(r"\[?\s*(?:illegible|unreadable|none|n/?a|blank|empty|no text)\s*\]?\.?", re.IGNORECASE)


def read_crop(answer: str) -> str:
    """The text of an answer, in one line; '' for one that says nothing or too much."""
    if not isinstance(answer, str) or len(answer) > MOST_ANSWERED:
        return ""
    text = " ".join(" ".join(map(_text, blocks(answer))).split())
    return "" if _UNREAD.fullmatch(text) else text


def _text(block: Block) -> str:
    """What looks like a list or a head was printed so: `- 12.00`, `12. 5`."""
    return f"{block.marker} {block.text}" if block.marker else block.text


def token_in(reading: str, *known: str) -> str:
    """The token of a crop's text: all of it where it is one, else the part that is most like one `known`.

    '' where no part is like any of them, or two are that differ.
    """
    words = [bare for word in reading.split() if (bare := word.strip(_EDGES))]
    others = [other for other in known if other]
    if not words or not others:
        return ""
    longest = max(len(key(other)) for other in others)
    if len(words) == 1:
        return words[0] if len(words[0]) <= 2 * longest + 4 else ""
    most = max(len(other.split()) for other in others) + 1
    best: dict[str, str] = {}
    least = 1 - LEAST_ALIKE
    for first in range(min(len(words), 200)):
        for last in range(first + 1, min(first + most, len(words)) + 1):
            part = " ".join(words[first:last])
            far = min(OSA.normalized_distance(key(part), key(other)) for other in others)
            if far < least:
                best, least = {key(part): part}, far
            elif far == least and best:
                best.setdefault(key(part), part)
    return next(iter(best.values())) if len(best) == 1 else ""


def key(text: str) -> str:
    """Equal for texts that a reader would call the same: case, width, spaces, currency, brackets aside."""
    plain = unicodedata.normalize("NFKC", western(text)).casefold()
    bare = "".join(c for c in plain if not c.isspace() and unicodedata.category(c) != "Sc")
    return bare.strip(_EDGES + _BRACKETS + ".")


def same(one: str, two: str) -> bool:
    """Whether two readings of a token agree; of numbers their values and decimals count, not their groups."""
    return key(one) == key(two) or any(
        first is not None
        and second is not None
        and (first.value, first.decimals, first.percent) == (second.value, second.decimals, second.percent)
        for first, second in (
            (number_in_cell(one), number_in_cell(two)),
            (number_in_cell(one.strip(_BRACKETS)), number_in_cell(two.strip(_BRACKETS))),
        )
    )


def chosen(text: str, witness: str, asked: Sequence[str], expected: Decimal | None = None) -> str | None:
    """The reading that two of the transcription, the witness and the readings of crops agree on, and more
    than on any other; None where there is none, or no crop was read.

    The value that a check needs is one more voice for a crop's reading, and never for the transcription.
    """
    read = [reading for reading in asked if reading]
    if not read:
        return None
    kinds: list[list[str]] = []
    for reading in (text, *read):
        group = next((group for group in kinds if same(group[0], reading)), None)
        if group is None:
            kinds.append([reading])
        else:
            group.append(reading)
    if witness:
        strict = (group for group in kinds if same(group[0], witness))
        loose = (
            group for group in kinds[1:] if _letters_and_digits(group[0]) == _letters_and_digits(witness)
        )
        group = next(strict, None) or next(loose, None)
        if group is None:
            kinds.append([witness])
        else:
            group.append(witness)
    votes = [len(group) for group in kinds]
    for place, group in enumerate(kinds[1:], 1):
        if expected is not None and _is_value(group[0], expected):
            votes[place] += 1
    most = max(votes)
    if most < 2 or votes.count(most) > 1:
        return None
    best = kinds[votes.index(most)]
    return best[0] if _may_be(best[0], text, is_seen=witness in best) else None


def _may_be(reading: str, text: str, *, is_seen: bool) -> bool:
    """Whether a reading is of the same token: not a small part of it, nor, if no witness has it, another."""
    one, two = key(text), key(reading)
    return 2 * len(two) >= len(one) and (is_seen or OSA.normalized_distance(one, two) <= MOST_OTHER)


def _letters_and_digits(text: str) -> str:
    """And what parts decimals: witnesses lose signs and what else stands around a number."""
    return "".join(c for c in key(text) if c.isalnum() or c in ".,")


def _is_value(text: str, expected: Decimal) -> bool:
    number = number_in_cell(text)
    return number is not None and abs(number.value) == abs(expected)


def put_in(text: str, reading: str) -> str:
    """`text` with the digits of `reading`: a currency or bracket around them stays as it was transcribed."""
    old, new = number_in_cell(text), number_in_cell(reading)
    if old is None or new is None or ((old.value < 0) != (new.value < 0) and "(" not in text):
        return reading
    return text[: old.start] + new.digits + text[old.start + len(old.digits) :]
