"""Tables without drawn cells: columns from gutters, rows from lines, headings from their places."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from internvl_loaders.content import Rect, Rule
from internvl_loaders.structure.tables.columns import Gutter, body_lines, gutters_of
from internvl_loaders.structure.tables.grid import Grid, Place, compact, header_rows
from internvl_loaders.structure.tables.header import (
    MAX_HEADER_LINES,
    HeaderPiece,
    header_lines,
    header_places,
)
from internvl_loaders.structure.tables.rows import row_groups
from internvl_loaders.structure.tables.rules import cluster
from internvl_loaders.structure.tables.words import (
    NUMBER_GAP,
    PIECE_GAP,
    Line,
    Piece,
    Word,
    is_value,
    lines_of,
)


class Columns:
    """Gutters and, between them, from where to where each column's text goes."""

    def __init__(self, gutters: list[Gutter], text: list[tuple[float, float]], em: float) -> None:
        self.gutters = gutters
        self.text = text
        self.em = em
        self._middles = [g.middle for g in gutters]

    def __len__(self) -> int:
        return len(self.text)

    def place(self, x: float) -> int:
        return bisect_left(self._middles, x)

    def limits(self) -> list[float]:
        """The x that each column's text may not pass."""
        starts = [a - 0.6 * self.em for a, _ in self.text[1:]]
        return [*starts, self.text[-1][1]]

    def spread(self, x0: float, x1: float) -> tuple[int, int]:
        """First and last column whose text x0..x1 lies over."""
        near = range(max(self.place(x0) - 1, 0), min(self.place(x1) + 2, len(self.text)))
        over = [
            j
            for j in near
            for a, b in [self.text[j]]
            if min(b, x1) - max(a, x0) > min(0.3 * self.em, 0.5 * (b - a))
            and (min(b, x1) - max(a, x0) > 0.25 * (b - a) or x0 < (a + b) / 2 < x1)
        ]
        if not over:
            at = self.place((x0 + x1) / 2)
            return at, at
        return over[0], over[-1]


def open_grid(
    words: Sequence[Word], rect: Rect, across: Sequence[Rule], walls: Sequence[float] = ()
) -> Grid | None:
    """The words of a region as a grid; None where they form no two columns."""
    lines = lines_of(words)
    if len(lines) < 2:
        return None
    gutters = gutters_of(lines, walls)
    if not gutters:
        return None
    columns = _columns(lines, gutters)
    columns = _with_headed_columns(lines, columns)
    full, partial = _by_width(across, rect, columns)
    pieces = [_line_pieces(line, columns) for line in lines]
    top = next((i for i, row in enumerate(pieces) if any(is_value(p.text) for p in row)), 0)
    rows = [
        [part for piece in row for part in _split(piece, columns, line, partial, i == top - 1)]
        for i, (line, row) in enumerate(zip(lines, pieces, strict=True))
    ]
    head = header_lines(lines, rows, full)
    places, levels = header_places(
        [
            [HeaderPiece(*columns.spread(p.x0, p.x1), p, line.y0, line.y1) for p in pieces]
            for line, pieces in zip(lines[:head], rows[:head], strict=True)
        ],
        columns.text,
        [*partial, *full],
        columns.em,
    )
    body = [_body_cells(pieces, columns) for pieces in rows[head:]]
    spans = [{c0: c1 for c0, c1, _ in row} for row in body]
    cells = [{c0: words for c0, _, words in row} for row in body]
    middles = [line.middle for line in lines]
    ruled = {bisect_left(middles, y) - 1 - head for y in full}
    for r, (first, last) in enumerate(row_groups(lines[head:], cells, ruled, columns.limits())):
        row: dict[int, Place] = {}
        for i in range(first, last + 1):
            for c, found in cells[i].items():
                place = row.setdefault(c, Place(levels + r, c))
                place.words += found
                place.col_span = max(place.col_span, spans[i][c] - c + 1)
        _unlap(row)
        places += row.values()
    count = max((p.row + p.row_span for p in places), default=0)
    leaders = [s for line in lines for s in line.leaders]
    framed = _framed(lines, head, full)
    grid = compact(Grid(rect, count, len(columns), places, levels, False, leaders, framed))
    if not grid.places:
        return None
    if not grid.header:
        grid.header = header_rows(grid)
    return grid


def _framed(lines: Sequence[Line], head: int, full: Sequence[float]) -> bool:
    """Whether rules stand above the headings, below them, and below the last line."""
    return 0 < head < len(lines) and all(
        any(a < y < b for y in full)
        for a, b in (
            (lines[0].y0 - 2 * lines[0].em, lines[0].middle),
            (lines[head - 1].middle, lines[head].middle),
            (lines[-1].middle, lines[-1].y1 + 2 * lines[-1].em),
        )
    )


def _columns(lines: Sequence[Line], gutters: list[Gutter]) -> Columns:
    body = body_lines(lines, [g.x0 for g in gutters if g.wall])
    em = body[0].em if body else lines[0].em
    texts: list[tuple[float, float]] = []
    edges = [-1e9, *(g.middle for g in gutters), 1e9]
    for left, right in pairwise(edges):
        inside = [w for line in body for w in line.words if left < (w.x0 + w.x1) / 2 <= right]
        if inside:
            texts.append((min(w.x0 for w in inside), max(w.x1 for w in inside)))
        else:
            a = left if left > -1e9 else min(line.x0 for line in lines)
            b = right if right < 1e9 else max(line.x1 for line in lines)
            texts.append((a, max(a, b)))
    return Columns(gutters, texts, em)


