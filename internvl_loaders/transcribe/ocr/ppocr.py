"""The PP-OCR networks that the rapidocr wheel carries, run directly on onnxruntime.

rapidocr's own pipeline is not used: it pads every line to its batch's widest, turns single upright
characters sideways, drops weak lines without a word, logs, and may download. Images are RGB arrays
(height, width, 3) of uint8; quads are (n, 4, 2) float32 arrays of pixels, corners clockwise from
the top left.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from internvl_loaders.errors import MissingDependencyError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

DETECTOR, RECOGNISER = "PP-OCRv6_det_small.onnx", "PP-OCRv6_rec_small.onnx"
LINE_HEIGHT = 48
"""Pixels; the recogniser's input height."""

_STRIDE = 32
_TILE, _OVERLAP = 1280, 192
"""Pixels a side the detector sees at once, and by how much two such tiles overlap."""
_THRESHOLD, _BOX_SCORE = 0.4, 0.3
_UNCLIP = 1.6
_SPACE = 0.1
"""Probability from which a space between two characters is believed although a blank is likelier."""


@dataclass(slots=True, frozen=True)
class Line:
    """A recognised line: one text, centre (0 to 1 along the crop) and probability a character."""

    text: str
    centres: tuple[float, ...] = ()
    scores: tuple[float, ...] = ()

    @property
    def confidence(self) -> float:
        seen = [s for c, s in zip(self.text, self.scores, strict=True) if c != " "]
        return sum(seen) / len(seen) if seen else 0.0


class PPOCR:
    """Both networks; each loads on its first use."""

    def __init__(self, threads: int) -> None:
        self.threads = threads

    @cached_property
    def _detector(self) -> Any:
        return _session(DETECTOR, self.threads)

    @cached_property
    def _recogniser(self) -> Any:
        return _session(RECOGNISER, 1)  # lines side by side take less than one line on all threads

    @cached_property
    def _characters(self) -> list[str]:
        known = self._recogniser.get_modelmeta().custom_metadata_map["character"]
        return ["", *known.splitlines(), " "]

    def detect(self, image: Array, scale: float, around: Array | None = None) -> Array:
        """Quads of the text lines of `image`, looked for at `scale` times its size; only near the boxes
        (n, 4) in `around` where they are given."""
        height, width = image.shape[:2]
        size = (_multiple(width * scale), _multiple(height * scale))
        shrinking = size[0] * size[1] < width * height
        scaled = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR if shrinking else cv2.INTER_CUBIC)
        by = np.array([width / size[0], height / size[1]], np.float32)
        near = None if around is None else around / np.tile(by, 2)
        return _quads(self._text_map(scaled, near)) * by

    def _text_map(self, image: Array, near: Array | None) -> Array:
        """Probability of text a pixel; a large image is seen in overlapping tiles, those that a box of
        `near` reaches into where there are some."""
        height, width = image.shape[:2]
        text = np.zeros((height, width), np.float32)
        for top, y0, y1, bottom in _tiles(height):
            for left, x0, x1, right in _tiles(width):
                if near is not None and not _reach_into(near, left, top, right, bottom):
                    continue
                tile = cv2.dnn.blobFromImage(
                    image[top:bottom, left:right], 1 / 127.5, mean=(127.5, 127.5, 127.5), swapRB=True
                )
                seen = self._detector.run(None, {"x": tile})[0][0, 0]
                text[y0:y1, x0:x1] = seen[y0 - top : y1 - top, x0 - left : x1 - left]
        return text

    def recognise(self, crops: Sequence[Array]) -> list[Line]:
        """The texts of line images of any size."""
        if min(self.threads, len(crops)) < 2:
            return [self._recognised(crop) for crop in crops]
        with ThreadPoolExecutor(self.threads) as pool:
            return list(pool.map(self._recognised, crops))

    def _recognised(self, crop: Array) -> Line:
        width = max(8, math.ceil(LINE_HEIGHT * crop.shape[1] / crop.shape[0]))
        if crop.shape[:2] != (LINE_HEIGHT, width):
            crop = cv2.resize(crop, (width, LINE_HEIGHT))
        blob = cv2.dnn.blobFromImage(crop, 1 / 127.5, mean=(127.5, 127.5, 127.5), swapRB=True)
        return self._decode(self._recogniser.run(None, {"x": blob})[0][0])

    def _decode(self, steps: Array) -> Line:
        """Greedy CTC over (steps, classes), with spaces that a greedy reading would swallow."""
        best = steps.argmax(axis=1)
        kept = best != 0
        kept[1:] &= best[1:] != best[:-1]
        columns = np.flatnonzero(kept)
        scores = steps[columns, best[columns]]
        text: list[str] = []
        centres: list[float] = []
        confidences: list[float] = []
        for k, column in enumerate(columns):
            character = self._characters[best[column]]
            if k and character != " " and text[-1] != " ":
                between = steps[columns[k - 1] + 1 : column, -1]
                if between.size and between.max() > _SPACE:
                    text.append(" ")
                    centres.append(float(columns[k - 1] + 1.5 + between.argmax()) / len(steps))
                    confidences.append(float(between.max()))
            text.append(character)
            centres.append(float(column + 0.5) / len(steps))
            confidences.append(float(scores[k]))
        return Line("".join(text), tuple(centres), tuple(confidences))


