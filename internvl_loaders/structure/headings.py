"""Whether a paragraph is a heading, and of which level: by its size, weight, wording and lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from internvl_loaders.content import Content
from internvl_loaders.structure import classify
from internvl_loaders.structure.draft import Draft
from internvl_loaders.structure.measure import Style, is_row

LARGE = 1.12
"""Body sizes from which type is larger than the body's: a tenth more is a step a reader sees."""
LARGE_NOISY = 1.45
"""The same for OCR: heights of its lines vary by a third with the letters they happen to have."""
TITLE = 1.3
"""From this size on wording tells little: titles may hold numbers, and end in any way."""
SMALL = 0.88
"""Below, bold type is the label of a note or a table."""
MOST_LINES, MOST_CHARS = 4, 200
"""A heading that is longer is a paragraph in large type."""
MOST_LINES_IN_BODY_SIZE, MOST_CHARS_IN_BODY_SIZE = 2, 120
"""Bold text that is longer is emphasised, not a heading."""
LEAST_LETTERS, LEAST_LETTERS_OF_TITLE = 0.5, 0.3
"""Of letters and digits; what has fewer is a number, a date or a code."""
_ENDS = ".:。："
"""What a heading in the size of the body never ends in."""
_STEP, _STEP_NOISY = 0.96, 0.8
"""Two sizes closer than this are of one level."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A draft that may be a heading.

    `ratio` is the smallest font size of its lines in body sizes, `followed` whether the page goes on
    after it, `bold_is_rare` whether so little of the page is bold that bold type sets a line off.
    """

    draft: Draft
    text: str
    ratio: float
    style: Style
    followed: bool
    bold_is_rare: bool

    @property
    def is_large(self) -> bool:
        return self.ratio >= (LARGE_NOISY if self.style.noisy else LARGE)

    @property
    def is_title(self) -> bool:
        return self.ratio >= TITLE

    @property
    def begins_with_a_number(self) -> bool:
        return classify.is_numbered(self.draft.lines[0].text)


def is_heading(draft: Draft, text: str, style: Style, *, followed: bool, bold_is_rare: bool) -> bool:
    ratio = min(line.font_size for line in draft.lines) / style.size
    it = Candidate(draft, text, ratio, style, followed, bold_is_rare)
    if any(rule(it) for rule in _NEVER_A_HEADING):
        return False
    if it.is_large:
        return it.is_title or not any(rule(it) for rule in _NO_LARGE_HEADING)
    if not it.followed:
        return False
    return _is_numbered_title(it) or not any(rule(it) for rule in _NO_HEADING_IN_BODY_SIZE)


def _is_long(it: Candidate) -> bool:
    return len(it.draft.lines) > MOST_LINES or len(it.text) > MOST_CHARS


def _lacks_letters(it: Candidate) -> bool:
    least = LEAST_LETTERS_OF_TITLE if it.is_title else LEAST_LETTERS
    return classify.letter_share(it.text) < least or not classify.has_word(it.text)


def _breaks_off(it: Candidate) -> bool:
    return it.text[-1] in ",;"


def _is_list_item(it: Candidate) -> bool:
    """But for `1. Introduction`, which is numbered as headings are."""
    marker = it.draft.marker
    return marker is not None and not (marker.counted and it.begins_with_a_number)


def _states_an_amount(it: Candidate) -> bool:
    return classify.has_amount(it.text)


def _is_printed_row(it: Candidate) -> bool:
    """Cells or a leader; the gap behind a heading's number is none."""
    return any(is_row(line) for line in it.draft.lines) and not it.begins_with_a_number


def _is_verse_or_address(it: Candidate) -> bool:
    """Three lines and more that all end on purpose."""
    return len(it.draft.lines) > 2 and all(it.draft.hard_breaks)


def _ends_as_a_sentence(it: Candidate) -> bool:
    return it.text[-1] in _ENDS


def _is_label(it: Candidate) -> bool:
    return classify.is_label(it.text)


