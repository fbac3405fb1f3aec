"""Media of messages as workers open and draw them: this process's side of `drawing`."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from internvl_llm.errors import InternVLError, PageError
from internvl_llm.media.limits import Limits
from internvl_llm.media.workers.frames import Reply, refused
from internvl_llm.media.workers.job import Job, Resource
from internvl_llm.media.workers.picture import from_pixels
from internvl_llm.media.workers.pool import Session, cores, shared_pool

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

Measured = tuple[int, tuple[int, int]]
"""The number of an image among those of its file, and its width and height in pixels."""

_OPENERS = "internvl_llm.media.drawing:"


class RemoteMedia:
    """A file, opened by the class of `drawing` that `opener` names, with `settings` for that.

    Methods raise what the worker raises; PageError where it dies, LimitError where it takes too long. `name`
    is what errors call the file.
    """

    def __init__(
        self, opener: str, content: Path | bytes, name: str, limits: Limits, **settings: Any
    ) -> None:
        self._name = name
        self._limits = limits
        self._settings = settings
        told = {"name": name, "limits": limits.model_dump(mode="json"), **settings}
        self._resource = Resource(_OPENERS + opener, content, told, limits.max_memory)
        self.total = 0
        """Pages or frames that the file has, once it was opened."""
        self._sha256 = ""
        self._stamp: object = None

    def open(self, **asked: Any) -> list[Measured]:
        """Its images, not drawn."""
        with self._understood():
            head, _ = self._ask({"op": "open", **asked})
            images = [(int(number), (int(width), int(height))) for number, width, height in head["images"]]
            most = self._limits.max_pixels
            if not all(0 < width <= most and 0 < height <= most // width for _, (width, height) in images):
                raise ValueError("images of impossible sizes")
            self.total = int(head["total"])
            self._sha256, self._stamp = str(head["sha256"]), head["stamp"]
        return images

    def draw(self, image: Measured, *, closes: bool = False) -> PILImage:
        """RGB, of that size; it `closes` the file until that is needed again."""
        try:
            return self.draw_all([image], closes=closes)[0]
        except InternVLError as error:
            if self._resource.opener.endswith("DocumentDrawing"):
                error.page = error.page or image[0]
            raise

    def draw_all(self, images: Sequence[Measured], *, closes: bool = False) -> list[PILImage]:
        with self._understood():
            wanted = [(number, *size) for number, size in images]
            request = {"op": "draw", "stamp": self._stamp, "images": wanted}
            return from_pixels(self._ask(request, closes=closes)[1], [size for _, size in images])

    def digest(self, image: Measured) -> str:
        """Names the pixels of an image by the content it is in, and how it is drawn."""
        told = [self._sha256, self._resource.opener, *map(str, image), sorted(self._settings.items())]
        return hashlib.sha256(repr(told).encode()).hexdigest()

    def _ask(self, request: dict[str, Any], *, closes: bool = False) -> Reply:
        seconds, key = self._limits.max_seconds, self._resource.key
        job = Job(self._resource, request, seconds, urgent=True, interactive=True, closes=closes, stretch=key)
        session = Session(shared_pool(cores()))
        try:
            head, payload = session.submit(job).result()
        finally:
            session.close()  # whoever waited may have been interrupted
        if "error" in head:
            raise refused(head)
        return head, payload

    @contextmanager
    def _understood(self) -> Iterator[None]:
        """Errors name the file. A worker that a file has taken over may answer anything."""
        try:
            yield
        except InternVLError as error:
            error.source = error.source or self._name
            raise
        except (ValueError, TypeError, LookupError) as error:
            raise PageError("what came back from drawing it is no image", source=self._name) from error


class VideoFrames:
    """Frames of one video: when the first is drawn all are decoded, in one pass, and kept until drawn too."""

    def __init__(self, video: RemoteMedia, frames: Sequence[Measured]) -> None:
        self._video = video
        self._frames = frames
        self._decoded: dict[int, PILImage] = {}
        self._lock = threading.Lock()

    def draw(self, number: int) -> PILImage:
        with self._lock:
            if number not in self._decoded:
                numbers = [number for number, _ in self._frames]
                drawn = self._video.draw_all(self._frames, closes=True)
                self._decoded = dict(zip(numbers, drawn, strict=True))
            return self._decoded.pop(number)
