"""Ruling lines and pictures of a straightened page image.

Images are RGB arrays (height, width, 3); boxes of text are (n, 4) arrays x0, y0, x1, y1 and results
are in the same pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from internvl_loaders.content import Rect, Ruling
from internvl_loaders.transcribe.ocr.bands import apart, completed, steps

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

_LONGEST_SIDE = 2000
"""Pixels of the image that lines are looked for on."""
_LEAST_LENGTH, _THICKEST, _INSET = 2.0, 0.5, 0.15
"""In heights of the page's text lines; the last in heights of one."""
_CONTRAST, _DARK = 9, 0.6
"""Levels of grey by which a line is darker than what is around it; least share of it that is."""
_DARK_PAPER = 100
_EDGE = 3
"""Pixels; a line so close to the image's edge is the edge of the paper."""
_LEAST_LINES = 3
"""Dark lines without which filled bands make no grid."""
_PARALLEL = 3
"""Lines within 0.8 line heights of one another, itself included, beyond which they are hatching."""
_FIGURE_SIDE = 480
_FIGURE_SHARE, _FIGURE_FILL, _FIGURE_TEXT = 0.01, 0.55, 0.25
"""Least share of the page, least filling of its own box, most share under text."""


def find_rulings(image: Array, boxes: Array, line_height: float) -> list[Ruling]:
    """Thin straight lines across or down the page, longer than the strokes of its text, and the edges of
    filled bands in a grid."""
    gray, scale = _within(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), _LONGEST_SIDE)
    height = max(line_height * scale, 8.0)
    for box in boxes * scale:
        # The letters are painted over, but not what touches or underlines them.
        inset = _INSET * min(box[2] - box[0], box[3] - box[1])
        x0, y0, x1, y1 = (box + np.array([inset, inset, -inset, -inset])).round().astype(int).clip(0)
        letters = gray[y0:y1, x0:x1]
        if letters.size:
            letters[:] = np.median(_border(letters))
    block = int(2 * height) | 1
    if np.median(gray) < _DARK_PAPER:
        gray = 255 - gray
    noise = 1.48 * float(np.median(cv2.absdiff(gray, cv2.blur(gray, (3, 3)))))
    contrast = max(_CONTRAST, 3 * noise)
    dark = cv2.adaptiveThreshold(gray, 1, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, block, contrast)
    turned = np.ascontiguousarray(gray.T)
    runs = (
        _dips(gray, _runs(dark, height), height, contrast),
        _dips(turned, _runs(np.ascontiguousarray(dark.T), height), height, contrast),
    )
    across, down = (_without_hatching(lines, height) for lines in runs)
    if len(across) + len(down) >= _LEAST_LINES:
        edges = [
            _without_hatching(apart(_runs(steps(pixels, contrast), height), lines, height), height)
            for pixels, lines in zip((gray, turned), runs, strict=True)
        ]
        across, down = completed(across, down, edges[0], edges[1], boxes * scale, height, gray, contrast)
    return [
        *(Ruling(x0 / scale, y / scale, x1 / scale, y / scale) for x0, y, x1 in across),
        *(Ruling(x / scale, y0 / scale, x / scale, y1 / scale) for y0, x, y1 in down),
    ]


def _runs(dark: Array, height: float) -> list[tuple[float, float, float]]:
    """Start, level and end of the long thin runs across a mask; small gaps, dots and waves are bridged."""
    length = max(int(_LEAST_LENGTH * height), 12)
    bridged = cv2.morphologyEx(dark, cv2.MORPH_CLOSE, np.ones((1, max(int(0.25 * height), 3)), np.uint8))
    # Twice as thick, so that a line one pixel off level is still one run.
    thick = cv2.dilate(bridged, np.ones((2, 1), np.uint8))
    kept = cv2.morphologyEx(thick, cv2.MORPH_OPEN, np.ones((1, length), np.uint8))
    kept = cv2.morphologyEx(kept, cv2.MORPH_CLOSE, np.ones((1, max(int(0.8 * height), 3)), np.uint8))
    count, _, stats, _ = cv2.connectedComponentsWithStats(kept, connectivity=8)
    found = []
    for x, y, w, h, area in stats[1:count].tolist():
        thickness = area / w
        thin = w >= length and thickness <= max(_THICKEST * height, 4)
        straight = h - thickness <= 0.015 * w + 2
        inner = y + h > _EDGE and y < len(dark) - _EDGE
        # What was bridged must be little: a drawn line is dark nearly throughout.
        if thin and straight and inner and dark[y : y + h, x : x + w].max(axis=0).mean() >= _DARK:
            found.append((float(x), y + h / 2, float(x + w)))
    return found


