"""Where one paragraph ends and the next begins: what two neighbouring lines of a column show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from internvl_loaders.structure.classify import is_number_heading
from internvl_loaders.structure.draft import Draft
from internvl_loaders.structure.lines import Line
from internvl_loaders.structure.measure import Column, are_centred, is_row

_STOPS = ".!?:;。！？：；…"
_CLOSERS = "\"')]”’»」』）"
_STEP, _STEP_NOISY = 1.3, 1.45
"""Usual line pitches beyond which there is white between two lines."""
_OTHER_SIZE, _OTHER_SIZE_NOISY = 0.1, 0.4
"""Share of the font size by which lines of one paragraph may differ; the boxes of OCR vary."""
_INDENT = 0.8
"""Font sizes from which a line stands in or out on purpose."""


@dataclass(frozen=True, slots=True)
class _Pair:
    """The last line of a draft and the one below it, in their column. `size` is the larger font size."""

    draft: Draft
    upper: Line
    lower: Line
    column: Column
    size: float

    @property
    def ends_early(self) -> bool:
        """The upper line had room for the first word of the lower one."""
        return self.column.fits(self.upper, self.lower)

    @property
    def wraps(self) -> bool:
        """The upper line is its paragraph's first, and full: its indent or the next one's starts none."""
        return len(self.draft.lines) == 1 and not self.ends_early


def begins_paragraph(draft: Draft, lower: Line, column: Column) -> bool:
    """Whether `lower` begins a new paragraph after the last line of `draft`."""
    upper = draft.lines[-1]
    pair = _Pair(draft, upper, lower, column, max(upper.font_size, lower.font_size))
    if any(rule(pair) for rule in _ALWAYS_BREAKS):
        return True
    if draft.marker:
        return _leaves_item(pair)
    if are_centred(upper, lower):
        return False
    indent = _INDENT * pair.size * column.style.em / column.style.size
    if lower.start - column.left > indent and lower.start - upper.start > indent:
        return not (pair.wraps or draft.lines[0].start < column.left - indent or is_row(upper))
    if column.left - lower.start > indent and upper.start - lower.start > indent:
        return not pair.wraps
    return _ends_a_sentence(upper) and pair.ends_early and _is_running_text(draft, column)


def _is_far(pair: _Pair) -> bool:
    """White between the lines, or the lower one stands above: the column begins anew."""
    step = pair.lower.middle - pair.upper.middle
    usual = max(pair.column.pitch, 1.15 * min(pair.upper.font_size, pair.lower.font_size))
    most = _STEP_NOISY if pair.column.style.noisy else _STEP
    return step > most * usual or step < -0.5 * pair.size


def _changes_size(pair: _Pair) -> bool:
    most = _OTHER_SIZE_NOISY if pair.column.style.noisy else _OTHER_SIZE
    return abs(pair.upper.font_size - pair.lower.font_size) > most * pair.size


def _follows_code(pair: _Pair) -> bool:
    return pair.draft.type == "code"


def _stands_beside(pair: _Pair) -> bool:
    return pair.lower.start >= pair.upper.end or pair.upper.start >= pair.lower.end


def _changes_type(pair: _Pair) -> bool:
    """Another weight or font, or a numbered heading, where the upper line ends early."""
    upper, lower = pair.upper, pair.lower
    heading = len(pair.draft.lines) == 1 and (is_number_heading(upper.text) or is_number_heading(lower.text))
    return (upper.bold != lower.bold or upper.font != lower.font or heading) and pair.ends_early


_ALWAYS_BREAKS: tuple[Callable[[_Pair], bool], ...] = (
    _is_far,
    _changes_size,
    _follows_code,
    _stands_beside,
    _changes_type,
)


def _leaves_item(pair: _Pair) -> bool:
    """A list item goes on in lines indented like its text, or full ones at its marker."""
    lines, lower = pair.draft.lines, pair.lower
    first = lines[0]
    if len(lines) > 1 and lower.start < lines[1].start - 0.6 * first.size:
        return True
    if lower.start > first.start + 0.5 * first.size:
        return False
    return lower.start < first.start - 0.5 * first.size or pair.ends_early


def _ends_a_sentence(line: Line) -> bool:
    return line.text.rstrip(_CLOSERS)[-1:] in _STOPS


def _is_running_text(draft: Draft, column: Column) -> bool:
    """Its lines but the last reach the margin, or its one line is long."""
    lines = draft.lines[-20:]
    full = sum(not column.fits(a, b) for a, b in pairwise(lines))
    return lines[0].chars > 30 if len(lines) == 1 else full >= 0.5 * (len(lines) - 1)
