"""Files inside PDFs, and forms whose page is a placeholder."""

from __future__ import annotations

import io
import zlib
from functools import partial
from typing import Any

import PIL.Image
import pytest

from internvl_loaders import ParseOptions, parse
from internvl_loaders.document import Page
from internvl_loaders.pipeline import reading
from internvl_loaders.readers.open import open_document
from tests.kit.build import page_pdf, stream

COVER = "BT /F 12 Tf 50 500 Td (For the best experience, open this portfolio in Acrobat.) Tj ET"


def portfolio(*files: tuple[str, bytes], text: str = COVER) -> bytes:
    """The files stand in a tree of names with a branch."""
    specs, contents = [], []
    for n, (name, data) in enumerate(files):
        contents.append(
            stream("/Type /EmbeddedFile /Filter /FlateDecode", zlib.compress(data)).decode("latin-1")
        )
        number = 21 + len(files) + n
        specs.append(f"<< /Type /Filespec /F ({name}) /UF ({name}) /EF << /F {number} 0 R >> >>")
    names = " ".join(f"(file{n:03}) {21 + n} 0 R" for n in range(len(files)))
    branch = f"<< /Limits [(file000) (file{len(files) - 1:03})] /Names [{names}] >>"
    return _pdf(text, branch, [*specs, *contents])


def _pdf(text: str, branch: str, rest: list[str]) -> bytes:
    catalog = "/PageMode /UseAttachments /Names << /EmbeddedFiles << /Kids [20 0 R] >> >>"
    return page_pdf(text, catalog=catalog, objects=tuple(_latin(o) for o in (branch, *rest)))


class _Latin(str):
    """Bytes one to one, as `page_pdf` encodes its objects."""

    def encode(self, *_: Any) -> bytes:  # type: ignore[override]
        return str.encode(self, "latin-1")


def _latin(text: str) -> str:
    return _Latin(text)


def page(text: str) -> bytes:
    return page_pdf(f"BT /F 12 Tf 50 500 Td ({text}) Tj ET")


def png() -> bytes:
    out = io.BytesIO()
    PIL.Image.new("RGB", (40, 30), "white").save(out, "PNG")
    return out.getvalue()


def read(pdf: bytes, **options: Any) -> list[Page]:
    return list(parse(pdf, jobs=1, **options))


@pytest.mark.parametrize("reader", ["pymupdf", "pdfium"])
def test_a_page_says_which_files_are_embedded(reader: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "open_document", partial(open_document, readers=(reader,)))
    pdf = portfolio(("invoice 991.pdf", page("Total 45.10")), ("data.xml", b"<a/>"))
    opened = reading.OpenDocument(pdf, "a.pdf", ParseOptions(attachments=True))
    found = opened.read(1, 1)
    assert "2 files are embedded in the document (invoice 991.pdf, data.xml)" in found.reason
    assert found.status == "ok" and "portfolio" in found.markdown
    assert opened.answer({"op": "open"})[0]["attached"] == ["invoice 991.pdf", "data.xml"]
    assert opened.answer({"op": "attached", "index": 0})[1] == page("Total 45.10")


def test_embedded_documents_follow_theirs() -> None:
    inner = portfolio(("deep.pdf", page("Deep 7")), text="BT /F 12 Tf 50 500 Td (Inner cover) Tj ET")
    pdf = portfolio(
        ("invoice.pdf", page("Total 45.10")),
        ("data.xml", b"<a/>"),
        ("in.pdf", inner),
        ("last.pdf", page("Last")),
    )
    found = [(p.source, p.markdown, p.status) for p in read(pdf, attachments=True)]
    name = found[0][0]
    assert [(source.removeprefix(name), text) for source, text, _ in found[1:]] == [
        ("/invoice.pdf", "Total 45.10"),
        ("/in.pdf", "Inner cover"),
        ("/in.pdf/deep.pdf", "Deep 7"),
        ("/last.pdf", "Last"),
    ]
    assert {status for *_, status in found} == {"ok"}
    assert len(read(pdf)) == 1


def test_names_of_strangers_and_of_twins() -> None:
    pdf = portfolio(("../../etc/a.pdf", page("One")), ("a.pdf", page("Two")), ("", png()))
    found = read(pdf, attachments=True)
    name = found[0].source
    assert [p.source.removeprefix(name) for p in found[1:]] == ["/a.pdf", "/2-a.pdf", "/file"]


def test_a_damaged_one_and_one_too_large_cost_themselves_alone() -> None:
    pdf = portfolio(
        ("bad.pdf", b"%PDF-1.7 nothing"), ("big.pdf", page("x") + bytes(300_000)), ("ok.pdf", page("Fine"))
    )
    found = read(pdf, attachments=True, limits={"max_bytes": 200_000})
    assert [(p.status, "max_bytes" in p.reason) for p in found[1:]] == [
        ("failed", False),
        ("failed", True),
        ("ok", False),
    ]


def test_documents_in_documents_come_to_an_end() -> None:
    pdf = page("Core")
    for depth in range(6):
        pdf = portfolio((f"{depth}.pdf", pdf))
    assert len(read(pdf, attachments=True)) == 4


DATA = (
    b'<xfa:datasets xmlns:xfa="http://www.xfa.org/schema/xfa-data/1.0/"><xfa:data><form1>'
    b"<Name>Maria &amp; Co</Name><Address><City>Utrecht</City><Empty/></Address></form1>"
    b"</xfa:data></xfa:datasets>"
)
WAIT = "BT /F 9 Tf 50 500 Td (Please wait... If this message is not eventually replaced, update it.) Tj ET"


@pytest.mark.parametrize("reader", ["pymupdf", "pdfium"])
def test_values_of_a_form_whose_page_is_a_placeholder(reader: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "open_document", partial(open_document, readers=(reader,)))
    pdf = page_pdf(
        WAIT,
        catalog="/NeedsRendering true /AcroForm << /Fields [] /XFA [(template) 20 0 R (datasets) 21 0 R] >>",
        objects=(stream("", b"<template/>").decode(), stream("", DATA).decode()),
    )
    found = reading.OpenDocument(pdf, "a.pdf", ParseOptions()).read(1, 1)
    assert found.status == "fallback" and "placeholder" in found.reason and "2 values" in found.reason
    assert [(f.name, f.value) for f in found.fields] == [
        ("form1.Name", "Maria & Co"),
        ("form1.Address.City", "Utrecht"),
    ]
    assert "form1.Address.City: Utrecht" in found.text


def test_a_page_that_asks_to_wait_without_a_form_stays_one() -> None:
    (found,) = read(page_pdf(WAIT))
    assert found.status == "ok" and not found.reason
