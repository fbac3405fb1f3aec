"""Words, printed lines and pieces of lines, as tables see them."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from internvl_loaders.content import Content, Rect

PIECE_GAP = 0.9
"""Words further apart than this many ems do not belong together; numbers need less."""
NUMBER_GAP = 0.4

_LEADER = re.compile(r"[.…·_]{4,}|…")
_LEADING = re.compile(r"^[.·_]|[.·]{4}|…")
_DOTS = re.compile(r"[.…·]+")
_TAIL = re.compile(r"(?<=[^.…·\s])(?:\.{4,}|…+|·{3,})$")
_PLACEHOLDERS = frozenset({"-", "–", "—", "−", "--", "---", "..", "...", "…", "*", "**", "***", "†", "‡"})
_SIGNS = frozenset("☐☒☑✓✔✗✘✕✖●○■□")
"""What stands for yes or no in the cells of a grid."""
_NO_VALUE = frozenset({"na", "n/a", "n.a.", "n.a", "nd", "n.d.", "ns", "n.s.", "nil", "none"})


class Word(NamedTuple):
    """A span, or a part of one that holds a whole line; `span` is its index in `Content.spans`."""

    x0: float
    y0: float
    x1: float
    y1: float
    text: str
    span: int
    em: float
    bold: bool

    @property
    def middle(self) -> float:
        return (self.y0 + self.y1) / 2


@dataclass(slots=True)
class Line:
    """Words on one baseline, left to right; dotted leaders are kept apart."""

    words: list[Word]
    y0: float
    y1: float
    leaders: list[Word]

    @property
    def x0(self) -> float:
        return self.words[0].x0

    @property
    def x1(self) -> float:
        return max(w.x1 for w in self.words)

    @property
    def height(self) -> float:
        return self.y1 - self.y0

    @property
    def middle(self) -> float:
        return (self.y0 + self.y1) / 2

    @property
    def em(self) -> float:
        return median(w.em for w in self.words)


class Piece(NamedTuple):
    """Neighbouring words of one line with no gap between them."""

    x0: float
    x1: float
    words: tuple[Word, ...]

    @property
    def text(self) -> str:
        if len(self.words) == 1:  # most have one
            return self.words[0].text
        return " ".join([w.text for w in self.words])

    @property
    def bold(self) -> bool:
        return all(w.bold for w in self.words)


@dataclass(slots=True)
class Row:
    """A printed line in pieces."""

    line: Line
    pieces: list[Piece]

    @property
    def text(self) -> str:
        return " ".join(w.text for w in self.line.words)

    @property
    def words(self) -> list[Word]:
        """With dotted leaders."""
        return [*self.line.words, *self.line.leaders]


def words_of(content: Content) -> list[Word]:
    """Upright words; a span with spaces inside is shared out by its characters."""
    words: list[Word] = []
    for index, span in enumerate(content.spans):
        if not span.upright or span.x1 <= span.x0 or span.y1 <= span.y0:
            continue
        em = span.size if span.size > 0 else span.y1 - span.y0
        y0, y1 = span.y0, span.y1
        if y1 - y0 > 1.6 * em:  # fonts may declare a box far taller than their letters
            y0, y1 = (y0 + y1) / 2 - 0.6 * em, (y0 + y1) / 2 + 0.6 * em
        text = span.text
        if not any(map(str.isspace, text)):
            if text:
                words.append(Word(span.x0, y0, span.x1, y1, text, index, em, span.bold))
            continue
        scale = (span.x1 - span.x0) / len(text)
        for match in re.finditer(r"\S+", text):
            x0 = span.x0 + scale * match.start()
            x1 = span.x0 + scale * match.end()
            words.append(Word(x0, y0, x1, y1, match[0], index, em, span.bold))
    return words


def lines_of(words: Iterable[Word]) -> list[Line]:
    """Words grouped by vertical overlap, top to bottom. A line's band is the mean of its words',
    so that neighbours with another baseline do not pull it along."""
    done: list[Line] = []
    active: list[Line] = []
    for word in sorted(words, key=lambda w: (w.y0 + w.y1, w.x0)):
        active = [line for line in active if line.y1 > word.y0]
        best, best_overlap = None, 0.6
        _, top, _, bottom, *_ = word
        for line in active:  # written out: it runs for every word
            y0, y1 = line.y0, line.y1
            shared = (y1 if y1 < bottom else bottom) - (y0 if y0 > top else top)
            height = y1 - y0
            overlap = shared / (height if height < bottom - top else bottom - top)
            if overlap > best_overlap:
                best, best_overlap = line, overlap
        if best is None:
            line = Line([word], word.y0, word.y1, [])
            active.append(line)
            done.append(line)
        else:
            share = 1 / (len(best.words) + 1)
            best.y0 += (word.y0 - best.y0) * share
            best.y1 += (word.y1 - best.y1) * share
            best.words.append(word)
    for line in done:
        line.words.sort(key=lambda w: w.x0)
        _drop_leaders(line)
    return sorted((line for line in done if line.words), key=lambda line: line.middle)


def _drop_leaders(line: Line) -> None:
    """Takes dotted leaders out of a line; they would bridge every gap."""
    if not any(_LEADING.search(w.text) for w in line.words):
        return
    dots = [_DOTS.fullmatch(w.text) is not None for w in line.words]
    kept: list[Word] = []
    for i, word in enumerate(line.words):
        run = dots[i] and (
            sum(dots[max(0, i - 2) : i + 1]) == 3
            or sum(dots[i : i + 3]) == 3
            or (0 < i < len(dots) - 1 and dots[i - 1] and dots[i + 1])
        )
        if run or _LEADER.fullmatch(word.text):
            line.leaders.append(word)
            continue
        tail = _TAIL.search(word.text)
        if tail:
            text = word.text[: tail.start()]
            width = (word.x1 - word.x0) * len(text) / len(word.text)
            word = word._replace(text=text, x1=word.x0 + width)
        kept.append(word)
    line.words = kept


def pieces_of(words: Sequence[Word], walls: Sequence[float] = ()) -> list[Piece]:
    """Words of a line cut at wide gaps, and at the x of `walls`, in order."""
    pieces: list[Piece] = []
    run: list[Word] = []
    for word in words:
        if run:
            last = run[-1]
            gap = word.x0 - last.x1
            em = max(word.em, last.em)
            if (
                gap > PIECE_GAP * em
                or (gap > NUMBER_GAP * em and is_value(last.text) and is_value(word.text))
                or (walls and any_within(walls, last.x1 - 0.2 * em, word.x0 + 0.2 * em))
            ):
                pieces.append(_piece(run))
                run = []
        run.append(word)
    if run:
        pieces.append(_piece(run))
    return pieces


def any_within(places: Sequence[float], low: float, high: float) -> bool:
    """Whether one of the places, in order, lies from `low` to `high`."""
    at = bisect_left(places, low)
    return at < len(places) and places[at] <= high


def _piece(words: list[Word]) -> Piece:
    end = words[0].x1 if len(words) == 1 else max([w.x1 for w in words])
    return Piece(words[0].x0, end, tuple(words))


@lru_cache(maxsize=16384)
def is_value(text: str) -> bool:
    """A number, amount, date, interval, or a sign that stands for one."""
    if text in _PLACEHOLDERS or text in _SIGNS or text.lower() in _NO_VALUE:
        return True
    digits = sum(c.isdigit() for c in text)
    letters = sum(c.isalpha() for c in text)
    if digits > letters:
        return True
    return digits > 0 and letters <= 3 and not text.lstrip("(<>±+-–−~≈$€£¥ ")[:1].isalpha()


def word_gap(lines: Iterable[Line]) -> float:
    """The usual space between words, in ems."""
    gaps = [
        (b.x0 - a.x1) / a.em
        for line in lines
        for a, b in pairwise(line.words)
        if 0 < b.x0 - a.x1 < 0.6 * a.em and not (is_value(a.text) and is_value(b.text))
    ]
    return median(gaps) if len(gaps) >= 5 else 0.3


def bounds(words: Iterable[Word]) -> Rect:
    words = list(words)
    return Rect(
        min(w.x0 for w in words),
        min(w.y0 for w in words),
        max(w.x1 for w in words),
        max(w.y1 for w in words),
    )


def rows_of(words: Sequence[Word]) -> list[Row]:
    return [Row(line, pieces_of(line.words)) for line in lines_of(words)]


def is_data(row: Row) -> bool:
    """Whether most of what stands right of the row's label are values."""
    rest = row.pieces[1:]
    return bool(rest) and sum(is_value(p.text) for p in rest) * 2 >= len(rest)
