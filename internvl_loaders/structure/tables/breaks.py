"""Where one table ends and another, a title or a text begins, within what stands in common columns."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from internvl_loaders.content import Ruling
from internvl_loaders.structure.tables.rulings import between
from internvl_loaders.structure.tables.words import Row, is_data, is_value

FAR = 3.0
"""Row pitches beyond which the next line no longer belongs to the table."""
LARGER = 1.4
LARGER_BOLD = 1.12
"""How much larger than the cells' a title's type is; less is enough where only the title is bold."""
NEAR = 12
"""Rows above that tell the columns."""


@dataclass(frozen=True, slots=True)
class Part:
    """Rows `first` up to, but without, `last` of a run."""

    first: int
    last: int


def parts_of(rows: Sequence[Row], across: Sequence[Ruling]) -> list[Part]:
    """The rows parted at wide gaps, titles, sentences and new headings; titles and sentences are in none."""
    several = [row for row in rows if len(row.pieces) > 1]
    if len(several) < 2:
        return []
    pitch = median(b.line.middle - a.line.middle for a, b in pairwise(rows))
    em = median(row.line.em for row in several)
    bold = sum(_bold(row) for row in several) * 2 > len(several)
    width = max(row.line.x1 for row in rows) - min(row.line.x0 for row in rows)
    parts: list[Part] = []
    first = 0

    def close(last: int, cut: bool) -> None:
        if cut:
            while last > first and len(rows[last - 1].pieces) == 1:
                last -= 1
        if last > first:
            parts.append(Part(first, last))

    for i, row in enumerate(rows):
        if _is_title(row, em, bold) or _is_sentence(row, width):
            close(i, True)
            first = i + 1
        elif i > first and (
            _is_far(rows[i - 1], row, pitch, across)
            or _is_new_heading(rows, first, i, across)
            or _bridges(rows[max(first, i - NEAR) : i], row)
        ):
            close(i, True)
            first = i
    close(len(rows), False)
    return parts


def _bold(row: Row) -> bool:
    return all(w.bold for w in row.line.words)


def _is_far(above: Row, row: Row, pitch: float, across: Sequence[Ruling]) -> bool:
    """Whether there is a wide gap, in which a ruling is as good as a row."""
    if row.line.middle - above.line.middle <= FAR * pitch:
        return False
    return widest_gap(above, row, across) > max(2 * row.line.em, (FAR - 1) * pitch)


def widest_gap(above: Row, row: Row, across: Sequence[Ruling]) -> float:
    """Points without a word or a ruling between two rows."""
    top, bottom = above.line, row.line
    width = bottom.x1 - bottom.x0
    near = (r for r in between(across, top.y1, bottom.y0) if top.y1 < r.y0 < bottom.y0)
    rulings = (r.y0 for r in near if min(r.x1, bottom.x1) - max(r.x0, bottom.x0) > 0.5 * width)
    stops = [top.y1, *sorted(rulings), bottom.y0]
    return max(b - a for a, b in pairwise(stops))


def _bridges(above: Sequence[Row], row: Row) -> bool:
    """Whether the row stands apart and lies over the gutters of most columns above it."""
    if len(row.pieces) < 2 or row.line.y0 - above[-1].line.y1 < row.line.em:
        return False
    fullest = max(above, key=lambda r: len(r.pieces))
    gutters = [(a.x1, b.x0) for a, b in pairwise(fullest.pieces)]
    over = sum(any(p.x0 < a and b < p.x1 for p in row.pieces) for a, b in gutters)
    return len(gutters) > 1 and over * 2 > len(gutters)


def _is_title(row: Row, em: float, bold: bool) -> bool:
    if len(row.pieces) > 1 or is_value(row.text):
        return False
    return row.line.em > LARGER * em or (not bold and _bold(row) and row.line.em > LARGER_BOLD * em)


def _is_sentence(row: Row, width: float) -> bool:
    return (
        len(row.pieces) == 1
        and len(row.line.words) > 8
        and row.line.x1 - row.line.x0 > 0.6 * width
        and row.text.rstrip().endswith((".", "。"))
    )


def _is_new_heading(rows: Sequence[Row], first: int, i: int, across: Sequence[Ruling]) -> bool:
    """Whether row `i` has words only, stands apart from the values above it in other columns than
    theirs, and values follow or nothing does."""
    row, em = rows[i], rows[i].line.em
    if len(row.pieces) < 2 or any(is_value(p.text) or ":" in p.text for p in row.pieces):
        return False
    if i + 1 < len(rows) and not any(is_data(r) for r in rows[i + 1 : i + 4]):
        return False
    above = [r for r in rows[max(first, i - NEAR) : i] if is_data(r) or _is_form(r)]
    if not above or _is_section(row, above, rows[i + 1 : i + 4]):
        return False
    ruled = _ruled(rows[i - 1], row, rows[i + 1] if i + 1 < len(rows) else None, across)
    apart = row.line.y0 - rows[i - 1].line.y1 > 0.6 * em
    if not (ruled or (apart and len(above) > 1)):
        return False
    return len(row.pieces) != max(len(r.pieces) for r in above) or in_other_columns(row, above, em)


def _is_section(row: Row, above: Sequence[Row], below: Sequence[Row]) -> bool:
    """Whether the row is the title of a group and its remark: nothing of it begins over the values above,
    and those below stand in the same columns."""
    values = [p.x0 for r in above for p in r.pieces[1:] if is_value(p.text)]
    following = next((r for r in below if is_data(r)), None)
    if not values or following is None or any(p.x0 > min(values) - row.line.em for p in row.pieces):
        return False
    most = max(len(r.pieces) for r in above)
    return len(following.pieces) * 2 > most and not in_other_columns(following, above, row.line.em)


def _is_form(row: Row) -> bool:
    return len(row.pieces) > 1 and any(p.text.endswith(":") or ": " in p.text for p in row.pieces)


def _ruled(above: Row, row: Row, below: Row | None, across: Sequence[Ruling]) -> bool:
    """Whether a ruling over most of the row parts it from a neighbour."""
    bottom = below.line.middle if below else row.line.y1 + row.line.em
    x0, x1 = row.line.x0, row.line.x1
    return any(
        above.line.middle < r.y0 < bottom and min(r.x1, x1) - max(r.x0, x0) > 0.6 * (x1 - x0)
        for r in between(across, above.line.middle, bottom)
    )


def in_other_columns(row: Row, data: Sequence[Row], em: float) -> bool:
    """Whether a row of headings belongs to other columns than the data above it."""
    pieces = [q for other in data[-8:] for q in other.pieces]
    starts = sorted([q.x0 for q in pieces])
    ends = sorted([q.x1 for q in pieces])
    centres = sorted([q.x0 + q.x1 for q in pieces])
    inline = sum(
        _is_near(starts, p.x0, 0.6 * em)
        or _is_near(ends, p.x1, 0.6 * em)
        or _is_near(centres, p.x0 + p.x1, 1.2 * em)
        for p in row.pieces
    )
    return inline * 2 <= len(row.pieces)


def _is_near(places: Sequence[float], x: float, least: float) -> bool:
    """Whether one of the places, in order, is closer to `x` than `least`."""
    at = bisect_left(places, x)
    return any(abs(place - x) < least for place in places[max(at - 1, 0) : at + 1])
