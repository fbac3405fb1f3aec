"""Columns: from where to where the text between two gutters goes, and what lies over which of them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate, pairwise

from internvl_loaders.content import Rect, Ruling
from internvl_loaders.structure.tables.gutters import Gutter, body_lines
from internvl_loaders.structure.tables.header import MAX_HEADER_LINES
from internvl_loaders.structure.tables.rulings import cluster
from internvl_loaders.structure.tables.words import NUMBER_GAP, PIECE_GAP, Line, Piece, Word, is_value


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

    def __len__(self) -> int:
        return len(self.text)

    def index_at(self, x: float) -> int:
        return bisect_left(self._middles, x)

    def part(self, x0: float, x1: float) -> bool:
        """Whether a gutter lies within x0..x1."""
        at = bisect_left(self._starts, x0)
        return at < len(self._starts) and self._first_end[at] <= x1

    def limits(self) -> list[float]:
        """The x that each column's text may not pass."""
        starts = [a - 0.6 * self.em for a, _ in self.text[1:]]
        return [*starts, self.text[-1][1]]

    def spread(self, x0: float, x1: float) -> tuple[int, int]:
        """First and last column whose text x0..x1 lies over."""
        near = range(max(self.index_at(x0) - 1, 0), min(self.index_at(x1) + 2, len(self.text)))
        least = 0.3 * self.em
        over = []
        for j in near:
            a, b = self.text[j]
            shared = min(b, x1) - max(a, x0)
            if shared > min(least, 0.5 * (b - a)) and (shared > 0.25 * (b - a) or x0 < (a + b) / 2 < x1):
                over.append(j)
        if not over:
            at = self.index_at((x0 + x1) / 2)
            return at, at
        return over[0], over[-1]


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
    for line in lines[: min(MAX_HEADER_LINES, len(lines) // 2)]:
        pieces = line_pieces(line, columns)
        for a, b in pairwise(pieces):
            at = columns.index_at((a.x0 + a.x1) / 2)
            if at != columns.index_at((b.x0 + b.x1) / 2) or b.x0 - a.x1 < PIECE_GAP * columns.em:
                continue
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
    return columns


def by_width(across: Sequence[Ruling], rect: Rect, columns: Columns) -> tuple[list[float], list[Ruling]]:
    """The y of rulings over all columns, and the rulings that lie over some."""
    full: list[float] = []
    partial: list[Ruling] = []
    middles = [(a + b) / 2 for a, b in columns.text]
    for group in cluster(across, lambda r: r.y0, 2.0):
        over = [any(r.x0 <= x <= r.x1 for r in group) for x in middles]
        if all(over) and (len(group) == 1 or len(group) >= len(columns)):
            full.append(group[0].y0)
        else:
            partial += group
    return full, partial


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
