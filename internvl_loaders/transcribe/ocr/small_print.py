"""Print too small for the scale at which a page was searched: rows of letters, measured on the page itself.

Images are RGB arrays (height, width, 3), quads (n, 4, 2) and boxes (n, 4: x0, y0, x1, y1), all in pixels
of the page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

SURE, SEEN = 4.5, 3.2
"""Pixels of a small letter's height at the scale of the search from which the detector sees lines wholly, and
below which it sees none as they are: found on print of 8 to 20 pixels."""
_LEAST = 3
"""Pixels of the page; what is lower is no letter that anybody could read."""
_CONTRAST = 24
"""Levels of grey by which ink is darker than the paper around it."""
_DARK_PAPER = 100
_MASK = 4
"""Pixels of the page to one of the mask of what was found."""
_DOMINANT = 0.7
"""Share of the ink in a quad that is small print from which the quad is not one line that was seen."""
_ROW_LETTERS, _LETTERS = 5, 16
"""Of a row, and of all rows together, at least."""
_READABLE = 3.5
"""Pixels of the page: the height of small letters below which rows are the grain of a scan."""
_AMOUNT = 100
"""The length of all rows together in letters' heights, at least: a search costs as much as the page did."""
_ROW_HEIGHT, _ROW_LENGTH, _GAP = 2.6, 6.0, 2.0
"""Of a row and of the white in it, in letters' heights: at most, at least, at most."""
_SOLID = 0.85
"""Share of its box that a letter fills at most, on average over a row: dots and dashes fill it."""


_LOST = 0.2
"""Share of a row's letters in no quad from which the row was not seen wholly."""


class SmallPrint(NamedTuple):
    """Boxes of the rows of letters that were not seen wholly at the scale, the height of their small letters,
    and which quads were seen as they are."""

    rows: Array
    height: float
    sound: Array


def find_small_print(page: Array, quads: Array, scales: Array, scale: float) -> SmallPrint | None:
    """None where nothing of the kind is on the page; `quads` were found at `scales`, the page last searched
    at `scale`."""
    limit = SURE / scale
    if limit < _LEAST:
        return None
    stats, centres = _components(page, limit)
    width, height, area = stats[:, 2], stats[:, 3], stats[:, 4]
    side = np.maximum(width, height)
    sides = np.stack([np.minimum(width, height), side])
    small = (height >= _LEAST) & (side <= 3 * limit) & (sides[0] <= 1.5 * limit)
    if small.sum() < _LETTERS:
        return None
    owner = _owners(page.shape[:2], quads, centres)
    sound = _sound(quads, SEEN / scales, owner, sides, small, area)
    free = ~np.concatenate([[False], sound])[owner[small]]
    if free.sum() < _LETTERS:
        return None
    stats = stats[small]
    across = _rows(stats, free, page.shape[:2])
    down = _rows(stats[:, [1, 0, 3, 2, 4]], free, page.shape[1::-1])
    found = across if across.letters >= down.letters else down._replace(boxes=down.boxes[:, [1, 0, 3, 2]])
    if found.letters < _LETTERS or not _READABLE <= found.height < SURE / scale:
        return None
    length = (found.boxes[:, 2:] - found.boxes[:, :2]).max(axis=1).sum()
    if length < _AMOUNT * found.height:
        return None
    # What was seen of such a row is a part of it.
    lost = np.zeros(len(small), bool)
    lost[small] = found.inside
    return SmallPrint(
        found.boxes, found.height, sound & _sound(quads, SURE / scales, owner, sides, lost, area)
    )


def _components(page: Array, limit: float) -> tuple[Array, Array]:
    """x, y, width, height, area and middle of each piece of ink."""
    gray = cv2.cvtColor(page, cv2.COLOR_RGB2GRAY)
    if np.median(gray[::8, ::8]) < _DARK_PAPER:
        gray = 255 - gray
    block = max(int(4 * limit), 15) | 1
    ink = cv2.adaptiveThreshold(gray, 1, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, block, _CONTRAST)
    count, _, stats, centres = cv2.connectedComponentsWithStats(ink, connectivity=8)
    return stats[1:count], centres[1:count]


