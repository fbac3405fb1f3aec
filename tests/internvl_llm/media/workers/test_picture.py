from __future__ import annotations

import zlib

import pytest
from PIL import Image

from internvl_llm.media.workers.picture import packed, unpacked
from internvl_loaders.errors import PageError


def noise(mode: str) -> Image.Image:
    return Image.effect_noise((70, 50), 90).convert(mode)


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "RGBA"])
def test_pixels_come_back_as_they_were(mode: str) -> None:
    image = noise(mode)
    shape, data = packed(image)
    assert unpacked(list(shape), data, 70 * 50).tobytes() == image.convert("RGB").tobytes()


def test_a_grey_image_takes_a_third() -> None:
    coloured = Image.merge("RGB", [noise("L"), noise("L"), noise("L")])
    assert packed(noise("RGB"))[0] == ("L", 70, 50)
    assert packed(coloured)[0] == ("RGB", 70, 50)


@pytest.mark.parametrize(
    ("shape", "data"),
    [
        (["L", 10, 10], b"no zlib"),
        (["L", 10, 10], zlib.compress(b"x" * 99)),
        (["L", 10, 10], zlib.compress(b"x" * 101)),
        (["L", 10, 10], zlib.compress(b"x" * 10**8)),
        (["P", 10, 10], zlib.compress(b"x" * 100)),
        (["L", 10**9, 10**9], zlib.compress(b"x" * 100)),
        (["L", -10, -10], zlib.compress(b"x" * 100)),
        (["L", "10", 10], zlib.compress(b"x" * 100)),
        ("L", b""),
        (None, b""),
    ],
)
def test_what_is_no_image_is_refused(shape: object, data: bytes) -> None:
    with pytest.raises(PageError, match="no image"):
        unpacked(shape, data, 10_000)
