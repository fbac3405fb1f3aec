from __future__ import annotations

import PIL.Image
import pytest

from internvl_loaders.document import Block, Box
from internvl_loaders.ground.crops import LETTERS, MOST_PIXELS, cut, cut_block, place_of
from tests.kit.grids import STATEMENT, grid
from tests.kit.pages import page


def test_a_crop_shows_the_token_enlarged_and_no_other_line() -> None:
    image = page()  # its lines are 70 px apart, from 60 on
    box = Box.of(80, 60 + 3 * 70 + 6, 420, 60 + 3 * 70 + 34, *image.size)
    one, two = cut(image, box, 0), cut(image, box, 1)
    assert one is not None and two is not None
    assert abs(one.height / (28 + 2 * 7 + 1) - LETTERS[0] / 28) < 0.05
    assert two.width > one.width
    dark = one.convert("L").point(lambda v: 255 * (v < 128)).getbbox()
    assert dark is not None and dark[1] > 2 and dark[3] < one.height - 2


@pytest.mark.parametrize("zoom", [0, 1])
def test_crops_of_any_box_are_small_and_within_the_page(zoom: int) -> None:
    image = PIL.Image.new("L", (1500, 2000), "white")
    for box in (
        Box(x0=0, y0=0, x1=1, y1=1),
        Box(x0=0.999, y0=0.999, x1=1, y1=1),
        Box(x0=0.5, y0=0.5, x1=0.5, y1=0.5),
        Box(x0=0.5, y0=0.1, x1=0.51, y1=0.9),
        Box(x0=0, y0=0.4, x1=1, y1=0.401),
    ):
        crop = cut(image, box, zoom)
        assert crop is not None and 1 < crop.width * crop.height <= MOST_PIXELS * 1.01


def test_nothing_is_cut_out_of_next_to_nothing() -> None:
    image = PIL.Image.new("RGB", (1, 1))
    assert cut(image, Box(x0=0, y0=0, x1=1, y1=1)) is None
    assert cut_block(image, Box(x0=0, y0=0, x1=1, y1=1)) is None


def test_a_row_or_line_has_a_place_where_its_block_has_one() -> None:
    box = Box(x0=0.1, y0=0.2, x1=0.9, y1=0.9)
    blocks = [
        grid(STATEMENT).model_copy(update={"box": box}),
        Block(type="paragraph", text="a\nb\n185.00\nd", box=box),
    ]
    row = place_of(blocks, 0, 3, 0)
    assert row is not None and row.y0 < 0.2 + 0.1 * 3.5 < row.y1 and row.y1 - row.y0 < 0.2
    line = place_of(blocks, 1, None, 4)
    assert line is not None and line.y0 < 0.2 + 0.7 * 2.5 / 4 < line.y1
    assert place_of(blocks, None, None, None) is None
    assert place_of([Block(type="paragraph", text="a")], 0, None, 0) is None
