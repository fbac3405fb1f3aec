"""Sizes and colours of page images."""

from __future__ import annotations

from math import ceil, sqrt
from typing import TYPE_CHECKING

from internvl_llm.errors import MediaError, limit_error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL.Image import Image

    from internvl_llm.media.limits import Limits

_STRIP = 256
"""Rows brought to 8 bits at a time."""


def scale_within(width: float, height: float, scale: float, max_pixels: int) -> float:
    """The largest scale up to `scale` at which width x height, rounded up, is at most `max_pixels`."""
    longer, area = max(width, height), width * height
    if longer <= 0 or area <= 0:
        return scale
    scale = min(scale, sqrt(max_pixels / area), max_pixels / longer)
    while scale * longer > 1 and ceil(width * scale) * ceil(height * scale) > max_pixels:
        scale *= 0.99
    return scale


def scaled_within(width: int, height: int, max_pixels: int) -> tuple[int, int]:
    """The size, or that of the image scaled down to `max_pixels`."""
    scale = scale_within(width, height, 1.0, max_pixels)
    return (width, height) if scale == 1 else (max(1, int(width * scale)), max(1, int(height * scale)))


def is_blank(image: Image) -> bool:
    """Whether all of it is one colour, but for differences that nobody sees."""
    extrema = image.convert("RGB").getextrema()
    return all(high - low < 12 for low, high in extrema)  # type: ignore[misc]


def strips(image: Image) -> Iterator[bytes]:
    """The bytes of its pixels, some rows at a time."""
    for top in range(0, image.height, _STRIP):
        yield image.crop((0, top, image.width, min(top + _STRIP, image.height))).tobytes()


def upright(image: Image, limits: Limits) -> Image:
    """An image that a caller gives, turned by its EXIF orientation, RGB, scaled down to `max_pixels`.

    Raises MediaError or LimitError.
    """
    from PIL import ImageOps
    from PIL.Image import Resampling

    pixels = image.width * image.height
    if pixels > limits.max_image_pixels:
        problem = f"the image declares {pixels:,} pixels, more than"
        raise limit_error(problem, "max_image_pixels", limits.max_image_pixels, "the image")
    if not pixels:
        raise MediaError("the image has no pixels", source="the image", remedy="Leave it out")
    try:
        image = to_rgb(ImageOps.exif_transpose(image))
    except Exception as error:  # it may be a file not decoded yet; decoders raise nearly anything
        brief = (str(error) or type(error).__name__).splitlines()[0][:120]
        raise MediaError(
            f"the image is damaged ({brief})", source="the image", remedy="Save it again"
        ) from error
    size = scaled_within(*image.size, limits.max_pixels)
    return image if size == image.size else image.resize(size, Resampling.LANCZOS, reducing_gap=2.0)


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

    values = numpy.asarray(image)
    strips = [values[top : top + _STRIP] for top in range(0, len(values), _STRIP)]
    greys = (
        [numpy.nan_to_num(strip.astype(numpy.float32)) for strip in strips] if image.mode == "F" else strips
    )
    low, high = (float(of([of(strip) for strip in greys])) for of in (numpy.min, numpy.max))
    if image.mode != "F" and low >= 0 and high <= 255:
        low, high = 0.0, 255.0
    result = numpy.empty(values.shape, dtype=numpy.uint8)
    for place, strip in enumerate(greys):
        stretched = (strip.astype(numpy.float32) - low) * (255 / max(high - low, 1e-6))
        result[place * _STRIP : place * _STRIP + len(strip)] = stretched
    return pil.fromarray(result)


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
