"""Dynamic tiling of images into 448 px tiles, as OpenGVLab's `dynamic_preprocess` does it.

The same pixels come out as from transformers' `GotOcr2ImageProcessorPil`. The grid is the one whose shape is
nearest to the image's; when several are equally near, the larger one if the image has enough pixels for it.
A thumbnail of the whole image follows when there is more than one tile.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from internvl_llm.errors import MediaError, OptionError
from internvl_llm.messages import MAX_TILES, brief, is_tile_count

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Resize = Callable[[int, int], NDArray[np.uint8]]
    """One image in (width, height), as uint8 RGB [height, width, 3]."""
    Resizer = Callable[[Image.Image], Resize]

TILE = 448
TOKENS_PER_TILE = 256
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
"""ImageNet's, of RGB in 0..1."""

PAGE_PADDING = 0.01
"""How much longer, at most, the page policy makes one side of an image."""

_PADDING_STEPS = 10


@lru_cache(maxsize=64)
def _grids(min_tiles: int, max_tiles: int) -> tuple[tuple[int, int], ...]:
    """(columns, rows) of every grid of that many tiles, fewest tiles first, then fewest columns."""
    grids = [
        (columns, rows)
        for columns in range(1, max_tiles + 1)
        for rows in range(1, max_tiles // columns + 1)
        if columns * rows >= min_tiles
    ]
    return tuple(sorted(grids, key=lambda grid: grid[0] * grid[1]))


def _check(width: int, height: int, min_tiles: int, max_tiles: int) -> None:
    if not (is_tile_count(min_tiles) and is_tile_count(max_tiles)) or min_tiles > max_tiles:
        raise OptionError(
            f"min_tiles={brief(min_tiles)} and max_tiles={brief(max_tiles)} allow no grid",
            remedy=f"Give 1 <= min_tiles <= max_tiles <= {MAX_TILES}",
        )
    if width < 1 or height < 1:
        raise MediaError(f"an image of {width}x{height} pixels has nothing to see", remedy="Leave it out")


def grid(width: int, height: int, min_tiles: int = 1, max_tiles: int = 12) -> tuple[int, int]:
    """(columns, rows) for an image of `width` x `height` pixels."""
    _check(width, height, min_tiles, max_tiles)
    return _nearest(width, height, min_tiles, max_tiles)


def _nearest(width: int, height: int, min_tiles: int, max_tiles: int) -> tuple[int, int]:
    shape, area = width / height, width * height
    best, best_distance = (1, 1), float("inf")
    for columns, rows in _grids(min_tiles, max_tiles):
        distance = abs(shape - columns / rows)
        enough = area > 0.5 * TILE * TILE * columns * rows
        if distance < best_distance or (distance == best_distance and enough):
            best, best_distance = (columns, rows), distance
    return best


def page_size(width: int, height: int, min_tiles: int = 1, max_tiles: int = 12) -> tuple[int, int]:
    """The size to pad a page to: the least padding, of one side and at most 1 %, that gets it the most tiles.

    A4 (0.707) lies just under the border (0.7083) between 2x3 and 3x4 tiles, Letter (0.773) well above: three
    pixels at 150 dpi double the pixels the model sees of A4.
    """
    _check(width, height, min_tiles, max_tiles)
    best, most = (width, height), -1
    for step in range(_PADDING_STEPS + 1):
        # Rounded up, so that the last step may exceed the limit by a pixel.
        more = PAGE_PADDING * step / _PADDING_STEPS
        for size in ((width + -int(-width * more // 1), height), (width, height + -int(-height * more // 1))):
            columns, rows = _nearest(*size, min_tiles, max_tiles)
            if columns * rows > most:
                best, most = size, columns * rows
    return best


def tile_count(
    width: int,
    height: int,
    min_tiles: int = 1,
    max_tiles: int = 12,
    *,
    thumbnail: bool = True,
    page: bool = False,
) -> int:
    """How many tiles `tile` returns for an image of that size."""
    if page:
        width, height = page_size(width, height, min_tiles, max_tiles)
    columns, rows = grid(width, height, min_tiles, max_tiles)
    tiles = columns * rows
    return tiles + 1 if thumbnail and tiles > 1 else tiles


def image_tokens(tiles: int, tokens_per_tile: int = TOKENS_PER_TILE) -> int:
    """Tokens of an image in the prompt, with its start and end token."""
    return tiles * tokens_per_tile + 2


def _pillow(image: Image.Image) -> Resize:
    return lambda width, height: np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))


def tile(
    image: Image.Image,
    min_tiles: int = 1,
    max_tiles: int = 12,
    *,
    thumbnail: bool = True,
    page: bool = False,
    resizer: Resizer = _pillow,
) -> NDArray[np.uint8]:
    """uint8 RGB tiles [n, 448, 448, 3], row by row, the thumbnail last; transparency becomes white.

    `page` pads the right or the bottom with white, as `page_size` says. Tiles are OpenGVLab's to the bit only
    with the resizer that stands here.
    """
    image = _rgb(image)
    if page:
        size = page_size(*image.size, min_tiles, max_tiles)
        if size != image.size:
            padded = Image.new("RGB", size, "white")
            padded.paste(image)
            image = padded
    columns, rows = grid(*image.size, min_tiles, max_tiles)
    resize = resizer(image)
    canvas = resize(columns * TILE, rows * TILE)
    tiles = canvas.reshape(rows, TILE, columns, TILE, 3).swapaxes(1, 2).reshape(-1, TILE, TILE, 3)
    if thumbnail and len(tiles) > 1:
        tiles = np.concatenate([tiles, resize(TILE, TILE)[None]])
    return np.ascontiguousarray(tiles)


def normalise(tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
    """float32 pixel values [n, 3, 448, 448], as the vision tower takes them."""
    scaled = (tiles.astype(np.float64) * (1 / 255)).astype(np.float32)
    values = (scaled - np.asarray(MEAN, np.float32)) / np.asarray(STD, np.float32)
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2))


def _rgb(image: Image.Image) -> Image.Image:
    if "A" not in image.getbands() and image.info.get("transparency") is None:
        return image.convert("RGB")
    page = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(page, image.convert("RGBA")).convert("RGB")
