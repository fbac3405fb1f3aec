"""Headings, captions and footnotes: paragraphs told apart by size, weight, wording and place."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from typing import TypeVar

from internvl_loaders.content import Content, Rect, Ruling
from internvl_loaders.structure import classify
from internvl_loaders.structure.draft import Draft
from internvl_loaders.structure.headings import HeadingLevels, is_heading
from internvl_loaders.structure.measure import Style

T = TypeVar("T")

_RARELY_BOLD = 0.4
"""Share of a page's characters up to which bold ones set a line off."""
_LONGEST_CAPTION = 1200
_CAPTION_GAP = 2.5
"""Body sizes between a figure or table and its caption."""
_SMALL_PRINT = 0.93
"""Body sizes up to which type is that of footnotes."""
_SHORT_RULING, _LONG_RULING = 0.05, 0.5
"""Shares of the page's width between which a ruling parts notes from text."""


def assign(
    elements: Sequence[object],
    content: Content,
    style: Style,
    objects: Sequence[Rect],
    neighbours: Sequence[Content] = (),
) -> None:
    """Turns paragraphs into headings, captions and footnotes, in place.

    `elements` are a page's body in reading order, of which drafts are looked at; `objects` are
    the places of its figures and tables.
    """
    drafts = [e for e in elements if isinstance(e, Draft)]
    final = drafts[-1] if elements and drafts and elements[-1] is drafts[-1] else None
    levels = HeadingLevels([content, *neighbours], style)
    bold = sum(line.chars for d in drafts for line in d.lines if line.bold)
    bold_is_rare = bold <= _RARELY_BOLD * sum(line.chars for d in drafts for line in d.lines)
    after_footnote = False
    places = _Places(objects, content)
    for draft in drafts:
        if draft.type not in ("paragraph", "list_item"):
            continue
        text = draft.text()
        if draft.type == "paragraph" and _is_caption(draft, text, places, style):
            draft.type = "caption"
        elif (
            is_heading(draft, text, style, followed=draft is not final, bold_is_rare=bold_is_rare)
            or levels.in_outline(text) is not None
        ):
            draft.type, draft.marker = "heading", None
            draft.level = levels.level(draft.font_size, draft.text())
            draft.hard_breaks = [False] * len(draft.hard_breaks)
        elif _is_footnote(draft, text, content, style, after_footnote, places):
            draft.type, draft.marker, draft.level = "footnote", None, None
            after_footnote = True
        else:
            after_footnote = False


class _Places:
    """A page's figures and tables, and the rulings that may part notes from text, by their height."""

    def __init__(self, objects: Sequence[Rect], content: Content) -> None:
        self._upper = sorted(objects, key=lambda r: r.y0)
        self._lower = sorted(objects, key=lambda r: r.y1)
        least, most = _SHORT_RULING * content.width, _LONG_RULING * content.width
        self._rulings = sorted(
            (r for r in content.rulings if r.y0 == r.y1 and least < r.x1 - r.x0 < most), key=lambda r: r.y0
        )

    def near(self, y0: float, y1: float, gap: float) -> list[Rect]:
        """The objects of which the lower edge is within `gap` of y0, or the upper edge of y1."""
        above = _between(self._lower, y0 - gap, y0 + gap, lambda r: r.y1)
        return [*above, *_between(self._upper, y1 - gap, y1 + gap, lambda r: r.y0)]

    def rulings(self, y0: float, y1: float) -> Sequence[Ruling]:
        return _between(self._rulings, y0, y1, lambda r: r.y0)


def _between(items: Sequence[T], low: float, high: float, key: Callable[[T], float]) -> Sequence[T]:
    """Those of the items, sorted by `key`, from `low` to `high`."""
    return items[bisect_left(items, low, key=key) : bisect_right(items, high, key=key)]


def _is_caption(draft: Draft, text: str, places: _Places, style: Style) -> bool:
    """Worded as one, and set off by its punctuation or right above or below a figure or table."""
    if not classify.is_caption(text) or len(text) > _LONGEST_CAPTION:
        return False
    if classify.is_set_off_caption(text):
        return True
    x0, x1 = draft.x0, max(line.x1 for line in draft.lines)
    y0, y1 = draft.y0, draft.y1
    return any(
        r.x0 < x1 and x0 < r.x1 and -style.size < max(y0 - r.y1, r.y0 - y1) < _CAPTION_GAP * style.size
        for r in places.near(y0, y1, _CAPTION_GAP * style.size)
    )


def _is_footnote(
    draft: Draft, text: str, content: Content, style: Style, after_footnote: bool, places: _Places
) -> bool:
    """Small print at the foot, with a mark or below a short ruling, or going on from such."""
    y0, size = draft.y0, draft.font_size
    if style.noisy or y0 < 0.5 * content.height or size > _SMALL_PRINT * style.size:
        return False
    marked = draft.lines[0].spans[0].superscript or classify.is_footnote_mark(draft.lines[0].text)
    if after_footnote or (marked and len(text) > 8):
        return True
    x0 = draft.x0
    return any(
        abs(r.x0 - x0) < 3 * size and -2 < y0 - r.y0 < 2 * size for r in places.rulings(y0 - 2 * size, y0 + 2)
    )
