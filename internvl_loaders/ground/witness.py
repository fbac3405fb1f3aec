"""What a second reading of a page gives: words with boxes, and which of them may follow one another."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

from internvl_loaders.ground.tokens import atoms
from internvl_loaders.values import Box

_ACROSS = 0.5
"""Share of the lower line's height by which two lines overlap that stand in one row."""
_TORN = 0.9
"""Heights of a word by which parts of a torn one are apart at most."""
_ROWS = 6
"""Rows below that are looked through for what stands below a word."""


class WitnessWord(NamedTuple):
    """A word at x0, y0, x1, y1 (fractions of the upright page); words of one `line` follow one another.

    `confidence` is None where its reader has none: a text layer's.
    """

    text: str
    x0: float
    y0: float
    x1: float
    y1: float
    confidence: float | None = None
    line: int = -1


@dataclass(frozen=True)
class Witness:
    """The words of a page as `method` (`text-layer` or `rapidocr`) reads them; `confidence` is the page's."""

    words: tuple[WitnessWord, ...]
    method: str = ""
    confidence: float | None = None
    aspect: float = 0.7
    """Width by height of the page, whose words' places are fractions of both."""

    def plain(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "words": [list(word) for word in self.words],
            "method": self.method,
            "confidence": self.confidence,
            "aspect": self.aspect,
        }

    @classmethod
    def told(cls, value: object) -> Witness:
        """From `plain`; ValueError where it is none, for a document may have taken over the worker that sends
        it."""
        match value:
            case {
                "words": list(words),
                "method": str(method),
                "confidence": None | int() | float() as confidence,
                "aspect": int() | float() as aspect,
            } if aspect > 0:
                return cls(tuple(map(_word, words)), method, confidence, aspect)
        raise ValueError("no witness")


def _word(value: object) -> WitnessWord:
    match value:
        case [
            str(text),
            int() | float() as x0,
            int() | float() as y0,
            int() | float() as x1,
            int() | float() as y1,
            None | int() | float() as confidence,
            int(line),
        ] if all(-1 <= place <= 2 for place in (x0, y0, x1, y1)):
            return WitnessWord(text, x0, y0, x1, y1, confidence, line)
    raise ValueError("no word of a witness")


class Piece(NamedTuple):
    """An atom of a word: its folded text, the word, and its place in the word's text."""

    text: str
    word: int
    start: int
    end: int


