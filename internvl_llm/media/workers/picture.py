"""Page images on their way from a worker: bare pixels, so that what receives them decodes no image file."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from internvl_llm.errors import PageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import PIL.Image

_BANDS = {"L": 1, "RGB": 3}
Shape = tuple[str, int, int]
"""Mode (`L` or `RGB`), width and height in pixels."""


def packed(image: PIL.Image.Image) -> tuple[Shape, bytes]:
    """Lossless; a grey image takes a third."""
    import numpy

    pixels = numpy.asarray(image if image.mode == "RGB" else image.convert("RGB"))
    grey = bool((pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 1] == pixels[..., 2]).all())
    data = numpy.ascontiguousarray(pixels[..., 0] if grey else pixels)
    return ("L" if grey else "RGB", image.width, image.height), zlib.compress(data.tobytes(), 1)


def from_pixels(data: bytes, sizes: Sequence[tuple[int, int]]) -> list[PIL.Image.Image]:
    """Images of these sizes from the pixels of all, RGB. Raises PageError where there are more or fewer."""
    from PIL import Image

    if len(data) != sum(3 * width * height for width, height in sizes):
        raise PageError("what came back from drawing it is no image")
    images, start = [], 0
    for width, height in sizes:
        stop = start + 3 * width * height
        images.append(Image.frombytes("RGB", (width, height), memoryview(data)[start:stop]))
        start = stop
    return images


def unpacked(shape: object, data: bytes, max_pixels: int) -> PIL.Image.Image:
    """The image, RGB. Raises PageError where shape and data are not those of one within `max_pixels`."""
    from PIL import Image

    match shape:
        case [("L" | "RGB") as mode, int(width), int(height)] if 0 < width * height <= max_pixels:
            size = width * height * _BANDS[mode]
        case _:
            raise PageError("what came back from drawing it is no image")
    try:
        inflating = zlib.decompressobj()
        pixels = inflating.decompress(data, size)
        whole = len(pixels) == size and not inflating.unconsumed_tail
    except zlib.error:
        whole = False
    if not whole or width < 0:
        raise PageError("what came back from drawing it is no image")
    return Image.frombytes(mode, (width, height), pixels).convert("RGB")
