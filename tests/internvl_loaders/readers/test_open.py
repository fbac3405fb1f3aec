"""Opening by content, with every kind of bad input named."""

from __future__ import annotations

import os
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import PIL.Image
import pytest

import internvl_llm.media
from internvl_llm.media.limits import Limits
from internvl_loaders.errors import (
    DamagedDocumentError,
    DocumentNotFoundError,
    EmptyDocumentError,
    LimitError,
    MissingDependencyError,
    PageError,
    PasswordError,
    SourceError,
    SourcePermissionError,
    UnsupportedDocumentError,
)
from internvl_loaders.readers.open import open_document
from tests.kit.build import image_bytes, no_pages, page_pdf
from tests.kit.pdfs import pdf

IMAGE = PIL.Image.new("RGB", (60, 40), "white")


def opened(document: Path | bytes, **options: Any) -> Any:
    wanted: dict[str, Any] = {"name": "given.pdf", "password": None, "limits": Limits()} | options
    return open_document(document, **wanted)


def test_content_decides_not_the_name(tmp_path: Path) -> None:
    path = tmp_path / "scan.png"
    path.write_bytes(b"\n" * 900 + pdf("a", "b"))
    assert (opened(path, readers=["pdfium"]).name, len(opened(path))) == ("pdfium", 2)
    path = tmp_path / "paper.pdf"
    path.write_bytes(image_bytes(IMAGE, "PNG"))
    assert opened(path).name == "image"


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF"])
def test_every_kind_of_image(form: str) -> None:
    document = opened(image_bytes(IMAGE, form))
    assert (document.name, len(document)) == ("image", 1)
    assert document.render(0, 200, 10**6).size == (60, 40)


@pytest.mark.parametrize(
    ("document", "error", "says"),
    [
        (b"", EmptyDocumentError, "0 bytes"),
        (b"<!DOCTYPE html><html>", UnsupportedDocumentError, "HTML"),
        (b"PK\x03\x04word/document.xml", UnsupportedDocumentError, "Office"),
        (b"just words", UnsupportedDocumentError, "known type"),
        (b"%PDF-1.7\nnothing more", DamagedDocumentError, "pdfium"),
        (b"\x89PNG\r\n\x1a\n and then nothing", DamagedDocumentError, "header"),
    ],
)
def test_bad_content(document: bytes, error: type[SourceError], says: str) -> None:
    with pytest.raises(error, match=says) as raised:
        opened(document)
    assert raised.value.source == "given.pdf"
    assert raised.value.remedy


def test_bad_paths(tmp_path: Path) -> None:
    with pytest.raises(DocumentNotFoundError, match=r"given\.pdf: no such file"):
        opened(tmp_path / "missing.pdf")
    with pytest.raises(UnsupportedDocumentError, match="directory"):
        opened(tmp_path)


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="permissions do not bind here")
def test_no_permission(tmp_path: Path) -> None:
    path = tmp_path / "locked.pdf"
    path.write_bytes(pdf("a"))
    path.chmod(0)
    with pytest.raises(SourcePermissionError):
        opened(path)


def test_no_permission_as_the_system_says_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "locked.pdf"
    path.write_bytes(pdf("a"))
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(SourcePermissionError, match="no permission"):
        opened(path)


def test_limits() -> None:
    with pytest.raises(LimitError, match="max_bytes = 100"):
        opened(pdf("a"), limits=Limits(max_bytes=100))
    with pytest.raises(LimitError, match=r"3 pages, more than max_pages = 2"):
        opened(pdf("a", "b", "c"), limits=Limits(max_pages=2))


def test_too_many_declared_pixels_are_refused_before_decoding() -> None:
    small = image_bytes(PIL.Image.new("1", (8, 8)), "PNG")
    header = b"IHDR" + struct.pack(">II", 30_000, 30_000) + small[24:29]
    document = opened(small[:12] + header + struct.pack(">I", zlib.crc32(header)) + small[33:])
    with pytest.raises(LimitError, match="max_image_pixels"):
        document.render(0, 200, 10**6)
    with pytest.raises(LimitError, match="declares 2,400 pixels"):
        opened(image_bytes(IMAGE, "PNG"), limits=Limits(max_image_pixels=2399)).size(0)


def test_no_pages() -> None:
    pytest.importorskip("pymupdf")
    with pytest.raises(EmptyDocumentError, match="no pages"):
        opened(no_pages())


def encrypted(password: str) -> bytes:
    pymupdf = pytest.importorskip("pymupdf")
    document = pymupdf.open(stream=pdf("secret"), filetype="pdf")
    return bytes(document.tobytes(encryption=pymupdf.PDF_ENCRYPT_AES_256, user_pw=password, owner_pw="o"))