@dataclass
class Map:
    """The pieces of a witness in lines, lines in rows, and the ways a text may go on from a piece.

    Built in n log n; `after` looks at a bounded number of rows and pieces.
    """

    words: Sequence[WitnessWord]
    aspect: float
    pieces: list[Piece] = field(default_factory=list)
    line_of: list[int] = field(default_factory=list)
    """By piece."""
    lines: list[range] = field(default_factory=list)
    """The pieces of every line, which are consecutive."""
    boxes: list[tuple[float, float, float, float]] = field(default_factory=list)
    """Of lines."""
    rows: list[list[int]] = field(default_factory=list)
    """Lines side by side, from the top down."""
    row_of: list[int] = field(default_factory=list)
    """By line."""
    _after: dict[int, tuple[tuple[int, float], ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, witness: Witness) -> Map:
        """Words without a letter or a digit count for nothing."""
        kept = [w for w in witness.words if w.x1 >= w.x0 and w.y1 >= w.y0]
        found = cls(kept, witness.aspect)
        for line in _lines(kept):
            first = len(found.pieces)
            for number in line:
                for atom in atoms(kept[number].text):
                    found.pieces.append(Piece(atom.text, number, atom.start, atom.end))
            if len(found.pieces) > first:
                found.line_of += [len(found.lines)] * (len(found.pieces) - first)
                found.lines.append(range(first, len(found.pieces)))
                found.boxes.append(
                    (
                        min(kept[n].x0 for n in line),
                        min(kept[n].y0 for n in line),
                        max(kept[n].x1 for n in line),
                        max(kept[n].y1 for n in line),
                    )
                )
        found._into_rows()
        return found

    def _into_rows(self) -> None:
        self.row_of = [0] * len(self.lines)
        bottom = 0.0
        for line in sorted(range(len(self.lines)), key=lambda n: self.boxes[n][1] + self.boxes[n][3]):
            _, y0, _, y1 = self.boxes[line]
            shared = (bottom - y0) / max(min(y1 - y0, bottom - self._top), 1e-9) if self.rows else 0.0
            if shared >= _ACROSS:
                self.rows[-1].append(line)
            else:
                self.rows.append([line])
                self._top = y0
                bottom = y1
            self.row_of[line] = len(self.rows) - 1
        for row in self.rows:
            row.sort(key=lambda n: self.boxes[n][0], reverse=self._leftward(row))

    _top: float = 0.0

    def _leftward(self, row: Sequence[int]) -> bool:
        """Whether the row's own words run from right to left."""
        ways = 0
        for line in row:
            first, last = self.pieces[self.lines[line][0]], self.pieces[self.lines[line][-1]]
            ways += (self.words[last.word].x0 > self.words[first.word].x0) - (
                self.words[last.word].x0 < self.words[first.word].x0
            )
        return ways < 0

    @cached_property
    def index(self) -> dict[str, list[int]]:
        """Pieces by their text."""
        found: dict[str, list[int]] = defaultdict(list)
        for number, piece in enumerate(self.pieces):
            found[piece.text].append(number)
        return dict(found)

    def box(self, piece: int, at: int = 0, until: int | None = None) -> Box:
        """Of a piece, or of some of its characters, which are taken to be equally wide."""
        text, number, first, last = self.pieces[piece]
        word, size = self.words[number], len(self.words[number].text)
        share = (last - first) / (len(text) * size)
        left = first / size + at * share
        right = first / size + (len(text) if until is None else until) * share
        across, down = word.x1 - word.x0, word.y1 - word.y0
        if down > 2 * across * self.aspect and len(text) > 2:  # it runs down the page
            return Box.of(word.x0, word.y0 + left * down, word.x1, word.y0 + right * down)
        return Box.of(word.x0 + left * across, word.y0, word.x0 + right * across, word.y1)

    def near(self, piece: int, other: int) -> bool:
        """Whether `other` follows within a letter's height, as a part of a torn word does."""
        one, two = self.pieces[piece].word, self.pieces[other].word
        if one == two:
            return True
        a, b = self.words[one], self.words[two]
        return abs(b.x0 - a.x1) * self.aspect < _TORN * (a.y1 - a.y0) and b.y0 < a.y1 and a.y0 < b.y1

    def beside(self, piece: int, step: int) -> int | None:
        """The piece before (-1) or after (1) it in its row."""
        if piece + step in self.lines[self.line_of[piece]]:
            return piece + step
        row = self.rows[self.row_of[self.line_of[piece]]]
        place = row.index(self.line_of[piece]) + step
        if not 0 <= place < len(row):
            return None
        return self.lines[row[place]][0 if step > 0 else -1]

    def after(self, piece: int) -> tuple[tuple[int, float], ...]:
        """The pieces that a text may go on with, and what each way costs: to the right; what starts the next
        lines; what stands below."""
        found = self._after.get(piece)
        if found is None:
            ways: dict[int, float] = {}
            for target, cost in self._ways(piece):
                if cost < ways.get(target, 9.0):
                    ways[target] = cost
            found = self._after[piece] = tuple(ways.items())
        return found

    def _ways(self, piece: int) -> Iterable[tuple[int, float]]:
        line = self.line_of[piece]
        span = self.lines[line]
        for ahead in range(1, 5):
            if piece + ahead < span.stop:
                yield piece + ahead, _SKIP * (ahead - 1)
        left = span.stop - 1 - piece
        leave = min(_SKIP * 0.5 * left, _LEAVE)
        row = self.row_of[line]
        beside = self.rows[row]
        place = beside.index(line) + 1
        skipped = 0
        for other in beside[place : place + 3]:
            for n, target in enumerate(self.lines[other][:3]):
                yield target, _SKIP * min(left + skipped + n, 4) + _BESIDE
            skipped += len(self.lines[other])
        x0, _, x1, _ = self.boxes[line]
        word = self.words[self.pieces[piece].word]
        under_line = under_word = 0
        for n, later in enumerate(self.rows[row + 1 : row + 1 + _ROWS]):
            if n < 3:
                first = self.lines[later[0]]
                yield first[0], _NEXT_ROW + leave + 0.5 * n
                if len(first) > 1:
                    yield first[1], _NEXT_ROW + leave + 0.5 * n + _SKIP
            for other in later:
                a, _, b, _ = self.boxes[other]
                if b <= x0 or a >= x1:
                    continue
                if under_line < 2:
                    first = self.lines[other]
                    yield first[0], _NEXT_ROW + leave + 0.4 * under_line
                    if len(first) > 1:
                        yield first[1], _NEXT_ROW + leave + 0.4 * under_line + _SKIP
                    under_line += 1
                if under_word < 2 and a < word.x1 and b > word.x0:
                    under = self._under(other, word)
                    if under is not None:
                        yield under, _BELOW + 0.3 * under_word
                        under_word += 1

    def _under(self, line: int, word: WitnessWord) -> int | None:
        """The line's first piece below the word."""
        span = self.lines[line]
        ends = [self.words[self.pieces[p].word].x1 for p in span]
        if any(a > b for a, b in pairwise(ends)):  # leftward
            return next((p for p in span if self.words[self.pieces[p].word].x0 < word.x1), None)
        at = bisect_left(ends, word.x0)
        if at == len(span) or self.words[self.pieces[span[at]].word].x0 >= word.x1:
            return None
        return span[at]


_SKIP, _LEAVE, _BESIDE, _NEXT_ROW, _BELOW = 0.3, 0.6, 0.02, 0.15, 0.3
"""Costs: of a piece that is passed over; of leaving a line early, at most; of going on in the next line of
the row, at the start of a row or a line below, right below. What does not match costs about 1."""


def _lines(words: Sequence[WitnessWord]) -> list[list[int]]:
    """The words of every line, in order: the witness's own lines, or what stands side by side."""
    own: dict[int, list[int]] = defaultdict(list)
    loose = []
    for number, word in enumerate(words):
        if word.line >= 0:
            own[word.line].append(number)
        else:
            loose.append(number)
    loose.sort(key=lambda n: words[n].y0 + words[n].y1)
    lines: list[list[int]] = []
    for number in loose:
        middle = (words[number].y0 + words[number].y1) / 2
        last = words[lines[-1][-1]] if lines else None
        if last is not None and last.y0 < middle < last.y1:
            lines[-1].append(number)
        else:
            lines.append([number])
    for line in lines:
        line.sort(key=lambda n: words[n].x0)
    return [*own.values(), *lines]