def _is_numbered_title(it: Candidate) -> bool:
    return len(it.draft.lines) == 1 and classify.is_number_heading(it.text)


def _has_no_telling_weight(it: Candidate) -> bool:
    """OCR knows no weights, and on a page in bold they say nothing."""
    return it.style.noisy or not it.bold_is_rare


def _is_not_set_off(it: Candidate) -> bool:
    """Neither bold nor capitals of a font of their own."""
    lines = it.draft.lines
    capitals = it.text.isupper() and all(line.font != it.style.font for line in lines)
    return not (capitals or all(line.bold for line in lines))


def _is_small(it: Candidate) -> bool:
    return it.ratio < SMALL


def _is_long_for_body_size(it: Candidate) -> bool:
    return len(it.draft.lines) > MOST_LINES_IN_BODY_SIZE or len(it.text) > MOST_CHARS_IN_BODY_SIZE


def _is_item_in_body_size(it: Candidate) -> bool:
    """A bold item of a counted list needs larger type, too."""
    return it.draft.marker is not None and it.ratio <= 1


Rule = Callable[[Candidate], bool]

_NEVER_A_HEADING: tuple[Rule, ...] = (
    _is_long,
    _lacks_letters,
    _breaks_off,
    _is_list_item,
    _states_an_amount,
    _is_printed_row,
    _is_verse_or_address,
)
_NO_LARGE_HEADING: tuple[Rule, ...] = (_ends_as_a_sentence, _is_label)
_NO_HEADING_IN_BODY_SIZE: tuple[Rule, ...] = (
    _has_no_telling_weight,
    _is_not_set_off,
    _is_small,
    _ends_as_a_sentence,
    _is_label,
    _is_long_for_body_size,
    _is_item_in_body_size,
)


class HeadingLevels:
    """Levels of a page's headings from top to bottom: by its outline, else by number, else by font size over
    the page and its neighbours."""

    def __init__(self, contents: Sequence[Content], style: Style) -> None:
        least = style.size * (LARGE_NOISY if style.noisy else LARGE)
        self._step = _STEP_NOISY if style.noisy else _STEP
        self._style = style
        self._outline: dict[str, int] = {}
        for title in contents[0].outline:
            self._outline |= dict.fromkeys(_keys(title.text), title.level)
        self._numbered: dict[int, int] = {}
        self._tops: list[float] = []
        for size in sorted({s.size for c in contents for s in c.spans if s.size >= least}, reverse=True):
            if not self._tops or size < self._tops[-1] * self._step:
                self._tops.append(size)

    def level(self, size: float, text: str) -> int:
        """1 to 6. Small steps above the body never make a top level, whatever the page lacks; `1.1` is one
        below `1`, whatever their sizes."""
        depth = classify.number_depth(text) or int(classify.is_numbered(text) and text[:1].isdecimal())
        level = self.in_outline(text)
        if level is None:
            rank = sum(size < top * self._step for top in self._tops) + 1
            ratio = size / self._style.size
            floor = 1 if ratio >= 1.5 else 2 if ratio >= 1.2 else 3
            level = max(rank, floor, depth)
            above = [d for d in self._numbered if d < depth]
            if depth > 1 and depth in self._numbered:
                level = self._numbered[depth]
            elif above:
                level = self._numbered[max(above)] + depth - max(above)
        level = min(level, 6)
        if depth:
            self._numbered[depth] = level
            self._numbered = {d: n for d, n in self._numbered.items() if d <= depth}
        return level

    def in_outline(self, text: str) -> int | None:
        """The level that the document's outline gives a heading of this text on this page."""
        if not self._outline or len(text) > MOST_CHARS:
            return None
        return next((self._outline[key] for key in _keys(text) if key in self._outline), None)


def _keys(text: str) -> list[str]:
    """Letters and digits, with its number and without."""
    key = "".join(filter(str.isalnum, text)).casefold()
    bare = key.lstrip("0123456789")
    return [k for k in dict.fromkeys((key, bare)) if k]
