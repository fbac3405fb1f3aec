"""Text that an image painted later hides, as in scans whose OCR lies beneath them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from internvl_loaders.content import Rect, Span

COVERING = 0.5
"""Share of the page that images must make up before it is worth looking what lies beneath."""

Painted = tuple[Literal["text", "image"], Rect]


def may_cover(images: Sequence[Rect], spans: Sequence[Span], width: float, height: float) -> bool:
    area = sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in images)
    return area >= COVERING * width * height and any(not s.hidden for s in spans)


def hide_covered(spans: list[Span], painted: Sequence[Painted]) -> list[Span]:
    """Spans whose middle an opaque image covers and no later text shows again become hidden.

    `painted` is in the order of painting.
    """
    return [
        replace(span, hidden=True) if not span.hidden and _covered(span, painted) else span for span in spans
    ]


def _covered(span: Span, painted: Sequence[Painted]) -> bool:
    x, y = (span.x0 + span.x1) / 2, (span.y0 + span.y1) / 2
    for kind, (x0, y0, x1, y1) in reversed(painted):
        if x0 <= x <= x1 and y0 <= y <= y1:
            return kind == "image"
    return False
