"""Opens what a document or a message holds, by its content, never by its name."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from internvl_llm.errors import (
    DocumentNotFoundError,
    EmptyDocumentError,
    SourceError,
    SourcePermissionError,
    UnsupportedDocumentError,
    limit_error,
)
from internvl_llm.media.codecs import KINDS, isobmff_image, require

if TYPE_CHECKING:
    from internvl_llm.media.limits import Limits

PDF = TypeVar("PDF", bound=Any)
Image = TypeVar("Image")

_HEAD = 1024
"""Bytes within which a PDF's header may start (PDF 32000-1, annex H.3.4)."""

_IMAGES = (
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"BM",
    b"II*\0",
    b"MM\0*",
    b"II+\0",
    b"MM\0+",
    b"GIF87a",
    b"GIF89a",
    b"\0\0\0\x0cjP  \r\n\x87\n",
    b"\xff\x4f\xff\x51",
)

_OTHERS = (
    (b"PK\x03\x04", "a ZIP archive or an Office document"),
    (b"\xd0\xcf\x11\xe0", "an old Office document"),
    (b"{\\rtf", "an RTF document"),
    (b"%!PS", "PostScript"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"<!doctype html", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"<svg", "an SVG image"),
    (b"<?xml", "XML"),
)


def open_document(
    content: Path | bytes,
    *,
    name: str,
    limits: Limits,
    pdf: Callable[[], PDF],
    image: Callable[[], Image],
) -> PDF | Image:
    """What `pdf` or `image` makes of a PDF or an image file; `name` is what errors call it.

    Raises a SourceError that says what to do.
    """
    head = head_of(content, name, limits)
    if is_pdf(head):
        return _within(pdf(), name, limits)
    if head.startswith(_IMAGES) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return image()
    if coding := isobmff_image(head):
        require(coding, name)
        return image()
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    what = next((what for magic, what in _OTHERS if start.startswith(magic.lower())), None)
    raise UnsupportedDocumentError(
        f"this is {what}, not a PDF or image" if what else "neither a PDF nor an image of a known type",
        source=name,
        remedy=f"Give a PDF, {', '.join(KINDS[:-1])} or {KINDS[-1]}",
    )


def is_pdf(head: bytes) -> bool:
    return b"%PDF-" in head


def head_of(content: Path | bytes, name: str, limits: Limits) -> bytes:
    """The first bytes of a document of a permitted size."""
    if isinstance(content, bytes):
        size, head = len(content), content[:_HEAD]
    else:
        try:
            found = content.stat()
            size = found.st_size
            if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
                raise UnsupportedDocumentError(  # a pipe may never come to its end
                    "this is a pipe, a socket or a device, not a file",
                    source=name,
                    remedy="Give a file, or its content as bytes or a stream",
                )
            with content.open("rb") as file:
                head = file.read(_HEAD)
        except FileNotFoundError as error:
            raise DocumentNotFoundError("no such file", source=name, remedy="Check the path") from error
        except PermissionError as error:
            raise SourcePermissionError(
                "no permission to read the file", source=name, remedy="Change its permissions"
            ) from error
        except IsADirectoryError as error:
            raise UnsupportedDocumentError(
                "this is a directory, not a file", source=name, remedy="Give the files in it"
            ) from error
        except OSError as error:
            raise SourceError(f"the file cannot be read ({error.strerror})", source=name) from error
    if not size or not head:
        raise EmptyDocumentError("the file is empty (0 bytes)", source=name, remedy="Fetch or save it again")
    if size > limits.max_bytes:
        raise limit_error(f"the file has {size:,} bytes, more than", "max_bytes", limits.max_bytes, name)
    return head


def sha256(content: Path | bytes) -> str:
    """In hex."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _within(reader: PDF, name: str, limits: Limits) -> PDF:
    if len(reader) > limits.max_pages:
        pages = len(reader)
        reader.close()
        problem = f"the document has {pages:,} pages, more than"
        raise limit_error(problem, "max_pages", limits.max_pages, name)
    return reader
