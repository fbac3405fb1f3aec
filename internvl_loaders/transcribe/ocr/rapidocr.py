"""Page image to text with PP-OCR: found, turned upright, straightened, read line by line."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from internvl_loaders.content import Content, Rect, Ruling, Span
from internvl_loaders.structure.script import is_cjk
from internvl_loaders.transcribe import OCRPage, UprightPage
from internvl_loaders.transcribe.ocr import lone
from internvl_loaders.transcribe.ocr.orientation import (
    find_rotation,
    level,
    mean_confidence,
    read_upward,
    running_down,
    sides,
    turn,
)
from internvl_loaders.transcribe.ocr.ppocr import PPOCR, Line, cut_out
from internvl_loaders.transcribe.ocr.ruling import find_figures, find_rulings
from internvl_loaders.transcribe.ocr.small_print import covered, find_small_print
from internvl_loaders.transcribe.ocr.words import words

if TYPE_CHECKING:
    import PIL.Image
    from numpy.typing import NDArray

    Array = NDArray[Any]

_SIDE, _ASPECT = 1280, 2.5
"""Pixels of the longer side at which text is looked for, and the aspect beyond which the shorter counts."""
_SMALL, _WANTED, _GROWTH = 14.0, 30.0, 3.0
"""Line heights in pixels: under the first, text is looked for again at about the second, so often larger."""
_HUGE = 100.0
"""Line height in pixels beyond which the network sees strokes and not lines: it then looks from afar."""
_PIXELS = 4_000_000
"""Most pixels of an enlarged search."""
_CLEAR, _SEARCHES, _MOST_PIXELS = 7.5, 3, 64_000_000
"""Pixels of a letter's height at which small print is looked for; how often; most pixels of a page then."""
_LINE, _UNREAD_LINES, _UNREAD = 4.0, 3, 0.1
"""Length by height of a line, how many without text, and what share of all length they have at least, from
which it is said that they were not read."""
_AT_ONCE = 64
"""Lines between two looks at the time."""
_ABOVE, _BELOW = 1.5, 2.5
"""Pixels, at the scale text was looked for, by which a quad is higher than the font size of its line.

Measured on print of 8 to 80 pixels; 10 to 50 % too much at most for print under 14 pixels.
"""
_LEAST_CONFIDENCE, _STRAY_CONFIDENCE = 0.2, 0.5
"""Below the first a line is a speck; below the second it is one where its script is not the page's."""


