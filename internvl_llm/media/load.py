"""What messages show, as upright RGB images within limits: images, pages of documents, frames of videos."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote_to_bytes

from internvl_llm.errors import MediaError, MessageError
from internvl_llm.media.limits import Limits, MediaOptions
from internvl_llm.messages import (
    Combined,
    Document,
    Image,
    Message,
    Source,
    Video,
    conversation,
    decode_base64,
)
from internvl_llm.messages import media as shown_in

if TYPE_CHECKING:
    import PIL.Image
    from PIL.Image import Image as PILImage

_PDF_LIBRARIES = Lock()
"""Neither MuPDF nor pdfium may be used by two threads at once."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """An upright RGB image; `digest` is of its size and pixels. A frame is one tile, whatever its shape."""

    image: PILImage
    kind: Literal["image", "page", "frame"]
    digest: str
    min_tiles: int | None = None
    max_tiles: int | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """All images of a conversation in order of appearance, and how many each part is, as `render` asks."""

    images: tuple[Loaded, ...]
    counts: tuple[int, ...]


def load(messages: Iterable[Message] | Message | str, options: MediaOptions | None = None) -> Shown:
    """Raises MediaError, LimitError, UrlError or another SourceError; MissingDependencyError without PyAV."""
    options = options or MediaOptions()
    images: list[Loaded] = []
    counts: list[int] = []
    for shown in shown_in(conversation(messages)):
        before = len(images)
        for image in _images(shown, options, options.max_images - before):
            if len(images) == options.max_images:
                raise _too_many(options)
            images.append(image)
        counts.append(len(images) - before)
    return Shown(tuple(images), tuple(counts))


def load_image(source: Source | PILImage, options: MediaOptions | None = None) -> PILImage:
    """One image, upright, RGB, scaled down where it has more than `max_pixels`."""
    import PIL.Image

    options = options or MediaOptions()
    if isinstance(source, PIL.Image.Image):
        return _upright(source, "the image", options)
    content, name = _content(source, "image", options)
    return _decoded(_read(content, name, options), name, options)


def _images(shown: Image | Combined | Video | Document, options: MediaOptions, room: int) -> Iterator[Loaded]:
    """`room` more images may come; asking for many more is refused before any is made."""
    if isinstance(shown, Image | Combined):
        for image in (shown,) if isinstance(shown, Image) else shown.images:
            yield _loaded(load_image(image.source, options), "image", image.min_tiles, image.max_tiles)
    elif isinstance(shown, Document):
        content, name = _content(shown.source, "document", options)
        yield from (_loaded(page, "page") for page in _pages(content, name, shown.pages, options, room))
    else:
        from internvl_llm.media.video import frames

        count = shown.frames or options.frames
        if count > room:
            raise _too_many(options)
        content, name = _content(shown.source, "video", options)
        _check_size(content, name, options)
        found = frames(
            content, name, count, shown.start, shown.end, _limits(options), options.max_video_seconds
        )
        yield from (_loaded(frame, "frame", 1, 1) for frame in found)


def _loaded(
    image: PILImage, kind: Literal["image", "page", "frame"], low: int | None = None, high: int | None = None
) -> Loaded:
    digest = hashlib.sha256(f"{image.width}x{image.height}:".encode())
    digest.update(image.tobytes())
    return Loaded(image, kind, digest.hexdigest(), low, high)


def _content(source: Source, what: str, options: MediaOptions) -> tuple[Path | bytes, str]:
    """Where it is or what it is, and the name that errors call it."""
    if isinstance(source, bytes):
        return source, f"the {what}"
    if isinstance(source, Path):
        return source, str(source)
    if not isinstance(source, str):
        raise MediaError(
            f"the {what} is given as {type(source).__name__}",
            remedy="Give a path, bytes, a data: URL or an http(s) URL",
        )
    scheme = source[:64].partition(":")[0].lower()
    if scheme == "data":
        return data_url(source, f"the {what}"), f"the {what}"
    if "://" not in source[:64]:
        return Path(source), _shortened(source)
    if scheme not in ("http", "https"):
        raise MediaError(
            f"{scheme}:// is no place the {what} may come from",
            source=_shortened(source),
            remedy="Give a path, bytes, a data: URL or an http(s) URL",
        )
    from internvl_llm.media.fetch import fetch

    return fetch(source, _limits(options), options.allow_hosts), _shortened(source)


def data_url(url: str, name: str) -> bytes:
    """RFC 2397."""
    head, comma, data = url.partition(",")
    if not comma:
        raise MediaError("the data: URL has no comma", source=name, remedy="Write data:<type>;base64,<data>")
    data = unquote_to_bytes(data).decode("latin-1")
    if not head.lower().endswith(";base64"):
        return data.encode("latin-1")
    try:
        return decode_base64(data)
    except MessageError as error:
        raise MediaError(f"the data: URL is {error.message}", source=name, remedy=error.remedy) from error


def _check_size(content: Path | bytes, name: str, options: MediaOptions) -> None:
    """Raises MediaError where there is nothing to read, LimitError where there is too much."""
    try:
        size = len(content) if isinstance(content, bytes) else content.stat().st_size
    except (OSError, ValueError) as error:
        raise MediaError(
            f"the file cannot be read ({getattr(error, 'strerror', None) or error})",
            source=name,
            remedy="Check the path; base64 goes into a data: URL, or through decode_base64",
        ) from error
    if isinstance(content, Path) and not content.is_file():
        raise MediaError("this is no file", source=name, remedy="Give a file")
    if not size:
        raise MediaError("there is nothing in it (0 bytes)", source=name, remedy="Fetch or save it again")
    most = _limits(options).max_bytes
    if size > most:
        from internvl_llm.errors import limit_error

        raise limit_error(f"it has {size:,} bytes, more than", "max_bytes", most, name)


def _read(content: Path | bytes, name: str, options: MediaOptions) -> bytes:
    _check_size(content, name, options)
    try:
        return content if isinstance(content, bytes) else content.read_bytes()
    except OSError as error:
        raise MediaError(
            f"the file cannot be read ({error.strerror})", source=name, remedy="Check the path"
        ) from error


def _decoded(data: bytes, name: str, options: MediaOptions) -> PILImage:
    import io

    import PIL.Image

    from internvl_loaders.readers.image import FORMATS

    if b"%PDF-" in data[:1024]:
        raise MediaError("this is a PDF", source=name, remedy="Show it as a Document part")
    try:
        image = PIL.Image.open(io.BytesIO(data), formats=FORMATS)
    except PIL.UnidentifiedImageError as error:
        raise MediaError(
            "not an image of a known type", source=name, remedy=f"Give a {', '.join(FORMATS)} file"
        ) from error
    except (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning) as error:
        raise MediaError(f"too large for Pillow ({error})", source=name, remedy="Scale it down") from error
    except Exception as error:  # the parsers of damaged headers raise nearly anything
        raise _damaged(error, name) from error
    if image.format == "TIFF" and getattr(image, "n_frames", 1) > 1:
        raise MediaError("the image has several pages", source=name, remedy="Show it as a Document part")
    return _upright(image, name, options)


def _upright(image: PILImage, name: str, options: MediaOptions) -> PILImage:
    from PIL import ImageOps
    from PIL.Image import Resampling

    from internvl_llm.errors import limit_error
    from internvl_llm.media.pixels import scale_within, to_rgb

    limits = _limits(options)
    pixels = image.width * image.height
    if pixels > limits.max_image_pixels:
        problem = f"the image declares {pixels:,} pixels, more than"
        raise limit_error(problem, "max_image_pixels", limits.max_image_pixels, name)
    if not pixels:
        raise MediaError("the image has no pixels", source=name, remedy="Leave it out")
    try:
        image = to_rgb(ImageOps.exif_transpose(image))
    except Exception as error:  # decoders raise nearly anything on damaged data
        raise _damaged(error, name) from error
    scale = scale_within(image.width, image.height, 1.0, limits.max_pixels)
    if scale < 1:
        size = (max(1, int(image.width * scale)), max(1, int(image.height * scale)))
        image = image.resize(size, Resampling.LANCZOS, reducing_gap=2.0)
    return image


def _pages(
    content: Path | bytes, name: str, pages: str | None, options: MediaOptions, room: int
) -> Iterator[PIL.Image.Image]:
    from internvl_llm.errors import PageRangeError
    from internvl_llm.media.page_ranges import select_pages
    from internvl_loaders.readers.open import open_document

    limits = _limits(options)
    with _PDF_LIBRARIES:
        document = open_document(content, name=name, password=None, limits=limits)
    try:
        chosen = list(select_pages(pages, len(document)))
        if not chosen:
            raise PageRangeError(
                f"it has {len(document)} pages, none of them among {pages}",
                source=name,
                remedy="Ask for pages that are there",
            )
        if len(chosen) > room:
            raise _too_many(options)
        for page in chosen:
            with _PDF_LIBRARIES:
                drawn = document.render(page - 1, options.dpi, limits.max_pixels)
            yield drawn
    finally:
        with _PDF_LIBRARIES:
            document.close()


def _limits(options: MediaOptions) -> Limits:
    return options.limits or Limits()


def _too_many(options: MediaOptions) -> MediaError:
    return MediaError(
        f"the conversation shows more than max_images = {options.max_images} images, pages and frames",
        remedy="Show fewer (pages=, frames=), or raise max_images",
    )


def _damaged(error: Exception, name: str) -> MediaError:
    brief = (str(error) or type(error).__name__).splitlines()[0][:120]
    return MediaError(f"the image is damaged ({brief})", source=name, remedy="Save it again")


def _shortened(text: Any) -> str:
    return text if len(text) <= 200 else f"{text[:200]}…"
