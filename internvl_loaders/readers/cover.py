"""Text that an image painted later hides, as in scans whose OCR lies beneath them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from operator import itemgetter
from typing import Literal

from internvl_loaders.content import Rect, Span

_FEW = 64
"""Points times boxes that are held against each other."""

Painted = tuple[Literal["text", "image"], Rect]


def may_cover(images: Sequence[Rect], spans: Sequence[Span]) -> bool:
    """Whether a word lies where an image is; in which order they were painted is costly to know."""
    return any(True for _ in under([s for s in spans if not s.hidden], images))


def hide_covered(spans: list[Span], painted: Sequence[Painted]) -> list[Span]:
    """Spans whose middle an opaque image covers and no later text shows again become hidden.

    `painted` is in the order of painting.
    """
    covered = set(_under_images(_middles((n, s) for n, s in enumerate(spans) if not s.hidden), painted[::-1]))
    return [replace(span, hidden=True) if n in covered else span for n, span in enumerate(spans)]


def under(spans: Sequence[Span], boxes: Sequence[Rect]) -> Iterator[int]:
    """The numbers of the spans whose middle lies in one of the boxes."""
    return _under_images(_middles(enumerate(spans)), [("image", box) for box in boxes] if spans else [])


def _middles(spans: Iterable[tuple[int, Span]]) -> list[_Point]:
    return [((s.x0 + s.x1) / 2, (s.y0 + s.y1) / 2, number) for number, s in spans]


_Point = tuple[float, float, int]


def _under_images(points: list[_Point], painted: Sequence[Painted]) -> Iterator[int]:
    """The numbers of the points that an image was the last to paint, `painted` being the last first.

    Halves the points until one box paints all that are left, or few are: not every point is held
    against every box.
    """
    waiting = [(points, painted)] if points else []
    while waiting:
        points, painted = waiting.pop()
        xs, ys = [x for x, _, _ in points], [y for _, y, _ in points]
        left, right, top, bottom = min(xs), max(xs), min(ys), max(ys)
        near: list[Painted] = []
        for kind, (x0, y0, x1, y1) in painted:
            if x0 <= right and left <= x1 and y0 <= bottom and top <= y1:
                near.append((kind, Rect(x0, y0, x1, y1)))
                if x0 <= left and right <= x1 and y0 <= top and bottom <= y1:
                    break
        if len(near) <= 1 or len(points) * len(near) <= _FEW:
            yield from (n for x, y, n in points if _last_over(x, y, near) == "image")
        else:
            along = 0 if right - left > bottom - top else 1
            points.sort(key=itemgetter(along))
            half = len(points) // 2
            waiting += [(points[:half], near), (points[half:], near)]


def _last_over(x: float, y: float, painted: Sequence[Painted]) -> str:
    return next((kind for kind, (x0, y0, x1, y1) in painted if x0 <= x <= x1 and y0 <= y <= y1), "")
