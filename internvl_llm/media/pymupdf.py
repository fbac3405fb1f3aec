"""PDF pages drawn by PyMuPDF."""
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pymupdf

from internvl_llm.media.password import spellings, wrong_password
from internvl_llm.media.pixels import scale_within

if TYPE_CHECKING:
    import PIL.Image

_tools: Any = pymupdf.TOOLS
_tools.mupdf_display_errors(False)
_tools.mupdf_display_warnings(False)


class PyMuPDFReader:
    """Runs pages straight into the devices asked for: building a display list can take for ever."""

    name = "pymupdf"

    def __init__(self, document: Any) -> None:
        self._document = document

    def __len__(self) -> int:
        return int(self._document.page_count)

    @property
    def repaired(self) -> bool:
        return bool(self._document.is_repaired)

    def label(self, index: int) -> str:
        return str(self._document[index].get_label()) or str(index + 1)

    def size(self, index: int) -> tuple[float, float]:
        rect = self._document[index].rect
        return float(rect.width), float(rect.height)

    def render(self, index: int, dpi: float, max_pixels: int) -> PIL.Image.Image:
        from PIL import Image

        page = self._document[index]
        scale = scale_within(*self.size(index), dpi / 72, max_pixels)
        pixmap = page.get_pixmap(matrix=pymupdf.Matrix(scale, scale), colorspace=pymupdf.csRGB)
        return Image.frombytes("RGB", (pixmap.width, pixmap.height), pixmap.samples)

    def close(self) -> None:
        """Lets go of MuPDF's store too: up to 256 MB of decoded fonts and images that outlive a document."""
        self._document.close()
        _tools.store_shrink(100)


def opened(document: Path | bytes, password: str | None) -> Any:
    """A pymupdf.Document. Raises PasswordError, or whatever PyMuPDF says of one it cannot open."""
    if isinstance(document, bytes):
        opened = pymupdf.open(stream=document, filetype="pdf")
    else:
        opened = pymupdf.open(document, filetype="pdf")
    if opened.needs_pass and not any(opened.authenticate(spelling) for spelling in spellings(password)):
        opened.close()
        raise wrong_password(password)
    return opened


def open_pdf(document: Path | bytes, password: str | None) -> PyMuPDFReader:
    return PyMuPDFReader(opened(document, password))
