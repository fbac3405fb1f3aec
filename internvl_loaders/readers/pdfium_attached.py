"""Files embedded in a PDF, comments, and the data of XFA forms, through pypdfium2."""

from __future__ import annotations

from ctypes import byref, c_ulong, create_string_buffer
from typing import Any

import pypdfium2.raw as c

from internvl_loaders.content import Rect
from internvl_loaders.readers.comments import LONGEST, MOST_COMMENTS, Comment

MOST_FILES = 1_000
_SHOWN = {c.FPDF_ANNOT_FREETEXT, c.FPDF_ANNOT_POPUP, c.FPDF_ANNOT_WIDGET, c.FPDF_ANNOT_LINK}
"""Text of the page, what shows another's text, fields, and links."""


def names_of(document: Any) -> list[str]:
    """Of the files embedded in the document."""
    count = min(max(c.FPDFDoc_GetAttachmentCount(document), 0), MOST_FILES)
    return [document.get_attachment(i).get_name() or "file" for i in range(count)]


def file_of(document: Any, index: int, most: int) -> bytes | None:
    """The content of an embedded file; None where it has more than `most` bytes."""
    attachment = document.get_attachment(index)
    size = c_ulong()
    if not c.FPDFAttachment_GetFile(attachment, None, 0, size):
        raise ValueError("the embedded file cannot be read")
    if size.value > most:
        return None
    return bytes(attachment.get_data())


def comments_of(page: Any) -> list[Comment]:
    """In PDF coordinates: y0 is the bottom."""
    found: list[Comment] = []
    for i in range(c.FPDFPage_GetAnnotCount(page)):
        if len(found) == MOST_COMMENTS:
            break
        annotation, box = c.FPDFPage_GetAnnot(page, i), c.FS_RECTF()
        if not annotation:
            continue
        unseen = c.FPDFAnnot_GetFlags(annotation) & (c.FPDF_ANNOT_FLAG_HIDDEN | c.FPDF_ANNOT_FLAG_NOVIEW)
        shown = c.FPDFAnnot_GetSubtype(annotation) in _SHOWN
        if not unseen and not shown and c.FPDFAnnot_GetRect(annotation, box):
            rect = Rect(box.left, box.bottom, box.right, box.top)
            found.append(Comment(rect, _value(annotation, b"Contents"), _value(annotation, b"T")))
        c.FPDFPage_CloseAnnot(annotation)
    return found


def _value(annotation: Any, key: bytes) -> str:
    size = c.FPDFAnnot_GetStringValue(annotation, key, None, 0)
    data = (c.FPDF_WCHAR * (size // 2 + 1))()
    c.FPDFAnnot_GetStringValue(annotation, key, data, size)
    return bytes(data).decode("utf-16-le", "replace").split("\0")[0][:LONGEST]


def xfa_of(document: Any, most: int) -> bytes | None:
    """The data filled into an XFA form; empty where it has none, None where the document is no such form."""
    if c.FPDF_GetFormType(document) not in (c.FORMTYPE_XFA_FULL, c.FORMTYPE_XFA_FOREGROUND):
        return None
    for i in range(min(max(c.FPDF_GetXFAPacketCount(document), 0), 64)):
        name = create_string_buffer(32)
        c.FPDF_GetXFAPacketName(document, i, name, 32)
        size = c_ulong()
        if name.value != b"datasets" or not c.FPDF_GetXFAPacketContent(document, i, None, 0, byref(size)):
            continue
        if size.value <= most:
            data = create_string_buffer(size.value)
            c.FPDF_GetXFAPacketContent(document, i, data, size.value, byref(size))
            return data.raw
    return b""
