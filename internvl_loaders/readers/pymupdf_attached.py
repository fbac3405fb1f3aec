"""Files embedded in a PDF, comments, and the data of XFA forms, through PyMuPDF."""
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from typing import Any

from pymupdf import mupdf

from internvl_loaders.content import Rect
from internvl_loaders.readers.comments import MOST_COMMENTS, Comment, told
from internvl_loaders.readers.pymupdf_fields import HIDDEN

MOST_FILES = 1_000


def names_of(document: Any) -> list[str]:
    """Of the files embedded in the document."""
    return [_name(spec) for spec in _specs(document)]


def file_of(document: Any, index: int, most: int) -> bytes | None:
    """The content of an embedded file; None where it has more than `most` bytes."""
    return _content(_stream(_specs(document)[index]), most)


def xfa_of(document: Any, most: int) -> bytes | None:
    """The data filled into an XFA form; empty where it has none, None where the document is no such form."""
    pdf = mupdf.pdf_document_from_fz_document(document.this)
    root = mupdf.pdf_dict_gets(mupdf.pdf_trailer(pdf), "Root")
    packets = mupdf.pdf_dict_gets(mupdf.pdf_dict_gets(root, "AcroForm"), "XFA")
    if mupdf.pdf_is_stream(packets):
        return _content(packets, most) or b""
    if not mupdf.pdf_is_array(packets):
        return None
    for i in range(0, min(mupdf.pdf_array_len(packets), 64) - 1, 2):
        if str(mupdf.pdf_to_text_string(mupdf.pdf_array_get(packets, i))) == "datasets":
            return _content(mupdf.pdf_array_get(packets, i + 1), most) or b""
    return b""


def comments_of(page: Any) -> list[Comment]:
    found: list[Comment] = []
    for annotation in page.annots():
        kind = annotation.type[0]
        if len(found) == MOST_COMMENTS:
            break
        if kind in (mupdf.PDF_ANNOT_FREE_TEXT, mupdf.PDF_ANNOT_POPUP) or annotation.flags & HIDDEN:
            continue  # the first is text of the page, the second shows another's
        box, info = annotation.rect * page.rotation_matrix, annotation.info
        found.append(Comment(Rect(box.x0, box.y0, box.x1, box.y1), info["content"], info["title"]))
    return told(found)


def _specs(document: Any) -> list[Any]:
    pdf = mupdf.pdf_document_from_fz_document(document.this)
    if not pdf.m_internal:
        return []
    tree = mupdf.pdf_load_name_tree(pdf, mupdf.pdf_new_name("EmbeddedFiles"))
    count = min(mupdf.pdf_dict_len(tree), MOST_FILES)
    specs = (mupdf.pdf_dict_get_val(tree, i) for i in range(count))
    return [spec for spec in specs if mupdf.pdf_is_stream(_stream(spec))]


def _name(spec: Any) -> str:
    for key in ("UF", "F"):
        if name := str(mupdf.pdf_to_text_string(mupdf.pdf_dict_gets(spec, key))):
            return name
    return "file"


def _stream(spec: Any) -> Any:
    files = mupdf.pdf_dict_gets(spec, "EF")
    unicode_named = mupdf.pdf_dict_gets(files, "UF")
    return unicode_named if mupdf.pdf_is_stream(unicode_named) else mupdf.pdf_dict_gets(files, "F")


def _content(stream: Any, most: int) -> bytes | None:
    if mupdf.fz_skip(mupdf.pdf_open_stream(stream), most + 1) > most:
        return None
    return bytes(mupdf.fz_buffer_extract_copy(mupdf.pdf_load_stream(stream)))
