"""Image files: every TIFF frame is a page; of other animations the first frame is one."""

from __future__ import annotations

import io
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageFile, UnidentifiedImageError
from PIL.Image import Transpose
from PIL.PngImagePlugin import PngImageFile

from internvl_llm.errors import DamagedDocumentError, PageError, limit_error
from internvl_llm.media.codecs import has_avif, has_heif
from internvl_llm.media.declared import (
    Buffer,
    buffer,
    jpeg_scans,
    png_metadata,
    tiff_frames,
    webp_canvas,
)
from internvl_llm.media.pixels import scale_within, scaled_within, to_rgb

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL.Image import Image as PILImage

    from internvl_llm.media.limits import Limits

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "JPEG2000", "AVIF", "HEIF")
_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
"""What undoes each EXIF orientation; those from 5 on swap width and height."""
_PLAIN = {"L", "LA", "RGB", "RGBA", "CMYK", "YCbCr"}
"""Modes whose pixels may be averaged before they are made RGB."""
_RUNS = 10
"""How often `max_image_pixels` may be gone over in decoding one image; a progressive JPEG of usual
make has ten scans."""


class ImageReader:
    """Renders at the file's own pixels; nothing is decoded before that. Indexes are 0-based.

    Not thread-safe.
    """

    name = "image"

    def __init__(self, document: Path | bytes, *, name: str, limits: Limits) -> None:
        self._document = document
        self._name = name
        self._max_image_pixels = limits.max_image_pixels
        self._notes: dict[int, list[str]] = {}
        self._orientations: dict[int, int] = {}
        with buffer(document) as data:
            self._permit(*webp_canvas(data))
            self._count = self._frames(data, limits.max_pages)
        self._image = self._open()

    def __len__(self) -> int:
        return self._count

    def label(self, index: int) -> str:
        return str(index + 1)

    def dpi(self, index: int) -> float:
        """Pixels an inch of the image as rendered when `max_pixels` does not shrink it."""
        image = self._frame(index)
        return max(_resolution(image))

    def size(self, index: int) -> tuple[float, float]:
        """Width and height in points of the upright page (EXIF honoured)."""
        image = self._frame(index)
        x_dpi, y_dpi = _resolution(image)
        width, height = image.width / x_dpi * 72, image.height / y_dpi * 72
        return (height, width) if self._orientation(index) >= 5 else (width, height)

    def drawn_size(self, index: int, dpi: float, max_pixels: int) -> tuple[int, int]:
        """Width and height of what `render` draws."""
        x_dpi, y_dpi = _resolution(self._frame(index))
        width, height = self.size(index)
        scale = scale_within(width, height, max(x_dpi, y_dpi) / 72, max_pixels)
        return max(1, round(width * scale)), max(1, round(height * scale))

    def render(self, index: int, dpi: float, max_pixels: int) -> PILImage:
        """At the file's own resolution, whatever `dpi` is, unless `max_pixels` asks for less.

        Pixels that are not square are made so. A damaged image is drawn as far as it can be decoded.
        """
        wanted = self.drawn_size(index, dpi, max_pixels)
        image = self._upright(self._decoded(index, max_pixels), index)
        if image.mode == "1":
            image = image.convert("L")
        if image.mode in _PLAIN and "transparency" not in image.info:
            # In this order large images take a fraction of the memory.
            image = to_rgb(_resized(image, wanted))
        else:
            image = _resized(to_rgb(image), wanted)
        return image.copy() if image is self._image else image

    def own_size(self, max_pixels: int) -> tuple[int, int]:
        """Width and height of `own_pixels`; raises LimitError where these would not be decoded."""
        image = self._frame(0)
        self._permit_scans(image)
        width, height = image.size if self._orientation(0) < 5 else image.size[::-1]
        return scaled_within(width, height, max_pixels)

    def own_pixels(self, max_pixels: int) -> PILImage:
        """The first frame upright, in RGB, every pixel as it is in the file unless there are more than
        `max_pixels`. Raises whatever the decoder raises of a damaged image."""
        wanted = self.own_size(max_pixels)
        image = self._frame(0)
        with _own_pixel_limit():
            image.load()
        return _resized(to_rgb(self._upright(image, 0)), wanted)

    def notes(self, index: int) -> list[str]:
        return self._notes.get(index, [])

    def close(self) -> None:
        self._image.close()

    def _open(self) -> PILImage:
        source = io.BytesIO(self._document) if isinstance(self._document, bytes) else self._document
        try:
            with _own_pixel_limit():
                return Image.open(source, formats=_formats())
        except (OSError, SyntaxError, ValueError, EOFError) as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> DamagedDocumentError:
        why = "" if isinstance(error, UnidentifiedImageError) else f" ({_brief(error)})"
        return DamagedDocumentError(
            f"the image's header is damaged{why}", source=self._name, remedy="Save it again"
        )

    def _frame(self, index: int) -> PILImage:
        """The image at that frame, its pixels not yet decoded. Raises LimitError if it has too many."""
        if self._image.tell() != index:
            try:
                with _own_pixel_limit():
                    self._image.seek(index)
            except Exception as error:  # TypeError and KeyError, too, on damaged directories
                raise PageError(
                    f"the image frame is damaged ({_brief(error)})", source=self._name, page=index + 1
                ) from error
        self._permit(*self._image.size)
        return self._image

    def _orientation(self, index: int) -> int:
        """EXIF's, 1 where the metadata do not tell; found without decoding."""
        if index not in self._orientations:
            try:
                told = int(self._exif(index).get(_ORIENTATION, 1))
            except Exception:  # damage shows later, too
                told = 1
            self._orientations[index] = told if told in _UPRIGHT else 1
        return self._orientations[index]

    def _exif(self, index: int) -> Image.Exif:
        image = self._frame(index)
        if image.format != "PNG":
            return image.getexif()
        with buffer(self._document) as data:  # Pillow would decode the pixels to look behind them
            metadata = png_metadata(data)
        with Image.open(io.BytesIO(metadata), formats=["PNG"]) as image:
            return image.getexif()

    def _upright(self, image: PILImage, index: int) -> PILImage:
        turn = _UPRIGHT.get(self._orientation(index))
        return image if turn is None else image.transpose(turn)

    def _permit(self, width: int, height: int) -> None:
        if width * height > self._max_image_pixels:
            problem = f"the image declares {width * height:,} pixels, more than"
            raise limit_error(problem, "max_image_pixels", self._max_image_pixels, self._name)

    def _frames(self, data: Buffer, max_pages: int) -> int:
        if not data[:4].startswith((b"II", b"MM")):
            return 1
        try:
            frames = tiff_frames(data, max_pages)
        except ValueError as error:
            raise self._damaged(error) from error
        if frames > max_pages:
            raise limit_error("the image has more frames than", "max_pages", max_pages, self._name)
        return max(frames, 1)

    def _permit_scans(self, image: PILImage) -> None:
        """A few bytes can ask for one more run over all the pixels."""
        if "progressive" not in image.info:
            return
        with buffer(self._document) as data:
            scans = jpeg_scans(data)
        runs = scans * image.width * image.height
        if runs > _RUNS * self._max_image_pixels:
            problem = f"the image's {scans:,} scans are of {runs:,} pixels, more than {_RUNS} times"
            raise limit_error(problem, "max_image_pixels", self._max_image_pixels, self._name)

    def _decoded(self, index: int, max_pixels: int) -> PILImage:
        image = self._frame(index)
        self._permit_scans(image)
        scale = scale_within(image.width, image.height, 1.0, max_pixels)
        if scale < 1 and image.format == "JPEG":  # which can be decoded at a half, a quarter, an eighth
            image = self._open()
            image.draft(None, (int(image.width * scale), int(image.height * scale)))
        try:
            _load(image)
        except Exception as error:  # decoders raise nearly anything on damaged data
            return self._salvaged(index, error)
        return image

    def _salvaged(self, index: int, error: Exception) -> PILImage:
        """What can be decoded of a damaged image, with a note that something is missing."""
        self._image.close()
        self._image = self._open()
        image = self._frame(index)
        ImageFile.LOAD_TRUNCATED_IMAGES = True
        try:
            _load(image)
        except Exception as second:
            raise PageError(
                f"the image cannot be decoded ({_brief(second)})",
                source=self._name,
                page=index + 1,
                remedy="Save it again",
            ) from second
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = False
        self._notes[index] = [f"the image is truncated or damaged ({_brief(error)}); what is left was read"]
        return image


