"""The lines of one column to paragraphs, list items and code."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from internvl_loaders.structure.breaks import begins_paragraph
from internvl_loaders.structure.classify import Marker, follows, is_dingbat, marker_of
from internvl_loaders.structure.draft import Draft
from internvl_loaders.structure.lines import Line
from internvl_loaders.structure.measure import Column, Style, are_centred, is_row

_LONG, _REACHES = 30, 0.7
"""Characters, and share of the column's width, from which a line may be one of running text."""
_BEFORE, _AHEAD = 12, 30
"""Drafts and lines around an item among which its siblings are looked for."""


def drafts(lines: Sequence[Line], column: Column) -> list[Draft]:
    """Groups lines that follow one another in a column; every line goes into one draft."""
    markers = [_marker(line) for line in lines]
    found: list[Draft] = []
    for n, line in enumerate(lines):
        last, marker = found[-1] if found else None, markers[n]
        fresh = last is None or begins_paragraph(last, line, column)
        at_break = fresh or (last is not None and column.fits(last.lines[-1], line))
        if line.mono and not column.style.typed:
            if last and last.type == "code" and line.middle - last.lines[-1].middle < 4 * column.pitch:
                last.lines.append(line)
            else:
                found.append(Draft("code", [line]))
        elif marker and _is_list_item(line, marker, at_break, found, markers[n + 1 : n + 1 + _AHEAD]):
            found.append(Draft("list_item", [line], marker=marker))
        elif last and not fresh:
            last.lines.append(line)
        else:
            found.append(Draft("paragraph", [line]))
    for draft in found:
        if draft.type != "code":
            draft.hard_breaks = _hard_breaks(draft, column)
    _nest(found, column.style)
    return found


def _marker(line: Line) -> Marker | None:
    if (marker := marker_of(line.text)) or len(line.spans) < 2:
        return marker
    first, second = line.spans[:2]
    gap = max(second.x0 - first.x1, first.x0 - second.x1)
    if not 0.4 * second.size < gap < 3 * second.size:
        return None
    if len(first.text) == 1 and is_dingbat(first.text, first.font, second.font):
        return Marker("•", 2, first.text, ())
    if first.text.isdecimal() and len(first.text) < 4 and not is_row(line):
        return Marker(first.text, len(first.text) + 1, "1", (int(first.text),))
    return None


def _is_list_item(
    line: Line, marker: Marker, at_break: bool, found: Sequence[Draft], ahead: Sequence[Marker | None]
) -> bool:
    """Whether what looks like a list item is one, by where it stands and its siblings.

    `at_break` tells that the line before ended on purpose; `ahead` are the markers that follow.
    """
    if len(line.text) <= marker.end:
        return False
    earlier = [d.marker for d in found[-_BEFORE:] if d.marker]
    sibling = any(follows(marker, m) for m in earlier)
    if marker.counted:
        return sibling or (at_break and any(m is not None and follows(m, marker) for m in ahead))
    return at_break or sibling or marker.style not in "-–—−*·"


def _hard_breaks(draft: Draft, column: Column) -> list[bool]:
    """Which of the draft's lines end where they do on purpose: addresses, receipts, verse."""
    lines = draft.lines
    if len(lines) == 1:
        return []
    right = column.right
    own = max(line.end for line in lines)
    pairs = list(pairwise(lines))
    if len(lines) > 3 and median(line.chars for line in lines) >= 30:
        full = sum(not column.fits(a, b, own) for a, b in pairs)
        right = own if full >= 0.7 * len(pairs) else right
    fits = [
        not _within_sentence(a, b, column)
        and (
            column.fits(a, b, right)
            or is_row(a)
            or is_row(b)
            or (max(a.chars, b.chars) < 40 and are_centred(a, b))
        )
        for a, b in pairs
    ]
    if median(line.chars for line in lines) < 32 and 3 * sum(_runs_on(a, b) for a, b in pairs) < len(pairs):
        return [not _heading_like(lines, column)] * len(fits)
    if draft.marker is None and sum(fits) > 0.5 * len(fits) and not _heading_like(lines, column):
        return [True] * len(fits)
    return fits


def _within_sentence(upper: Line, lower: Line, column: Column) -> bool:
    """A long line that ends in a word or a comma, and a small letter after it: prose, whatever its room."""
    end, start = upper.text[-1:], lower.text[:1]
    long = upper.chars >= _LONG and upper.end - column.left >= _REACHES * (column.right - column.left)
    return long and (end.isalpha() or end in ",;") and start.islower() and lower.text[1:2] not in (")", ".")


def _runs_on(upper: Line, lower: Line) -> bool:
    """A sentence goes on from line to line: a small letter follows, a hyphen, or a caseless script."""
    first = lower.text[:1]
    return first.islower() or (first.isalpha() and not first.isupper()) or upper.text[-1:] in "-,"


def _heading_like(lines: Sequence[Line], column: Column) -> bool:
    """Large or bold lines wrap where their author liked."""
    return len(lines) < 3 and all(
        line.font_size > (1.5 if column.style.noisy else 1.12) * column.style.size for line in lines
    )


def _nest(found: Sequence[Draft], style: Style) -> None:
    """Sets the level of list items by their indents."""
    stack: list[float] = []
    for draft in found:
        if draft.type != "list_item":
            if not stack or draft.lines[0].start < stack[0] + 0.5 * style.size:
                stack = []
            continue
        start = draft.lines[0].start
        while stack and start < stack[-1] - 0.6 * style.size:
            stack.pop()
        if not stack or start > stack[-1] + 0.6 * style.size:
            stack.append(start)
        draft.level = len(stack) - 1
