"""Numbers of printed lines (transcripts, bills, pleadings), told from those of lists and tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import median

from internvl_loaders.content import Content, Span
from internvl_loaders.document import Box, Word

_FEWEST = 5
_GOOD = 0.85
"""Share of neighbouring numbers that keep the pitch of the lines."""
_PITCH = 0.2
_GOES_ON = 0.25
"""Least share of the lines that begin with a small letter: items of a list do not."""
_LONG = 25
"""Least median of a line's characters: the cells of a table are shorter."""
_GAP = 0.5
"""Font sizes at least between a number and its line."""


def without_line_numbers(content: Content) -> tuple[Content, tuple[Word, ...]]:
    """The page without the numbers of its lines, and these from top to bottom."""
    numbers = _line_numbers([s for s in content.spans if s.upright and not s.hidden])
    if not numbers:
        return content, ()
    taken = {id(s) for s in numbers}
    width, height = content.width, content.height
    words = tuple(
        Word(text=s.text, box=Box.of(s.x0, s.y0, s.x1, s.y1, width, height), confidence=s.confidence)
        for s in numbers
    )
    return replace(content, spans=[s for s in content.spans if id(s) not in taken]), words


def _line_numbers(spans: Sequence[Span]) -> list[Span]:
    if sum(_is_number(s) for s in spans) < _FEWEST:
        return []
    size = median(s.size or s.y1 - s.y0 for s in spans) or 1.0
    rows: defaultdict[int, list[Span]] = defaultdict(list)
    for span in spans:
        rows[int((span.y0 + span.y1) / 2 // (0.3 * size))].append(span)
    leftmost = []
    for key, row in rows.items():
        row = sorted([*rows.get(key - 1, ()), *row, *rows.get(key + 1, ())], key=lambda s: s.x0)
        first, rest = row[0], row[1:]
        if _is_number(first) and (not rest or rest[0].x0 - first.x1 > _GAP * size):
            leftmost.append((first, rest))
    by_end: dict[int, list[tuple[Span, list[Span]]]] = defaultdict(list)
    for found in {id(first): (first, rest) for first, rest in leftmost}.values():
        by_end[round(found[0].x1 / (0.8 * size))].append(found)
    best = max((by_end[key] + by_end.get(key + 1, []) for key in list(by_end)), key=len, default=[])
    best.sort(key=lambda found: found[0].y0)
    return [first for first, _ in best] if _number_lines(best) else []


def _is_number(span: Span) -> bool:
    return len(span.text) < 4 and span.text.isascii() and span.text.isdecimal()


def _number_lines(found: Sequence[tuple[Span, list[Span]]]) -> bool:
    if len(found) < _FEWEST:
        return False
    pitches = []
    for (a, _), (b, _) in pairwise(found):
        count = int(b.text) - int(a.text)
        pitches.append((b.y0 - a.y0) / count if count > 0 else 0.0)
    usual = median(pitches)
    even = sum(abs(pitch - usual) <= _PITCH * usual for pitch in pitches)
    texts = [" ".join(s.text for s in rest) for _, rest in found if rest]
    if usual <= 0 or even < _GOOD * len(pitches) or len(texts) < _FEWEST:
        return False
    small = sum(text[:1].islower() for text in texts)
    return small >= _GOES_ON * len(texts) and median(map(len, texts)) >= _LONG
