"""How a page lies: quarter turns from what its lines read like, tilt from their direction.

Quads are (n, 4, 2) arrays of pixels as `ppocr` gives them. No network but the recogniser is needed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from rapidfuzz import fuzz

from internvl_loaders.structure.script import is_cjk
from internvl_loaders.transcribe.ocr.ppocr import LINE_HEIGHT, Line, cut_out

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]
    Recognise = Callable[[Sequence[Array]], list[Line]]

SURE = 0.93
"""Mean confidence from which lines are taken to be read the right way up."""
LEAST_SKEW = 0.3
"""Degrees below which a page is level."""
_SAMPLE = 8
_SAMPLE_RATIO = 10.0
"""Length by height of the lines a sample prefers: long enough to tell, short enough to be quick."""
_LEAST_LEAD, _LEAST_SEEN = 0.02, 0.5
"""A page is turned only by lines that read so much better turned, and at least so well."""
_AGREEMENT = 65.0
"""Per cent; over 90 for vertical writing, at most 37 for horizontal, on the lines measured."""
_MANY = 2
"""Times as many lines as run down the page that lie on it, where it may not be turned."""
_TALLEST_CHARACTER = 1.6
"""Heights of the page's lines up to which a tall quad may be an upright character."""


def sides(quads: Array) -> tuple[Array, Array]:
    """Width and height (n,) along the quads' own edges."""
    across = (
        np.linalg.norm(quads[:, 1] - quads[:, 0], axis=1),
        np.linalg.norm(quads[:, 2] - quads[:, 3], axis=1),
    )
    down = (
        np.linalg.norm(quads[:, 3] - quads[:, 0], axis=1),
        np.linalg.norm(quads[:, 2] - quads[:, 1], axis=1),
    )
    return np.maximum(*across), np.maximum(*down)


def running_down(quads: Array) -> Array:
    """Which quads (n,) hold text that runs along their height, lone upright characters excepted."""
    width, height = sides(quads)
    lying = height < 1.5 * width
    if not lying.any():
        return ~lying
    line = float(np.median(height[lying]))
    return ~lying & ((height > _TALLEST_CHARACTER * line) | (height > 4 * width))


def find_rotation(image: Array, quads: Array, recognise: Recognise) -> tuple[int, dict[int, Line]]:
    """The clockwise turn (0, 90, 180, 270) the page has, and lines read on the way, by quad.

    The lines are of use only where the turn is 0; vertical writing keeps its page as it is.
    """
    width, height = sides(quads)
    lengths = np.maximum(width, height)
    long = lengths >= 2 * np.minimum(width, height)
    down = running_down(quads)
    sideways = bool(lengths[long & down].sum() > lengths[long & ~down].sum())
    if sideways and (~down).sum() >= _MANY * down.sum():  # heads set vertically over columns of numbers
        crops, read = _sampled(image, quads, np.flatnonzero(~down), recognise, sideways=False)
        if mean_confidence(read.values()) >= SURE:
            return 0, read
    usable = np.flatnonzero((down == sideways) & (long if long.any() else True))
    if not usable.size:
        return 0, {}
    crops, read = _sampled(image, quads, usable, recognise, sideways=sideways)
    flipped = False
    if mean_confidence(read.values()) < SURE:
        turned = recognise([np.ascontiguousarray(crop[::-1, ::-1]) for crop in crops.values()])
        other = dict(zip(crops, turned, strict=True))
        if mean_confidence(other.values()) > mean_confidence(read.values()) + _LEAST_LEAD:
            read, crops, flipped = other, {i: c[::-1, ::-1] for i, c in crops.items()}, True
    if mean_confidence(read.values()) < _LEAST_SEEN:
        return 0, {} if sideways or flipped else read
    if sideways and _written_vertically(crops, read, recognise):
        return 180 * flipped, read
    return 90 * sideways + 180 * flipped, read


def _sampled(
    image: Array, quads: Array, usable: Array, recognise: Recognise, *, sideways: bool
) -> tuple[dict[int, Array], dict[int, Line]]:
    """Crops and readings of the few usable lines that tell most."""
    width, height = sides(quads[usable])
    ratio = np.maximum(width, height) / np.minimum(width, height).clip(1)
    sample = usable[np.argsort(np.abs(np.log(ratio / _SAMPLE_RATIO)), kind="stable")][:_SAMPLE]
    crops = {int(i): cut_out(image, quads[i], sideways) for i in sample}
    return crops, dict(zip(crops, recognise(list(crops.values())), strict=True))


