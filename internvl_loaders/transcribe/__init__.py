"""Page to text: the seam every transcriber plugs into."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import PIL.Image

    from internvl_loaders.content import Content


@dataclass(slots=True)
class OCRPage:
    """What OCR saw on a page image, in points of the page turned upright and straightened.

    `rotation` is the clockwise turn (0, 90, 180, 270) and `skew` the clockwise tilt in degrees
    that were undone; `image` is the page as it was read, upright; `unread` counts the lines that were
    seen and gave no text, `late` those that there was no time for.
    """

    content: Content
    rotation: int = 0
    skew: float = 0.0
    confidence: float | None = None
    image: PIL.Image.Image | None = None
    unread: int = 0
    late: int = 0
    timings: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UprightPage:
    """A page image turned upright and straightened: itself where nothing was to undo.

    `rotation` is the clockwise turn (0, 90, 180, 270) and `skew` the clockwise tilt in degrees that were
    undone; `confidence` is that of the few lines that were read to tell, None where there were none.
    """

    image: PIL.Image.Image
    rotation: int = 0
    skew: float = 0.0
    confidence: float | None = None


class ImageTranscriber(Protocol):
    """Reads a page image. One instance a worker process; loads its weights on first use."""

    def read(self, image: PIL.Image.Image, dpi: float, until: float = inf) -> OCRPage:
        """After `until` (of `time.monotonic`) no more lines are begun."""
        ...

    def upright(self, image: PIL.Image.Image) -> UprightPage: ...