@pytest.mark.parametrize("readers", [("pymupdf", "pdfium"), ("pdfium", "pymupdf"), ("pdfium",)])
def test_passwords(readers: tuple[str, ...]) -> None:
    document = encrypted("open sesame")
    with pytest.raises(PasswordError, match="encrypted") as raised:
        opened(document, readers=readers)
    assert "password" in str(raised.value.remedy)
    with pytest.raises(PasswordError, match="wrong"):
        opened(document, readers=readers, password="guess")
    found = opened(document, readers=readers, password="open sesame")
    assert [s.text for s in found.content(0).spans] == ["secret"]
    assert opened(encrypted(""), readers=readers).content(0).spans  # restricted, not locked


def test_a_password_in_another_spelling() -> None:
    """What a reader's user types is not what was prepared when the file was made."""
    document = encrypted("SaSLprep")
    for readers in (("pymupdf",), ("pdfium",)):
        found = opened(document, readers=readers, password="SªSL\u00adprep")
        assert [s.text for s in found.content(0).spans] == ["secret"]


def test_a_cut_off_pdf_yields_what_is_left() -> None:
    pytest.importorskip("pymupdf")
    whole = pdf(*(f"page {i}" for i in range(5)))
    document = opened(whole[: whole.index(b"xref")])
    assert [s.text for s in document.content(4).spans] == ["page", "4"]
    assert "cut off" in document.notes(4)[0]
    assert opened(whole).notes(4) == []


class Failing:
    """A reader on whose second page something breaks."""

    name = "failing"
    repaired = False

    def __init__(self, pages: int = 2) -> None:
        self.pages = pages

    def __len__(self) -> int:
        return self.pages

    def content(self, index: int) -> Any:
        raise RuntimeError("a fault of the library\nwith details")

    render = label = content

    def content_bytes(self, index: int, most: int) -> int:
        return 0

    def size(self, index: int) -> tuple[float, float]:
        return (0.0, 842.0)

    def close(self) -> None:
        pass


def test_another_reader_stands_in_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    document = opened(pdf("one", "two"), readers=("pdfium", "pymupdf"))
    monkeypatch.setitem(document._open, "pdfium", Failing())
    monkeypatch.setattr(document, "_order", ("pdfium", "pymupdf"))
    pytest.importorskip("pymupdf")
    assert [s.text for s in document.content(1).spans] == ["two"]
    assert document.notes(1) == ["pymupdf had to read the page (pdfium: a fault of the library)"]
    assert document.notes(0) == []
    assert document.label(0) == "1"
    assert document.size(0) == (595, 842)
    assert document.render(0, 72, 10**6).size == (595, 842)


def test_a_page_no_reader_can_read(monkeypatch: pytest.MonkeyPatch) -> None:
    document = opened(pdf("one", "two"), readers=("pdfium",))
    monkeypatch.setitem(document._open, "pdfium", Failing())
    with pytest.raises(PageError, match="no reader can read the page") as raised:
        document.content(1)
    assert (raised.value.source, raised.value.page) == ("given.pdf", 2)
    assert document.label(1) == "2"


@pytest.mark.parametrize("missing", ["pymupdf", "pypdfium2"])
def test_one_reader_alone(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pymupdf")
    absent(monkeypatch, missing)
    document = opened(pdf("alone", "together"))
    assert [s.text for s in document.content(1).spans] == ["together"]
    assert document.render(1, 72, 10**6).size == (595, 842)
    assert document.notes(1) == []


def test_no_reader_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    absent(monkeypatch, "pymupdf")
    absent(monkeypatch, "pypdfium2")
    with pytest.raises(MissingDependencyError, match="Install pypdfium2"):
        opened(pdf("a"))


def absent(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    ours = {"pymupdf": "pymupdf", "pypdfium2": "pdfium"}[package]
    monkeypatch.delitem(sys.modules, f"internvl_loaders.readers.{ours}", raising=False)
    monkeypatch.delitem(sys.modules, f"internvl_llm.media.{ours}", raising=False)
    monkeypatch.delattr(internvl_llm.media, ours, raising=False)


def test_both_readers_draw_to_one_scale() -> None:
    """pdfium knows no /UserUnit: it takes the page for a smaller one."""
    pytest.importorskip("pymupdf")
    page = page_pdf("BT /F 12 Tf 50 500 Td (Hello) Tj ET", extra="/UserUnit 2")
    for readers in (("pymupdf", "pdfium"), ("pymupdf",)):
        found = opened(page, readers=readers)
        assert found.size(0) == (800, 1200)
        assert found.render(0, 36, 10**7).size == (400, 600)


def test_page_labels() -> None:
    pymupdf = pytest.importorskip("pymupdf")
    document = pymupdf.open(stream=pdf("a", "b", "c"), filetype="pdf")
    document.set_page_labels([{"startpage": 0, "style": "r"}, {"startpage": 2, "style": "D", "prefix": "A-"}])
    for readers in (("pymupdf",), ("pdfium",)):
        found = opened(document.tobytes(), readers=readers)
        assert [found.label(i) for i in range(3)] == ["i", "ii", "A-1"]
    assert [opened(pdf("a", "b")).label(i) for i in range(2)] == ["1", "2"]
