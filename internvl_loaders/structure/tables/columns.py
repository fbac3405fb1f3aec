"""Columns: from where to where the text between two gutters goes, and what lies over which of them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise

from internvl_loaders.content import Rect, Ruling
from internvl_loaders.structure.tables.gutters import Gutter, body_lines
from internvl_loaders.structure.tables.header import MAX_HEADER_LINES
from internvl_loaders.structure.tables.rulings import cluster, merged
from internvl_loaders.structure.tables.words import NUMBER_GAP, PIECE_GAP, Line, Piece, Word, is_value

_MOST_HEADED = 64
"""Columns of which only a heading stands there."""


class Columns:
    """Gutters and, between them, from where to where each column's text goes."""

    def __init__(self, gutters: list[Gutter], text: list[tuple[float, float]], em: float) -> None:
        self.gutters = gutters
        self.text = text
        self.em = em
        self._middles = [g.middle for g in gutters]
        ordered = sorted((g.x0, g.x1) for g in gutters)
        self._starts = [x0 for x0, _ in ordered]
        self._first_end = list(accumulate((x1 for _, x1 in reversed(ordered)), min))[::-1]
        """For each of `_starts`, where the first gutter ends that begins there or later."""
        by_end = sorted((g.x1, g.x0) for g in gutters)
        self._ends = [x1 for x1, _ in by_end]
        self._last_start = list(accumulate((x0 for _, x0 in reversed(by_end)), min))[::-1]
        """For each of `_ends`, where the first gutter begins that ends there or later."""

    def __len__(self) -> int:
        return len(self.text)

    def index_at(self, x: float) -> int:
        return bisect_left(self._middles, x)

    def part(self, x0: float, x1: float) -> bool:
        """Whether a gutter lies within x0..x1."""
        at = bisect_left(self._starts, x0)
        return at < len(self._starts) and self._first_end[at] <= x1

    def has_gutter(self, x0: float, x1: float, *, whole: bool) -> bool:
        """Whether the middle of a gutter, or with `whole` any part of one, lies within x0..x1."""
        if whole:
            at = bisect_right(self._ends, x0)
            return at < len(self._ends) and self._last_start[at] < x1
        at = bisect_right(self._middles, x0)
        return at < len(self._middles) and self._middles[at] < x1

    def limits(self) -> list[float]:
        """The x that each column's text may not pass."""
        starts = [a - 0.6 * self.em for a, _ in self.text[1:]]
        return [*starts, self.text[-1][1]]

    def spread(self, x0: float, x1: float) -> tuple[int, int]:
        """First and last column whose text x0..x1 lies over."""
        near = range(max(self.index_at(x0) - 1, 0), min(self.index_at(x1) + 2, len(self.text)))
        first = self._first_under(near, x0, x1)
        if first < 0:
            at = self.index_at((x0 + x1) / 2)
            return at, at
        return first, self._first_under(reversed(near), x0, x1)

    def _first_under(self, columns: Iterable[int], x0: float, x1: float) -> int:
        """The first of these columns whose text x0..x1 lies over; -1 where there is none."""
        least = 0.3 * self.em
        for j in columns:
            a, b = self.text[j]
            width = b - a
            shared = (b if b < x1 else x1) - (a if a > x0 else x0)
            if (shared > 0.5 * width or shared > least) and (shared > 0.25 * width or x0 < (a + b) / 2 < x1):
                return j
        return -1


def columns_of(lines: Sequence[Line], gutters: list[Gutter]) -> Columns:
    """The columns between the gutters, and those of which only a heading stands there."""
    return _with_headed_columns(lines, _columns(lines, gutters))


def _columns(lines: Sequence[Line], gutters: list[Gutter]) -> Columns:
    body = body_lines(lines, [g.x0 for g in gutters if g.wall])
    em = body[0].em if body else lines[0].em
    middles = [g.middle for g in gutters]
    inside: list[list[Word]] = [[] for _ in range(len(gutters) + 1)]
    for line in body:
        for w in line.words:
            inside[bisect_left(middles, (w.x0 + w.x1) / 2)].append(w)
    ends = [min(line.x0 for line in lines), *middles, max(line.x1 for line in lines)]
    texts = [
        (min(w.x0 for w in words), max(w.x1 for w in words)) if words else (a, max(a, b))
        for words, (a, b) in zip(inside, pairwise(ends), strict=True)
    ]
    return Columns(gutters, texts, em)


def _with_headed_columns(lines: Sequence[Line], columns: Columns) -> Columns:
    """With columns that have a heading, beside that of their neighbour, but no text in the body."""
    added = 0
    for line in lines[: min(MAX_HEADER_LINES, len(lines) // 2)]:
        pieces = line_pieces(line, columns)
        for a, b in pairwise(pieces):
            at = columns.index_at((a.x0 + a.x1) / 2)
            if at != columns.index_at((b.x0 + b.x1) / 2) or b.x0 - a.x1 < PIECE_GAP * columns.em:
                continue
            if added == _MOST_HEADED:
                return columns
            left, right = columns.text[at]
            if a.x1 < left:
                parts = [(a.x0, a.x1), (left, right)]
            elif b.x0 > right:
                parts = [(left, right), (b.x0, b.x1)]
            else:
                continue
            edges = sorted((max(a.x1, parts[0][1]), min(b.x0, parts[1][0])))
            gutters = [*columns.gutters[:at], Gutter(edges[0], edges[1]), *columns.gutters[at:]]
            columns = Columns(gutters, [*columns.text[:at], *parts, *columns.text[at + 1 :]], columns.em)
            added += 1
    return columns


def by_width(across: Sequence[Ruling], rect: Rect, columns: Columns) -> tuple[list[float], list[Ruling]]:
    """The y of rulings over all columns, and the rulings that lie over some."""
    full: list[float] = []
    partial: list[Ruling] = []
    middles = [(a + b) / 2 for a, b in columns.text]
    for group in cluster(across, lambda r: r.y0, 2.0):
        if (len(group) == 1 or len(group) >= len(columns)) and _are_under(middles, group):
            full.append(group[0].y0)
        else:
            partial += group
    return full, partial


def _are_under(middles: Sequence[float], rulings: Sequence[Ruling]) -> bool:
    """Whether each of the places is over one of the rulings."""
    union = merged(((r.x0, r.x1) for r in rulings), 0.0)
    starts = [a for a, _ in union]
    at = [bisect_right(starts, x) - 1 for x in middles]
    return all(n >= 0 and x <= union[n][1] for n, x in zip(at, middles, strict=True))


def line_pieces(line: Line, columns: Columns) -> list[Piece]:
    """Words of a line cut at wide gaps and at gutters that they leave clear."""
    slack = 0.15 * columns.em
    pieces: list[Piece] = []
    run: list[Word] = []

    def flush() -> None:
        if run:
            pieces.append(Piece(run[0].x0, max(w.x1 for w in run), tuple(run)))
            run.clear()

    for word in line.words:
        if run:
            last = run[-1]
            gap = word.x0 - last.x1
            if (
                gap > PIECE_GAP * columns.em
                or (
                    gap > NUMBER_GAP * columns.em
                    and is_value(last.text)
                    and is_value(word.text)
                    and columns.index_at((last.x0 + last.x1) / 2) != columns.index_at((word.x0 + word.x1) / 2)
                )
                or columns.part(last.x1 - slack, word.x0 + slack)
            ):
                flush()
        run.append(word)
    flush()
    return pieces
