"""A recognised line's words and where they begin and end along it."""

from __future__ import annotations

from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from internvl_loaders.structure.script import is_cjk
from internvl_loaders.transcribe.ocr.ppocr import Line

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

_HALF_WIDTH = {chr(c): chr(c - 0xFEE0) for c in range(0xFF01, 0xFF5F)} | {
    "\u3000": " ",
    "。": ".",
    "、": ",",
    "￥": "¥",
}
_KANA_OR_HAN_MARKS = frozenset("。、，．：；！？（）「」『』【】《》〈〉～ー・〜")
_CLEAR = 5
"""Columns without ink that end a line's outermost character, of `LINE_HEIGHT` rows."""


class Word(NamedTuple):
    """`start` and `end` are fractions of the line's length."""

    text: str
    start: float
    end: float
    confidence: float


def half_width(text: str) -> str:
    """Full-width forms as ASCII where no Chinese or Japanese stands beside them; same length."""
    if text.isascii() or any(
        is_cjk(c) and c not in _HALF_WIDTH and c not in _KANA_OR_HAN_MARKS for c in text
    ):
        return text
    return "".join(_HALF_WIDTH.get(c, c) for c in text)


def words(line: Line, crop: Array) -> list[Word]:
    """The line's words, left to right as `crop` shows them, bounded at the clear columns between."""
    text = half_width(line.text)
    runs = [
        [k for k, _ in group]
        for space, group in groupby(enumerate(text), lambda p: p[1].isspace())
        if not space
    ]
    if not runs:
        return []
    width = crop.shape[1]
    ink = inked_columns(crop)
    at = [min(int(c * width), width - 1) for c in line.centres]
    edges = [_before(ink, at[runs[0][0]])]
    for left, right in pairwise(runs):
        edges.extend(_gap(ink, at[left[-1]], at[right[0]]))
    edges.append(width - _before(ink[::-1], width - 1 - at[runs[-1][-1]]))
    return [
        Word(
            "".join(text[k] for k in run),
            edges[2 * n] / width,
            edges[2 * n + 1] / width,
            sum(line.scores[k] for k in run) / len(run),
        )
        for n, run in enumerate(runs)
    ]


def inked_columns(crop: Array) -> Array:
    """Which columns of a line image hold part of a character."""
    gray = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.int16)
    inner = gray[6:-6] if len(gray) > 24 else gray
    contrast = np.abs(inner - int(np.median(inner))).max(axis=0)
    return np.asarray(contrast > 0.35 * np.percentile(contrast, 95))


def _before(ink: Array, centre: int) -> int:
    """Where the character at `centre` begins: right of the next clear run leftwards."""
    clear = 0
    for x in range(centre, -1, -1):
        clear = 0 if ink[x] else clear + 1
        if clear == _CLEAR:
            return min(x + _CLEAR, centre)
    return 0


def _gap(ink: Array, left: int, right: int) -> tuple[int, int]:
    """The longest clear run between two characters' centres, or their middle."""
    best = (0, (left + right) // 2, (left + right) // 2)
    start = None
    for x in range(left, right + 1):
        if not ink[x] and x < right:
            start = x if start is None else start
        elif start is not None:
            best = max(best, (x - start, start, x))
            start = None
    return best[1], best[2]
