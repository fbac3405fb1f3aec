import itertools
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from internvl_llm.errors import MediaError, OptionError
from internvl_llm.prompt.tiling import (
    MEAN,
    PAGE_PADDING,
    STD,
    TILE,
    grid,
    image_tokens,
    normalise,
    page_size,
    tile,
    tile_count,
)
from tests.kit.pictures import noise

LIMITS = ((1, 1), (1, 6), (1, 12), (4, 12), (7, 12), (1, 24), (13, 24), (1, 40))
A4, LETTER = (210 / 25.4, 297 / 25.4), (8.5, 11.0)


def reference():
    module = pytest.importorskip("transformers.models.got_ocr2.image_processing_pil_got_ocr2")
    return module.GotOcr2ImageProcessorPil(
        size={"height": TILE, "width": TILE}, image_mean=list(MEAN), image_std=list(STD), crop_to_patches=True
    )


def at(paper, dpi):
    return round(paper[0] * dpi), round(paper[1] * dpi)


def test_the_grid_is_that_of_transformers_over_thousands_of_sizes():
    processor = reference()
    random = np.random.default_rng(7)
    sizes = [tuple(int(side) for side in size) for size in random.integers(1, 4000, (1000, 2))]
    sizes += [at(paper, dpi) for paper in (A4, LETTER) for dpi in range(50, 601, 10)]
    # Shapes that lie on a border between two grids, where ties are decided.
    sizes += [(448 * c // 2, 448 * r // 2) for c, r in itertools.product(range(1, 25), repeat=2)]
    checked = 0
    for (width, height), (low, high) in itertools.product(sizes, LIMITS):
        patches = {"min_patches": low, "max_patches": high}
        expected = processor.get_number_of_image_patches(height, width, patches)
        assert tile_count(width, height, low, high) == expected, (width, height, low, high)
        checked += 1
    assert checked > 10_000


def test_the_arrangement_is_that_of_transformers():
    module = pytest.importorskip("transformers.models.got_ocr2.image_processing_pil_got_ocr2")
    random = np.random.default_rng(8)
    for width, height in random.integers(1, 4000, (5000, 2)).tolist():
        expected = module.get_optimal_tiled_canvas((height, width), (TILE, TILE), 1, 12)
        assert grid(width, height) == expected


@pytest.mark.parametrize(
    ("mode", "size", "limits"),
    [
        ("RGB", (1240, 1754), (1, 12)),
        ("RGB", (1754, 1240), (7, 24)),
        ("RGB", (5, 7), (1, 12)),
        ("RGB", (448, 448), (1, 12)),
        ("RGB", (3000, 60), (1, 6)),
        ("RGB", (900, 300), (1, 1)),
        ("RGBA", (600, 300), (1, 12)),
        ("LA", (300, 400), (1, 12)),
        ("L", (900, 200), (1, 12)),
        ("P", (449, 447), (1, 12)),
        ("1", (500, 700), (1, 12)),
        ("CMYK", (500, 800), (1, 12)),
    ],
)
def test_pixels_are_those_of_transformers(mode, size, limits):
    image = noise(size, mode)
    expected = reference()(
        image, return_tensors="np", crop_to_patches=True, min_patches=limits[0], max_patches=limits[1]
    )["pixel_values"]
    tiles = tile(image, *limits)
    assert tiles.dtype == np.uint8
    assert np.array_equal(normalise(tiles), expected)


def test_tiles_run_row_by_row_and_the_thumbnail_is_last():
    image = Image.new("RGB", (2 * TILE, 2 * TILE))
    colours = ["red", "lime", "blue", "white"]
    for index, colour in enumerate(colours):
        image.paste(
            colour, ((index % 2) * TILE, (index // 2) * TILE, (index % 2 + 1) * TILE, (index // 2 + 1) * TILE)
        )
    tiles = tile(image, 4, 4)
    assert [tuple(one[224, 224]) for one in tiles[:4]] == [
        (255, 0, 0),
        (0, 255, 0),
        (0, 0, 255),
        (255, 255, 255),
    ]
    assert len(tiles) == 5 and tuple(tiles[4][100, 100]) == (255, 0, 0)
    assert len(tile(image, 4, 4, thumbnail=False)) == 4


@given(st.integers(1, 6000), st.integers(1, 6000), st.sampled_from(LIMITS), st.booleans())
def test_counts_stay_within_the_limits(width, height, limits, page):
    count = tile_count(width, height, *limits, thumbnail=False, page=page)
    assert limits[0] <= count <= limits[1]
    assert tile_count(width, height, *limits, page=page) == count + (count > 1)


@pytest.mark.parametrize("page", [False, True])
def test_the_count_is_what_tile_returns(page):
    for size in ((620, 877), (100, 900), (30, 30), (850, 1100)):
        assert len(tile(noise(size), page=page)) == tile_count(*size, page=page)


@pytest.mark.parametrize("dpi", [150, 200, 300])
@pytest.mark.parametrize("turn", [False, True])
def test_a_page_of_a4_gets_as_many_tiles_as_letter(dpi, turn):
    sizes = [at(paper, dpi) for paper in (A4, LETTER)]
    if turn:  # 1.414 lies on the better side of the border between 3x2 and 4x3
        sizes = [size[::-1] for size in sizes]
    plain, page = (
        [tile_count(*size, thumbnail=False, page=policy) for size in sizes] for policy in (False, True)
    )
    assert plain == [12 if turn else 6, 12]
    assert page == [12, 12]


@pytest.mark.parametrize("dpi", [150, 200, 300])
def test_a_page_of_a4_gets_at_least_twelve_of_twenty_four_tiles(dpi):
    assert tile_count(*at(A4, dpi), 1, 24, thumbnail=False, page=True) >= 12
    assert tile_count(*at(A4, dpi), 13, 24, thumbnail=False, page=True) == 24


@given(st.integers(1, 5000), st.integers(1, 5000), st.sampled_from(LIMITS))
def test_page_padding_is_small_and_never_loses_tiles(width, height, limits):
    wide, high = page_size(width, height, *limits)
    assert width <= wide <= math.ceil(width * (1 + PAGE_PADDING))
    assert height <= high <= math.ceil(height * (1 + PAGE_PADDING))
    assert wide == width or high == height
    plain = math.prod(grid(width, height, *limits))
    padded = math.prod(grid(wide, high, *limits))
    assert padded >= plain
    if (wide, high) != (width, height):
        assert padded > plain


def test_page_padding_is_white_and_on_the_right():
    image = Image.new("RGB", at(A4, 150), "black")
    tiles = tile(image, page=True)
    assert len(tiles) == 13
    assert tiles[2][:, -1].min() > 200 and tiles[2][:, 300].max() == 0 and tiles[0][:, 0].max() == 0


def test_tokens_of_an_image():
    assert image_tokens(tile_count(1240, 1754, page=True)) == 13 * 256 + 2


@pytest.mark.parametrize("limits", [(0, 12), (5, 4), (-1, -1)])
def test_impossible_limits_are_refused(limits):
    with pytest.raises(OptionError, match="min_tiles"):
        grid(10, 10, *limits)


def test_an_image_without_pixels_is_refused():
    with pytest.raises(MediaError, match="0x5 pixels"):
        tile(Image.new("RGB", (0, 5)))


def test_importing_it_loads_no_torch():
    code = "import internvl_llm.prompt.tiling, "
    code += "internvl_llm.checkpoints.family, internvl_llm.hardware.placement, "
    code += "internvl_llm.checkpoints.convert, sys; "
    code += "assert not {'torch', 'transformers'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
