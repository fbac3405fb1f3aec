"""What a worker does with the media of messages: says how large their images are, and draws them.

Requests: `open` gives `images`, a list of (number, width, height) in pixels, the `total` there are, and the
`sha256` of the content with its `stamp`; `draw` takes such a list and gives the pixels of these, RGB, one
image after the other.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from internvl_llm.errors import DamagedDocumentError, LimitError, MediaError, PageRangeError
from internvl_llm.media.open import head_of, is_pdf, open_document, sha256
from internvl_llm.media.page_ranges import select_pages
from internvl_llm.media.workers.frames import Reply

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

    from internvl_llm.media.image import ImageReader
    from internvl_llm.media.limits import Limits
    from internvl_llm.media.pdf import Backend, PdfReader

Size = tuple[int, int]

_ROUNDING = 2
"""Pixels that libraries differ by in the size of one page."""


class Drawing(ABC):
    """`settings`: the `name` that errors call it, `limits`, and what a subclass says."""

    def __init__(self, content: Path | bytes, settings: dict[str, Any]) -> None:
        self.content = content
        self.settings = settings
        self.name: str = settings["name"]
        # `Limits` is of pydantic, whose import takes a new worker longer than all others.
        self.limits = cast("Limits", SimpleNamespace(**settings["limits"]))
        self.stamp = _stamp(content)

    def answer(self, request: dict[str, Any]) -> Reply:
        if request["op"] == "open":
            images = [(number, *size) for number, size in self.sizes(request)]
            told = {"sha256": sha256(self.content), "stamp": self.stamp}
            return told | {"images": images, "total": len(self)}, b""
        if request["stamp"] != self.stamp:
            raise MediaError(
                "the file has changed since it was looked at", source=self.name, remedy="Ask again"
            )
        numbers = [number for number, *_ in request["images"]]
        sizes = [(width, height) for _, width, height in request["images"]]
        drawn = [_fitted(*pair).tobytes() for pair in zip(self.draw(numbers), sizes, strict=True)]
        return {}, drawn[0] if len(drawn) == 1 else b"".join(drawn)

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def sizes(self, request: dict[str, Any]) -> list[tuple[int, Size]]: ...

    @abstractmethod
    def draw(self, numbers: list[int]) -> list[PILImage]: ...

    @abstractmethod
    def close(self) -> None: ...


class ImageDrawing(Drawing):
    """An image file of one frame, at its own pixels; a damaged one is refused."""

    def __init__(self, content: Path | bytes, settings: dict[str, Any]) -> None:
        from PIL import UnidentifiedImageError

        from internvl_llm.media.image import FORMATS, ImageReader

        super().__init__(content, settings)
        if is_pdf(head_of(content, self.name, self.limits)):
            raise MediaError("this is a PDF", source=self.name, remedy="Show it as a Document part")
        try:
            self.reader = ImageReader(content, name=self.name, limits=self.limits)
        except DamagedDocumentError as error:
            if isinstance(error.__cause__, UnidentifiedImageError):
                raise MediaError(
                    "not an image of a known type",
                    source=self.name,
                    remedy=f"Give a {', '.join(FORMATS)} file",
                ) from error
            raise self._damaged(error.__cause__ or error) from error
        if len(self.reader) > 1:
            raise MediaError(
                "the image has several pages", source=self.name, remedy="Show it as a Document part"
            )

    def __len__(self) -> int:
        return 1

    def sizes(self, request: dict[str, Any]) -> list[tuple[int, Size]]:
        size = self.reader.own_size(self.limits.max_pixels)
        if not all(size):
            raise MediaError("the image has no pixels", source=self.name, remedy="Leave it out")
        return [(1, size)]

    def draw(self, numbers: list[int]) -> list[PILImage]:
        try:
            return [self.reader.own_pixels(self.limits.max_pixels)]
        except (LimitError, MemoryError):
            raise
        except Exception as error:  # decoders raise nearly anything on damaged data
            raise self._damaged(error) from error

    def close(self) -> None:
        self.reader.close()

    def _damaged(self, error: BaseException) -> MediaError:
        brief = (str(error) or type(error).__name__).splitlines()[0][:120]
        return MediaError(f"the image is damaged ({brief})", source=self.name, remedy="Save it again")


class DocumentDrawing(Drawing):
    """Pages of a PDF or an image file, at `dpi`."""

    def __init__(self, content: Path | bytes, settings: dict[str, Any]) -> None:
        super().__init__(content, settings)
        self.reader = open_document(
            content, name=self.name, limits=self.limits, pdf=self._pdf, image=self._image
        )

    def __len__(self) -> int:
        return len(self.reader)

    def sizes(self, request: dict[str, Any]) -> list[tuple[int, Size]]:
        """Those of the pages asked for, of `most` and one at most."""
        total, pages = len(self), request["pages"]
        chosen = list(islice(select_pages(pages, total), request["most"] + 1))
        if not chosen:
            raise PageRangeError(
                f"it has {total} pages, none of them among {pages}",
                source=self.name,
                remedy="Ask for pages that are there",
            )
        if len(chosen) > request["most"]:
            return [(page, (1, 1)) for page in chosen]  # too many: nobody asks how large they are
        return [(page, self._size(page)) for page in chosen]

    def draw(self, numbers: list[int]) -> list[PILImage]:
        dpi, most = self.settings["dpi"], self.limits.max_pixels
        return [self.reader.render(page - 1, dpi, most) for page in numbers]

    def close(self) -> None:
        self.reader.close()

    def _size(self, page: int) -> Size:
        return self.reader.drawn_size(page - 1, self.settings["dpi"], self.limits.max_pixels)

    def _pdf(self) -> PdfReader[Backend]:
        from internvl_llm.media.pdf import RENDERERS, PdfReader

        # Who draws can count and measure too; the other one is imported where it is needed.
        return PdfReader(self.content, name=self.name, password=None, limits=self.limits, backends=RENDERERS)

    def _image(self) -> ImageReader:
        from internvl_llm.media.image import ImageReader

        return ImageReader(self.content, name=self.name, limits=self.limits)


class VideoDrawing(Drawing):
    """Frames of a video, `max_video_seconds` long at most."""

    def __init__(self, content: Path | bytes, settings: dict[str, Any]) -> None:
        from internvl_llm.media.video import VideoReader

        super().__init__(content, settings)
        most = settings["max_video_seconds"]
        self.reader = VideoReader(content, name=self.name, limits=self.limits, max_seconds=most)

    def __len__(self) -> int:
        return len(self.reader)

    def sizes(self, request: dict[str, Any]) -> list[tuple[int, Size]]:
        from internvl_llm.prompt.tiling import TILE

        chosen = self.reader.choose(request["frames"], request["start"], request["end"])
        return [(number, (TILE, TILE)) for number in chosen]

    def draw(self, numbers: list[int]) -> list[PILImage]:
        return self.reader.tiles(numbers)

    def close(self) -> None:
        self.reader.close()


def _fitted(image: PILImage, size: Size) -> PILImage:
    """The image in the size that was told before it was drawn: tiles were counted by it."""
    if image.size == size:
        return image
    from PIL import Image

    if max(abs(image.width - size[0]), abs(image.height - size[1])) > _ROUNDING:
        return image.resize(size, Image.Resampling.LANCZOS)
    sheet = Image.new("RGB", size, "white")
    sheet.paste(image)
    return sheet


def _stamp(content: Path | bytes) -> list[int]:
    """What changes when a file is written anew."""
    if isinstance(content, bytes):
        return []
    try:
        found = content.stat()
    except OSError:  # opening it says why
        return []
    return [found.st_ino, found.st_size, found.st_mtime_ns]
