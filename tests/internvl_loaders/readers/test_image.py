"""Image files of every mode, turned, many-framed, torn."""

from __future__ import annotations

import numpy
import PIL.Image
import PIL.ImageDraw
import pytest

from internvl_llm.media.pixels import scale_within
from internvl_loaders.errors import PageError
from internvl_loaders.readers.image import ImageReader
from tests.kit.build import image_bytes


def read(data: bytes) -> ImageReader:
    return ImageReader(data, name="given", max_image_pixels=10**8, max_pages=100)


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


def test_content_is_one_figure() -> None:
    content = read(image_bytes(drawn(), "PNG")).content(0)
    assert content.spans == []
    assert [tuple(f) for f in content.figures] == [(0, 0, content.width, content.height)]


@pytest.mark.parametrize(
    ("width", "height", "scale", "limit"),
    [(595, 842, 2.8, 40_000_000), (595, 842, 2.8, 1000), (1e6, 1, 4.2, 5000), (3, 3, 0.1, 1), (0, 5, 1, 9)],
)
def test_scale_within(width: float, height: float, scale: float, limit: int) -> None:
    found = scale_within(width, height, scale, limit)
    assert 0 < found <= scale
    assert max(1, -(-width * found // 1)) * max(1, -(-height * found // 1)) <= max(limit, 1)