def _formats() -> list[str]:
    """Those of `FORMATS` that can be decoded here."""
    missing = {name for name, able in (("AVIF", has_avif()), ("HEIF", has_heif())) if not able}
    return [name for name in FORMATS if name not in missing]


@contextmanager
def _own_pixel_limit() -> Iterator[None]:
    """Pillow's own limit, global to the process, gives way to the one of our options."""
    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def _load(image: PILImage) -> None:
    """Decodes its pixels; chunks behind those of a PNG that are damaged take none of them along."""
    if isinstance(image, PngImageFile):
        load_end = image.load_end

        def forgiving() -> None:
            with suppress(Exception):
                load_end()

        image.load_end = forgiving  # type: ignore[method-assign]
    with _own_pixel_limit():
        image.load()


def _resized(image: PILImage, size: tuple[int, int]) -> PILImage:
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)


def _resolution(image: PILImage) -> tuple[float, float]:
    """Pixels an inch across and down, from the file where it makes a page of 1 to 24 inches.

    Cameras write 72 into every photo, so a photo counts as a page as long as A4 is.
    """
    longer = max(image.size)
    try:
        x_dpi, y_dpi = (float(v) for v in image.info.get("dpi", (0, 0)))
    except (TypeError, ValueError, ZeroDivisionError):
        x_dpi = y_dpi = 0.0
    plausible = all(50 <= v <= 1200 and 1 <= longer / v <= 24 for v in (x_dpi, y_dpi))
    if plausible and 1 / 3 < x_dpi / y_dpi < 3:
        return x_dpi, y_dpi
    assumed = min(max(longer / 11.69, 96.0), 600.0)
    return assumed, assumed


def _brief(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:120]
