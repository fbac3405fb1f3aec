"""Where tables without drawn cells may be: between rules of equal width, and in runs of aligned lines."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from internvl_loaders.content import Rect, Rule
from internvl_loaders.structure.tables.breaks import foreign, parts_of, widest_gap
from internvl_loaders.structure.tables.prose import without_prose
from internvl_loaders.structure.tables.words import Piece, Row, Word, bounds, is_data, is_value, rows_of

CAPTION = re.compile(
    r"(?:table|tab\.|tableau|tabelle|tabla|tabella|tabela|exhibit|figure|fig\.|abbildung|appendix|annex|chart)"
    r"\s*[A-Z]?[\d.\-IVX]+|(?:表|图|圖|図)\s*[\dA-Z一二三四五六七八九十]",
    re.IGNORECASE,
)
NOTE = re.compile(
    r"(?:notes?|sources?|quelle|anmerkung|nota|注|资料来源|出典)\s*[:：.]|\*+\s|[¹²³⁴]", re.IGNORECASE
)


MAX_STACKS = 40
"""Groups of equally wide rules looked at on one page."""


@dataclass(slots=True)
class Region:
    """Words that may be a table, and the rules across it."""

    rect: Rect
    words: list[Word]
    across: list[Rule]
    whole: bool = True
    """Nothing was cut off."""


def stacked_regions(words: Sequence[Word], across: Sequence[Rule]) -> list[Region]:
    """What stands between rules of about equal left and right ends, as far as it looks like rows."""
    if not words:
        return []
    em = sorted(w.em for w in words)[len(words) // 2]
    wide = [r for r in across if r.x1 - r.x0 > 8 * em]
    words = sorted(words, key=lambda w: w.middle)
    regions: list[Region] = []
    for stack in _stacks(wide, em):
        x0, x1 = min(r.x0 for r in stack), max(r.x1 for r in stack)
        run: list[Rule] = []
        for upper, lower in pairwise(stack):
            band = _inside(words, Rect(x0 - 2, upper.y0, x1 + 2, lower.y0))
            if band and not _tabular(band, x1 - x0):
                _flush(run, words, across, regions)
                run = []
                continue
            if not band and lower.y0 - upper.y0 > 2 * em:
                _flush(run, words, across, regions)
                run = []
                continue
            run = [*run, lower] if run else [upper, lower]
        _flush(run, words, across, regions)
    return regions


def _stacks(rules: Sequence[Rule], em: float) -> list[list[Rule]]:
    stacks: list[list[Rule]] = []
    for rule in sorted(rules, key=lambda r: r.y0):
        for stack in stacks:
            slack = max(0.8 * em, 0.03 * (rule.x1 - rule.x0))
            if abs(stack[-1].x0 - rule.x0) < slack and abs(stack[-1].x1 - rule.x1) < slack:
                stack.append(rule)
                break
        else:
            stacks.append([rule])
    return sorted((s for s in stacks if len(s) > 1), key=len, reverse=True)[:MAX_STACKS]


def _flush(run: list[Rule], words: Sequence[Word], across: Sequence[Rule], regions: list[Region]) -> None:
    if len(run) < 2:
        return
    rect = Rect(min(r.x0 for r in run), run[0].y0, max(r.x1 for r in run), run[-1].y0)
    near = rows_of(_inside(words, Rect(rect.x0, rect.y0 - 120, rect.x1, rect.y1 + 1200)))
    first = sum(row.line.middle < rect.y0 for row in near)
    last = sum(row.line.middle < rect.y1 for row in near)
    if first == last:
        return
    open_end = not any(is_data(row) for row in near if run[-2].y0 < row.line.middle < rect.y1)
    if open_end and last < len(near) and near[last].line.y0 - rect.y1 < 2 * near[last].line.em:
        begin = last + 1 if len(near[last].pieces) == 1 else last
        if begin < len(near) and len(near[begin].pieces) > 1:
            last = _grow(near, begin, ())
    if first and _heads(near[first - 1], near[first:last], rect.y0):
        first -= 1
    elif is_data(near[first]):
        first = _headings(near, first, last, (), 0)
    regions += _regions(near[first:last], across, rect)


def _heads(row: Row, below: Sequence[Row], rule: float) -> bool:
    """Whether the row on the rule has the headings of the rows of values below it, the first of which
    may follow a line of text."""
    lead = next((r for r in below[:2] if len(r.pieces) > 1), None)
    if lead is None or not is_data(lead) or not 2 < len(row.pieces) == len(lead.pieces):
        return False
    words = not any(is_value(p.text) for p in row.pieces)
    return words and rule - row.line.y1 < row.line.em and not foreign(row, [lead], row.line.em)


def _regions(rows: Sequence[Row], across: Sequence[Rule], ruled: Rect | None = None) -> list[Region]:
    """The rows, parted where something else begins; `ruled` is what the rules around them enclose."""
    inside = [w for row in rows for w in row.words]
    near = rules_in(across, _around(bounds(inside), ruled, rows[0].line.em))
    parts = parts_of(rows, near)
    regions = []
    for part in parts:
        words = [w for row in rows[part.first : part.last] for w in row.words]
        whole = part == parts[0] and part.first == 0 and part.last == len(rows)
        rect = _around(bounds(words), ruled if whole else None, rows[part.first].line.em)
        regions.append(Region(rect, words, rules_in(near, rect), whole))
    return regions


def _around(rect: Rect, ruled: Rect | None, em: float) -> Rect:
    if ruled is None:
        return Rect(rect.x0 - em, rect.y0 - em, rect.x1 + em, rect.y1 + em)
    return Rect(ruled.x0, min(ruled.y0, rect.y0), ruled.x1, max(ruled.y1, rect.y1))


def rules_in(across: Sequence[Rule], rect: Rect) -> list[Rule]:
    return [
        r
        for r in across
        if rect.y0 - 1 <= r.y0 <= rect.y1 + 1
        and min(r.x1, rect.x1) - max(r.x0, rect.x0) > 0.5 * (r.x1 - r.x0)
    ]


def _inside(words: Sequence[Word], rect: Rect) -> list[Word]:
    """Those of the words, sorted by height, that lie in the rectangle."""
    first = bisect_left(words, rect.y0, key=lambda w: w.middle)
    last = bisect_right(words, rect.y1, key=lambda w: w.middle)
    return [w for w in words[first:last] if rect.x0 - w.em <= (w.x0 + w.x1) / 2 <= rect.x1 + w.em]


def _tabular(words: Sequence[Word], width: float) -> bool:
    """Whether the lines between two rules may be rows of a table rather than running text."""
    rows = rows_of(words)
    if any(CAPTION.match(row.text) for row in rows):
        return False
    running = sum(
        len(row.pieces) == 1 and len(row.line.words) > 5 and row.line.x1 - row.line.x0 > 0.6 * width
        for row in rows
    )
    several = sum(len(row.pieces) > 1 for row in rows)
    if several == 0:
        return len(rows) == 1 and rows[0].line.x1 - rows[0].line.x0 < 0.5 * width
    return running * 2 < len(rows)


def run_regions(words: Sequence[Word], across: Sequence[Rule]) -> list[Region]:
    """Runs of lines with pieces one above the other, with the headings above them."""
    kept = without_prose(words)
    rows = rows_of(kept)
    regions: list[Region] = []
    i = done = 0
    while i < len(rows):
        if len(rows[i].pieces) < 2:
            i += 1
            continue
        end = _grow(rows, i, across)
        several = [r for r in rows[i:end] if len(r.pieces) > 1]
        if len(several) < 2:
            i += 1
            continue
        start = _headings(rows, i, end, across, done)
        regions += _regions(rows[start:end], across)
        i = end
        if any(is_data(row) for row in several):
            done = end
    return regions


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


def _grow(rows: Sequence[Row], start: int, across: Sequence[Rule]) -> int:
    """The end of the run of rows that share columns with the row at `start`."""
    columns = [(p.x0, p.x1) for p in rows[start].pieces]
    end = start + 1
    i = start + 1
    loose = 0
    data = [rows[start]] if is_data(rows[start]) else []
    while i < len(rows):
        row, above = rows[i], rows[i - 1]
        em = min(row.line.em, above.line.em)
        if row.line.y0 - above.line.y1 > 2.8 * em and widest_gap(above, row, across) > 2 * em:
            break
        if not 0.55 < row.line.em / rows[start].line.em < 1.8:
            break
        if len(row.pieces) > 1:
            union = _columns_with(columns, row.pieces, em)
            if len(union) < 2 or len(union) * 2 < max(len(columns), len(row.pieces)):
                break
            if len(union) < len(columns) and row.line.y0 - above.line.y1 > em:
                break  # other columns after a gap: another table
            if data and not any(is_value(p.text) for p in row.pieces) and foreign(row, data, em):
                break
            if is_data(row):
                data.append(row)
            columns = union
            end = i + 1
            loose = 0
        else:
            piece = row.pieces[0]
            over = sum(a < piece.x1 - 0.3 * em and b > piece.x0 + 0.3 * em for a, b in columns)
            wide = piece.x1 - piece.x0 > 0.7 * (columns[-1][1] - columns[0][0])
            loose += 1
            if (
                CAPTION.match(row.text)
                or NOTE.match(row.text)
                or (over > 1 and (wide or len(piece.words) > 9))
            ):
                break
            if loose > 3:
                break
        i += 1
    if end < len(rows) and end < i:  # the last row's cells may go on for a line
        row, above = rows[end], rows[end - 1]
        piece = row.pieces[0]
        inside = sum(a < piece.x1 and b > piece.x0 for a, b in columns) == 1
        if (
            len(row.pieces) == 1
            and inside
            and row.line.y0 - above.line.y1 < 0.4 * row.line.em
            and (piece.text[0].islower() or piece.x0 > columns[0][1])
        ):
            end += 1
    return end


def _headings(rows: Sequence[Row], start: int, end: int, across: Sequence[Rule], least: int) -> int:
    """Where the headings above the run begin, not above row `least`."""
    x0 = min(r.line.x0 for r in rows[start:end])
    x1 = max(r.line.x1 for r in rows[start:end])
    em = rows[start].line.em
    reach = [
        r.y0
        for r in across
        if min(r.x1, x1) - max(r.x0, x0) > 0.7 * (x1 - x0) and r.x1 - r.x0 < 1.5 * (x1 - x0)
    ]
    i = start
    while i > least and start - i < 10:
        row = rows[i - 1]
        if rows[i].line.y0 - row.line.y1 > 1.6 * em or CAPTION.match(row.text):
            break
        if row.line.x0 < x0 - 3 * em or row.line.x1 > x1 + 3 * em:
            break
        ruled = any(r < row.line.middle for r in reach) and any(
            row.line.middle < r < rows[start].line.y1 + 3 * em for r in reach
        )
        below = [r for r in reach if row.line.middle < r < rows[i].line.middle]
        if below and not any(r < row.line.middle and row.line.y0 - r < 8 * em for r in reach):
            break  # a rule with nothing ruled above it is the table's upper edge
        if len(row.pieces) == 1 and not ruled:
            piece = row.pieces[0]
            if piece.x0 < x0 + 2 * em or piece.x1 - piece.x0 > 0.6 * (x1 - x0):
                break
        i -= 1
    return i
