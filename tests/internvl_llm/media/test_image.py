"""Image files of every mode, turned, many-framed, torn."""

from __future__ import annotations

import io
import struct
import zlib

import numpy
import PIL.Image
import PIL.ImageDraw
import PIL.ImageOps
import pytest

from internvl_llm.errors import LimitError, PageError
from internvl_llm.media.image import ImageReader
from internvl_llm.media.limits import Limits
from tests.kit import bombs
from tests.kit.build import image_bytes


def read(data: bytes) -> ImageReader:
    return ImageReader(data, name="given", limits=Limits(max_image_pixels=10**8, max_pages=100))


def drawn(mode: str = "RGB", size: tuple[int, int] = (80, 40), paper: object = "white") -> PIL.Image.Image:
    """Ink in the left upper quarter."""
    image = PIL.Image.new(mode, size, paper)  # type: ignore[arg-type]
    PIL.ImageDraw.Draw(image).rectangle((5, 5, 30, 15), fill=0 if mode in "1LP" else "black")
    return image


def darkest_corner(image: PIL.Image.Image) -> tuple[str, str]:
    grey = numpy.asarray(image.convert("L"), dtype=float)
    down, across = (numpy.array_split(grey, 2, axis)[0].mean() > grey.mean() for axis in (0, 1))
    return ("lower" if down else "upper", "right" if across else "left")


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "LA"])
def test_modes(mode: str) -> None:
    image = drawn().convert(mode)
    form = {"CMYK": "TIFF"}.get(mode, "PNG")
    page = read(image_bytes(image, form)).render(0, 200, 10**6)
    assert page.mode == "RGB"
    assert page.getpixel((10, 10)) == (0, 0, 0)
    assert min(page.getpixel((70, 35))) > 250


def test_sixteen_bits() -> None:
    values = numpy.full((40, 80), 60_000, dtype=numpy.uint16)
    values[5:15, 5:30] = 300
    page = read(image_bytes(PIL.Image.fromarray(values), "PNG")).render(0, 200, 10**6)
    assert page.getpixel((10, 10)) == (0, 0, 0)
    assert page.getpixel((70, 35)) == (255, 255, 255)


@pytest.mark.parametrize(("ink", "paper"), [("black", 255), ("white", 0)])
def test_ink_on_a_transparent_ground_stays_visible(ink: str, paper: int) -> None:
    image = PIL.Image.new("RGBA", (80, 40), (0, 0, 0, 0))
    PIL.ImageDraw.Draw(image).rectangle((5, 5, 30, 15), fill=ink)
    page = read(image_bytes(image, "PNG")).render(0, 200, 10**6)
    assert page.getpixel((70, 35)) == (paper,) * 3
    assert page.getpixel((10, 10)) == (255 - paper,) * 3


def test_a_palette_with_transparency() -> None:
    image = drawn("P")
    page = read(image_bytes(image, "GIF", transparency=image.getpixel((70, 35)))).render(0, 200, 10**6)
    assert page.getpixel((70, 35)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("orientation", "corner", "size"),
    [
        (1, ("upper", "left"), (80, 40)),
        (3, ("lower", "right"), (80, 40)),
        (6, ("upper", "right"), (40, 80)),
        (8, ("lower", "left"), (40, 80)),
    ],
)
def test_exif_orientation(orientation: int, corner: tuple[str, str], size: tuple[int, int]) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    reader = read(image_bytes(drawn(), "JPEG", exif=exif, dpi=(80, 80)))
    page = reader.render(0, 200, 10**6)
    assert (page.size, darkest_corner(page)) == (size, corner)
    assert reader.size(0) == pytest.approx((size[0] * 0.9, size[1] * 0.9))


def test_every_tiff_frame_is_a_page() -> None:
    frames = [drawn(paper=paper) for paper in ("red", "lime", "blue")]
    reader = read(image_bytes(frames[0], "TIFF", save_all=True, append_images=frames[1:]))
    assert len(reader) == 3
    assert [reader.render(i, 200, 10**6).getpixel((70, 35)) for i in (2, 0, 1)] == [
        (0, 0, 255),
        (255, 0, 0),
        (0, 255, 0),
    ]
    assert reader.label(2) == "3"
    kept = reader.render(0, 200, 10**6)
    reader.render(1, 200, 10**6)
    assert kept.getpixel((70, 35)) == (255, 0, 0)


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "RGBA", "CMYK", "P"])
def test_large_images_are_shrunk_before_they_are_converted(mode: str) -> None:
    """Which must not be seen."""
    data = image_bytes(drawn(size=(400, 200)).convert(mode), {"CMYK": "TIFF"}.get(mode, "PNG"))
    page = read(data).render(0, 200, 5000)
    assert (page.mode, page.size) == ("RGB", (100, 50))
    assert max(page.getpixel((4, 2))) < 60  # type: ignore[type-var]
    assert min(page.getpixel((70, 35))) > 250  # type: ignore[type-var]


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame(form: str) -> None:
    frames = [PIL.Image.new("RGB", (40, 40), colour) for colour in ("red", "blue")]
    reader = read(image_bytes(frames[0], form, save_all=True, append_images=frames[1:]))
    assert len(reader) == 1
    red, _, blue = reader.render(0, 200, 10**6).getpixel((5, 5))  # type: ignore[misc]
    assert red > 200 > blue