class RapidOCRTranscriber:
    """Reads page images on the CPU, offline; the weights (about 30 MB) load on the first page."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._networks = PPOCR(threads)

    def read(self, image: PIL.Image.Image, dpi: float, until: float = inf) -> OCRPage:
        """The page's text, rulings and pictures in points; `image` is left as it is.

        No more lines are begun after `until` (of `time.monotonic`).
        """
        cv2.setNumThreads(self.threads)
        clock = _Clock()
        page = np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
        page, (quads, scales, missed), rotation, known = self._turned_upright(page, clock)
        with clock("recognise"):
            down = running_down(quads)
            crops = [cut_out(page, quad, bool(d)) for quad, d in zip(quads, down, strict=True)]
            rest = [i for i in range(len(crops)) if i not in known]
            while rest and time.monotonic() < until:
                some, rest = rest[:_AT_ONCE], rest[_AT_ONCE:]
                known |= zip(some, self._networks.recognise([crops[i] for i in some]), strict=True)
            upward = {} if rest else read_upward(crops, down, known, self._networks.recognise)
            for i, line in upward.items():
                known[i], crops[i], quads[i] = line, crops[i][::-1, ::-1], quads[i][[2, 3, 0, 1]]
        with clock("orient"):
            page, quads, rotation, skew = level(page, quads, rotation)
        lines = [
            _TextLine(line, crops[i], quads[i], bool(down[i]), float(scales[i]))
            for i, line in sorted(_without_specks(known).items())
        ]
        with clock("rules"):
            boxes = _boxes(lines)
            rulings = find_rulings(page, boxes, _line_height(lines) or dpi / 6)
            figures = find_figures(page, boxes)
        with clock("recognise"):
            lines += self._lone_characters(page, boxes, rulings, scales)
        lines.sort(key=lambda x: (x.quad[:, 1].min(), x.quad[:, 0].min()))
        return OCRPage(
            content=_content(page, lines, rulings, figures, 72 / dpi),
            rotation=rotation,
            skew=skew,
            confidence=mean_confidence([x.recognised for x in lines]) if lines else None,
            image=_image(page, image, rotation, skew),
            unread=missed + _unread(known, quads),
            late=len(rest),
            timings=clock.seconds,
        )

    def _turned_upright(self, page: Array, clock: _Clock) -> tuple[Array, _Found, int, dict[int, Line]]:
        """The page upright, what was found on it, the turn undone, and lines read on the way, by quad."""
        with clock("detect"):
            found = self._detect(page)
        with clock("orient"):
            rotation, lines = find_rotation(page, found.quads, self._networks.recognise)
        if not rotation:
            return page, found, 0, dict(lines)
        page = turn(page, rotation)
        # Lines lying down are boxed less well: found anew, they read as on an upright page.
        with clock("detect"):
            found = self._detect(page)
        return page, found, rotation, {}

    def upright(self, image: PIL.Image.Image) -> UprightPage:
        cv2.setNumThreads(self.threads)
        page = np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
        quads = self._detect(page).quads
        rotation, lines = find_rotation(page, quads, self._networks.recognise)
        if rotation:
            page = turn(page, rotation)
            quads = self._detect(page).quads  # lines lying down are boxed less well: their tilt is another
            _, lines = find_rotation(page, quads, self._networks.recognise)
        page, _, rotation, skew = level(page, quads, rotation)
        confidence = mean_confidence(lines.values()) if lines else None
        return UprightPage(_image(page, image, rotation, skew), rotation, skew, confidence)

    def _lone_characters(
        self, page: Array, boxes: Array, rulings: Sequence[Ruling], scales: Array
    ) -> list[_TextLine]:
        quads = lone.candidates(page, boxes, rulings)
        crops = [cut_out(page, quad, turned=False) for quad in quads]
        read = self._networks.recognise(crops)
        return [
            _TextLine(line, crop, quad, False, float(np.median(scales)))
            for line, crop, quad in zip(read, crops, quads, strict=True)
            if lone.believable(line)
        ]

    def _detect(self, page: Array) -> _Found:
        """The page's lines; print too small for the scale of most is looked for at a scale of its own."""
        quads, scale = self._detect_most(page)
        scales = np.full(len(quads), scale)
        for _ in range(_SEARCHES):
            small = find_small_print(page, quads, scales, scale)
            if small is None:
                break
            room = (_MOST_PIXELS / (page.shape[0] * page.shape[1])) ** 0.5
            larger = min(_CLEAR / small.height, room)
            if larger < 1.2 * scale:
                return _Found(quads, scales, len(small.rows))
            again = self._networks.detect(page, larger, small.rows)
            quads, scales = quads[small.sound], scales[small.sound]
            fresh = again[covered(_around(again), quads, page.shape) < 0.5]
            kept = covered(_around(quads), fresh, page.shape) < 0.6  # the others are parts of what was found
            quads = np.concatenate([quads[kept], fresh])
            scales = np.concatenate([scales[kept], np.full(len(fresh), larger)])
            scale = larger
        return _Found(quads, scales, 0)

    def _detect_most(self, page: Array) -> tuple[Array, float]:
        """Quads of the page's lines and the scale they were found at, enlarged if most text is small."""
        height, width = page.shape[:2]
        scale = min(1.0, _SIDE / min(max(width, height), _ASPECT * min(width, height)))
        quads = self._networks.detect(page, scale)
        if not len(quads) and scale < 1:
            return quads, scale
        seen = _height_of_most(quads) * scale if len(quads) else _WANTED / _GROWTH
        room = (_PIXELS / (width * height)) ** 0.5
        larger = min(scale * min(_GROWTH, _WANTED / max(seen, 1.0)), room)
        if seen < _SMALL and larger > 1.2 * scale:
            again = self._networks.detect(page, larger)
            if len(again) >= len(quads):
                return again, larger
        if seen > _HUGE:
            smaller = scale * 2 * _WANTED / seen
            again = self._networks.detect(page, smaller)
            if len(again):
                return again, smaller
        return quads, scale


class _Found(NamedTuple):
    """Quads of lines, the scale that each was found at, and how many rows of letters are too small to be
    looked for."""

    quads: Array
    scales: Array
    missed: int


