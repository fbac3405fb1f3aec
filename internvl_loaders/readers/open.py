"""Opens a document by what it holds, to read and to draw its pages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from internvl_llm.media import open as media
from internvl_llm.media.pdf import BACKENDS
from internvl_loaders.readers.pdf import PdfReader

if TYPE_CHECKING:
    from internvl_llm.media.limits import Limits
    from internvl_loaders.readers.image import ImageReader


def open_document(
    document: Path | bytes,
    *,
    name: str,
    password: str | None,
    limits: Limits,
    readers: Sequence[str] = BACKENDS,
) -> PdfReader | ImageReader:
    """A PDF or image file; `name` is what errors call it. Raises a SourceError that says what to do."""

    def pdf() -> PdfReader:
        return PdfReader(document, name=name, password=password, limits=limits, backends=readers)

    def image() -> ImageReader:
        from internvl_loaders.readers.image import ImageReader

        return ImageReader(document, name=name, limits=limits)

    return media.open_document(document, name=name, limits=limits, pdf=pdf, image=image)