def cut_out(image: Array, quad: Array, turned: bool) -> Array:
    """The quad's content as a line image `LINE_HEIGHT` high; `turned`: its text runs downwards."""
    if turned:
        quad = quad[[1, 2, 3, 0]]
    width = max(float(np.linalg.norm(quad[1] - quad[0])), float(np.linalg.norm(quad[2] - quad[3])), 1.0)
    height = max(float(np.linalg.norm(quad[3] - quad[0])), float(np.linalg.norm(quad[2] - quad[1])), 1.0)
    size = (max(8, math.ceil(LINE_HEIGHT * width / height)), LINE_HEIGHT)
    # A warp samples single pixels: shrinking by much needs the averaging of a true resize.
    shrinking = height > 1.5 * LINE_HEIGHT
    warped = (math.ceil(width), math.ceil(height)) if shrinking else size
    corners = np.array([[0, 0], [warped[0], 0], [warped[0], warped[1]], [0, warped[1]]], np.float32)
    crop = cv2.warpPerspective(
        image,
        cv2.getPerspectiveTransform(np.ascontiguousarray(quad, np.float32), corners),
        warped,
        flags=cv2.INTER_LINEAR if shrinking else cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return cv2.resize(crop, size, interpolation=cv2.INTER_AREA) if shrinking else crop


def _session(name: str, threads: int) -> Any:
    import onnxruntime

    onnxruntime.disable_telemetry_events()  # on Windows; see internvl_llm.telemetry for the others
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.enable_cpu_mem_arena = False  # it grows with every new shape, and lines have many
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(_weights(name)), options, providers=["CPUExecutionProvider"])


def _weights(name: str) -> Path:
    spec = find_spec("rapidocr")
    if spec is None or spec.origin is None:
        raise MissingDependencyError(
            "OCR needs the package rapidocr", remedy="pip install 'rapidocr>=3.10,<4'"
        )
    path = Path(spec.origin).parent / "models" / name
    if not path.is_file():
        raise MissingDependencyError(
            f"this rapidocr has no {name}", remedy="Install a rapidocr whose wheel carries it, such as 3.10"
        )
    return path


def _multiple(length: float) -> int:
    return max(_STRIDE, round(length / _STRIDE) * _STRIDE)


def _reach_into(boxes: Array, left: int, top: int, right: int, bottom: int) -> bool:
    x0, y0, x1, y1 = boxes.T
    return bool(((x0 < right) & (left < x1) & (y0 < bottom) & (top < y1)).any())


def _tiles(length: int) -> list[tuple[int, int, int, int]]:
    """(start, own start, own end, end) of tiles over `length`; each owns half of an overlap."""
    if length <= _TILE + _OVERLAP:
        return [(0, 0, length, length)]
    count = math.ceil((length - _OVERLAP) / (_TILE - _OVERLAP))
    step = (length - _TILE) / (count - 1)
    starts = [min(int(k * step) // _STRIDE * _STRIDE, length - _TILE) for k in range(count)]
    borders = [0, *(start + _OVERLAP // 2 for start in starts[1:]), length]
    return [
        (start, borders[k], borders[k + 1], start + _TILE if k + 1 < count else length)
        for k, start in enumerate(starts)
    ]


def _quads(text: Array) -> Array:
    """Boxes around the regions of a text map, grown by what the training shrank them."""
    mask = cv2.dilate((text > _THRESHOLD).astype(np.uint8), np.ones((2, 2), np.uint8))
    regions, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    quads = []
    for region in regions:
        centre, (width, height), angle = cv2.minAreaRect(region)
        if min(width, height) < 2:
            continue
        if _score(text, cv2.boxPoints((centre, (width, height), angle))) < _BOX_SCORE:
            continue
        grown = _UNCLIP * width * height / (width + height)
        quads.append(clockwise(cv2.boxPoints((centre, (width + grown, height + grown), angle))))
    return np.array(quads, np.float32).reshape(-1, 4, 2)


def _score(text: Array, quad: Array) -> float:
    x0, y0 = np.floor(quad.min(axis=0)).astype(int).clip(0)
    x1, y1 = np.ceil(quad.max(axis=0)).astype(int) + 1
    part = text[y0:y1, x0:x1]
    mask = np.zeros(part.shape, np.uint8)
    cv2.fillPoly(mask, [(quad - (x0, y0)).astype(np.int32)], 1)
    return float(cv2.mean(part, mask)[0])


def clockwise(quad: Array) -> Array:
    """The corners clockwise from the top left, whatever the order they came in."""
    by_x = quad[np.argsort(quad[:, 0], kind="stable")]
    left = by_x[:2][np.argsort(by_x[:2, 1], kind="stable")]
    right = by_x[2:][np.argsort(by_x[2:, 1], kind="stable")]
    return np.array([left[0], right[0], right[1], left[1]], np.float32)
