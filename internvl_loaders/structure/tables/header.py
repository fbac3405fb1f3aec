"""Column headings over several lines and levels."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile

from internvl_loaders.content import Ruling
from internvl_loaders.structure.tables.grid import GridCell
from internvl_loaders.structure.tables.words import Line, Piece, Word, is_value

MAX_HEADER_LINES = 12
MOST_OF_TABLE = 0.6
"""Share of the lines that headings may take."""
MOST_RULINGS = 4
"""Rulings over all columns beyond which they part rows, and tell of headings only by the first."""
MOST_RULINGS_AMONG = 200
"""Rulings among headings that are looked at."""
MOST_SPANNED = 40
"""Columns on either side of its own over which a heading may be centred."""
LABEL_INDENT = 2
"""Ems right of the leftmost text within which the first piece of a line is its row's label."""


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
    level: int
    number: int


def header_cells(
    lines: Sequence[Sequence[HeaderPiece]],
    columns: Sequence[tuple[float, float]],
    rulings: Sequence[Ruling | float],
    em: float,
) -> tuple[list[GridCell], int]:
    """Cells of the heading and how many rows they take.

    `columns` are the extents of the columns' text; `rulings` are those over some columns, and the y
    of those over all.
    """
    rulings = _among(rulings, lines, em)
    for ruling in rulings:
        if isinstance(ruling, Ruling):
            _span_by_ruling(lines, columns, ruling, em)
    for k in range(len(lines)):
        _span_by_centre(lines, k, columns, em)
    headings = _joined_overlaps(_stacked(lines, rulings, em))
    rows = max((h.level + 1 for h in headings), default=0)
    over = _ByColumn()
    for h in headings:
        over.add(h)
    cells = []
    for h in headings:
        below = [o.level for o in over.among(h.first, h.last) if o.level > h.level]
        end = min(below, default=rows)
        cells.append(GridCell(h.level, h.first, end - h.level, h.last - h.first + 1, h.words))
    return cells, rows


class _ByColumn:
    """Headings by the columns they are over."""

    def __init__(self) -> None:
        self._columns: dict[int, list[_Heading]] = {}

    def add(self, heading: _Heading) -> None:
        for column in range(heading.first, heading.last + 1):
            self._columns.setdefault(column, []).append(heading)

    def among(self, first: int, last: int) -> list[_Heading]:
        """Those over one of the columns `first` to `last`, the upper ones first."""
        found = {h.number: h for c in range(first, last + 1) for h in self._columns.get(c, ())}
        return [found[n] for n in sorted(found)]


def _among(
    rulings: Sequence[Ruling | float], lines: Sequence[Sequence[HeaderPiece]], em: float
) -> list[Ruling | float]:
    """The rulings between the headings or right below them; none where there are so many that they are
    a drawing."""
    top = min((p.y0 for line in lines for p in line), default=0.0)
    bottom = max((p.y1 for line in lines for p in line), default=0.0) + 1.2 * em
    near = [r for r in rulings if top - em <= (r if isinstance(r, float) else r.y0) <= bottom]
    return near if len(near) <= MOST_RULINGS_AMONG else []


def _stacked(
    lines: Sequence[Sequence[HeaderPiece]], rulings: Sequence[Ruling | float], em: float
) -> list[_Heading]:
    """The pieces on levels, each below those it shares a column with, or gone on with the nearest."""
    headings: list[_Heading] = []
    over = _ByColumn()
    for p in (p for line in lines for p in line):
        above = over.among(p.first, p.last)
        near = max(above, key=lambda h: h.y1, default=None)
        if (
            near is not None
            and (near.first, near.last) == (p.first, p.last)
            and p.y0 - near.y1 < 1.2 * em
            and not _parted(near, p, rulings)
        ):
            near.words += p.piece.words
            near.y1 = p.y1
        else:
            level = max((h.level + 1 for h in above), default=0)
            words = list(p.piece.words)
            headings.append(_Heading(p.first, p.last, words, p.y0, p.y1, level, len(headings)))
            over.add(headings[-1])
    return headings


