"""What a model gets wrong, done to true pages by chance that a seed decides."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from benchmarks.witness.truth import TruePage

_LETTER_FOR = {
    "0": "O",
    "1": "I",
    "2": "Z",
    "3": "J",
    "4": "A",
    "5": "S",
    "6": "G",
    "7": "T",
    "8": "B",
    "9": "g",
}
_NUMERIC = re.compile(r"\S*\d\S*")


@dataclass(frozen=True)
class Place:
    """A token: its row, its piece of the row, and from where to where in the piece's text."""

    row: int
    piece: int
    start: int
    end: int


@dataclass(frozen=True)
class Faulty:
    """A page, and the places in it that are wrong; `text` is what was left out, repeated or added."""

    page: TruePage
    places: tuple[Place, ...] = ()
    text: str = ""


def numeric(page: TruePage) -> list[Place]:
    return [
        Place(r, p, found.start(), found.end())
        for r, row in enumerate(page.rows)
        for p, (text, _) in enumerate(row)
        for found in _NUMERIC.finditer(text)
        if found[0] != "0" or found.start() or p  # how some truths write a bullet
    ]


def token(page: TruePage, place: Place) -> str:
    return page.rows[place.row][place.piece][0][place.start : place.end]


def changed(page: TruePage, changes: Sequence[tuple[Place, str]]) -> Faulty:
    """With other tokens at places, told with the places that they then have."""
    rows = [list(row) for row in page.rows]
    places: list[Place] = []
    moved: dict[tuple[int, int], int] = {}
    for place, text in sorted(changes, key=lambda c: (c[0].row, c[0].piece, c[0].start)):
        key = place.row, place.piece
        start = place.start + moved.get(key, 0)
        whole, x = rows[place.row][place.piece]
        end = start + place.end - place.start
        rows[place.row][place.piece] = whole[:start] + text + whole[end:], x
        places.append(Place(*key, start, start + len(text)))
        moved[key] = moved.get(key, 0) + len(text) - (place.end - place.start)
    return Faulty(replace(page, rows=tuple(tuple(row) for row in rows)), tuple(places))


def _digit(text: str, chance: random.Random) -> int:
    return chance.choice([i for i, c in enumerate(text) if c.isdigit()])


def swapped(text: str, chance: random.Random) -> str:
    at = _digit(text, chance)
    other = chance.choice([c for c in "0123456789" if c != text[at]])
    return text[:at] + other + text[at + 1 :]


def dropped(text: str, chance: random.Random) -> str | None:
    if sum(map(str.isdigit, text)) < 2:
        return None
    at = _digit(text, chance)
    return text[:at] + text[at + 1 :]


def added(text: str, chance: random.Random) -> str:
    at = _digit(text, chance) + chance.randrange(2)
    return text[:at] + chance.choice("0123456789") + text[at:]


def doubled(text: str, chance: random.Random) -> str:
    at = next(i for i, c in enumerate(text) if c.isdigit())
    return text[:at] + text[at] + text[at:]


def letter(text: str, chance: random.Random) -> str:
    at = _digit(text, chance)
    return text[:at] + _LETTER_FOR.get(text[at], "x") + text[at + 1 :]


TOKENS: dict[str, Callable[[str, random.Random], str | None]] = {
    "digit swapped": swapped,
    "digit dropped": dropped,
    "digit added": added,
    "first digit doubled": doubled,
    "letter for digit": letter,
}
SHARE = 0.12
"""Of a page's numeric tokens that are made wrong at once, one at least."""


def tokens_wrong(page: TruePage, kind: str, chance: random.Random) -> Faulty | None:
    found = numeric(page)
    if not found:
        return None
    some = chance.sample(found, max(1, round(SHARE * len(found))))
    changes = [(place, text) for place in some if (text := TOKENS[kind](token(page, place), chance))]
    return changed(page, changes) if changes else None


def exchanged(page: TruePage, chance: random.Random) -> Faulty | None:
    """Two numeric tokens that differ change places."""
    found = numeric(page)
    pairs = [(a, b) for a in found for b in found if a != b and token(page, a) != token(page, b)]
    if not pairs:
        return None
    one, two = chance.choice(pairs)
    return changed(page, [(one, token(page, two)), (two, token(page, one))])


def _long(page: TruePage) -> list[int]:
    return [n for n, line in enumerate(page.lines) if len(line.split()) > 1 and len(line) >= 6]


def skipped(page: TruePage, chance: random.Random) -> Faulty | None:
    places = _long(page)
    if not places:
        return None
    at = chance.choice(places)
    return Faulty(replace(page, rows=page.rows[:at] + page.rows[at + 1 :]), text=page.lines[at])


def repeated(page: TruePage, chance: random.Random) -> Faulty | None:
    places = _long(page)
    if not places:
        return None
    at = chance.choice(places)
    return Faulty(replace(page, rows=page.rows[: at + 1] + page.rows[at:]), text=page.lines[at])


def truncated(page: TruePage, chance: random.Random) -> Faulty | None:
    if len(page.rows) < 8:
        return None
    keep = round(len(page.rows) * chance.uniform(0.2, 0.85))
    return Faulty(replace(page, rows=page.rows[:keep]), text=" ".join(page.lines[keep:]))


def _more(page: TruePage, lines: Sequence[str]) -> Faulty:
    rows = page.rows + tuple(((line, 0.0),) for line in lines)
    return Faulty(replace(page, rows=rows), text=" ".join(lines))


def looped(page: TruePage, chance: random.Random, period: int = 0) -> Faulty | None:
    """From somewhere on it says the same `period` characters again and again, three times at least."""
    text = " ".join(page.lines)
    size = period or round(10 ** chance.uniform(0, 3.3))
    at = chance.randrange(max(1, len(text) - size))
    unit = text[at : at + size]
    keep = page.rows[: max(1, len(page.rows) * 2 // 3)]
    return _more(replace(page, rows=keep), [unit * max(3, 2000 // max(1, len(unit)))])


def drifting(page: TruePage, chance: random.Random) -> Faulty:
    """Words of the page in an order without a period, without end."""
    said = " ".join(page.lines).split()
    return _more(page, [" ".join(chance.choices(said, k=400))])


def chatter(page: TruePage, chance: random.Random) -> Faulty:
    first = chance.choice(
        [
            "Here is the extracted text from the image you provided:",
            "Sure! The document reads as follows, transcribed as accurately as possible.",
            "以下是图片中的文字内容：",
        ]
    )
    last = chance.choice(
        [
            "Let me know if you would like me to summarise or translate any of this text.",
            "I hope this transcription helps! Please ask if something is unclear.",
        ]
    )
    faulty = _more(page, [last])
    rows = (((first, 0.0),), *faulty.page.rows)
    return Faulty(replace(page, rows=rows), text=last)


def summary(page: TruePage, chance: random.Random) -> Faulty | None:
    """After the page, figures of it again under headings of its own, one of them wrong."""
    found = [token(page, place) for place in numeric(page)]
    if len(found) < 3:
        return None
    some = chance.sample(found, 3)
    some[0] = doubled(some[0], chance)
    lines = [
        "Summary of the document",
        *(
            f"{label} of this document: {value}"
            for label, value in zip(("Overall amount", "Reference", "Remaining balance"), some, strict=True)
        ),
    ]
    return _more(page, lines)
