"""PDF pages drawn by pypdfium2."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pypdfium2
import pypdfium2.raw as c

from internvl_llm.media.password import spellings, wrong_password
from internvl_llm.media.pixels import scale_within

if TYPE_CHECKING:
    import PIL.Image

_OVERLAYS = {c.FPDF_ANNOT_LINK, c.FPDF_ANNOT_POPUP, c.FPDF_ANNOT_UNKNOWN}
"""Annotations that paint nothing."""


class PdfiumReader:
    name = "pdfium"

    def __init__(self, document: Any) -> None:
        self._document = document

    def __len__(self) -> int:
        return len(self._document)

    @property
    def repaired(self) -> bool:
        return not c.FPDF_DocumentHasValidCrossReferenceTable(self._document)

    def label(self, index: int) -> str:
        return str(self._document.get_page_label(index)) or str(index + 1)

    def size(self, index: int) -> tuple[float, float]:
        width, height = self._document.get_page_size(index)
        return float(width), float(height)

    def render(self, index: int, dpi: float, max_pixels: int) -> PIL.Image.Image:
        page = self._page(index)
        try:
            width, height = page.get_size()
            scale = scale_within(width, height, dpi / 72, max_pixels)
            bitmap = page.render(scale=scale, rev_byteorder=True)
            try:
                image: PIL.Image.Image = bitmap.to_pil().convert("RGB")
                return image
            finally:
                bitmap.close()
        finally:
            page.close()

    def _page(self, index: int, look: Callable[[Any], None] | None = None) -> Any:
        """The page with its form fields and other annotations made part of its content, once `look` has
        seen it with them."""
        page = self._document[index]
        if look:
            look(page)
        for i in range(c.FPDFPage_GetAnnotCount(page)):
            annotation = c.FPDFPage_GetAnnot(page, i)
            subtype = c.FPDFAnnot_GetSubtype(annotation)
            c.FPDFPage_CloseAnnot(annotation)
            if subtype not in _OVERLAYS:
                c.FPDFPage_Flatten(page, c.FLAT_NORMALDISPLAY)
                page.close()
                return self._document[index]
        return page

    def close(self) -> None:
        self._document.close()


def opened(document: Path | bytes, password: str | None) -> Any:
    """A pypdfium2.PdfDocument. Raises PasswordError, or whatever pypdfium2 says of one it cannot open."""
    for spelling in spellings(password):
        try:
            opened = pypdfium2.PdfDocument(document, spelling)
        except pypdfium2.PdfiumError as error:
            if error.err_code != c.FPDF_ERR_PASSWORD:
                raise
        else:
            opened.init_forms()
            return opened
    raise wrong_password(password)


def open_pdf(document: Path | bytes, password: str | None) -> PdfiumReader:
    return PdfiumReader(opened(document, password))
