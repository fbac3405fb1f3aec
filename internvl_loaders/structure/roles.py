"""Headings, captions and footnotes: paragraphs told apart by size, weight, wording and place."""

from __future__ import annotations

from collections.abc import Sequence

from internvl_loaders.content import Content, Rect, Rule
from internvl_loaders.structure import classify
from internvl_loaders.structure.measure import Style, is_row
from internvl_loaders.structure.paragraphs import Draft

_ENDS = ".:。："
"""What a heading in the size of the body never ends in."""
_LARGE = 1.12
_TITLE = 1.3
"""From this size on wording tells little: titles may hold numbers, and end in any way."""
_LARGE_NOISY = 1.45
"""Heights of OCR lines vary by a third with the letters they happen to have."""


class Ranks:
    """Heading levels by font size, over a page and its neighbours."""

    def __init__(self, contents: Sequence[Content], style: Style) -> None:
        least = style.size * (_LARGE_NOISY if style.noisy else _LARGE)
        step = 0.8 if style.noisy else 0.96
        sizes = sorted({s.size for c in contents for s in c.spans if s.size >= least}, reverse=True)
        self._tops: list[float] = []
        for size in sizes:
            if not self._tops or size < self._tops[-1] * step:
                self._tops.append(size)
        self._step = step
        self._style = style

    def level(self, size: float, text: str) -> int:
        """1 to 6. Small steps above the body never make a top level, whatever the page lacks."""
        rank = sum(size < top * self._step for top in self._tops) + 1
        ratio = size / self._style.size
        floor = 1 if ratio >= 1.5 else 2 if ratio >= 1.2 else 3
        return min(max(rank, floor, classify.number_depth(text)), 6)


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
    ranks: Ranks | None = None
    bold = sum(line.chars for d in drafts for line in d.lines if line.bold)
    whole = sum(line.chars for d in drafts for line in d.lines)
    noted = False
    for draft in drafts:
        if draft.type not in ("paragraph", "list_item"):
            continue
        text = draft.text()
        if draft.type == "paragraph" and _captions(draft, text, objects, style):
            draft.type = "caption"
        elif _heads(draft, text, draft is not final, style, bold <= 0.4 * whole):
            ranks = ranks or Ranks([content, *neighbours], style)
            draft.type, draft.marker = "heading", None
            draft.level = ranks.level(draft.font_size, draft.text())
            draft.hard = [False] * len(draft.hard)
        elif _notes(draft, text, content, style, noted):
            draft.type, draft.marker, draft.level = "footnote", None, None
            noted = True
        else:
            noted = False


def _captions(draft: Draft, text: str, objects: Sequence[Rect], style: Style) -> bool:
    if not classify.is_caption(text) or len(text) > 1200:
        return False
    if classify.is_set_off_caption(text):
        return True
    x0, x1 = draft.x0, max(line.x1 for line in draft.lines)
    return any(
        r.x0 < x1 and x0 < r.x1 and -style.size < max(draft.y0 - r.y1, r.y0 - draft.y1) < 2.5 * style.size
        for r in objects
    )


def _heads(draft: Draft, text: str, followed: bool, style: Style, bold_tells: bool) -> bool:
    lines = draft.lines
    ratio = min(line.font_size for line in lines) / style.size
    letters = 0.5 if ratio < _TITLE else 0.3
    if len(lines) > 4 or len(text) > 200 or classify.letter_share(text) < letters or text[-1] in ",;":
        return False
    if draft.marker and not (draft.marker.counted and classify.is_numbered(lines[0].text)):
        return False
    if not classify.has_word(text) or classify.has_amount(text):
        return False
    if any(is_row(line) for line in lines) and not classify.is_numbered(lines[0].text):
        return False
    if len(lines) > 2 and all(draft.hard):
        return False
    if ratio >= (_LARGE_NOISY if style.noisy else _LARGE):
        return ratio >= _TITLE or (text[-1] not in _ENDS and not classify.is_label(text))
    if not followed:
        return False
    if len(lines) == 1 and classify.is_number_heading(text):
        return True
    if style.noisy or not bold_tells:
        return False
    capitals = text.isupper() and all(line.font != style.font for line in lines)
    if not (capitals or all(line.bold for line in lines)):
        return False
    if ratio < 0.88 or len(lines) > 2 or text[-1] in _ENDS or classify.is_label(text):
        return False
    return len(text) <= 120 and (not draft.marker or ratio > 1)


def _notes(draft: Draft, text: str, content: Content, style: Style, noted: bool) -> bool:
    """Small print at the foot, with a mark or below a short rule, or going on from such."""
    if style.noisy or draft.y0 < 0.5 * content.height or draft.font_size > 0.93 * style.size:
        return False
    marked = draft.lines[0].spans[0].superscript or classify.is_footnote_mark(draft.lines[0].text)
    return noted or (marked and len(text) > 8) or any(_parts_off(r, draft, content) for r in content.rules)


def _parts_off(rule: Rule, draft: Draft, content: Content) -> bool:
    width = rule.x1 - rule.x0
    return (
        rule.y0 == rule.y1
        and 0.05 * content.width < width < 0.5 * content.width
        and abs(rule.x0 - draft.x0) < 3 * draft.font_size
        and -2 < draft.y0 - rule.y0 < 2 * draft.font_size
    )
