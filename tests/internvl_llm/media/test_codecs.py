"""Images that phones and archives write."""

from __future__ import annotations

import io
import sys
from contextlib import suppress

import PIL.Image
import PIL.ImageDraw
import pytest
from PIL import features

from internvl_llm.errors import InternVLError, LimitError, UnsupportedDocumentError
from internvl_llm.media import codecs
from internvl_llm.media.codecs import isobmff_image
from internvl_llm.media.limits import Limits
from internvl_loaders.folders import is_document
from internvl_loaders.readers.open import open_document


def picture(form: str, size: tuple[int, int] = (64, 48), **options: object) -> bytes:
    image = PIL.Image.new("RGB", size, "white")
    PIL.ImageDraw.Draw(image).rectangle((0, 0, 15, 15), fill=(200, 30, 30))
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def opened(data: bytes, limits: Limits | None = None) -> PIL.Image.Image:
    reader = open_document(data, name="photo", password=None, limits=limits or Limits())
    try:
        return reader.render(0, 200, 10**7)
    finally:
        reader.close()


def red(image: PIL.Image.Image) -> bool:
    r, g, b = image.convert("RGB").getpixel((5, 5))  # type: ignore[misc]
    return r > 150 and g < 90 and b < 90


FORMS = [
    pytest.param(
        "JPEG2000",
        {},
        id="JP2",
        marks=pytest.mark.skipif(not features.check_codec("jpg_2000"), reason="no codec"),
    ),
    pytest.param(
        "JPEG2000",
        {"no_jp2": True},
        id="J2K",
        marks=pytest.mark.skipif(not features.check_codec("jpg_2000"), reason="no codec"),
    ),
    pytest.param("AVIF", {}, id="AVIF", marks=pytest.mark.skipif(not codecs.has_avif(), reason="no codec")),
    pytest.param("HEIF", {}, id="HEIC", marks=pytest.mark.skipif(not codecs.has_heif(), reason="no codec")),
]


@pytest.mark.parametrize(("form", "options"), FORMS)
def test_they_are_read(form: str, options: dict[str, object]) -> None:
    data = picture(form, **options)
    assert is_document(data[:1024])
    image = opened(data)
    assert image.size == (64, 48) and red(image)


@pytest.mark.parametrize(("form", "options"), FORMS)
def test_their_pixels_are_limited_before_they_are_decoded(form: str, options: dict[str, object]) -> None:
    with pytest.raises(LimitError, match="max_image_pixels"):
        opened(picture(form, **options), Limits(max_image_pixels=1000))


@pytest.mark.parametrize(("form", "options"), FORMS)
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.95])
def test_cut_off_ones_are_read_or_refused(form: str, options: dict[str, object], kept: float) -> None:
    data = picture(form, **options)
    with suppress(InternVLError):
        assert opened(data[: int(kept * len(data))]).size == (64, 48)


@pytest.mark.skipif(not codecs.has_avif(), reason="no codec")
@pytest.mark.parametrize("turn", [6, 8])
def test_a_photograph_is_turned_upright(turn: int) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = turn
    assert opened(picture("AVIF", exif=exif.tobytes())).size == (48, 64)


@pytest.mark.parametrize(
    ("brands", "coding"),
    [
        (b"heic" + b"\0\0\0\0" + b"mif1heic", "HEIF"),
        (b"mif1" + b"\0\0\0\0" + b"mif1avifmiaf", "AVIF"),
        (b"avif" + b"\0\0\0\0" + b"avifmif1", "AVIF"),
        (b"isom" + b"\0\0\2\0" + b"isomiso2avc1mp41", None),
        (b"qt  " + b"\0\0\0\0" + b"qt  ", None),
    ],
)
def test_kinds_are_told_by_their_brands(brands: bytes, coding: str | None) -> None:
    assert isobmff_image((8 + len(brands)).to_bytes(4, "big") + b"ftyp" + brands) == coding


def test_a_missing_decoder_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    codecs.has_heif.cache_clear()
    try:
        with pytest.raises(UnsupportedDocumentError, match="pillow-heif") as caught:
            opened(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
        assert "internvl-documents[heif]" in str(caught.value)
    finally:
        codecs.has_heif.cache_clear()
