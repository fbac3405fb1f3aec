"""A page image cut into bands, between lines of ink where there is room."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from internvl_loaders.transcribe.model.ladder import Band

if TYPE_CHECKING:
    import PIL.Image
    from numpy.typing import NDArray

    Array = NDArray[Any]

_WIDTH = 800
"""Pixels across at which ink is looked for."""
_STEP = 24
"""Of 255, from pixel to pixel, where ink begins or ends."""
_SEARCH = 0.06
"""Share of a page's height, up and down, in which an edge may be moved."""
_CLEAR = 0.003
"""Share of a page's height that is clear, at least, where lines are parted."""
_STROKES = 0.004
"""Share of a row's pixels, above that of the barest rows around, at which strokes begin: rulings of a table
run through its clear rows too."""
_OVERLAP = 0.025
"""Share of a page's height that both bands show, up and down, where ink is everywhere."""


class Crop(NamedTuple):
    """A band's image, and the share of its height that the band above shows too."""

    image: PIL.Image.Image
    overlap: float


def crops(image: PIL.Image.Image, bands: tuple[Band, ...]) -> list[Crop]:
    """An edge lies at the same place whichever bands it parts."""
    ink = _strokes(image)
    found = []
    for band in bands:
        above, top = (0.0, 0.0) if band.top <= 0 else _edge(ink, band.top)
        bottom, _ = (1.0, 1.0) if band.bottom >= 1 else _edge(ink, band.bottom)
        rows = int(top * image.height), max(int(top * image.height) + 1, round(bottom * image.height))
        found.append(
            Crop(image.crop((0, rows[0], image.width, rows[1])), max(0.0, above - top) / (bottom - top))
        )
    return found


def _strokes(image: PIL.Image.Image) -> Array:
    """The share of each row's pixels at which ink begins or ends."""
    grey = image.convert("L")
    if grey.width > _WIDTH:
        grey = grey.resize((_WIDTH, max(1, round(grey.height * _WIDTH / grey.width))), reducing_gap=2.0)
    pixels = np.asarray(grey, dtype=np.int16)
    return (np.abs(np.diff(pixels, axis=1)) > _STEP).mean(axis=1) if grey.width > 1 else np.zeros(grey.height)


def _edge(ink: Array, place: float) -> tuple[float, float]:
    """Where the band above `place` ends and the one below it begins, as shares of the height: the same, in
    the middle of what is clear; or around the barest row, a little of each shown by both."""
    height = len(ink)
    low, high = (min(max(int((place + by) * height), 0), height) for by in (-_SEARCH, _SEARCH))
    rows = ink[low:high]
    if not len(rows):
        return place, place
    clear = rows <= rows.min() + _STROKES / 4 if rows.min() > _STROKES else rows <= _STROKES
    runs = _runs(clear)
    least = max(2, round(_CLEAR * height))
    wide = [run for run in runs if run[1] - run[0] >= least]
    if wide:
        middle = place * height - low
        start, end = max(
            wide, key=lambda run: min(run[1] - run[0], 4 * least) - abs(sum(run) / 2 - middle) / 8
        )
        found = (low + (start + end) / 2) / height
        return found, found
    barest = (low + int(rows.argmin())) / height
    return min(1.0, barest + _OVERLAP), max(0.0, barest - _OVERLAP)


def _runs(marks: Array) -> list[tuple[int, int]]:
    """Start and end of every stretch of true values."""
    ends = np.flatnonzero(np.diff(np.concatenate([[False], marks, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(ends[::2], ends[1::2], strict=True)]
