"""Images on their way to a server: lossless PNGs in the shape from which it cuts our tiles."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from internvl_llm.prompt.tiling import TILE, grid, page_size, tile_count

if TYPE_CHECKING:
    import PIL.Image

    from internvl_llm.media.load import Loaded
    from internvl_llm.request import Request


@dataclass(frozen=True, slots=True)
class Sight:
    """What a server does with images: into how many tiles, at most, it cuts one as InternVL's own code does,
    and how many tokens a tile is. No `max_tiles`: it cuts in a way of its own."""

    max_tiles: int | None
    tokens_per_tile: int = 256


def measured(one: int, three: int, long: int) -> Sight:
    """Of the prompt tokens with an image of one tile, of a 1x2 grid (three tiles, its thumbnail too), and one
    so long that it gets as many tiles as there may be."""
    per_tile, odd = divmod(three - one, 2)
    if three == long == one:
        return Sight(1)
    if odd or per_tile < 1 or (long - one) % per_tile:
        return Sight(None)
    return Sight((long - one) // per_tile, per_tile)


PROBES = ((28, 28), (28, 56), (8, 1024))
"""Sizes in pixels of the images that `measured` is about."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An image of a request. `bounds` are its least and most tiles."""

    image: Loaded
    bounds: tuple[int, int]
    page: bool

    @classmethod
    def of(cls, image: Loaded, request: Request) -> Outgoing:
        """What an image or the frame of a video says itself goes first; a bound moves the other one along."""
        low = image.min_tiles or min(request.min_tiles, image.max_tiles or request.min_tiles)
        high = image.max_tiles or max(request.max_tiles, low)
        return cls(image, (low, high), request.page or image.kind == "page")

    def shape(self, sight: Sight) -> tuple[tuple[int, int], tuple[int, int] | None]:
        """The size to pad it to with white, and then the size to bring it to, if any: that of its tiles."""
        most = sight.max_tiles
        low, high = self.bounds
        if most is None:
            return self.image.size, (TILE, TILE) if high == 1 else None
        high = min(high, most)
        low = min(low, high)
        size = page_size(*self.image.size, low, high) if self.page else self.image.size
        wanted = grid(*size, low, high)
        return size, None if grid(*size, 1, most) == wanted else _tiled(wanted, most)

    def tokens(self, sight: Sight) -> int:
        """Of its tiles; 0 where only the server knows them."""
        if sight.max_tiles is None:
            return 0
        size, tiled = self.shape(sight)
        return tile_count(*(tiled or size), 1, sight.max_tiles) * sight.tokens_per_tile

    def url(self, sight: Sight) -> str:
        """Drawn anew; a data URL of the very pixels that the engine in process would cut."""
        size, tiled = self.shape(sight)
        image = self.image.draw()
        if size != image.size:
            from PIL import Image

            padded = Image.new("RGB", size, "white")
            padded.paste(image)
            image = padded
        if tiled is not None:
            from PIL import Image

            image = image.resize(tiled, Image.Resampling.BICUBIC)
        return data_url(image)


def _tiled(wanted: tuple[int, int], most: int) -> tuple[int, int]:
    """The size of that grid of tiles; somewhat smaller where so large an image would get more tiles."""
    for percent in (100, 95, 90, 85, 80, 75):
        width, height = (count * TILE * percent // 100 for count in wanted)
        if grid(width, height, 1, most) == wanted:
            return width, height
    return wanted[0] * TILE, wanted[1] * TILE


def data_url(image: PIL.Image.Image) -> str:
    return f"data:image/png;base64,{base64.b64encode(png(image)).decode()}"


def png(image: PIL.Image.Image) -> bytes:
    """Grey pixels as grey ones: a third of the bytes."""
    import numpy

    pixels = numpy.asarray(image)
    if pixels.ndim == 3 and (pixels[..., :1] == pixels[..., 1:]).all():
        image = image.getchannel(0)
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()