def _around(quads: Array) -> Array:
    """x0, y0, x1, y1 of every quad."""
    return np.concatenate([quads.min(axis=1), quads.max(axis=1)], axis=1)


def _unread(lines: Mapping[int, Line], quads: Array) -> int:
    """How many lines gave no text, where they are many beside those that did."""
    width, height = sides(quads)
    length = np.maximum(width, height)
    lost = [i for i, x in lines.items() if not x.text.strip() or x.confidence < _LEAST_CONFIDENCE]
    lost = [i for i in lost if length[i] >= _LINE * min(width[i], height[i])]
    if len(lost) < _UNREAD_LINES or length[lost].sum() < _UNREAD * length.sum():
        return 0
    return len(lost)


def _height_of_most(quads: Array) -> float:
    """The line height above and below which lies half of the text's area: specks count for little."""
    long, short = (np.maximum(*sides(quads)), np.minimum(*sides(quads)))
    order = np.argsort(short)
    area = np.cumsum((long * short)[order])
    return float(short[order][np.searchsorted(area, area[-1] / 2)])


class _Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds[stage] = round(self.seconds.get(stage, 0.0) + time.perf_counter() - started, 4)


class _TextLine(NamedTuple):
    """A line, its image, its place on the straightened page, whether it runs down it, and the scale it was
    found at."""

    recognised: Line
    crop: Array
    quad: Array
    down: bool
    scale: float


def _content(
    page: Array,
    lines: Sequence[_TextLine],
    rulings: Sequence[Ruling],
    figures: Sequence[Rect],
    points: float,
) -> Content:
    """In points, `points` a pixel."""
    return Content(
        width=page.shape[1] * points,
        height=page.shape[0] * points,
        spans=[span for number, x in enumerate(lines) for span in _spans(x, number, points)],
        rulings=[Ruling(*(v * points for v in ruling)) for ruling in rulings],
        figures=[Rect(*(v * points for v in figure)) for figure in figures],
    )


def _boxes(lines: Sequence[_TextLine]) -> Array:
    """x0, y0, x1, y1 of every line."""
    return _around(np.array([x.quad for x in lines]).reshape(-1, 4, 2))


def _line_height(lines: Sequence[_TextLine]) -> float:
    """The median one in pixels; 0 on a page without text."""
    return float(np.median(np.minimum(*sides(np.array([x.quad for x in lines]))))) if lines else 0.0


def _without_specks(lines: Mapping[int, Line]) -> dict[int, Line]:
    """The lines that are text: no stains, and no strokes of a script the page is not in."""
    read = {
        i: line for i, line in lines.items() if line.text.strip() and line.confidence >= _LEAST_CONFIDENCE
    }
    sure = "".join(line.text for line in read.values() if line.confidence >= 0.8)
    western = sum(map(is_cjk, sure)) <= 0.05 * len(sure)
    return {
        i: line
        for i, line in read.items()
        if line.confidence >= _STRAY_CONFIDENCE or not (western and any(map(is_cjk, line.text)))
    }


def _spans(line: _TextLine, number: int, points: float) -> Iterator[Span]:
    """A line's words in points, trimmed to the height of its letters."""
    corners = line.quad[[1, 2, 3, 0]] if line.down else line.quad
    start = corners[[0, 3]] * points
    along = corners[[1, 2]] * points - start
    height = float(np.linalg.norm(start[1] - start[0] + (along[1] - along[0]) / 2))
    above, below = (
        min(pixels / line.scale * points / max(height, 1e-6), 0.25) for pixels in (_ABOVE, _BELOW)
    )
    trim = np.array([[1 - above, above], [below, 1 - below]])
    for word in words(line.recognised, line.crop):
        ends = np.concatenate([trim @ (start + along * at) for at in (word.start, word.end)])
        (x0, y0), (x1, y1) = ends.min(axis=0).tolist(), ends.max(axis=0).tolist()
        yield Span(
            word.text,
            x0,
            y0,
            x1,
            y1,
            size=height * (1 - above - below),
            line=number,
            upright=not line.down,
            confidence=round(word.confidence, 4),
        )


def _image(page: Array, given: PIL.Image.Image, rotation: int, skew: float) -> PIL.Image.Image:
    """The page as it was read; the given image itself where nothing was undone."""
    if not rotation and not skew:
        return given
    from PIL import Image

    return Image.fromarray(page)
