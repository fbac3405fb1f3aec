"""What is too dark or too pale is told from what is light on dark, blank or clear."""

from __future__ import annotations

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest

from internvl_loaders.transcribe.ocr.light import is_dim, lightened
from tests.kit.pages import page


def darkened(image: PIL.Image.Image, scale: float, lift: float = 0.0) -> PIL.Image.Image:
    return PIL.Image.fromarray((np.asarray(image) * scale + lift).astype(np.uint8))


@pytest.mark.parametrize(
    ("image", "dim"),
    [
        (page(), False),
        (darkened(page(), 0.3), True),
        (darkened(page(), 0.15, 210), True),
        (darkened(page(), 0.6, 80), False),
        (PIL.ImageOps.invert(page()), False),
        (PIL.Image.new("RGB", (300, 300), "white"), False),
        (PIL.Image.new("RGB", (300, 300), (6, 5, 4)), False),
        (PIL.Image.new("L", (1, 1), 0), False),
    ],
)
def test_what_is_dim(image: PIL.Image.Image, dim: bool) -> None:
    assert is_dim(image) is dim


@pytest.mark.parametrize("given", [darkened(page(), 0.3), darkened(page(), 0.15, 210)])
def test_what_is_lightened_has_more_contrast(given: PIL.Image.Image) -> None:
    before = given.tobytes()
    after = lightened(given)
    assert (after.size, after.mode) == (given.size, "RGB")
    assert np.asarray(after.convert("L")).std() > 1.3 * np.asarray(given.convert("L")).std()
    assert given.tobytes() == before
