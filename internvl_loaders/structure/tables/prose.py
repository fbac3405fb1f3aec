"""Paragraphs, told from cells of text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from internvl_loaders.structure.tables.words import Piece, Row, Word, is_value, rows_of

LEAST_WORDS = 3
"""Of a piece that may be a line of a paragraph."""
LEAST_LINES, LEAST_WORDS_A_LINE = 3, 5
"""Of a paragraph."""
MOST_BESIDE = 100
"""Pieces beside a line of a paragraph that are looked at."""
RECENT = 12
"""Paragraphs that a line is tried on."""


class _TextLine(NamedTuple):
    row: Row
    piece: Piece


def without_prose(words: Sequence[Word]) -> list[Word]:
    """The words less those of paragraphs: at least three full lines of several words."""
    gone = {
        id(w)
        for paragraph in _paragraphs(rows_of(words))
        if _is_prose(paragraph)
        for line in paragraph
        for w in line.piece.words
    }
    return [w for w in words if id(w) not in gone]


def _paragraphs(rows: Sequence[Row]) -> list[list[_TextLine]]:
    """Pieces of several words below one another."""
    paragraphs: list[list[_TextLine]] = []
    for row in rows:
        for piece in row.pieces:
            if len(piece.words) < LEAST_WORDS:
                continue
            line = _TextLine(row, piece)
            above = next((p for p in reversed(paragraphs[-RECENT:]) if _follows(p[-1], line)), None)
            if above is None:
                paragraphs.append([line])
            else:
                above.append(line)
    return paragraphs


def _follows(above: _TextLine, line: _TextLine) -> bool:
    """Right below, with about the same left side, and over half of the shorter one."""
    em = line.row.line.em
    upper, lower = above.piece, line.piece
    shared = min(lower.x1, upper.x1) - max(lower.x0, upper.x0)
    return (
        0 < line.row.line.middle - above.row.line.middle < 2.0 * em
        and abs(lower.x0 - upper.x0) < 2.5 * em
        and shared > 0.5 * min(lower.x1 - lower.x0, upper.x1 - upper.x0)
    )


def _is_prose(paragraph: Sequence[_TextLine]) -> bool:
    """Most lines but the last are full; where there are but three, with no short text or value beside."""
    count = len(paragraph)
    if count < LEAST_LINES or sum(len(p.words) for _, p in paragraph) < LEAST_WORDS_A_LINE * count:
        return False
    widths = [p.x1 - p.x0 for _, p in paragraph]
    full = sum(w > 0.75 * max(widths[max(k - 1, 0) : k + 2]) for k, w in enumerate(widths[:-1]))
    if full * 4 < 3 * (count - 1):
        return False
    return count > LEAST_LINES or not any(
        q is not p and (len(q.words) <= 3 or is_value(q.text))
        for row, p in paragraph
        for q in row.pieces[:MOST_BESIDE]
    )
