"""Sizes and colours of page images."""

from __future__ import annotations

from math import ceil, sqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image


def scale_within(width: float, height: float, scale: float, max_pixels: int) -> float:
    """The largest scale up to `scale` at which width x height, rounded up, is at most `max_pixels`."""
    longer, area = max(width, height), width * height
    if longer <= 0 or area <= 0:
        return scale
    scale = min(scale, sqrt(max_pixels / area), max_pixels / longer)
    while scale * longer > 1 and ceil(width * scale) * ceil(height * scale) > max_pixels:
        scale *= 0.99
    return scale


def to_rgb(image: Image) -> Image:
    """Any mode to RGB: deep greys brought to 8 bits, transparency laid on what lets its ink be seen."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _eight_bits(image).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        return _on_paper(image.convert("RGBA"))
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bits(image: Image) -> Image:
    """Greys deeper than 8 bits, stretched from their darkest to their lightest."""
    import numpy
    from PIL import Image as pil

    values = numpy.nan_to_num(numpy.asarray(image, dtype=numpy.float32))
    low, high = float(values.min()), float(values.max())
    if image.mode != "F" and low >= 0 and high <= 255:
        low, high = 0.0, 255.0
    return pil.fromarray(((values - low) * (255 / max(high - low, 1e-6))).astype(numpy.uint8))


def _on_paper(image: Image) -> Image:
    """White paper, or black where white would leave the ink with less than half the contrast."""
    from PIL import Image as pil
    from PIL import ImageStat

    sample = image.copy()
    sample.thumbnail((512, 512))
    contrast = []
    for paper in ("white", "black"):
        sheet = pil.new("RGBA", sample.size, paper)
        sheet.alpha_composite(sample)
        contrast.append(ImageStat.Stat(sheet.convert("L")).stddev[0])
    sheet = pil.new("RGBA", image.size, "white" if 2 * contrast[0] >= contrast[1] else "black")
    sheet.alpha_composite(image)
    return sheet.convert("RGB")
