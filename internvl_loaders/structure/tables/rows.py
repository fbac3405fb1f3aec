"""Rows: which printed lines belong to one row of cells."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from itertools import pairwise

from internvl_loaders.structure.tables.words import Line, Word, is_value

Cells = Mapping[int, Sequence[Word]]
"""A line's words by column."""

_DETAIL = re.compile(
    r"(?:s/?n|p/?n|sku|ean|isbn|imei|serial|serien|seriennr|numéro de série|n[.°º]? ?de série"
    r"|art(?:icle|ikel|\.)?[ -]?(?:no|nr|number|nummer)|item (?:no|code|number)|part (?:no|number)"
    r"|model|batch|lot|charge|colou?r|size)\b\.?:?.*\d",
    re.IGNORECASE,
)
"""A number or code of the article above."""
_OPEN_END = ("-", "‐", ",", ";", "(", "/", "&", "–", ":")


def row_groups(
    lines: Sequence[Line], cells: Sequence[Cells], ruled: set[int], limits: Sequence[float]
) -> list[tuple[int, int]]:
    """First and last line of every row; in `ruled` are the lines that a ruling parts from the next.

    `limits` are the x that the text of each column may not pass.
    """
    if not lines:
        return []
    widths = _widths(cells, limits)
    apart = min((b.middle - a.middle for a, b in pairwise(lines) if b.y0 > a.middle), default=0.0)
    tight = _tight(lines, cells, ruled, widths)
    groups = [_Group(0, cells[0])]
    for i, (a, b) in enumerate(pairwise(lines)):
        group, row = groups[-1], cells[i + 1]
        if i not in ruled and (
            _interleaved(a, b, cells[i], row)
            or (i in tight and not _clash(group.values, row))
            or _continues(lines, group, row, i + 1, widths, apart)
            or _begins(lines, cells, group, i + 1, widths)
            or _is_detail(lines, cells, group, i + 1)
        ):
            group.add(row)
        else:
            groups.append(_Group(i + 1, row))
    return [(g.first, g.last) for g in groups]


class _Group:
    """Lines `first` to `last` of one row of cells: the text of each column, as far as its first and its last
    line go, and the columns that hold a value."""

    def __init__(self, first: int, row: Cells) -> None:
        self.first = first
        self.last = first - 1
        self.begun = row
        self.above: dict[int, Sequence[Word]] = {}
        self.values: set[int] = set()
        self.labels_only = True
        self.add(row)

    def add(self, row: Cells) -> None:
        self.last += 1
        self.above.update(row)
        self.values.update(c for c, words in row.items() if is_value(_text(words)))
        self.labels_only = self.labels_only and row.keys() == {0}


def _widths(cells: Sequence[Cells], limits: Sequence[float]) -> list[tuple[float, float]]:
    """How wide each column's text gets, and how wide it might."""
    widths = []
    by_column: list[list[Sequence[Word]]] = [[] for _ in limits]
    for row in cells:
        for c, words in row.items():
            by_column[c].append(words)
    for texts, limit in zip(by_column, limits, strict=True):
        left = min((words[0].x0 for words in texts), default=limit)
        widest = max((words[-1].x1 - words[0].x0 for words in texts), default=0.0)
        widths.append((widest, max(limit - left, widest)))
    return widths


def _interleaved(a: Line, b: Line, above: Cells, below: Cells) -> bool:
    """Lines so close that they cannot be above one another: a value set between two lines of its label."""
    over = b.y0 < a.y1 - 0.3 * min(a.height, b.height) and b.middle - a.middle < 0.75 * a.em
    return over and not above.keys() & below.keys()


def _text(words: Sequence[Word]) -> str:
    return " ".join(w.text for w in words)


def _clash(values: Set[int], row: Cells) -> bool:
    """Whether two values would come into one cell, given the columns that hold one."""
    return any(c in values and is_value(_text(words)) for c, words in row.items())


def _wrapped(above: Sequence[Word], below: Sequence[Word], width: float) -> bool:
    """Whether the first word below did not fit behind the text above, so the line broke there."""
    em = above[-1].em
    used = above[-1].x1 - above[0].x0
    return used + 0.25 * em + (below[0].x1 - below[0].x0) > width + 0.1 * em


def _flows(above: Sequence[Word], below: Sequence[Word], width: tuple[float, float]) -> bool:
    """Whether the text below goes on where the text above stops: a small letter says so, else the
    line above must have been out of room."""
    if above[0].bold != below[0].bold and above[-1].bold != below[0].bold:
        return False
    first, last = below[0].text, above[-1].text
    if is_value(_text(below)) and not last.endswith(_OPEN_END):
        return False
    if last.endswith(_OPEN_END[:-1]) or (first[0] in "(&/" and not first.endswith(")")):
        return True
    if is_value(_text(above)):
        return False
    widest, room = width
    return _wrapped(above, below, 0.8 * widest if first[0].islower() else room)