def _parted(above: _Heading, below: HeaderPiece, rulings: Sequence[Ruling | float]) -> bool:
    a, b = above.y1 - 0.35 * (above.y1 - above.y0), below.y0 + 0.35 * (below.y1 - below.y0)
    a, b = min(a, b), max(a, b)
    return any(
        a < r < b
        if isinstance(r, float)
        else a < r.y0 < b and min(r.x1, below.piece.x1) - max(r.x0, below.piece.x0) > 0
        for r in rulings
    )


def _span_by_ruling(
    lines: Sequence[Sequence[HeaderPiece]], columns: Sequence[tuple[float, float]], ruling: Ruling, em: float
) -> None:
    """The heading right above a ruling spans the columns that the ruling does."""
    over = [
        j for j, (a, b) in enumerate(columns) if ruling.x0 - 0.5 * em < (a + b) / 2 < ruling.x1 + 0.5 * em
    ]
    if len(over) < 2:
        return
    above = [
        line
        for line in lines
        if any(
            p.y1 < ruling.y0 + 0.5 * em and ruling.x0 < (p.piece.x0 + p.piece.x1) / 2 < ruling.x1
            for p in line
        )
    ]
    if not above:
        return
    held = [p for p in above[-1] if ruling.x0 - em < (p.piece.x0 + p.piece.x1) / 2 < ruling.x1 + em]
    if len(held) == 1 and ruling.y0 - held[0].y1 < 1.2 * em:
        y0 = held[0].y0
        held[0].first, held[0].last = over[0], over[-1]
        for line in reversed(above[:-1]):  # further lines of the same heading
            more = [p for p in line if ruling.x0 - em < (p.piece.x0 + p.piece.x1) / 2 < ruling.x1 + em]
            if len(more) != 1 or y0 - more[0].y1 > 0.6 * em:
                break
            more[0].first, more[0].last = over[0], over[-1]
            y0 = more[0].y0


def _span_by_centre(
    lines: Sequence[Sequence[HeaderPiece]], k: int, columns: Sequence[tuple[float, float]], em: float
) -> None:
    """A heading that stands centred over several columns, rather than over its own, spans them.

    It may reach over columns without another heading on its line that have one on another.
    """
    taken = {j for p in lines[k] for j in range(p.first, p.last + 1)}
    others = {j for i, line in enumerate(lines) if i != k for p in line for j in range(p.first, p.last + 1)}
    for p in lines[k]:
        if p.first not in others or _stands_over_own(p, columns, em):
            continue
        first, last = p.first, p.last
        while first - 1 in others and first - 1 not in taken:
            first -= 1
        while last + 1 in others and last + 1 not in taken:
            last += 1
        p.first, p.last = _centred_over(p, first, last, columns, em)
        taken |= set(range(p.first, p.last + 1))


def _stands_over_own(p: HeaderPiece, columns: Sequence[tuple[float, float]], em: float) -> bool:
    """In line with its columns' text left or right, or, over the labels, centred on it."""
    left, right = columns[p.first][0], columns[p.last][1]
    if abs(p.piece.x0 - left) < 0.6 * em or abs(p.piece.x1 - right) < 0.6 * em:
        return True
    return p.first == p.last == 0 and _off_centre(p, left, right) < 0.6 * em


def _centred_over(
    p: HeaderPiece, first: int, last: int, columns: Sequence[tuple[float, float]], em: float
) -> tuple[int, int]:
    """The columns among `first` to `last`, its own included, that the heading is centred over best."""
    best, miss = (p.first, p.last), _off_centre(p, columns[p.first][0], columns[p.last][1])
    first, last = max(first, p.first - MOST_SPANNED), min(last, p.last + MOST_SPANNED)
    for a in range(first, p.first + 1):
        for b in range(p.last, last + 1):
            off = _off_centre(p, columns[a][0], columns[b][1])
            if off < miss - 0.6 * em and off < 1.2 * em:
                best, miss = (a, b), off
    return best


