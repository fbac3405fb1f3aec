"""What messages show, as upright RGB images within limits: images, pages of documents, frames of videos.

They are counted and measured first, and drawn one by one when they are needed. Both happen in worker
processes, but for PIL images that the caller has decoded already.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from internvl_llm.errors import MediaError, PageRangeError
from internvl_llm.media.limits import Limits, MediaOptions
from internvl_llm.media.page_ranges import absent_pages, lacks
from internvl_llm.media.remote import RemoteMedia, VideoFrames
from internvl_llm.media.source import check_size, content_of, undecoded
from internvl_llm.media.video import no_pyav
from internvl_llm.messages import Combined, Document, Image, Message, Source, Video, conversation
from internvl_llm.messages import media as media_of

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

log = logging.getLogger("internvl_llm")


@dataclass(frozen=True, slots=True)
class Loaded:
    """An image that can be drawn.

    `size` is its width and height in pixels, upright and scaled; a frame of a video is one tile, whatever its
    shape. `digest` names its pixels: by the content that they are drawn from and how, or by themselves.
    """

    size: tuple[int, int]
    kind: Literal["image", "page", "frame"]
    digest: str
    min_tiles: int | None = None
    max_tiles: int | None = None
    _draw: Callable[[], PILImage] = field(repr=False, compare=False, kw_only=True)

    def draw(self) -> PILImage:
        """RGB, of that `size`; drawn anew and not kept. Raises what `load` does."""
        return self._draw()


@dataclass(frozen=True, slots=True)
class Shown:
    """All images of a conversation in order of appearance, and how many each part is, as `render` asks."""

    images: tuple[Loaded, ...]
    counts: tuple[int, ...]


def load(messages: Iterable[Message] | Message | str, options: MediaOptions | None = None) -> Shown:
    """What is shown, counted and measured, nothing of it drawn.

    Raises MediaError, LimitError, UrlError or another SourceError; PageError where a page is broken or a
    worker dies over it; MissingDependencyError without PyAV.
    """
    options = options or MediaOptions()
    parts = list(media_of(conversation(messages)))
    if sum(len(part.images) if isinstance(part, Combined) else 1 for part in parts) > options.max_images:
        raise _too_many(options)
    images: list[Loaded] = []
    counts: list[int] = []
    for part in parts:
        found = _images(part, options, options.max_images - len(images))
        images += found
        counts.append(len(found))
    return Shown(tuple(images), tuple(counts))


def load_image(source: Source | PILImage, options: MediaOptions | None = None) -> PILImage:
    """One image, upright, RGB, scaled down where it has more than `max_pixels`."""
    return _image(Image(source), options or MediaOptions()).draw()


def _images(part: Image | Combined | Video | Document, options: MediaOptions, room: int) -> list[Loaded]:
    """Raises MediaError where there are more than `room`."""
    if isinstance(part, Document):
        return _pages(part, options, room)
    if isinstance(part, Video):
        return _frames(part, options, room)
    images = (part,) if isinstance(part, Image) else part.images
    if len(images) > room:
        raise _too_many(options)
    return [_image(image, options) for image in images]


def _image(part: Image, options: MediaOptions) -> Loaded:
    import PIL.Image

    if isinstance(part.source, Loaded):
        return replace(part.source, min_tiles=part.min_tiles, max_tiles=part.max_tiles)
    limits = options.limits or Limits()
    content: Path | bytes | None
    if isinstance(part.source, PIL.Image.Image):
        content, name = undecoded(part.source, limits), "the image"
        if content is None:
            return _decoded(part.source, part, options)
    else:
        content, name = content_of(part.source, "image", options)
    check_size(content, name, limits)
    file = RemoteMedia("ImageDrawing", content, name, limits)
    [image] = file.open()
    return Loaded(
        image[1],
        "image",
        file.digest(image),
        part.min_tiles,
        part.max_tiles,
        _draw=partial(file.draw, image, closes=True),
    )


def _decoded(image: PILImage, part: Image, options: MediaOptions) -> Loaded:
    from internvl_llm.media.pixels import strips, upright

    draw = partial(upright, image, options.limits or Limits())
    drawn = draw()
    digest = hashlib.sha256(f"{drawn.width}x{drawn.height}:".encode())
    for strip in strips(drawn):
        digest.update(strip)
    return Loaded(drawn.size, "image", digest.hexdigest(), part.min_tiles, part.max_tiles, _draw=draw)


def _pages(part: Document, options: MediaOptions, room: int) -> list[Loaded]:
    content, name = content_of(part.source, "document", options)
    limits = options.limits or Limits()
    document = RemoteMedia("DocumentDrawing", content, name, limits, dpi=options.dpi)
    pages = document.open(pages=part.pages, most=room)
    if len(pages) > room:
        raise _too_many(options)
    if absent := absent_pages(part.pages, document.total):
        log.warning("%s", PageRangeError(lacks(document.total, absent), source=name))
    return [
        Loaded(page[1], "page", document.digest(page), _draw=partial(document.draw, page)) for page in pages
    ]


def _frames(part: Video, options: MediaOptions, room: int) -> list[Loaded]:
    count = part.frames or options.frames
    if count > room:
        raise _too_many(options)
    limits = options.limits or Limits()
    content, name = content_of(part.source, "video", options)
    check_size(content, name, limits)
    if find_spec("av") is None:
        raise no_pyav()
    longest = options.max_video_seconds
    video = RemoteMedia("VideoDrawing", content, name, limits, max_video_seconds=longest)
    frames = video.open(frames=count, start=part.start, end=part.end)
    drawn = VideoFrames(video, frames)
    return [
        Loaded(frame[1], "frame", video.digest(frame), 1, 1, _draw=partial(drawn.draw, frame[0]))
        for frame in frames
    ]


def _too_many(options: MediaOptions) -> MediaError:
    return MediaError(
        f"the conversation shows more than max_images = {options.max_images} images, pages and frames",
        remedy="Show fewer (pages=, frames=), or raise max_images",
    )
