"""Column headings over several lines and levels."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from internvl_loaders.content import Rule
from internvl_loaders.structure.tables.grid import Place
from internvl_loaders.structure.tables.words import Line, Piece, Word, is_value

MAX_HEADER_LINES = 12


@dataclass(slots=True)
class HeaderPiece:
    """A piece of a heading over columns `first` to `last`."""

    first: int
    last: int
    piece: Piece
    y0: float
    y1: float


@dataclass(slots=True)
class _Heading:
    first: int
    last: int
    words: list[Word]
    y0: float
    y1: float
    level: int = 0


def header_places(
    lines: Sequence[Sequence[HeaderPiece]],
    columns: Sequence[tuple[float, float]],
    rules: Sequence[Rule | float],
    em: float,
) -> tuple[list[Place], int]:
    """Cells of the heading and how many rows they take.

    `columns` are the extents of the columns' text; `rules` are those over some columns, and the y
    of those over all.
    """
    partial = [r for r in rules if isinstance(r, Rule)]
    for rule in partial:
        _span_by_rule(lines, columns, rule, em)
    for k in range(len(lines)):
        _span_by_centre(lines, k, columns, em)
    headings: list[_Heading] = []
    for line in lines:
        for p in line:
            above = [h for h in headings if h.first <= p.last and p.first <= h.last]
            near = max(above, key=lambda h: h.y1, default=None)
            if (
                near is not None
                and (near.first, near.last) == (p.first, p.last)
                and p.y0 - near.y1 < 1.2 * em
                and not _parted(near, p, rules)
            ):
                near.words += p.piece.words
                near.y1 = p.y1
                continue
            level = max((h.level + 1 for h in above), default=0)
            headings.append(_Heading(p.first, p.last, list(p.piece.words), p.y0, p.y1, level))
    headings = _joined_overlaps(headings)
    rows = max((h.level + 1 for h in headings), default=0)
    places = []
    for h in headings:
        below = [o.level for o in headings if o.level > h.level and o.first <= h.last and h.first <= o.last]
        end = min(below, default=rows)
        places.append(Place(h.level, h.first, end - h.level, h.last - h.first + 1, h.words))
    return places, rows


def _parted(above: _Heading, below: HeaderPiece, rules: Sequence[Rule | float]) -> bool:
    a, b = above.y1 - 0.35 * (above.y1 - above.y0), below.y0 + 0.35 * (below.y1 - below.y0)
    a, b = min(a, b), max(a, b)
    return any(
        a < r < b
        if isinstance(r, float)
        else a < r.y0 < b and min(r.x1, below.piece.x1) - max(r.x0, below.piece.x0) > 0
        for r in rules
    )


def _span_by_rule(
    lines: Sequence[Sequence[HeaderPiece]], columns: Sequence[tuple[float, float]], rule: Rule, em: float
) -> None:
    """The heading right above a rule spans the columns that the rule does."""
    over = [j for j, (a, b) in enumerate(columns) if rule.x0 - 0.5 * em < (a + b) / 2 < rule.x1 + 0.5 * em]
    if len(over) < 2:
        return
    above = [
        line
        for line in lines
        if any(p.y1 < rule.y0 + 0.5 * em and rule.x0 < (p.piece.x0 + p.piece.x1) / 2 < rule.x1 for p in line)
    ]
    if not above:
        return
    held = [p for p in above[-1] if rule.x0 - em < (p.piece.x0 + p.piece.x1) / 2 < rule.x1 + em]
    if len(held) == 1 and rule.y0 - held[0].y1 < 1.2 * em:
        y0 = held[0].y0
        held[0].first, held[0].last = over[0], over[-1]
        for line in reversed(above[:-1]):  # further lines of the same heading
            more = [p for p in line if rule.x0 - em < (p.piece.x0 + p.piece.x1) / 2 < rule.x1 + em]
            if len(more) != 1 or y0 - more[0].y1 > 0.6 * em:
                break
            more[0].first, more[0].last = over[0], over[-1]
            y0 = more[0].y0


def _span_by_centre(
    lines: Sequence[Sequence[HeaderPiece]], k: int, columns: Sequence[tuple[float, float]], em: float
) -> None:
    """A heading that stands centred over several columns, rather than over its own, spans them."""
    taken = {j for p in lines[k] for j in range(p.first, p.last + 1)}
    others = {j for i, line in enumerate(lines) if i != k for p in line for j in range(p.first, p.last + 1)}
    for p in lines[k]:
        x0, x1 = p.piece.x0, p.piece.x1
        own = (columns[p.first][0], columns[p.last][1])
        if p.first not in others:
            continue
        if abs(x0 - own[0]) < 0.6 * em or abs(x1 - own[1]) < 0.6 * em:
            continue
        if p.first == p.last and abs((x0 + x1) - (own[0] + own[1])) / 2 < 0.6 * em and p.first == 0:
            continue
        first, last = p.first, p.last
        while first - 1 in others and first - 1 not in taken:
            first -= 1
        while last + 1 in others and last + 1 not in taken:
            last += 1
        best, miss = (p.first, p.last), abs((x0 + x1) - (own[0] + own[1])) / 2
        for a in range(first, p.first + 1):
            for b in range(p.last, last + 1):
                off = abs((x0 + x1) - (columns[a][0] + columns[b][1])) / 2
                if off < miss - 0.6 * em and off < 1.2 * em:
                    best, miss = (a, b), off
        p.first, p.last = best
        taken |= set(range(p.first, p.last + 1))


def _joined_overlaps(headings: list[_Heading]) -> list[_Heading]:
    """Headings of one level that share a column become one."""
    done: list[_Heading] = []
    for h in sorted(headings, key=lambda h: (h.level, h.first, h.y0)):
        last = done[-1] if done else None
        if last is not None and last.level == h.level and h.first <= last.last:
            last.words += h.words
            last.last = max(last.last, h.last)
            last.y1 = max(last.y1, h.y1)
        else:
            done.append(h)
    return done


def header_lines(lines: Sequence[Line], rows: Sequence[Sequence[Piece]], full: Sequence[float]) -> int:
    """How many leading lines hold headings."""
    kinds = [_kind(pieces) for pieces in rows]
    inner = [y for y in sorted(full) if lines[0].middle < y < lines[-1].middle]
    middles = [line.middle for line in lines]
    ends = [bisect_left(middles, y) for y in inner]
    data = [k for k, kind in enumerate(kinds) if kind == "data"]
    left = min(p[0].x0 for p in rows)
    labelled = [rows[k][0].x0 < left + 2 * lines[0].em for k in data]
    if sum(labelled) * 3 > len(data) * 2:  # values above the first label are headings: dates, units
        data = data[labelled.index(True) :]
    if ends and ends[0] <= min(MAX_HEADER_LINES, max(len(lines) * 0.6, 1)):
        end = ends[0]
        above = sum(k < end for k in data)
        if above <= 1 or above * 3 <= end:
            for later in ends[1:3]:
                between = [k for k in data if end <= k < later]
                if between or not data or later >= len(lines) * 0.6 or len(ends) > 4:
                    break
                if not any(k >= later for k in data):
                    break
                end = later
            return end
    if data and data[0] == 0:
        return 0
    if data and data[0] <= MAX_HEADER_LINES:
        end = data[0]
        while (
            end > 1
            and len(rows[end - 1]) == 1
            and rows[end - 1][0].x0 < left + 2 * lines[0].em
            and max(len(p) for p in rows[:end]) > 1
        ):
            end -= 1
        if _tight_above(lines, end, data):
            end += 1
        return end
    bold = 0
    while bold < len(rows) and all(p.bold for p in rows[bold]):
        bold += 1
    if bold < len(rows) * 0.5:
        return bold or 1
    return 1


def _tight_above(lines: Sequence[Line], end: int, data: Sequence[int]) -> bool:
    """Whether the first line of values stands closer to the headings than to the other data."""
    if end != data[0] or len(data) < 3 or data[1] != end + 1 or end == 0:
        return False
    before = lines[end].middle - lines[end - 1].middle
    after = [lines[b].middle - lines[a].middle for a, b in pairwise(data) if b == a + 1]
    return before < 0.8 * min(after)


def _kind(pieces: Sequence[Piece]) -> str:
    """`data` for a line of values, `years` where they may as well be headings, else `words`."""
    rest = pieces[1:]
    values = [p for p in rest if is_value(p.text)]
    if not rest or len(values) * 2 < len(rest):
        return "words"
    if len(values) == len(rest) and all(_year(p.text) for p in rest) and not is_value(pieces[0].text):
        return "years"
    if all(_year(p.text) for p in pieces):
        return "years"
    return "data"


def _year(text: str) -> bool:
    return len(text) in (4, 7, 9) and text[:4].isdigit() and text[:2] in ("18", "19", "20")
