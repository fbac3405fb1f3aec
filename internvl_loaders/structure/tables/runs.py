"""Runs of printed lines that share columns, and the headings above them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf

from internvl_loaders.content import Ruling
from internvl_loaders.structure.tables.breaks import in_other_columns, widest_gap
from internvl_loaders.structure.tables.words import Piece, Row, is_data, is_value

CAPTION = re.compile(
    r"(?:table|tab\.|tableau|tabelle|tabla|tabella|tabela|exhibit|figure|fig\.|abbildung|appendix|annex|chart)"
    r"\s*[A-Z]?[\d.\-IVX]+|(?:表|图|圖|図)\s*[\dA-Z一二三四五六七八九十]",
    re.IGNORECASE,
)
NOTE = re.compile(
    r"(?:notes?|sources?|quelle|anmerkung|nota|注|资料来源|出典)\s*[:：.]|\*+\s|[¹²³⁴]", re.IGNORECASE
)

FAR, FAR_RULED = 2.8, 2.0
"""Ems between two rows of a table at most; the second with the rulings in the gap counted as rows."""
BLANK = 2.2
"""Pitches between two rows with an empty one between them, at most."""
LEAST_TYPE, MOST_TYPE = 0.55, 1.8
"""Font sizes of a run, in those of its first row."""
MOST_LONE = 3
"""Lines of one piece in a row that a run goes over: continued cells, titles of groups."""
MOST_WORDS = 9
"""Of a line of one piece that lies over several columns and is no sentence."""
MOST_HEADINGS = 10
"""Lines above a run that are looked at."""


class Run:
    """Rows that share columns, as far as they have been followed down the page."""

    def __init__(self, first: Row) -> None:
        self.first = first
        self.columns = [(p.x0, p.x1) for p in first.pieces]
        self.data = [first] if is_data(first) else []
        self.lone = 0
        """Lines of one piece since the last row."""
        self.pitch = inf
        """The least distance of two rows."""

    def goes_on(self, above: Row, row: Row, across: Sequence[Ruling]) -> bool:
        """Takes the next row in, unless it stands apart or belongs to something else."""
        em = min(row.line.em, above.line.em)
        gap = row.line.y0 - above.line.y1
        pitch = row.line.middle - above.line.middle
        if gap > FAR * em and widest_gap(above, row, across) > FAR_RULED * em and pitch > BLANK * self.pitch:
            return False
        if gap <= FAR * em and pitch > 0.5 * em:
            self.pitch = min(self.pitch, pitch)
        if not LEAST_TYPE < row.line.em / self.first.line.em < MOST_TYPE:
            return False
        if len(row.pieces) == 1:
            self.lone += 1
            return self.lone <= MOST_LONE and not self._ends_at(row, em)
        return self._takes(row, gap, em)

    def _takes(self, row: Row, gap: float, em: float) -> bool:
        columns = _columns_with(self.columns, row.pieces, em)
        if len(columns) < 2 or len(columns) * 2 < max(len(self.columns), len(row.pieces)):
            return False
        if len(columns) < len(self.columns) and gap > em:
            return False  # other columns after a gap: another table
        if (
            self.data
            and not any(is_value(p.text) for p in row.pieces)
            and in_other_columns(row, self.data, em)
        ):
            return False  # the headings of another table
        if is_data(row):
            self.data.append(row)
        self.columns = columns
        self.lone = 0
        return True

    def _ends_at(self, row: Row, em: float) -> bool:
        """Whether a line of one piece is a caption, a note, or text that lies over the columns."""
        piece = row.pieces[0]
        over = sum(a < piece.x1 - 0.3 * em and b > piece.x0 + 0.3 * em for a, b in self.columns)
        wide = piece.x1 - piece.x0 > 0.7 * (self.columns[-1][1] - self.columns[0][0])
        return bool(
            CAPTION.match(row.text)
            or NOTE.match(row.text)
            or (over > 1 and (wide or len(piece.words) > MOST_WORDS))
        )

    def ends_in(self, above: Row, row: Row) -> bool:
        """Whether a line of one piece below the last row goes on with one of its cells."""
        piece = row.pieces[0]
        inside = sum(a < piece.x1 and b > piece.x0 for a, b in self.columns) == 1
        return (
            len(row.pieces) == 1
            and inside
            and row.line.y0 - above.line.y1 < 0.4 * row.line.em
            and (piece.text[0].islower() or piece.x0 > self.columns[0][1])
        )


def run_end(rows: Sequence[Row], start: int, across: Sequence[Ruling]) -> int:
    """The end of the run of rows that share columns with the row at `start`."""
    run = Run(rows[start])
    end = at = start + 1
    while at < len(rows) and run.goes_on(rows[at - 1], rows[at], across):
        at += 1
        if not run.lone:
            end = at
    return end + (end < at and run.ends_in(rows[end - 1], rows[end]))


def _columns_with(
    columns: list[tuple[float, float]], pieces: Sequence[Piece], em: float
) -> list[tuple[float, float]]:
    """Column extents once the pieces are laid over them."""
    spans = sorted([*columns, *((p.x0, p.x1) for p in pieces)])
    union = [spans[0]]
    for a, b in spans[1:]:
        if a < union[-1][1] - 0.05 * em:
            union[-1] = (union[-1][0], max(union[-1][1], b))
        else:
            union.append((a, b))
    return union


@dataclass(frozen=True, slots=True)
class _Body:
    """A run below its headings: its first row and its em, its sides, the y of rulings of about its width."""

    first: Row
    em: float
    x0: float
    x1: float
    rulings: Sequence[float]


def headings_start(rows: Sequence[Row], start: int, end: int, across: Sequence[Ruling], least: int) -> int:
    """Where the headings above the run begin, not above row `least`."""
    x0 = min(r.line.x0 for r in rows[start:end])
    x1 = max(r.line.x1 for r in rows[start:end])
    width = x1 - x0
    rulings = [
        r.y0 for r in across if min(r.x1, x1) - max(r.x0, x0) > 0.7 * width and r.x1 - r.x0 < 1.5 * width
    ]
    body = _Body(rows[start], rows[start].line.em, x0, x1, rulings)
    i = start
    while i > least and start - i < MOST_HEADINGS:
        if any(rule(rows[i - 1], rows[i], body) for rule in _NO_HEADINGS):
            break
        i -= 1
    return i


def _is_far(row: Row, below: Row, body: _Body) -> bool:
    return below.line.y0 - row.line.y1 > 1.6 * body.em


def _is_caption(row: Row, below: Row, body: _Body) -> bool:
    return CAPTION.match(row.text) is not None


def _sticks_out(row: Row, below: Row, body: _Body) -> bool:
    return row.line.x0 < body.x0 - 3 * body.em or row.line.x1 > body.x1 + 3 * body.em


def _is_above_upper_edge(row: Row, below: Row, body: _Body) -> bool:
    """A ruling below it with nothing ruled above it is the table's upper edge."""
    if not any(row.line.middle < y < below.line.middle for y in body.rulings):
        return False
    return not any(y < row.line.middle and row.line.y0 - y < 8 * body.em for y in body.rulings)


def _is_text(row: Row, below: Row, body: _Body) -> bool:
    """One piece that begins over the labels or is wide, and not between two rulings."""
    if len(row.pieces) > 1 or _is_between_rulings(row, body):
        return False
    piece = row.pieces[0]
    return piece.x0 < body.x0 + 2 * body.em or piece.x1 - piece.x0 > 0.6 * (body.x1 - body.x0)


def _is_between_rulings(row: Row, body: _Body) -> bool:
    """The lower one right below the first row at most."""
    low = body.first.line.y1 + 3 * body.em
    return any(y < row.line.middle for y in body.rulings) and any(
        row.line.middle < y < low for y in body.rulings
    )


_NO_HEADINGS: tuple[Callable[[Row, Row, _Body], bool], ...] = (
    _is_far,
    _is_caption,
    _sticks_out,
    _is_above_upper_edge,
    _is_text,
)
"""What a row, given the one below it, is where the headings are at an end."""
