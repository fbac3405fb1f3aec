"""Files embedded in a PDF, and the data of XFA forms, through pypdfium2."""

from __future__ import annotations

from ctypes import byref, c_ulong, create_string_buffer
from typing import Any

import pypdfium2.raw as c

MOST_FILES = 1_000


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
