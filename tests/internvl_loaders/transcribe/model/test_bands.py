"""Edges of bands lie between lines; where there is no room, both bands show what lies there."""

from __future__ import annotations

import numpy as np
import PIL.Image
import pytest
from PIL import ImageDraw

from internvl_loaders.transcribe.model.bands import crops
from internvl_loaders.transcribe.model.ladder import Band

HALVES = Band(0.0, 1.0).halves()
PITCH, LINE = 40, 24


def page(*, rulings: bool = False, noise: bool = False, height: int = 1200) -> PIL.Image.Image:
    """Lines of strokes, every PITCH pixels; none of them is cut where a band ends between them."""
    image = PIL.Image.new("L", (900, height), 255)
    draw = ImageDraw.Draw(image)
    for top in range(20, height - LINE, PITCH):
        for left in range(60, 840, 14):
            draw.rectangle((left, top, left + 6, top + LINE), fill=0)
    if rulings:
        for left in range(40, 900, 100):
            draw.line((left, 0, left, height), fill=0, width=2)
    if noise:
        pixels = np.asarray(image).astype(np.int16)
        pixels += np.random.default_rng(1).integers(-90, 90, pixels.shape, dtype=np.int16)
        image = PIL.Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    return image


@pytest.mark.parametrize("rulings", [False, True])
@pytest.mark.parametrize("bands", [HALVES, (*HALVES[0].halves(), *HALVES[1].halves())])
def test_no_line_is_cut_or_lost(rulings: bool, bands: tuple[Band, ...]) -> None:
    image = page(rulings=rulings)
    found = crops(image, bands)
    assert [crop.overlap for crop in found] == [0.0] * len(bands)
    assert sum(crop.image.height for crop in found) == image.height
    at = 0
    for crop in found[:-1]:
        at += crop.image.height
        assert (at - 20) % PITCH > LINE, "between two lines"


def test_an_edge_lies_at_one_place_whatever_it_parts() -> None:
    image = page()
    lower, upper = crops(image, HALVES)[1], crops(image, HALVES)[0]
    first, second = crops(image, HALVES[1].halves())
    assert first.image.height + second.image.height == lower.image.height
    assert np.array_equal(np.asarray(first.image), np.asarray(lower.image)[: first.image.height])
    assert upper.image.height + lower.image.height == image.height


def test_where_ink_is_everywhere_both_show_the_edge() -> None:
    image = page(noise=True)
    upper, lower = crops(image, HALVES)
    shared = upper.image.height + lower.image.height - image.height
    assert shared > PITCH
    assert lower.overlap == pytest.approx(shared / lower.image.height, abs=0.005)
    assert upper.overlap == 0


@pytest.mark.parametrize("size", [(1, 1), (5, 1), (1, 9), (3000, 2)])
def test_tiny_images_have_bands_too(size: tuple[int, int]) -> None:
    for crop in crops(PIL.Image.new("RGB", size, "white"), HALVES):
        assert crop.image.width == size[0] and crop.image.height >= 1
