"""Levels of headings: the outline first, then their numbers, then size."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from internvl_loaders.content import Title
from internvl_loaders.document import Page
from internvl_loaders.options import ParseOptions
from internvl_loaders.pipeline.reading import OpenDocument
from internvl_loaders.structure import structure
from tests.kit.build import page_pdf
from tests.kit.typeset import PROSE, Setter

Read = Callable[..., Page]


@pytest.fixture(params=["pymupdf", "pdfium"])
def read(request: pytest.FixtureRequest) -> Read:
    def page(pdf: bytes) -> Page:
        document = OpenDocument(pdf, "a.pdf", ParseOptions.of(transcriber="text-layer"))
        document.reader._order = (request.param,)
        try:
            return document.read(1, 1)
        finally:
            document.close()

    return page


def levels(
    headings: list[tuple[str, float]], outline: list[Title] | None = None
) -> list[tuple[str, int | None]]:
    page = Setter(600, 2000)
    y = 50.0
    for text, size in headings:
        page.line(text, 50, y, size, bold=True, font="Head")
        y = page.prose(PROSE, 50, y + size + 10, 450, font="Body") + 12
    page.content.outline = outline or []
    return [(b.text, b.level) for b in structure(page.content) if b.type == "heading"]


@pytest.mark.parametrize(
    ("headings", "wanted"),
    [
        pytest.param(
            [("1 Scope", 14), ("1.1 Terms", 14), ("1.1.1 Buyer", 14), ("2 Price", 14)],
            [2, 3, 4, 2],
            id="one size",
        ),
        pytest.param(
            [("1 Scope", 20), ("1.1 Terms", 14), ("1.1.1 Buyer", 12)], [1, 2, 3], id="falling sizes"
        ),
        pytest.param([("1. Scope", 14), ("1.1. Terms", 13), ("2. Price", 14)], [2, 3, 2], id="dots"),
        pytest.param(
            [("1 Scope", 14), ("1.1.1 Buyer", 14), ("1.1.2 Seller", 14)], [2, 4, 4], id="one is missing"
        ),
        pytest.param([("Contract", 22), ("1 Scope", 14), ("1.1 Terms", 14)], [1, 2, 3], id="under a title"),
        pytest.param([("Scope", 20), ("Terms", 14)], [1, 2], id="no numbers"),
    ],
)
def test_numbers(headings: list[tuple[str, float]], wanted: list[int]) -> None:
    assert levels(headings) == [(text, level) for (text, _), level in zip(headings, wanted, strict=True)]


def test_the_outline_comes_first() -> None:
    outline = [Title(1, "Scope"), Title(2, "1.1 Terms"), Title(3, "buyer"), Title(1, "Elsewhere")]
    assert levels([("1 Scope", 14), ("1.1 Terms", 14), ("Buyer", 14)], outline) == [
        *(("1 Scope", 1), ("1.1 Terms", 2), ("Buyer", 3)),
    ]


def test_what_the_outline_names_is_a_heading_in_any_type() -> None:
    page = Setter()
    page.line("Terms of delivery", 50, 100, 10)
    page.prose(PROSE, 50, 130, 450)
    page.content.outline = [Title(2, "Terms of Delivery")]
    assert [(b.type, b.level) for b in structure(page.content)] == [("heading", 2), ("paragraph", None)]


OUTLINE = (
    "<< /Type /Outlines /First 21 0 R /Last 21 0 R /Count 1 >>",
    "<< /Title (Scope) /Parent 20 0 R /Dest [3 0 R /Fit] /First 22 0 R /Last 22 0 R /Count 1 >>",
    "<< /Title (Terms) /Parent 21 0 R /Dest [3 0 R /Fit] >>",
)


def test_readers_tell_the_outline(read: Read) -> None:
    drawn = (
        "BT /B 14 Tf 50 500 Td (Scope) Tj /F 10 Tf 0 -20 Td (All goods are delivered to the buyer) Tj "
        "/B 14 Tf 0 -30 Td (Terms) Tj /F 10 Tf 0 -20 Td (All goods are paid for in thirty days) Tj ET"
    )
    page = read(page_pdf(drawn, catalog="/Outlines 20 0 R", objects=OUTLINE))
    assert [(b.text, b.level) for b in page.blocks if b.type == "heading"] == [("Scope", 1), ("Terms", 2)]


@pytest.mark.parametrize(
    "objects",
    [
        ("<< /Type /Outlines /First 20 0 R /Last 20 0 R >>",),
        ("<< /Type /Outlines /First 21 0 R >>", "<< /Title (Scope) /Next 21 0 R /Dest [99 0 R /Fit] >>"),
        ("[]",),
    ],
)
def test_broken_outlines_cost_nothing(read: Read, objects: tuple[str, ...]) -> None:
    page = read(
        page_pdf("BT /F 10 Tf 50 500 Td (All goods) Tj ET", catalog="/Outlines 20 0 R", objects=objects)
    )
    assert page.markdown == "All goods"