def _near(a: Line, b: Line) -> bool:
    return b.y0 - a.y1 < 0.6 * a.em and b.middle - a.middle < 2.0 * a.em


def _continues(
    lines: Sequence[Line],
    group: _Group,
    row: Cells,
    i: int,
    widths: Sequence[tuple[float, float]],
    lines_apart: float,
) -> bool:
    """Whether line `i` only goes on with some cells of the row above it."""
    above = group.above
    if not row.keys() <= above.keys() or len(row) >= len(above) or _clash(group.values, row):
        return False
    pitch = lines[i].middle - lines[i - 1].middle
    if i + 1 < len(lines) and lines[i + 1].middle - lines[i].middle < min(0.8 * pitch, 0.75 * lines[i].em):
        return False  # it stands between lines of the next row
    if len(row) == 1 and 0 not in row and 0 in above and pitch < max(1.15 * lines_apart, 1.4 * lines[i].em):
        return not is_value(_text(group.begun.get(min(row), above[min(row)])))  # a text that goes on
    if not _near(lines[i - 1], lines[i]):
        return False
    if 0 in row and (row[0][0].text[0].isupper() or (len(row) * 2 > len(above) > 2)):
        return False
    return all(_flows(above[c], words, widths[c]) for c, words in row.items())


def _begins(
    lines: Sequence[Line],
    cells: Sequence[Cells],
    group: _Group,
    i: int,
    widths: Sequence[tuple[float, float]],
) -> bool:
    """Whether the group's lines only began the label of the row that line `i` fills."""
    row = cells[i]
    label = cells[i - 1]
    if not _near(lines[i - 1], lines[i]) or not group.labels_only:
        return False
    if len(row) < 2 or 0 not in row:
        return False
    above, below = label[0], row[0]
    return not below[0].text[0].isupper() and _flows(above, below, widths[0])


def _is_detail(lines: Sequence[Line], cells: Sequence[Cells], group: _Group, i: int) -> bool:
    """Whether line `i` tells more of the label of the row of values above it: a serial number, or text that
    goes on in small letters."""
    row, em = cells[i], lines[i].em
    if row.keys() != {0} or not group.values - {0} or 0 not in group.begun:
        return False
    words, label = row[0], group.begun[0]
    if not _near(lines[i - 1], lines[i]) or words[0].bold or words[-1].text.endswith(":"):
        return False
    if words[0].x0 < label[0].x0 - em:
        return False
    if _DETAIL.match(_text(words)):
        return True
    below = cells[i + 1].get(0) if i + 1 < len(cells) else None
    goes_on = words[0].text[0].islower() and not label[0].text[0].islower()
    return goes_on and (not below or below[0].x0 < words[0].x0 + 0.5 * em)


def _tight(
    lines: Sequence[Line], cells: Sequence[Cells], ruled: set[int], widths: Sequence[tuple[float, float]]
) -> set[int]:
    """Lines set closer to the next than rows are to one another, if the table is set like that."""
    pitches = sorted((b.middle - a.middle, i) for i, (a, b) in enumerate(pairwise(lines)))
    if len(pitches) < 3:
        return set()
    between = [i for _, i in pitches if i not in ruled]
    if 2 <= len(pitches) - len(between) <= 3 * len(between) and _are_details(cells, between):
        return set(between)
    jump, cut = max((pitches[k + 1][0] / max(pitches[k][0], 0.1), k) for k in range(len(pitches) - 1))
    if jump < 1.2:
        return set()
    close = [i for _, i in pitches[: cut + 1] if i not in ruled]
    loose = len(pitches) - cut - 1
    if loose < 2 or len(close) > 3 * loose or lines[0].em * 1.9 < pitches[cut][0]:
        return set()
    if _are_details(cells, close):
        return set(close)
    good = 0
    for i in close:
        shared = cells[i].keys() & cells[i + 1].keys()
        if _clash(_Group(i, cells[i]).values, cells[i + 1]):
            return set()
        good += not shared or any(_flows(cells[i][c], cells[i + 1][c], widths[c]) for c in shared)
    return set(close) if good * 3 >= len(close) * 2 else set()


def _are_details(cells: Sequence[Cells], close: Sequence[int]) -> bool:
    """Whether the lines set close below others hold text of one column alone, and all others values beside
    their label: articles, and what is told of each."""
    below = {i + 1 for i in close}
    columns = {column for i in below for column in cells[i]}
    if len(columns) != 1 or any(w.bold for i in below for words in cells[i].values() for w in words):
        return False
    (column,) = columns
    others = [row for i, row in enumerate(cells) if i not in below]
    return all(
        column in row and any(c > column and is_value(_text(words)) for c, words in row.items())
        for row in others
    )
