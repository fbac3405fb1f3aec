"""What small shapes on a page image are: boxes and circles to tick, ticks, crosses, dots."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from internvl_loaders.content import Content, Mark, Rect

if TYPE_CHECKING:
    import PIL.Image
    from numpy.typing import NDArray

    Array = NDArray[Any]

_INK = 28
"""Levels by which ink differs from the paper around it; frames may be light grey."""
_INNER = 0.24
"""Of a box's side, from each edge: what lies further in is no part of its frame."""
_EDGE = 0.2
"""Of a shape's side, within which its frame runs."""
_WHOLE, _ROUND = 0.8, 0.85
"""Shares of each edge, and of all directions, in which a frame shows."""
_CONTRAST, _TICKED = 70, 0.05
"""Levels by which a tick differs from the inside of its box, and the share of it that it covers."""
_FILLED = 90
_SOLID = 0.93
"""Share of ink from which a shape is a filled one."""
_RIM = 0.1
"""Of a side: what is so near the edge is paper or frame, however exactly the shape is known."""
_LEAST = 6
"""Pixels a side."""
_MOST = 800
"""Shapes of a page."""


def marks_of(image: PIL.Image.Image, points: float, shapes: Sequence[Rect]) -> list[Mark]:
    """What is seen at `shapes`: frames, the largest first, then strokes; what lies in another is part of it.

    `points` are those of a pixel.
    """
    pixels = np.asarray(image.convert("RGB"))
    seen_at = [Mark(shape, seen(pixels, shape, points)) for shape in shapes]
    return outermost([m for m in seen_at if m.text])


def outermost(marks: Sequence[Mark]) -> list[Mark]:
    """Without those that are parts of others."""
    found: list[Mark] = []
    for mark in sorted(marks, key=_frames_first):
        near = (m for m in found if m.rect.y0 <= mark.rect.y1 and mark.rect.y0 <= m.rect.y1)
        if not any(_within(mark.rect, m.rect) or _within(m.rect, mark.rect) for m in near):
            found.append(mark)
    return found


def _frames_first(mark: Mark) -> tuple[bool, float]:
    x0, y0, x1, y1 = mark.rect
    return mark.text in "✓✗", (x0 - x1) * (y1 - y0)


def worth_a_look(content: Content) -> list[Rect]:
    """Shapes beside which there is text; none where there are so many that they are a drawing."""
    middles = sorted((s.y0 + s.y1) / 2 for s in content.spans if s.upright)
    beside = [r for r in content.shapes if bisect_left(middles, r.y0 - 3) < bisect_right(middles, r.y1 + 3)]
    return beside if len(beside) <= _MOST else []