def test_resolution() -> None:
    assert read(image_bytes(drawn(size=(600, 300)), "PNG", dpi=(150, 150))).size(0) == pytest.approx(
        (288, 144), abs=0.1
    )
    photo = read(image_bytes(drawn(size=(4000, 3000)), "JPEG", dpi=(72, 72)))
    assert photo.size(0) == pytest.approx((841.7, 631.3), abs=0.5)
    assert photo.dpi(0) == pytest.approx(342, abs=1)
    assert read(image_bytes(drawn(), "BMP")).size(0) == (60, 30)  # small: at 96


def test_a_fax_has_square_pixels_again() -> None:
    reader = read(image_bytes(drawn("1", (816, 539)), "TIFF", dpi=(204, 98)))
    assert reader.size(0) == pytest.approx((288, 396), abs=0.1)
    assert reader.render(0, 200, 10**7).size == (816, 1122)


def test_pixels_are_shrunk_only_to_the_limit() -> None:
    reader = read(image_bytes(drawn(size=(1000, 500)), "JPEG"))
    page = reader.render(0, 72, 120_000)
    assert 100_000 < page.width * page.height <= 120_000
    assert reader.render(0, 72, 10**6).size == (1000, 500)
    assert page.width / reader.size(0)[0] == pytest.approx(page.height / reader.size(0)[1], rel=0.01)


def test_a_truncated_image_gives_what_is_left() -> None:
    noise = numpy.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=numpy.uint8)
    data = image_bytes(PIL.Image.fromarray(noise), "JPEG")
    reader = read(data[: len(data) // 2])
    page = reader.render(0, 200, 10**6)
    upper = numpy.asarray(page)[:80]
    assert page.size == (200, 200)
    assert upper.std() > 20
    assert "truncated" in reader.notes(0)[0]
    assert read(data).notes(0) == []


def test_an_image_of_which_nothing_is_left() -> None:
    data = image_bytes(drawn(), "WEBP")
    with pytest.raises(PageError, match="cannot be decoded") as raised:
        read(data[:40] + b"\xff" * (len(data) - 40)).render(0, 200, 10**6)
    assert (raised.value.source, raised.value.page) == ("given", 1)


def behind(png: bytes, kind: bytes, data: bytes) -> bytes:
    """The PNG with a chunk between its pixels and its end."""
    chunk = struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return png[:-12] + chunk + png[-12:]


@pytest.mark.parametrize("place", ["before", "behind", "as text"])
def test_a_pngs_orientation_is_found_without_its_pixels(place: str) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    raw = exif.tobytes()
    plain = image_bytes(drawn(), "PNG")
    data = {
        "before": image_bytes(drawn(), "PNG", exif=exif),
        "behind": behind(plain, b"eXIf", raw.removeprefix(b"Exif\0\0")),
        "as text": behind(
            plain,
            b"tEXt",
            b"Raw profile type exif\0" + f"\nexif\n{len(raw):8}\n{raw.hex()}\n".encode(),
        ),
    }[place]
    expected = PIL.ImageOps.exif_transpose(PIL.Image.open(io.BytesIO(data)))
    assert expected.size == (40, 80)
    reader = read(data)
    assert reader.own_size(10**6) == (40, 80)
    assert reader.own_pixels(10**6).tobytes() == expected.tobytes()
    assert darkest_corner(read(data).render(0, 200, 10**6)) == ("upper", "right")
    start = data.index(b"IDAT") + 4
    torn = data[:start] + bytes(20) + data[start + 20 :]
    assert read(torn).own_size(10**6) == (40, 80)
    assert read(torn).size(0) == (30, 60)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "LA", "I;16"])
@pytest.mark.parametrize("most", [10**6, 600])
def test_sizes_are_told_before_anything_is_drawn(mode: str, most: int) -> None:
    grey = PIL.Image.fromarray(numpy.full((80, 160), 9, numpy.uint16))
    image = grey if mode == "I;16" else drawn(size=(160, 80)).convert(mode)
    reader = read(image_bytes(image, "TIFF" if mode == "CMYK" else "PNG", dpi=(100, 60)))
    own, square = reader.own_size(most), reader.drawn_size(0, 200, most)
    assert own == ((160, 80) if most > 12_800 else (33, 16))
    assert square == ((160, 133) if most > 21_280 else (26, 22))
    assert (reader.own_pixels(most).size, reader.own_pixels(most).mode) == (own, "RGB")
    assert reader.render(0, 200, most).size == square


def test_of_a_damaged_image_its_own_pixels_are_none() -> None:
    noise = numpy.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=numpy.uint8)
    data = image_bytes(PIL.Image.fromarray(noise), "JPEG")
    reader = read(data[: len(data) // 2])
    assert reader.own_size(10**6) == (200, 200)
    with pytest.raises(OSError, match="truncated"):
        reader.own_pixels(10**6)


def test_scans_are_refused_before_anything_is_drawn() -> None:
    reader = read(bombs.jpeg_of_scans(2000))
    with pytest.raises(LimitError, match="2,005 scans"):
        reader.own_size(10**6)