def _with_headed_columns(lines: Sequence[Line], columns: Columns) -> Columns:
    """With columns that have a heading, beside that of their neighbour, but no text in the body."""
    for line in lines[: min(MAX_HEADER_LINES, len(lines) // 2)]:
        pieces = _line_pieces(line, columns)
        for a, b in pairwise(pieces):
            at = columns.place((a.x0 + a.x1) / 2)
            if at != columns.place((b.x0 + b.x1) / 2) or b.x0 - a.x1 < PIECE_GAP * columns.em:
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


def _by_width(across: Sequence[Rule], rect: Rect, columns: Columns) -> tuple[list[float], list[Rule]]:
    """The y of rules over all columns, and the rules that lie over some."""
    full: list[float] = []
    partial: list[Rule] = []
    middles = [(a + b) / 2 for a, b in columns.text]
    for group in cluster(across, lambda r: r.y0, 2.0):
        over = [any(r.x0 <= x <= r.x1 for r in group) for x in middles]
        if all(over) and (len(group) == 1 or len(group) >= len(columns)):
            full.append(group[0].y0)
        else:
            partial += group
    return full, partial


def _line_pieces(line: Line, columns: Columns) -> list[Piece]:
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
                    and columns.place((last.x0 + last.x1) / 2) != columns.place((word.x0 + word.x1) / 2)
                )
                or any(g.x0 >= last.x1 - slack and g.x1 <= word.x0 + slack for g in columns.gutters)
            ):
                flush()
        run.append(word)
    flush()
    return pieces


def _split(piece: Piece, columns: Columns, line: Line, partial: Sequence[Rule], heading: bool) -> list[Piece]:
    """The piece cut between two columns where its parts stand with their columns' text; that of a
    heading may reach far over the gutter.

    A heading stays whole where a rule under it, or its being centred, shows that it spans columns.
    """
    first, last = columns.spread(piece.x0, piece.x1)
    if first == last or len(piece.words) < 2:
        return [piece]
    for rule in partial:
        held = rule.x0 - columns.em < piece.x0 and piece.x1 < rule.x1 + columns.em
        if held and 0 <= rule.y0 - line.middle < 1.6 * columns.em:
            return [piece]
    start, end = columns.text[first][0], columns.text[last][1]
    gaps = [b.x0 - a.x1 for a, b in pairwise(piece.words)]
    wide, usual = max(gaps), median(gaps) if len(gaps) > 2 else 0.0
    filling = max(abs(piece.x0 - start), abs(piece.x1 - end)) < 0.5 * columns.em
    centred = abs(piece.x0 + piece.x1 - start - end) < columns.em and wide < 0.6 * columns.em
    if centred and not (heading and filling and wide > 0.33 * columns.em):
        return [piece]
    cuts: list[tuple[float, int]] = []
    for i, (before, after) in enumerate(pairwise(piece.words)):
        gap = after.x0 - before.x1
        crossed = any(
            before.x1 - columns.em < (g.x1 if heading else g.middle)
            and (g.x0 if heading else g.middle) < after.x0 + columns.em
            for g in columns.gutters
        )
        if gap > max(0.2 * columns.em, 1.15 * usual) and crossed:
            cuts.append((gap, i + 1))
    for _, i in sorted(cuts, reverse=True):
        left, right = piece.words[:i], piece.words[i:]
        a = Piece(left[0].x0, left[-1].x1, left)
        b = Piece(right[0].x0, right[-1].x1, right)
        if (
            columns.spread(a.x0, a.x1)[1] < columns.spread(b.x0, b.x1)[0]
            and _aligned(a, columns)
            and _aligned(b, columns)
        ):
            return [
                *_split(a, columns, line, partial, heading),
                *_split(b, columns, line, partial, heading),
            ]
    return [piece]


def _aligned(piece: Piece, columns: Columns) -> bool:
    """Whether a piece stands left, right or centred with its column's text."""
    first, last = columns.spread(piece.x0, piece.x1)
    a, b = columns.text[first][0], columns.text[last][1]
    off = min(abs(piece.x0 - a), abs(piece.x1 - b), abs(piece.x0 + piece.x1 - a - b) / 2)
    return off < 0.7 * columns.em


def _body_cells(pieces: Sequence[Piece], columns: Columns) -> list[tuple[int, int, list[Word]]]:
    """(first column, last column, words) of the cells of one line."""
    cells: list[tuple[int, int, list[Word]]] = []
    for piece in pieces:
        first, last = columns.spread(piece.x0, piece.x1)
        if first == 0:  # a label may run into columns that are empty on its line
            last = 0
        if cells and cells[-1][1] >= first:
            before = cells[-1]
            cells[-1] = (before[0], max(before[1], last), before[2] + list(piece.words))
        else:
            cells.append((first, last, list(piece.words)))
    if len(pieces) == 1 and len(columns) > 2:  # a heading centred between the rows
        piece = pieces[0]
        for first in (1, 0):
            a, b = columns.text[first][0], columns.text[-1][1]
            off = abs((piece.x0 + piece.x1) / 2 - (a + b) / 2)
            if off < 0.03 * (b - a) and piece.x0 > a + columns.em and not is_value(piece.text):
                return [(first, len(columns) - 1, list(piece.words))]
    return cells


def _unlap(row: dict[int, Place]) -> None:
    """Ends each cell before the next one of its row begins."""
    starts = sorted(row)
    for c, following in pairwise(starts):
        row[c].col_span = min(row[c].col_span, following - c)
