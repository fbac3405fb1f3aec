"""The lines of one column to paragraphs, list items and code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from internvl_loaders.document import BlockType
from internvl_loaders.structure.classify import (
    Marker,
    follows,
    has_leader,
    is_dingbat,
    marker_of,
)
from internvl_loaders.structure.lines import Line
from internvl_loaders.structure.script import is_cjk, join_lines

_STOPS = ".!?:;。！？：；…"
_CLOSERS = "\"')]”’»」』）"


@dataclass(slots=True, frozen=True)
class Style:
    """What is usual on the page: `size` and name of the body font; `noisy` sizes and boxes (OCR, whose
    lines are a third higher than their font); `typed` if the body itself is monospaced."""

    size: float
    font: str = ""
    noisy: bool = False
    typed: bool = False

    @property
    def em(self) -> float:
        return self.size * (0.75 if self.noisy else 1.0)


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


class Column:
    """The measures of a column: margins and pitch in points."""

    def __init__(self, lines: Sequence[Line], style: Style) -> None:
        self.style = style
        size = style.size
        starts = Counter(round(2 * line.x0 / size) for line in lines)
        bins = {b: starts[b] + starts.get(b + 1, 0) for b in starts}
        best = max(bins, key=lambda b: (bins[b], -b))
        self.left = min(line.x0 for line in lines if 0 <= round(2 * line.x0 / size) - best <= 1)
        ends = sorted(line.x1 for line in lines)
        self.right = ends[-1 - len(ends) // 50]
        steps = [
            b.middle - a.middle
            for a, b in pairwise(lines)
            if b.x0 < a.x1 and a.x0 < b.x1 and 0.5 * size < b.middle - a.middle < 2.2 * max(size, a.size)
        ]
        self.pitch = median(steps) if len(steps) > 1 else min([*steps, 1.3 * size])

    def fits(self, upper: Line, lower: Line, right: float | None = None) -> bool:
        """Whether the first word of `lower` would have had room on `upper`: a break on purpose."""
        right = self.right if right is None else right
        first = lower.size if is_cjk(lower.text[:1]) else lower.first_width
        space = 0.0 if is_cjk(lower.text[:1]) else 0.3 * upper.size
        slack = 0.5 if not self.style.noisy else 1.0
        return upper.x1 + space + first + slack * upper.size < right


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
        if line.mono and not style.typed:
            if last and last.type == "code" and line.middle - last.lines[-1].middle < 4 * column.pitch:
                last.lines.append(line)
            else:
                found.append(Draft("code", [line]))
        elif marker and _lists(marker, fresh, found, markers[n + 1 :], upper, line, column):
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
    apart = second.x0 - first.x1 > 0.4 * second.size > 0
    if apart and len(first.text) == 1 and is_dingbat(first.text, first.font, second.font):
        return Marker("•", len(first.text) + 1, first.text, ())
    return None


def _lists(
    marker: Marker,
    fresh: bool,
    found: list[Draft],
    ahead: list[Marker | None],
    upper: Line | None,
    line: Line,
    column: Column,
) -> bool:
    """Whether a line that looks like a list item is one, by where it stands and its siblings."""
    if len(line.text) <= marker.end:
        return False
    earlier = [d.marker for d in found[-12:] if d.marker]
    sibling = any(follows(marker, m) for m in earlier) or (
        not marker.counted and any(m.style == marker.style for m in earlier)
    )
    if marker.counted:
        later = any(m is not None and follows(m, marker) for m in ahead[:30])
        if not (sibling or later):
            return False
    at_break = fresh or (upper is not None and column.fits(upper, line))
    return at_break or sibling or (not marker.counted and marker.style not in "-–—−*·")


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
    if lower.x0 >= upper.x1 or upper.x0 >= lower.x1:
        return True
    alone = len(draft.lines) == 1 and (is_number_heading(upper.text) or is_number_heading(lower.text))
    if (upper.bold != lower.bold or upper.font != lower.font or alone) and column.fits(upper, lower):
        return True
    if draft.marker:
        return _leaves_item(draft, upper, lower, column)
    if _centred(upper, lower):
        return False
    wraps = len(draft.lines) == 1 and not column.fits(upper, lower)
    if lower.x0 - column.left > indent and lower.x0 - upper.x0 > indent:
        return not (wraps or draft.lines[0].x0 < column.left - indent or is_row(upper))
    if column.left - lower.x0 > indent and upper.x0 - lower.x0 > indent:
        return not wraps
    ended = upper.text.rstrip(_CLOSERS)[-1:] in _STOPS
    return ended and column.fits(upper, lower) and _fills(draft, column)


def _fills(draft: Draft, column: Column) -> bool:
    """The draft is running text: its lines but the last reach the margin, or its one line is long."""
    lines = draft.lines
    full = sum(not column.fits(a, b) for a, b in pairwise(lines))
    return lines[0].chars > 30 if len(lines) == 1 else full >= 0.5 * (len(lines) - 1)


def _centred(upper: Line, lower: Line) -> bool:
    size = max(upper.font_size, lower.font_size)
    shift = abs((upper.x0 + upper.x1) - (lower.x0 + lower.x1)) / 2
    return shift < 0.6 * size and min(abs(upper.x0 - lower.x0), abs(upper.x1 - lower.x1)) > 0.6 * size


def _leaves_item(draft: Draft, upper: Line, lower: Line, column: Column) -> bool:
    """A list item goes on in lines indented like its text, or full ones at its marker."""
    first = draft.lines[0]
    if len(draft.lines) > 1 and lower.x0 < draft.lines[1].x0 - 0.6 * first.size:
        return True
    if lower.x0 > first.x0 + 0.5 * first.size:
        return False
    return lower.x0 < first.x0 - 0.5 * first.size or column.fits(upper, lower)


def _hard(draft: Draft, column: Column) -> list[bool]:
    """Which of the draft's lines end where they do on purpose: addresses, receipts, verse."""
    lines = draft.lines
    if len(lines) == 1:
        return []
    right = column.right
    own = max(line.x1 for line in lines)
    pairs = list(pairwise(lines))
    if len(lines) > 3 and median(line.chars for line in lines) >= 30:
        full = sum(not column.fits(a, b, own) for a, b in pairs)
        right = own if full >= 0.7 * len(pairs) else right
    fits = [
        column.fits(a, b, right) or is_row(a) or is_row(b) or (max(a.chars, b.chars) < 40 and _centred(a, b))
        for a, b in pairs
    ]
    if median(line.chars for line in lines) < 32 and not any(_runs_on(a, b) for a, b in pairs):
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
    return len(lines) < 4 and all(
        line.font_size > (1.5 if column.style.noisy else 1.12) * column.style.size for line in lines
    )


def is_row(line: Line) -> bool:
    """Has a wide gap or a leader inside: a printed row rather than running text."""
    size = 2 * line.size
    spans = line.spans
    return any(b.x0 - a.x1 > size for a, b in pairwise(spans)) or has_leader(line.text)


def _nest(found: Sequence[Draft], style: Style) -> None:
    """Sets the level of list items by their indents."""
    stack: list[float] = []
    for draft in found:
        if draft.type != "list_item":
            if not stack or draft.x0 < stack[0] + 0.5 * style.size:
                stack = []
            continue
        x0 = draft.lines[0].x0
        while stack and x0 < stack[-1] - 0.6 * style.size:
            stack.pop()
        if not stack or x0 > stack[-1] + 0.6 * style.size:
            stack.append(x0)
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
            text += " " * max(round((span.x0 - place) / advance), 1 if text else 0) + span.text
            place = span.x1
        blank = pitch > 0 and step > 1.6 * pitch
        texts.append(text + "\n" if blank else text)
    return "\n".join(texts)
