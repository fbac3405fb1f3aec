from __future__ import annotations

import numpy as np
import PIL.Image
import pytest

pytest.importorskip("torch")

from internvl_llm.engines.transformers.resizing import torch_bicubic
from internvl_llm.prompt.tiling import tile, tile_count
from tests.kit.pictures import noise, text_page


@pytest.mark.parametrize("page", [False, True])
def test_the_count_is_what_tile_returns(page: bool) -> None:
    for size in ((620, 877), (100, 900), (30, 30), (850, 1100)):
        assert len(tile(noise(size), page=page, resizer=torch_bicubic)) == tile_count(*size, page=page)


@pytest.mark.parametrize(
    ("image", "share"), [(text_page((1654, 2339)), 0.01), (noise((700, 900)), 0.02)], ids=["text", "noise"]
)
def test_it_differs_by_two_grey_levels_at_most(image: PIL.Image.Image, share: float) -> None:
    exact, fast = (
        tile(image, max_tiles=24).astype(int),
        tile(image, max_tiles=24, resizer=torch_bicubic).astype(int),
    )
    difference = np.abs(exact - fast)
    assert 0 < difference.max() <= 2
    assert (difference > 0).mean() < share
