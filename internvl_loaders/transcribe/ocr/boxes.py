"""Boxes to tick on a scanned page: small frames beside what OCR reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from internvl_loaders.content import Content, Mark, Rect, Span
from internvl_loaders.structure.marks import TAKEN_FOR
from internvl_loaders.structure.script import is_cjk
from internvl_loaders.transcribe.ticks import outermost, seen

if TYPE_CHECKING:
    import PIL.Image
    from numpy.typing import NDArray

    Array = NDArray[Any]

_TAKEN_FOR = TAKEN_FOR | frozenset("/|[]Il")
"""What OCR reads in boxes and circles, or at their edges."""
_LEAST, _MOST, _LONGER = 0.5, 1.7, 1.2
"""Line heights of a side; times the shorter side of the longer one."""
_LEAST_PIXELS = 10
_END, _WHITE = 0.3, 0.2
"""Line heights within which a box is at a word's end, and of white between them; letters stand closer."""
_CROSSED, _LARGE = 0.4, 0.65
"""Share of that white that a tick may cross, and line heights of a box that a tick may tie to letters."""
_IN_WORD = 0.55
"""Heights of the word in whose box it is: small letters are lower."""
_RIM = 0.25
"""Of a side: a character there is the edge of the box."""
_EDGE = 0.6
"""Share of a side along which a frame's edge runs."""
_BOW = 0.35
"""Share of a side beyond which ink two pixels outside of it makes it no edge."""
_STRAIGHT = 0.9
"""Share of a square's side that its edge covers, at the very edge."""
_CONTRAST = 20
"""Levels of grey by which ink is darker than the paper around it; in noise, three times the noise."""
_FRAME, _INK = 28, 70
"""Levels by which a frame is darker than what it holds, and by which a solid box may be lighter than text."""
_HOLE, _HOLES = 0.015, 7
"""Least share of a box that is a hole in the ink; so many and more are a pattern."""
_KEY = "▩"
"""A field of colour or a pattern, which is a key of a chart; so are the boxes above and below it."""
_CLOSE = 0.3
"""Sides between boxes above one another: rows of text are further apart, keys of charts and combs are not."""
_CJK = 0.3
"""Share of words from which the characters of a page may be squares themselves."""
_KEYS = 3.0
"""Sides between keys of one chart."""
_MOST_FOUND = 800
_ALIKE = 0.2


class _Shape(NamedTuple):
    """What is seen at a place; `word` is that of OCR in whose box it is, or -1."""

    rect: Rect
    text: str
    square: bool
    word: int
    cut: float
    leads: bool


def with_boxes(image: PIL.Image.Image, content: Content) -> Content:
    """What OCR read on the straightened image, with frames, empty, ticked or filled, as marks.

    Words end before the boxes that their own boxes hold, or begin behind them.
    """
    upright = [n for n, s in enumerate(content.spans) if s.upright]
    if not upright:
        return content
    found = _shapes(image, [content.spans[n] for n in upright], content.width / image.width)
    by_place = {s.rect: s for s in found}
    shapes = _apart([by_place[m.rect] for m in outermost([Mark(s.rect, s.text) for s in by_place.values()])])
    strict = sum(any(map(is_cjk, s.text)) for s in content.spans) > _CJK * len(content.spans)
    shapes = [s for s in shapes if (s.square and not (strict and s.text != "☐")) or _has_mate(s, shapes)]
    spans = list(content.spans)
    for shape in shapes:
        if shape.word >= 0:
            n = upright[shape.word]
            spans[n] = _cut(spans[n], shape.cut, shape.leads)
    edges = _edges(upright, spans, [s.rect for s in shapes if s.square])
    return replace(
        content,
        spans=[s for n, s in enumerate(spans) if n not in edges],
        marks=[Mark(s.rect, s.text) for s in shapes],
    )


def _edges(upright: Sequence[int], spans: Sequence[Span], boxes: Sequence[Rect]) -> set[int]:
    """Words that are but the edge of a box."""

    def is_edge(span: Span, box: Rect) -> bool:
        x, y, side = (span.x0 + span.x1) / 2, (span.y0 + span.y1) / 2, box.x1 - box.x0
        return box.y0 < y < box.y1 and min(abs(x - box.x0), abs(x - box.x1)) < _RIM * side

    single = [n for n in upright if len(spans[n].text) == 1]
    return {n for n in single if any(is_edge(spans[n], box) for box in boxes)}


