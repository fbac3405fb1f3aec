"""Readers open one document and hand out its pages; they run in worker processes only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import PIL.Image

    from internvl_loaders.content import Content


class Reader(Protocol):
    """One open document. Indexes are 0-based. Not thread-safe."""

    name: str
    """`pymupdf`, `pdfium` or `image`."""

    def __len__(self) -> int: ...

    def label(self, index: int) -> str:
        """The page's printed label (`iv`, `A-3`), else its 1-based number."""
        ...

    def size(self, index: int) -> tuple[float, float]:
        """Width and height in points of the upright page (/Rotate or EXIF honoured)."""
        ...

    def content(self, index: int) -> Content:
        """The text layer, rulings and figures; no spans where there is no text layer."""
        ...

    def render(self, index: int, dpi: float, max_pixels: int) -> PIL.Image.Image:
        """The upright page as an RGB image, at a lower resolution if `max_pixels` asks for it."""
        ...

    def close(self) -> None: ...