def _dips(
    gray: Array, runs: list[tuple[float, float, float]], height: float, contrast: float
) -> list[tuple[float, float, float]]:
    """The runs that are darker than what is above and what is below: in a filled band all else seems dark
    beside paper."""
    if not runs:
        return []
    smooth = cv2.blur(gray, (9, 1))
    kernel = np.ones((2 * max(int(_THICKEST * height), 4) + 1, 1), np.uint8)
    depth = cv2.morphologyEx(smooth, cv2.MORPH_BLACKHAT, kernel)
    kept = []
    for start, level, end in runs:
        near = depth[max(int(level) - 2, 0) : int(level) + 3, int(start) : int(end)]
        if (near.max(axis=0) >= contrast / 2).mean() >= 0.5:
            kept.append((start, level, end))
    return kept


def _within(image: Array, side: int) -> tuple[Array, float]:
    """The image no longer than `side`, and its scale."""
    height, width = image.shape[:2]
    scale = min(1.0, side / max(height, width))
    if scale == 1:
        return image, scale
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA), scale


def _border(part: Array) -> Array:
    return np.concatenate([part[0], part[-1], part[:, 0], part[:, -1]])


def _without_hatching(
    runs: list[tuple[float, float, float]], height: float
) -> list[tuple[float, float, float]]:
    """No row or column of a table is so narrow as the lines of a bar code or a shaded area."""
    table = np.array(runs).reshape(-1, 3)
    kept = []
    for start, level, end in runs:
        near = np.abs(table[:, 1] - level) < 0.8 * height
        shared = np.minimum(table[:, 2], end) - np.maximum(table[:, 0], start) > 0.5 * (end - start)
        if (near & shared).sum() <= _PARALLEL:
            kept.append((start, level, end))
    return kept


def find_figures(image: Array, boxes: Array) -> list[Rect]:
    """Photographs, logos and charts: large, filled, off the page's paper, hardly any text on them."""
    small, scale = _within(image, _FIGURE_SIDE)
    height, width = small.shape[:2]
    paper = np.percentile(small.reshape(-1, 3), 80, axis=0)
    off = (np.abs(small.astype(np.float32) - paper.astype(np.float32)).max(axis=2) > 50).astype(np.uint8)
    for x0, y0, x1, y1 in (boxes * scale).astype(int):
        off[max(y0, 0) : y1 + 1, max(x0, 0) : x1 + 1] = 0
    off = cv2.morphologyEx(off, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    off = cv2.morphologyEx(off, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8))
    count, _, stats, _ = cv2.connectedComponentsWithStats(off, connectivity=8)
    found = []
    for x, y, w, h, area in stats[1:count].tolist():
        touching = (x == 0) + (y == 0) + (x + w == width) + (y + h == height)
        if w * h < _FIGURE_SHARE * width * height or area < _FIGURE_FILL * w * h or touching >= 2:
            continue
        rect = Rect(x / scale, y / scale, (x + w) / scale, (y + h) / scale)
        if _under_text(rect, boxes) <= _FIGURE_TEXT:
            found.append(rect)
    return found


def _under_text(rect: Rect, boxes: Array) -> float:
    """Share of a rectangle that boxes of text cover."""
    if not len(boxes):
        return 0.0
    across = np.minimum(boxes[:, 2], rect.x1) - np.maximum(boxes[:, 0], rect.x0)
    down = np.minimum(boxes[:, 3], rect.y1) - np.maximum(boxes[:, 1], rect.y0)
    area = (rect.x1 - rect.x0) * (rect.y1 - rect.y0)
    return float((across.clip(0) * down.clip(0)).sum() / max(area, 1e-6))