def seen(image: Array, shape: Rect, points: float) -> str:
    """The character that the shape stands for, if any."""
    left, top, right, bottom = (round(v / points) for v in shape)
    if right - left < _LEAST or bottom - top < _LEAST or left < 0 or top < 0:
        return ""
    margin = max(2, (right - left) // 8)
    around = image[max(top - margin, 0) : bottom + margin, max(left - margin, 0) : right + margin]
    part = image[top : bottom + 1, left : right + 1].astype(np.int16)
    if part.shape[0] < _LEAST or part.shape[1] < _LEAST:
        return ""
    paper = np.median(np.concatenate([around[0], around[-1], around[:, 0], around[:, -1]]), axis=0)
    ink = np.abs(part - paper).max(axis=2) > _INK
    if _has_corners(ink):
        return _state(part, paper, _from_edges(ink.shape) > _RIM) or "■"
    if _is_ring(ink):
        return _state(part, paper, _distances(ink.shape) < 0.5 - _RIM) or "●"
    return _stroke(ink)


def _state(part: Array, paper: Array, shape: Array) -> str:
    """`☐` or `☒`; nothing where the `shape` is filled throughout, which alone tells nothing."""
    height, width = part.shape[:2]
    down, across = round(_INNER * height), round(_INNER * width)
    inner = part[down : height - down, across : width - across].reshape(-1, part.shape[2])
    usual = np.median(inner, axis=0)
    if (np.abs(inner - usual).max(axis=1) > _CONTRAST).mean() >= _TICKED:
        return "☒"
    if np.abs(usual - paper).max() < _FILLED:
        return "☐"
    return "" if (np.abs(part - usual).max(axis=2)[shape] < _CONTRAST).mean() > _SOLID else "☒"


def _from_edges(shape: tuple[int, ...]) -> Array:
    """Of every pixel from the nearest edge, in sides."""
    ys, xs = np.indices(shape)
    y, x = (ys + 0.5) / shape[0], (xs + 0.5) / shape[1]
    return np.asarray(np.minimum(np.minimum(y, 1 - y), np.minimum(x, 1 - x)))


def _distances(shape: tuple[int, ...]) -> Array:
    """Of every pixel from the middle, in sides."""
    ys, xs = np.indices(shape)
    return np.asarray(np.hypot((ys + 0.5) / shape[0] - 0.5, (xs + 0.5) / shape[1] - 0.5))


def _has_corners(ink: Array) -> bool:
    """Ink along all four edges."""
    height, width = ink.shape
    down, across = max(2, round(_EDGE * height)), max(2, round(_EDGE * width))
    edges = (
        ink[:down].any(axis=0),
        ink[-down:].any(axis=0),
        ink[:, :across].any(axis=1),
        ink[:, -across:].any(axis=1),
    )
    corners = (ink[:down, :across], ink[:down, -across:], ink[-down:, :across], ink[-down:, -across:])
    return all(edge.mean() >= _WHOLE for edge in edges) and all(_reaches(corner) for corner in corners)


def _reaches(corner: Array) -> bool:
    """A square's corner has ink in its outermost rows and columns, a circle's has none; rounded ones do."""
    return bool(corner.mean() > 0.3)


def _is_ring(ink: Array) -> bool:
    """Ink in nearly all directions at a circle's distance from the middle, and none in the corners."""
    height, width = ink.shape
    ys, xs = np.nonzero(ink)
    y, x = (ys + 0.5) / height - 0.5, (xs + 0.5) / width - 0.5
    far = np.hypot(x, y)
    if not len(far) or (far > 0.6).mean() > 0.01:
        return False
    on = (far > 0.36) & (far < 0.56)
    directions = np.unique(((np.arctan2(y[on], x[on]) + np.pi) / (2 * np.pi) * 24).astype(int).clip(0, 23))
    return len(directions) >= _ROUND * 24


def _stroke(ink: Array) -> str:
    """A cross, whose strokes reach all four corners, or a tick, which goes down and far up again."""
    height, width = ink.shape
    down, across = height // 3, width // 3
    corners = [
        bool(c.any())
        for c in (ink[:down, :across], ink[:down, -across:], ink[-down:, :across], ink[-down:, -across:])
    ]
    if not 0.06 < ink.mean() < 0.6:
        return ""
    middle = ink[down : height - down, across : width - across]
    if all(corners):
        between = np.concatenate([ink[:2, across:-across], ink[-2:, across:-across]])
        return "✗" if middle.mean() > 0.2 and not between.any() else ""
    columns = np.nonzero(ink.any(axis=0))[0]
    if not corners[1] or corners[0] or corners[3] or len(columns) < 0.7 * width:
        return ""
    lowest = np.array([np.nonzero(ink[:, x])[0].max() for x in columns])
    turn = int(columns[lowest.argmax()])
    return "✓" if 0.12 * width < turn < 0.62 * width and lowest[0] < 0.9 * lowest.max() else ""


def _within(shape: Rect, other: Rect) -> bool:
    """By its middle."""
    x, y = (shape.x0 + shape.x1) / 2, (shape.y0 + shape.y1) / 2
    return other.x0 <= x <= other.x1 and other.y0 <= y <= other.y1
