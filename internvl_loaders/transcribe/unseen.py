"""Text that is in a page's text layer and that nobody sees on the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from internvl_loaders.content import Content, Rect, Span
from internvl_loaders.document import Box, Word
from internvl_loaders.readers.cover import under

if TYPE_CHECKING:
    import PIL.Image

_TINY = 1.5
"""Points of type that nobody can read on paper or at any usual zoom."""
_CONTRAST = 16
"""Least difference, of 255, between what is darkest and lightest where a word is seen."""
_MIDDLE = 0.15
"""Share of a word's height above and below that is not looked at: there may be a rule, or the next line."""


def hide_unseen(content: Content, render: Callable[[], PIL.Image.Image]) -> Content:
    """The page with words hidden that are too small or do not show where they stand on its image, which is
    looked at only if there are pale words, or words on filled shapes."""
    spans = content.spans
    tiny = {i for i, s in enumerate(spans) if not s.hidden and 0 < s.size < _TINY and s.y1 - s.y0 < 2 * _TINY}
    visible = [i for i, s in enumerate(spans) if not s.hidden and i not in tiny]
    doubtful = {i for i in visible if spans[i].pale}
    doubtful |= {visible[n] for n in under([spans[i] for i in visible], content.fills)}
    unseen = set(tiny)
    if doubtful:
        image = render()
        scale = image.width / content.width, image.height / content.height
        unseen |= {i for i in doubtful if not _shows(spans[i], image, scale)}
    if not unseen:
        return content
    return replace(
        content, spans=[replace(s, hidden=True) if i in unseen else s for i, s in enumerate(spans)]
    )


def _shows(span: Span, image: PIL.Image.Image, scale: tuple[float, float]) -> bool:
    inset = _MIDDLE * (span.y1 - span.y0 if span.upright else span.x1 - span.x0)
    left, right = (0.0, 0.0) if span.upright else (inset, inset)
    top, bottom = (inset, inset) if span.upright else (0.0, 0.0)
    box = (
        max(0, int((span.x0 + left) * scale[0])),
        max(0, int((span.y0 + top) * scale[1])),
        min(image.width, int((span.x1 - right) * scale[0]) + 1),
        min(image.height, int((span.y1 - bottom) * scale[1]) + 1),
    )
    if box[0] >= box[2] or box[1] >= box[3]:
        return False
    extrema: Sequence[tuple[int, int]] = image.crop(box).getextrema()  # type: ignore[assignment]
    return any(high - low >= _CONTRAST for low, high in extrema)


def unseen_text(content: Content) -> tuple[Word, ...]:
    """What is hidden, line by line, but for what is seen at the same place all the same (an OCR layer)."""
    seen: dict[str, list[Rect]] = {}
    for span in content.spans:
        if not span.hidden:
            seen.setdefault(span.text, []).append(span.rect)
    lines: dict[int, list[Span]] = {}
    for n, span in enumerate(content.spans):
        if span.hidden and not any(_meet(span.rect, other) for other in seen.get(span.text, ())[:50]):
            lines.setdefault(span.line if span.line >= 0 else -1 - n, []).append(span)
    return tuple(
        Word(
            text=" ".join(s.text for s in line),
            box=Box.of(
                min(s.x0 for s in line),
                min(s.y0 for s in line),
                max(s.x1 for s in line),
                max(s.y1 for s in line),
                content.width,
                content.height,
            ),
        )
        for line in lines.values()
    )


def _meet(a: Rect, b: Rect) -> bool:
    return a.x0 < b.x1 and b.x0 < a.x1 and a.y0 < b.y1 and b.y0 < a.y1
