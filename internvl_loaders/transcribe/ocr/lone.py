"""Characters that stand alone in a row of text, which the detector does not see (a quantity of 1)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from internvl_loaders.transcribe.ocr.ppocr import Line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from internvl_loaders.content import Ruling

    Array = NDArray[Any]

_LOW, _TALL, _WIDE = 0.3, 0.75, 1.2
"""Height and width of what may be a character, in heights of the quads of its row."""
_MOST = 40
"""Candidates beyond which what is left over is dirt or a picture."""
_CONFIDENCE = 0.9
_TEXT = re.compile(r"[^\W_]{1,3}")


def candidates(image: Array, boxes: Array, rulings: Sequence[Ruling]) -> Array:
    """Quads (n, 4, 2) around ink of a character's size that no box (m, 4) covers but one stands beside.

    The image is straightened; all in its pixels.
    """
    if not len(boxes):
        return np.zeros((0, 4, 2), np.float32)
    heights = boxes[:, 3] - boxes[:, 1]
    usual = float(np.median(heights))
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    block = max(int(1.5 * usual), 9) | 1
    ink = cv2.adaptiveThreshold(gray, 1, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, block, 20)
    for x0, y0, x1, y1 in boxes.astype(int):
        ink[max(y0, 0) : y1 + 1, max(x0, 0) : x1 + 1] = 0
    around = max(int(0.15 * usual), 2)
    for x0, y0, x1, y1 in (tuple(map(int, ruling)) for ruling in rulings):
        ink[max(y0 - around, 0) : y1 + around + 1, max(x0 - around, 0) : x1 + around + 1] = 0
    joined = cv2.morphologyEx(ink, cv2.MORPH_CLOSE, np.ones((3, max(int(0.2 * usual), 3)), np.uint8))
    count, _, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    middles = (boxes[:, 1] + boxes[:, 3]) / 2
    found = []
    for x, y, w, h, area in stats[1:count].tolist():
        if not (_LOW * usual <= h <= 1.5 * usual and w <= 2 * usual and area >= 0.12 * w * h):
            continue
        row = np.flatnonzero(np.abs(middles - (y + h / 2)) < 0.2 * heights)
        if not row.size:
            continue
        away = np.maximum(boxes[row, 0] - (x + w), x - boxes[row, 2])
        near = row[away.argmin()]
        high = heights[near]
        if _LOW * high <= h <= _TALL * high and w <= _WIDE * high:
            pad = 0.3 * high
            found.append((x - pad, boxes[near, 1], x + w + pad, boxes[near, 3]))
    if len(found) > _MOST:
        return np.zeros((0, 4, 2), np.float32)
    quads = [[[x0, y0], [x1, y0], [x1, y1], [x0, y1]] for x0, y0, x1, y1 in found]
    return np.array(quads, np.float32).reshape(-1, 4, 2)


def believable(line: Line) -> bool:
    """Whether the recogniser saw a character or two rather than a mark."""
    return line.confidence >= _CONFIDENCE and _TEXT.fullmatch(line.text) is not None