def _owners(shape: tuple[int, ...], quads: Array, centres: Array) -> Array:
    """For each middle the quad it is in, counted from 1; 0 where it is in none."""
    mask = np.zeros((shape[0] // _MASK + 1, shape[1] // _MASK + 1), np.int32)
    for number, quad in enumerate(quads, start=1):
        cv2.fillPoly(mask, [(quad / _MASK).round().astype(np.int32)], number)
    at = (centres / _MASK).astype(int)
    return np.asarray(mask[at[:, 1].clip(0, len(mask) - 1), at[:, 0].clip(0, mask.shape[1] - 1)])


def _sound(quads: Array, least: Array, owner: Array, sides: Array, small: Array, area: Array) -> Array:
    """Which quads do not hold mostly `small` letters under the least height of each."""
    limits = np.concatenate([[0.0], least])[owner]
    touching = (sides[0] < limits) & (sides[1] < 3 * limits)
    too_small = small & ((sides[1] < 1.5 * limits) | touching)
    ink = np.bincount(owner, area, len(quads) + 1)[1:]
    little = np.bincount(owner, area * too_small, len(quads) + 1)[1:]
    count = np.bincount(owner, too_small, len(quads) + 1)[1:]
    return (count < _ROW_LETTERS) | (little < _DOMINANT * ink)


class _Rows(NamedTuple):
    boxes: Array
    letters: int
    height: float
    inside: Array


def _rows(stats: Array, free: Array, shape: tuple[int, ...]) -> _Rows:
    """Rows across the page among pieces of ink, of which some are `free`: those that have enough of them."""
    usual = float(np.median(stats[:, 3]))
    mask = np.zeros(shape, np.uint8)
    for x, y, w, h in stats[:, :4].tolist():
        mask[y : y + h, x : x + w] = 1
    gap = max(int(_GAP * usual), 3)
    joined = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((1, gap), np.uint8))
    count, labels, rows, _ = cv2.connectedComponentsWithStats(joined, connectivity=4)
    middles = stats[:, :2] + stats[:, 2:4] // 2
    owner = labels[middles[:, 1], middles[:, 0]]
    letters = np.bincount(owner, minlength=count)
    filled = np.bincount(owner, stats[:, 4] / (stats[:, 2] * stats[:, 3]), count) / letters.clip(1)
    lost = np.bincount(owner, free, count)
    kept = (
        (lost >= np.maximum(_LOST * letters, _ROW_LETTERS))
        & (letters >= _ROW_LETTERS)
        & (rows[:, 3] <= _ROW_HEIGHT * usual)
        & (rows[:, 2] >= _ROW_LENGTH * usual)
        & (filled <= _SOLID)
    )
    kept[0] = False
    inside = kept[owner]
    x, y, w, h = rows[kept, :4].T
    height = float(np.percentile(stats[inside, 3], 30)) if inside.any() else 0.0
    return _Rows(np.stack([x, y, x + w, y + h], axis=1), int(inside.sum()), height, inside)


def covered(boxes: Array, quads: Array, shape: tuple[int, ...]) -> Array:
    """The share of each box that lies in quads."""
    mask = np.zeros((shape[0] // _MASK + 1, shape[1] // _MASK + 1), np.uint8)
    for quad in quads:
        cv2.fillPoly(mask, [(quad / _MASK).round().astype(np.int32)], 1)
    total = cv2.integral(mask)
    x0, y0 = (boxes[:, :2] // _MASK).astype(int).T
    x1, y1 = (boxes[:, 2:] // _MASK).astype(int).T + 1
    x0, x1 = x0.clip(0, mask.shape[1] - 1), x1.clip(1, mask.shape[1])
    y0, y1 = y0.clip(0, len(mask) - 1), y1.clip(1, len(mask))
    inside = total[y1, x1] - total[y0, x1] - total[y1, x0] + total[y0, x0]
    return np.asarray(inside / ((x1 - x0) * (y1 - y0)).clip(1))
