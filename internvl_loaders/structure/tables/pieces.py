"""Pieces of lines that reach over several columns: spanning cells, or cells with hardly a gap between."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from internvl_loaders.content import Ruling
from internvl_loaders.structure.tables.columns import Columns, line_pieces
from internvl_loaders.structure.tables.rulings import between
from internvl_loaders.structure.tables.words import Line, Piece, is_value

_MOST_WORDS = 100
"""Of a piece that may hold several cells."""


def cell_pieces(lines: Sequence[Line], columns: Columns, partial: Sequence[Ruling]) -> list[list[Piece]]:
    """Each line's pieces, cut where they hold several cells; `partial` are the rulings over some columns."""
    pieces = [line_pieces(line, columns) for line in lines]
    values = next((i for i, row in enumerate(pieces) if any(is_value(p.text) for p in row)), 0)
    return [
        [part for piece in row for part in _cells(piece, columns, line, partial, i == values - 1)]
        for i, (line, row) in enumerate(zip(lines, pieces, strict=True))
    ]


def _cells(
    piece: Piece, columns: Columns, line: Line, partial: Sequence[Ruling], heading: bool
) -> list[Piece]:
    """The piece cut between two columns where its parts stand with their columns' text; that of a
    `heading`, right above the values, may reach far over the gutter."""
    if not 1 < len(piece.words) <= _MOST_WORDS:
        return [piece]
    first, last = columns.spread(piece.x0, piece.x1)
    if first == last or _is_underlined(piece, columns, line, partial) or _is_centred(piece, columns, heading):
        return [piece]
    for i in _cuts(piece, columns, heading):
        left, right = piece.words[:i], piece.words[i:]
        a, b = Piece(left[0].x0, left[-1].x1, left), Piece(right[0].x0, right[-1].x1, right)
        apart = columns.spread(a.x0, a.x1)[1] < columns.spread(b.x0, b.x1)[0]
        if apart and _is_aligned(a, columns) and _is_aligned(b, columns):
            return [
                *_cells(a, columns, line, partial, heading),
                *_cells(b, columns, line, partial, heading),
            ]
    return [piece]


def _is_underlined(piece: Piece, columns: Columns, line: Line, partial: Sequence[Ruling]) -> bool:
    """A ruling right below shows that a heading spans the columns that the ruling does."""
    return any(
        ruling.x0 - columns.em < piece.x0
        and piece.x1 < ruling.x1 + columns.em
        and 0 <= ruling.y0 - line.middle < 1.6 * columns.em
        for ruling in between(partial, line.middle, line.middle + 1.6 * columns.em)
    )


def _is_centred(piece: Piece, columns: Columns, heading: bool) -> bool:
    """Whether the piece spans its columns by being centred over them, with no wide gap inside."""
    em = columns.em
    first, last = columns.spread(piece.x0, piece.x1)
    start, end = columns.text[first][0], columns.text[last][1]
    wide = max(b.x0 - a.x1 for a, b in pairwise(piece.words))
    filling = max(abs(piece.x0 - start), abs(piece.x1 - end)) < 0.5 * em
    if abs(piece.x0 + piece.x1 - start - end) >= em or wide >= 0.6 * em:
        return False
    return not (heading and filling and wide > 0.33 * em)


def _cuts(piece: Piece, columns: Columns, heading: bool) -> list[int]:
    """Before which words the piece may be cut, at the widest gap first: at gaps near a gutter."""
    em = columns.em
    gaps = [b.x0 - a.x1 for a, b in pairwise(piece.words)]
    least = max(0.2 * em, 1.15 * median(gaps) if len(gaps) > 2 else 0.0)
    cuts: list[tuple[float, int]] = []
    for i, (before, after) in enumerate(pairwise(piece.words), start=1):
        gap = after.x0 - before.x1
        if gap > least and columns.has_gutter(before.x1 - em, after.x0 + em, whole=heading):
            cuts.append((gap, i))
    return [i for _, i in sorted(cuts, reverse=True)]


def _is_aligned(piece: Piece, columns: Columns) -> bool:
    """Left, right or centred with its column's text."""
    first, last = columns.spread(piece.x0, piece.x1)
    a, b = columns.text[first][0], columns.text[last][1]
    off = min(abs(piece.x0 - a), abs(piece.x1 - b), abs(piece.x0 + piece.x1 - a - b) / 2)
    return off < 0.7 * columns.em
