"""Edges of filled bands: rulings of a grid that no dark line on paper shows.

Runs are (start, level, end) of straight lines across a page, in pixels; those that go down have the
axes swapped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

Run = tuple[float, float, float]

_STEP = 2
"""Pixels on either side of an edge whose levels of grey are compared."""
_MARGIN = 8
"""Pixels from the image's own edge, where that of the paper may be."""
_SAME, _TOUCH, _TALLEST = 0.4, 0.6, 8.0
"""In heights of the page's text lines: edges so close are of one line, lines so close touch, and no
filled band is taller."""
_GRID = 3
"""Lines each way of the smallest grid: with fewer it is a frame, a picture or a shaded note."""
_MOST = 400
"""Edges beyond which the page is a picture."""


def steps(gray: Array, contrast: float) -> Array:
    """Where, going down, the grey jumps and stays: a mask one pixel thick."""
    smooth = cv2.blur(gray, (9, 1)).astype(np.int16)
    jump = np.zeros_like(smooth)
    jump[_STEP:-_STEP] = np.abs(smooth[2 * _STEP :] - smooth[: -2 * _STEP])
    ridge = cv2.dilate(jump, np.ones((2 * _STEP + 1, 1), np.uint8))
    mask: Array = ((jump >= 1.5 * contrast) & (jump == ridge)).astype(np.uint8)
    mask[:_MARGIN] = mask[-_MARGIN:] = 0
    return mask


def completed(
    across: Sequence[Run],
    down: Sequence[Run],
    edges_across: Sequence[Run],
    edges_down: Sequence[Run],
    boxes: Array,
    height: float,
    gray: Array,
    contrast: float,
) -> tuple[list[Run], list[Run]]:
    """The dark lines across and down, with those edges across and down that belong to a grid.

    Lines that end at a filled band go on through it, unless the text there says otherwise: drawn in
    the band's own colour they do not show. `gray` is the image, levels of it differ by `contrast`.
    """
    rows, columns = list(across), list(down)
    if (not edges_across and not edges_down) or max(len(edges_across), len(edges_down)) > _MOST:
        return rows, columns
    every_row, every_column = [*rows, *edges_across], [*columns, *edges_down]
    touching = _touching(every_row, every_column, _TOUCH * height)
    in_grid = _grids(touching)
    kept_rows = [r for r, k in zip(every_row, in_grid[0], strict=True) if k]
    kept_columns = [c for c, k in zip(every_column, in_grid[1], strict=True) if k]
    bands = [r for r in edges_across if r in kept_rows], [c for c in edges_down if c in kept_columns]
    filled = np.abs(gray.astype(np.int16) - np.bincount(gray.ravel()).argmax()) >= contrast
    longer_columns, borders = _through(bands[0], every_row, kept_columns, boxes, height, filled)
    swapped = boxes[:, [1, 0, 3, 2]]
    longer_rows, sides = _through(bands[1], every_column, kept_rows, swapped, height, filled.T)
    return (
        [*rows, *bands[0], *borders, *longer_rows],
        [*columns, *bands[1], *sides, *longer_columns],
    )


def apart(edges: Sequence[Run], lines: Sequence[Run], height: float) -> list[Run]:
    """The edges, both of one line made one, without those of the dark lines."""
    near = _SAME * height
    found: list[Run] = []
    for start, level, end in sorted(edges, key=lambda e: e[1]):
        if _covered((start, level, end), lines, near) > 0.5 * (end - start):
            continue
        if found and level - found[-1][1] <= near and min(end, found[-1][2]) > max(start, found[-1][0]):
            a, other, b = found[-1]
            found[-1] = (min(a, start), (other + level) / 2, max(b, end))
        else:
            found.append((start, level, end))
    return found


def _covered(edge: Run, lines: Sequence[Run], near: float) -> float:
    start, level, end = edge
    return sum(max(0.0, min(end, b) - max(start, a)) for a, at, b in lines if abs(at - level) <= near)


def _touching(rows: Sequence[Run], columns: Sequence[Run], slack: float) -> Array:
    """Which rows and which columns meet."""
    r, c = np.array(rows).reshape(-1, 3)[:, None], np.array(columns).reshape(-1, 3)[None]
    on_row = (r[..., 0] - slack <= c[..., 1]) & (c[..., 1] <= r[..., 2] + slack)
    on_column = (c[..., 0] - slack <= r[..., 1]) & (r[..., 1] <= c[..., 2] + slack)
    meet: Array = on_row & on_column
    return meet


def _grids(touching: Array) -> tuple[list[bool], list[bool]]:
    """Which rows and columns are of a grid: each meets two of the other, and the whole has enough of both."""
    n, m = touching.shape
    rows, columns = touching.sum(axis=1) >= 2, touching.sum(axis=0) >= 2
    in_grid = np.zeros(n, bool), np.zeros(m, bool)
    left = rows.copy()
    while left.any():
        group = np.zeros(n, bool)
        group[int(np.argmax(left))] = True
        while True:
            crossed = touching[group].any(axis=0) & columns
            wider = touching[:, crossed].any(axis=1) & rows | group
            if (wider == group).all():
                break
            group = wider
        left &= ~group
        if group.sum() >= _GRID and crossed.sum() >= _GRID:
            in_grid[0][group] = True
            in_grid[1][crossed] = True
    return in_grid[0].tolist(), in_grid[1].tolist()


def _through(
    bands: Sequence[Run],
    rows: Sequence[Run],
    columns: Sequence[Run],
    boxes: Array,
    height: float,
    filled: Array,
) -> tuple[list[Run], list[Run]]:
    """Pieces of columns through the bands that they end at or in, and the bands' far edges; between both
    is not paper."""
    pieces: list[Run] = []
    borders: list[Run] = []
    slack = _TOUCH * height
    for start, level, end in bands:
        across = [c for c in columns if start - slack <= c[1] <= end + slack]
        for above in (True, False):
            far = [
                r
                for r in rows
                if slack < (level - r[1] if above else r[1] - level) <= _TALLEST * height
                and abs(r[0] - start) <= 2 * slack
                and abs(r[2] - end) <= 2 * slack
            ]
            if not far:
                continue
            border = min(far, key=lambda r: abs(r[1] - level))
            if above:
                ending = [c for c in across if border[1] + slack < c[0] <= level + slack]
            else:
                ending = [c for c in across if level - slack <= c[2] < border[1] - slack]
            if len(ending) * 2 < len(across) or len(across) < _GRID:
                continue
            a, b = sorted((level, border[1]))
            if not filled[int(a) : int(b) + 1, int(start) : int(end) + 1].mean() > 0.5:
                continue
            inside = boxes[(boxes[:, 1] < b) & (boxes[:, 3] > a)]
            pieces += [
                (a, at, b)
                for _, at, _ in ending
                if not ((inside[:, 0] < at - 0.2 * height) & (at + 0.2 * height < inside[:, 2])).any()
            ]
            borders.append(border)
    return pieces, borders
