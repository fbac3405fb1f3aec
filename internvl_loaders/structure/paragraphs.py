"""The lines of one column to paragraphs, list items and code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from internvl_loaders.document import BlockType
from internvl_loaders.structure.classify import (
    Marker,
    follows,
    is_dingbat,
    is_number_heading,
    marker_of,
)
from internvl_loaders.structure.lines import Line
from internvl_loaders.structure.measure import Column, Style, are_centred, is_row
from internvl_loaders.structure.script import join_lines

_STOPS = ".!?:;。！？：；…"
_MAX_INDENT = 200
"""Spaces before a word of code; hostile pages have letters of no width."""
_CLOSERS = "\"')]”’»」』）"


@dataclass(slots=True)
class Draft:
    """A block in the making; `hard` has for every line but the last whether it ends there."""

    type: BlockType
    lines: list[Line]
    hard: list[bool] = field(default_factory=list)
    marker: Marker | None = None
    level: int | None = None

    @property
    def x0(self) -> float:
        return min(line.x0 for line in self.lines)

    @property
    def y0(self) -> float:
        return min(line.y0 for line in self.lines)

    @property
    def y1(self) -> float:
        return max(line.y1 for line in self.lines)

    @property
    def font_size(self) -> float:
        return self.lines[0].font_size

    def text(self, seen: Mapping[str, int] | None = None) -> str:
        if self.type == "code":
            return _code(self.lines)
        texts = [line.text for line in self.lines]
        if self.marker:
            texts[0] = texts[0][self.marker.end :]
        whole = texts[0]
        for hard, text in zip(self.hard, texts[1:], strict=True):
            whole = f"{whole}\n{text}" if hard else join_lines(whole, text, seen)
        return whole


def drafts(lines: Sequence[Line], column: Column) -> list[Draft]:
    """Groups lines that follow one another in a column; every line goes into one draft."""
    style = column.style
    markers = [_marker(line) for line in lines]
    found: list[Draft] = []
    for n, line in enumerate(lines):
        last = found[-1] if found else None
        upper = last.lines[-1] if last else None
        marker = markers[n]
        fresh = last is None or upper is None or _breaks(last, upper, line, column)
        at_break = fresh or (upper is not None and column.fits(upper, line))
        if line.mono and not style.typed:
            if last and last.type == "code" and line.middle - last.lines[-1].middle < 4 * column.pitch:
                last.lines.append(line)
            else:
                found.append(Draft("code", [line]))
        elif (
            marker
            and len(line.text) > marker.end
            and _lists(marker, at_break, found, markers[n + 1 : n + 31])
        ):
            found.append(Draft("list_item", [line], marker=marker))
        elif last and not fresh:
            last.lines.append(line)
        else:
            found.append(Draft("paragraph", [line]))
    for draft in found:
        if draft.type != "code":
            draft.hard = _hard(draft, column)
    _nest(found, style)
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


def _lists(marker: Marker, at_break: bool, found: Sequence[Draft], ahead: Sequence[Marker | None]) -> bool:
    """Whether what looks like a list item is one, by where it stands and its siblings.

    `at_break` tells that the line before ended on purpose; `ahead` are the markers that follow.
    """
    earlier = [d.marker for d in found[-12:] if d.marker]
    sibling = any(follows(marker, m) for m in earlier)
    if marker.counted:
        return sibling or (at_break and any(m is not None and follows(m, marker) for m in ahead))
    return at_break or sibling or marker.style not in "-–—−*·"


def _breaks(draft: Draft, upper: Line, lower: Line, column: Column) -> bool:
    """Whether `lower` begins a new paragraph after `upper`, the last line of `draft`."""
    style = column.style
    size = max(upper.font_size, lower.font_size)
    indent = 0.8 * size * style.em / style.size
    step = lower.middle - upper.middle
    usual = max(column.pitch, 1.15 * min(upper.font_size, lower.font_size))
    if step > (1.45 if style.noisy else 1.3) * usual or step < -0.5 * size:
        return True
    if abs(upper.font_size - lower.font_size) > (0.4 if style.noisy else 0.1) * size:
        return True
    if draft.type == "code":
        return True
    if lower.start >= upper.end or upper.start >= lower.end:
        return True
    alone = len(draft.lines) == 1 and (is_number_heading(upper.text) or is_number_heading(lower.text))
    if (upper.bold != lower.bold or upper.font != lower.font or alone) and column.fits(upper, lower):
        return True
    if draft.marker:
        return _leaves_item(draft, upper, lower, column)
    if are_centred(upper, lower):
        return False
    wraps = len(draft.lines) == 1 and not column.fits(upper, lower)
    if lower.start - column.left > indent and lower.start - upper.start > indent:
        return not (wraps or draft.lines[0].start < column.left - indent or is_row(upper))
    if column.left - lower.start > indent and upper.start - lower.start > indent:
        return not wraps
    ended = upper.text.rstrip(_CLOSERS)[-1:] in _STOPS
    return ended and column.fits(upper, lower) and _fills(draft, column)


def _fills(draft: Draft, column: Column) -> bool:
    """The draft is running text: its lines but the last reach the margin, or its one line is long."""
    lines = draft.lines[-20:]
    full = sum(not column.fits(a, b) for a, b in pairwise(lines))
    return lines[0].chars > 30 if len(lines) == 1 else full >= 0.5 * (len(lines) - 1)


def _leaves_item(draft: Draft, upper: Line, lower: Line, column: Column) -> bool:
    """A list item goes on in lines indented like its text, or full ones at its marker."""
    first = draft.lines[0]
    if len(draft.lines) > 1 and lower.start < draft.lines[1].start - 0.6 * first.size:
        return True
    if lower.start > first.start + 0.5 * first.size:
        return False
    return lower.start < first.start - 0.5 * first.size or column.fits(upper, lower)


def _hard(draft: Draft, column: Column) -> list[bool]:
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
        column.fits(a, b, right)
        or is_row(a)
        or is_row(b)
        or (max(a.chars, b.chars) < 40 and are_centred(a, b))
        for a, b in pairs
    ]
    if median(line.chars for line in lines) < 32 and 3 * sum(_runs_on(a, b) for a, b in pairs) < len(pairs):
        return [not _heading_like(lines, column)] * len(fits)
    if draft.marker is None and sum(fits) > 0.5 * len(fits) and not _heading_like(lines, column):
        return [True] * len(fits)
    return fits


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


def _code(lines: Sequence[Line]) -> str:
    """Monospaced lines with their indents, inner spaces and blank lines."""
    left = min(line.x0 for line in lines)
    advance = median((s.x1 - s.x0) / len(s.text) for line in lines for s in line.spans) or 1.0
    steps = [b.middle - a.middle for a, b in pairwise(lines)]
    pitch = min((s for s in steps if s > 0.5 * lines[0].height), default=0.0)
    texts = []
    for line, step in zip(lines, [*steps, 0.0], strict=True):
        place, text = left, ""
        for span in line.spans:
            gap = min(max(round((span.x0 - place) / advance), 1 if text else 0), _MAX_INDENT)
            text += " " * gap + span.text
            place = span.x1
        blank = pitch > 0 and step > 1.6 * pitch
        texts.append(text + "\n" if blank else text)
    return "\n".join(texts)
