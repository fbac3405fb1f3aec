"""What is cut out of a page's image to be read again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import PIL.Image

from internvl_loaders.document import Block, Box

LETTERS = (48, 80)
"""Heights in pixels that a token's box is brought to, for the first and the second reading."""
MOST_TIMES = 6.0
"""A crop is enlarged so many times at most."""
MOST_PIXELS = 4_000_000
_BESIDE, _ABOVE = 0.6, 0.25
"""Room around a token in its heights: nothing of its neighbours where lines are set as usual."""


@dataclass(frozen=True, slots=True)
class Crop:
    box: Box
    height: float
    """Of the token, as a fraction of the page."""


def place_of(blocks: Sequence[Block], block: int | None, row: int | None, start: int | None) -> Box | None:
    """Where a token stands that has no box: the row or line of its block, by their count."""
    if block is None or not 0 <= block < len(blocks) or (box := blocks[block].box) is None:
        return None
    found = blocks[block]
    if found.table is not None:
        rows, at = found.table.rows, row or 0
    else:
        rows, at = found.text.count("\n") + 1, found.text.count("\n", 0, start or 0)
    tall = (box.y1 - box.y0) / rows
    return Box.of(box.x0, box.y0 + (at - 0.25) * tall, box.x1, box.y0 + (at + 1.25) * tall)


def cut(image: PIL.Image.Image, box: Box, zoom: int = 0) -> PIL.Image.Image | None:
    """The place of a token, enlarged; a second reading (`zoom` 1) has more around it. None for no place."""
    width, height = image.size
    tall = max((box.y1 - box.y0) * height, 1.0)
    wide = (box.x1 - box.x0) * width
    tall = min(tall, max(wide, 1.0)) if wide > 0 else tall  # of text that runs down, its width
    beside, above = (room * tall * (1 + zoom) for room in (_BESIDE, _ABOVE))
    area = (
        max(int(box.x0 * width - beside), 0),
        max(int(box.y0 * height - above), 0),
        min(int(box.x1 * width + beside) + 1, width),
        min(int(box.y1 * height + above) + 1, height),
    )
    if area[2] - area[0] < 2 or area[3] - area[1] < 2:
        return None
    crop = image.crop(area)
    times = min(max(LETTERS[zoom] / tall, 1.0), MOST_TIMES, (MOST_PIXELS / (crop.width * crop.height)) ** 0.5)
    size = max(round(crop.width * times), 1), max(round(crop.height * times), 1)
    return crop.resize(size, PIL.Image.Resampling.LANCZOS) if size != crop.size else crop


def cut_block(image: PIL.Image.Image, box: Box) -> PIL.Image.Image | None:
    """A block with some room around it, as large as it is."""
    width, height = image.size
    room = 0.01
    area = (
        max(int((box.x0 - room) * width), 0),
        max(int((box.y0 - room) * height), 0),
        min(int((box.x1 + room) * width) + 1, width),
        min(int((box.y1 + room) * height) + 1, height),
    )
    return image.crop(area) if area[2] - area[0] > 1 and area[3] - area[1] > 1 else None