def _shapes(image: PIL.Image.Image, spans: Sequence[Span], points: float) -> Iterator[_Shape]:
    page = np.asarray(image.convert("RGB"))
    gray = cv2.cvtColor(page, cv2.COLOR_RGB2GRAY)
    height = max(float(np.median([s.y1 - s.y0 for s in spans])) / points, _LEAST_PIXELS)
    noise = 1.48 * float(np.median(cv2.absdiff(gray, cv2.blur(gray, (3, 3)))))
    dark = cv2.adaptiveThreshold(
        gray,
        1,
        cv2.ADAPTIVE_THRESH_MEAN_C,
        cv2.THRESH_BINARY_INV,
        int(3 * height) | 1,
        max(_CONTRAST, 3 * noise),
    )
    read = _read(spans, gray.shape, points)
    letters = gray[(read > 0) & (dark > 0)]
    ink = float(np.median(letters)) if letters.size else 0.0
    white = round(_WHITE * height)
    straight = _straight_lines(dark, height)
    found = 0
    for part, least in chain(zip(_parts(dark), repeat(_LEAST)), zip(_parts(straight), repeat(_LARGE))):
        x, y, w, h = part[:4]
        if found >= _MOST_FOUND:
            return
        if not max(least * height, _LEAST_PIXELS) <= min(w, h) <= max(w, h) <= 1.3 * _MOST * height:
            continue
        word = int(read[y + h // 2, x + w // 2]) - 1
        leads = word >= 0 and x * points <= spans[word].x0 + _END * height * points
        if word >= 0:
            ends = (x + w) * points >= spans[word].x1 - _END * height * points
            inner = slice(x + w, x + w + white) if leads else slice(max(x - white, 0), x)
            crossed = dark[y : y + h, inner].any(axis=1).mean() if inner.start < inner.stop else 1.0
            most = _CROSSED if min(w, h) >= _LARGE * height else 0.0
            small = min(w, h) < _IN_WORD * (spans[word].y1 - spans[word].y0) / points
            if small or len(spans[word].text) < 2 or leads == ends or crossed > most:
                continue
        own = part.ink()
        left, top, right, bottom = _frame(own)
        frame = dark[y + top : y + bottom + 1, x + left : x + right + 1]
        if not _is_square(frame) or _goes_on(own, left, top, right, bottom):
            left, top, right, bottom = 0, 0, w - 1, h - 1
        if max(right - left, bottom - top) > _LONGER * max(min(right - left, bottom - top), 1):
            continue
        place = slice(y + top, y + bottom + 1), slice(x + left, x + right + 1)
        square = _is_square(dark[place])
        side = min(right - left, bottom - top) + 1
        if side < max(least * height, _LEAST_PIXELS) or not (square or (word < 0 and least == _LEAST)):
            continue
        rect = Rect(*((v * points) for v in (x + left, y + top, x + right, y + bottom)))
        text = seen(page, rect, points)
        if text in ("☐", "☒", "■", "●"):
            found += 1
            if not _is_drawn(gray[place], dark[place], text, ink, square):
                text = _KEY
            cut = (x + w + white / 2 if leads else x - white / 2) * points
            yield _Shape(rect, text, square, word, cut, leads)


class _Part(NamedTuple):
    """What hangs together in a mask, of which `number` marks its pixels in `labels`."""

    x: int
    y: int
    w: int
    h: int
    number: int
    labels: Array

    def ink(self) -> Array:
        return np.asarray(self.labels[self.y : self.y + self.h, self.x : self.x + self.w] == self.number)


def _parts(mask: Array) -> Iterator[_Part]:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    for number, (x, y, w, h, _) in enumerate(stats[1:count].tolist(), 1):
        yield _Part(x, y, w, h, number, labels)


def _straight_lines(dark: Array, height: float) -> Array:
    """What runs across or down for half a line's height: frames without the ticks that tie them to letters,
    their gaps closed."""
    whole = cv2.morphologyEx(dark, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    length = max(round(0.5 * height), _LEAST_PIXELS - 2)
    across, down = (
        cv2.morphologyEx(whole, cv2.MORPH_OPEN, np.ones(shape, np.uint8))
        for shape in ((1, length), (length, 1))
    )
    return np.asarray(cv2.bitwise_or(across, down))


def _cut(span: Span, at: float, leads: bool) -> Span:
    """The word behind the box that leads it, or before the one that ends it."""
    return replace(span, x0=min(at, span.x1 - 0.1)) if leads else replace(span, x1=max(at, span.x0 + 0.1))


def _read(spans: Sequence[Span], shape: tuple[int, ...], points: float) -> Array:
    """Which word, from 1, is where; those aside that a box may have been taken for."""
    read = np.zeros(shape[:2], np.int32)
    for number, span in enumerate(spans, 1):
        if span.text not in _TAKEN_FOR:
            x0, y0, x1, y1 = (max(round(v / points), 0) for v in span.rect)
            read[y0:y1, x0:x1] = number
    return read


def _frame(ink: Array) -> tuple[int, int, int, int]:
    """The outermost lines along the shape, within which a tick may reach out; the shape's own box if none."""
    height, width = ink.shape
    columns = np.nonzero(ink.sum(axis=0) >= _EDGE * height)[0]
    rows = np.nonzero(ink.sum(axis=1) >= _EDGE * width)[0]
    if len(columns) < 2 or len(rows) < 2:
        return 0, 0, width - 1, height - 1
    return int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])


def _goes_on(ink: Array, left: int, top: int, right: int, bottom: int) -> bool:
    """Whether there is more of the shape along a side of the frame than ticks that cross it: a bow."""
    outside = (
        ink[max(top - 2, 0) : max(top - 1, 0), left : right + 1],
        ink[bottom + 2 : bottom + 3, left : right + 1],
        ink[top : bottom + 1, max(left - 2, 0) : max(left - 1, 0)],
        ink[top : bottom + 1, right + 2 : right + 3],
    )
    return any(line.size and line.mean() > _BOW for line in outside)


def _thick(ink: Array) -> int:
    return max(2, int(0.1 * min(ink.shape) + 0.5))


def _is_square(ink: Array) -> bool:
    """Straight edges from corner to corner, as no letter has them on all four sides."""
    n = _thick(ink)
    edges = (ink[:n].any(axis=0), ink[-n:].any(axis=0), ink[:, :n].any(axis=1), ink[:, -n:].any(axis=1))
    return bool(min(edge.mean() for edge in edges) >= _STRAIGHT)


def _is_drawn(gray: Array, ink: Array, text: str, letters: float, square: bool) -> bool:
    """Whether it is a frame around paper, or solid ink; not a field of colour or a pattern."""
    inset = [round(0.3 * side) for side in gray.shape]
    inner = gray[inset[0] : -inset[0] or None, inset[1] : -inset[1] or None]
    if text in "■●":
        return float(np.median(inner)) <= letters + _INK
    if not square:
        return True
    n = _thick(ink)
    edges = (
        gray[:n].min(axis=0),
        gray[-n:].min(axis=0),
        gray[:, :n].min(axis=1),
        gray[:, -n:].min(axis=1),
    )
    paper = float(np.percentile(inner, 90))
    if text == "☐" and paper - max(float(np.median(edge)) for edge in edges) < _FRAME:
        return False
    _, _, stats, _ = cv2.connectedComponentsWithStats((1 - ink).astype(np.uint8), connectivity=4)
    return int((stats[1:, cv2.CC_STAT_AREA] >= _HOLE * ink.size).sum()) < _HOLES


def _apart(shapes: Sequence[_Shape]) -> list[_Shape]:
    """Without keys of charts, and without shapes close above or below another."""

    def is_none(a: _Shape, b: _Shape) -> bool:
        side = min(max(r.x1 - r.x0, r.y1 - r.y0) for r in (a.rect, b.rect))
        gap = max(a.rect.y0 - b.rect.y1, b.rect.y0 - a.rect.y1)
        beneath = min(a.rect.x1, b.rect.x1) - max(a.rect.x0, b.rect.x0) > 0.5 * side
        return beneath and gap < (_KEYS if _KEY in (a.text, b.text) else _CLOSE) * side

    ordered = sorted(shapes, key=lambda s: s.rect.x0)
    gone = {n for n, shape in enumerate(ordered) if shape.text == _KEY}
    for n, shape in enumerate(ordered):
        for other in range(n + 1, len(ordered)):
            if ordered[other].rect.x0 > shape.rect.x1:
                break
            if is_none(shape, ordered[other]):
                gone |= {n, other}
    return [s for n, s in enumerate(ordered) if n not in gone]


def _has_mate(shape: _Shape, shapes: Sequence[_Shape]) -> bool:
    """Whether an empty and a ticked shape of a size are in line: one alone may be a letter."""
    a = shape.rect
    side = a.x1 - a.x0
    return any(
        other.square == shape.square
        and (other.text == "☐") != (shape.text == "☐")
        and abs(other.rect.x1 - other.rect.x0 - side) < _ALIKE * side
        and (abs(other.rect.x0 - a.x0) < 0.4 * side or abs(other.rect.y0 - a.y0) < 0.4 * side)
        for other in shapes
    )
