"""What reading a page has found so far, and its figures."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING

from internvl_loaders.document import Block, FormField, Image, Status, Word

if TYPE_CHECKING:
    import PIL.Image


@dataclass(slots=True)
class Draft:
    """OCR has time `until` (of `time.monotonic`); `late` counts the lines for which there was none."""

    status: Status = "ok"
    reasons: list[str] = field(default_factory=list)
    method: str = ""
    attempts: int = 1
    confidence: float | None = None
    rotation: int = 0
    skew: float = 0.0
    blocks: list[Block] = field(default_factory=list)
    fields: list[FormField] = field(default_factory=list)
    unseen: tuple[Word, ...] = ()
    line_numbers: tuple[Word, ...] = ()
    size: tuple[float, float] = (0.0, 0.0)
    image: PIL.Image.Image | None = None
    timings: dict[str, float] = field(default_factory=dict)
    until: float = inf
    late: int = 0

    @property
    def says_something(self) -> bool:
        return any(block.text.strip() for block in self.blocks)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - started
            self.timings[stage] = round(self.timings.get(stage, 0.0) + spent, 4)


def width(block: Block) -> float:
    return block.box.x1 - block.box.x0 if block.box is not None else 0.0


def may_hold_text(block: Block, size: tuple[float, float]) -> bool:
    """Whether a figure is large enough (in points) for a line of small print."""
    if block.box is None:
        return False
    return width(block) * size[0] >= 40 and (block.box.y1 - block.box.y0) * size[1] >= 8


def lies_on(block: Block, figure: Block) -> bool:
    if block is figure or not block.text or block.box is None or figure.box is None:
        return False
    x, y = (block.box.x0 + block.box.x1) / 2, (block.box.y0 + block.box.y1) / 2
    return figure.box.x0 <= x <= figure.box.x1 and figure.box.y0 <= y <= figure.box.y1


def encoded(image: PIL.Image.Image) -> Image:
    out = io.BytesIO()
    image.save(out, "PNG")
    return Image(data=out.getvalue(), width=image.width, height=image.height)