def _off_centre(p: HeaderPiece, left: float, right: float) -> float:
    return abs((p.piece.x0 + p.piece.x1) - (left + right)) / 2


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
    """How many leading lines hold headings: those above a ruling, above the values, or in bold, else one.

    `rows` are the lines' pieces, `full` the y of the rulings over all columns.
    """
    labels = min(pieces[0].x0 for pieces in rows) + LABEL_INDENT * lines[0].em
    data = _data_lines(rows, labels)
    count = _lines_above_ruling(lines, rows, data, full)
    if count is None:
        count = _lines_above_values(lines, rows, data, labels)
    return _bold_lines(rows) if count is None else count


def _data_lines(rows: Sequence[Sequence[Piece]], labels: float) -> list[int]:
    """The lines of values; where most of them have a label left of `labels`, from the first that has:
    values above it are headings, such as dates and units."""
    data = [k for k, pieces in enumerate(rows) if _kind(pieces) == "data"]
    labelled = [rows[k][0].x0 < labels for k in data]
    return data[labelled.index(True) :] if sum(labelled) * 3 > len(data) * 2 else data


def _lines_above_ruling(
    lines: Sequence[Line], rows: Sequence[Sequence[Piece]], data: Sequence[int], full: Sequence[float]
) -> int | None:
    """Up to the first ruling, or one of the next two where no values stand between; None where it lies
    too low, or values stand above it."""
    middles = [line.middle for line in lines]
    ends = [bisect_left(middles, y) for y in sorted(full) if middles[0] < y < middles[-1]]
    most = len(lines) * MOST_OF_TABLE
    if not ends or ends[0] > min(MAX_HEADER_LINES, max(most, 1)):
        return None
    end = ends[0]
    values_above = sum(k < end for k in data)
    if values_above > 1 and values_above * 3 > end:
        return None
    if len(ends) > MOST_RULINGS or not data:
        return end
    for later in ends[1:3]:
        parts_values = any(end <= k < later for k in data) or not any(k >= later for k in data)
        if parts_values or later >= most or (later == end + 1 and _is_group_title(rows, end, data)):
            break
        end = later
    return end


def _lines_above_values(
    lines: Sequence[Line], rows: Sequence[Sequence[Piece]], data: Sequence[int], labels: float
) -> int | None:
    """Up to the first values, but for titles of groups right above them; None where there are no values."""
    if not data or data[0] > MAX_HEADER_LINES:
        return None
    end = data[0]
    while (
        end > 1
        and (
            (len(rows[end - 1]) == 1 and rows[end - 1][0].x0 < labels) or _is_group_title(rows, end - 1, data)
        )
        and max(len(pieces) for pieces in rows[:end]) > 1
    ):
        end -= 1
    return end + _tight_above(lines, end, data)


def _is_group_title(rows: Sequence[Sequence[Piece]], k: int, data: Sequence[int]) -> bool:
    """Whether line `k`, of words left of the values or of one piece, has its like between the values."""
    row, first = rows[k], rows[data[0]]
    if k == 0 or any(is_value(p.text) for p in row):
        return False
    values = min((p.x0 for p in first[1:] if is_value(p.text)), default=0.0)
    if len(row) > 1 and row[-1].x0 >= values:
        return False
    em = row[0].words[0].em
    among = set(data)
    return any(
        j not in among
        and len(rows[j]) == len(row)
        and not any(is_value(p.text) for p in rows[j])
        and (
            abs(rows[j][0].x0 - row[0].x0) < 0.3 * em
            or abs(rows[j][0].x0 + rows[j][0].x1 - row[0].x0 - row[0].x1) < 0.6 * em
        )
        for j in range(data[0] + 1, data[-1])
    )


def _bold_lines(rows: Sequence[Sequence[Piece]]) -> int:
    """The leading lines in bold; one where there is none, or where half of the table is bold."""
    bold = sum(1 for _ in takewhile(lambda pieces: all(p.bold for p in pieces), rows))
    return bold if 0 < bold < len(rows) * 0.5 else 1


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
