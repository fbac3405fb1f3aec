"""Damaged images give what can be decoded of them, or an error that says what to do."""

from __future__ import annotations

import contextlib
import io
import struct
from random import Random

import PIL.Image
import pytest

from internvl_llm.media.limits import Limits
from internvl_loaders.errors import InternVLError
from internvl_loaders.readers.open import open_document
from tests.kit.mutations import MUTATORS, kind
from tests.kit.mutations_images import HEADS


def stripes(form: str, **options: object) -> bytes:
    """Black above, random below, so that half of the file is half of the image."""
    picture = PIL.Image.frombytes("L", (200, 200), Random(1).randbytes(40_000))
    picture.paste(0, (0, 0, 200, 20))
    out = io.BytesIO()
    picture.save(out, form, **options)
    return out.getvalue()


def frames() -> bytes:
    more = [PIL.Image.new("L", (60, 60), shade) for shade in (9, 200)]
    return stripes("TIFF", save_all=True, append_images=more)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP"])
def test_half_an_image_is_half_an_image(form: str) -> None:
    whole = stripes(form)
    reader = open_document(whole[: len(whole) // 2], name="half", password=None, limits=Limits())
    image = reader.render(0, 200, 10**6)
    assert image.size == (200, 200)
    assert "what is left was read" in reader.notes(0)[0]
    # a BMP begins with its last row
    assert len(image.crop((0, 150, 200, 199) if form == "BMP" else (0, 21, 200, 70)).getcolors(9999)) > 50
    assert image.getpixel((100, 5))[0] < 40 or form == "BMP"


def test_a_png_whose_end_is_nonsense_is_read() -> None:
    """Metadata are looked for behind the pixels, where the first error then is."""
    data = stripes("PNG")
    for end in (data[:-12], data[:-12] + b'\0\0\0\5\x14\xa9"*12345\0\0\0\0', data[:-20] + b"x" * 20):
        reader = open_document(end, name="end", password=None, limits=Limits())
        assert reader.size(0) == (150, 150)
        assert reader.render(0, 72, 10**6).size == (200, 200)


@pytest.mark.parametrize("tag", [256, 257])
def test_a_frame_without_its_size_is_a_page_that_fails(tag: int) -> None:
    data = bytearray(frames())
    directory = data.rindex(struct.pack("<HHI", 256, 4, 1)) - 2
    place = data.index(struct.pack("<H", tag), directory)
    data[place : place + 2] = b"\xff\xff"
    reader = open_document(bytes(data), name="tiff", password=None, limits=Limits())
    assert len(reader) == 3
    assert reader.render(0, 72, 10**6).size == (200, 200)
    with pytest.raises(InternVLError):
        reader.render(2, 72, 10**6)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "GIF", "WEBP", "BMP"])
def test_every_error_is_one_of_ours(form: str) -> None:
    sound = frames() if form == "TIFF" else stripes(form)
    assert kind(sound) in HEADS
    limits = Limits(max_image_pixels=4_000_000, max_pages=20)
    for seed in range(40):
        for mutator in MUTATORS[kind(sound)]:
            with contextlib.suppress(InternVLError):
                reader = open_document(mutator(sound, Random(seed)), name="x", password=None, limits=limits)
                for index in range(min(3, len(reader))):
                    reader.size(index)
                    assert reader.render(index, 72, 10**6).width
