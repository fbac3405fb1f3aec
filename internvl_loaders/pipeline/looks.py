"""What the look of a page tells of its text layer: words that do not show, boxes that are ticked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from internvl_loaders.content import Content
from internvl_loaders.errors import PageError
from internvl_loaders.pipeline.draft import Draft
from internvl_loaders.transcribe.unseen import hide_unseen, unseen_text

if TYPE_CHECKING:
    import PIL.Image

DPI = 100
"""At which words are looked for on the page: strokes of the smallest type are half a pixel wide."""


def without_unseen(draft: Draft, content: Content, render: Callable[[], PIL.Image.Image]) -> Content:
    """With what does not show hidden, and said; rendered only where there is doubt."""

    def timed() -> PIL.Image.Image:
        with draft.timed("unseen"):
            return render()

    try:
        content = hide_unseen(content, timed)
    except PageError as error:
        draft.reasons.append(f"whether all of its text shows was not looked at: {error.message}")
    draft.unseen = unseen_text(content)
    if draft.unseen:
        words = sum(len(line.text.split()) for line in draft.unseen)
        draft.reasons.append(f"{words} word{'s' * (words > 1)} that nobody sees on the page left out")
    return content


def with_marks(draft: Draft, content: Content, render: Callable[[], PIL.Image.Image]) -> Content:
    """With what small drawings are, whichever way they are drawn."""
    from internvl_loaders.transcribe.ticks import marks_of, worth_a_look

    shapes = worth_a_look(content)
    if not shapes:
        return content
    try:
        image = render()
    except PageError as error:
        draft.reasons.append(f"boxes to tick were not looked for: {error.message}")
        return content
    with draft.timed("marks"):
        return replace(content, marks=marks_of(image, content.width / image.width, shapes))