def read_upward(
    crops: Sequence[Array], down: Array, read: Mapping[int, Line], recognise: Recognise
) -> dict[int, Line]:
    """Those of the lines running down that read better the other way round: they run up."""
    doubtful = [
        i
        for i in map(int, np.flatnonzero(down))
        if i in read and read[i].confidence < SURE and not any(map(is_cjk, read[i].text))
    ]
    turned = recognise([np.ascontiguousarray(crops[i][::-1, ::-1]) for i in doubtful]) if doubtful else []
    return {
        i: line
        for i, line in zip(doubtful, turned, strict=True)
        if line.confidence > read[i].confidence + _LEAST_LEAD
    }


def mean_confidence(lines: Iterable[Line]) -> float:
    """Over the characters of all lines; 0 where nothing was read."""
    read = [(line.confidence, len(line.text)) for line in lines]
    total = sum(length for _, length in read)
    return sum(confidence * length for confidence, length in read) / total if total else 0.0


def _written_vertically(crops: Mapping[int, Array], read: Mapping[int, Line], recognise: Recognise) -> bool:
    """Whether the characters stand upright on a page on which the lines run downwards."""
    text = "".join(line.text for line in read.values())
    if sum(map(is_cjk, text)) <= 0.5 * len(text):
        return False
    longest = sorted(read, key=lambda i: -len(read[i].text))[:4]
    # Horizontal writing, stood up so, reads as something else altogether.
    rows = recognise([_row_of_characters(crops[i], read[i]) for i in longest])
    agreement = [fuzz.ratio(row.text, read[i].text) for i, row in zip(longest, rows, strict=True)]
    return sum(agreement) / len(agreement) > _AGREEMENT


def _row_of_characters(crop: Array, line: Line) -> Array:
    """A column of writing, lying in `crop`, cut into characters that are stood up side by side."""
    edges = [0.0, *((a + b) / 2 for a, b in pairwise(line.centres)), 1.0]
    cuts = [round(edge * crop.shape[1]) for edge in edges]
    cells = [np.rot90(crop[:, a:b], -1) for a, b in pairwise(cuts) if b > a]
    return np.hstack(
        [
            cv2.resize(cell, (math.ceil(LINE_HEIGHT * cell.shape[1] / len(cell)), LINE_HEIGHT))
            for cell in cells
        ]
    )


def turn(image: Array, rotation: int) -> Array:
    """The page with a clockwise turn of `rotation` degrees undone."""
    return np.ascontiguousarray(np.rot90(image, rotation // 90)) if rotation else image


def turn_points(points: Array, rotation: int, height: int, width: int) -> Array:
    """Where points lie on the page that `turn` gives of one of that height and width."""
    for _ in range(rotation // 90):
        points = np.stack([points[..., 1], width - points[..., 0]], axis=-1)
        height, width = width, height
    return points


def level(image: Array, quads: Array, rotation: int) -> tuple[Array, Array, int, float]:
    """The page and its quads straightened, and the clockwise turn and tilt undone by then.

    Lines that are tilted so far that they run rather down the page tell of a quarter turn more.
    """
    skew = find_skew(quads)
    if abs(skew) > 45:
        quarter = 90 if skew > 0 else 270
        quads = turn_points(quads, quarter, *image.shape[:2])
        image, rotation = turn(image, quarter), (rotation + quarter) % 360
        skew -= 90 if skew > 0 else -90
    if abs(skew) < LEAST_SKEW:
        return image, quads, rotation, 0.0
    return *straighten(image, quads, skew), rotation, skew


def find_skew(quads: Array) -> float:
    """Clockwise tilt in degrees: the direction most of the length of the long lines has."""
    width, height = sides(quads)
    long = (width >= 3 * height) & (width >= 40)
    if not long.any():
        return 0.0
    along = (quads[long, 1] + quads[long, 2] - quads[long, 0] - quads[long, 3]) / 2
    angles = np.degrees(np.arctan2(along[:, 1], along[:, 0]))
    order = np.argsort(angles)
    passed = np.cumsum(width[long][order])
    skew = float(angles[order][np.searchsorted(passed, passed[-1] / 2)])
    agreeing = width[long][np.abs(angles - skew) <= 2.5].sum()
    return skew if agreeing >= 0.5 * passed[-1] else 0.0


def straighten(image: Array, quads: Array, skew: float) -> tuple[Array, Array]:
    """The page and its quads with a clockwise tilt undone, turned about the page's centre.

    The page keeps its size unless text would leave it; then it grows on all sides alike.
    """
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), skew, 1.0)
    moved = quads @ matrix[:, :2].T + matrix[:, 2]
    low, high = moved.min(axis=(0, 1)), moved.max(axis=(0, 1))
    margin = np.ceil(np.maximum(np.maximum(-low, high - (width, height)), 0))
    matrix[:, 2] += margin
    size = (int(width + 2 * margin[0]), int(height + 2 * margin[1]))
    fill = tuple(float(v) for v in np.median(_border(image), axis=0))
    turned = cv2.warpAffine(
        image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=fill
    )
    return turned, (moved + margin).astype(np.float32)


def _border(image: Array) -> Array:
    return np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
