"""Where links lead, in every format, through both readers."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from internvl_loaders.document import Document, Page
from internvl_loaders.options import ParseOptions
from internvl_loaders.pipeline import reading
from internvl_loaders.readers.open import open_document
from internvl_loaders.records.metadata import element_metadata
from tests.kit.build import page_pdf


@pytest.fixture(params=["pymupdf", "pdfium"])
def read(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    pytest.importorskip({"pdfium": "pypdfium2"}.get(request.param, request.param))
    monkeypatch.setattr(reading, "open_document", partial(open_document, readers=(request.param,)))

    def page(pdf: bytes) -> Page:
        opened = reading.OpenDocument(pdf, "links.pdf", ParseOptions())
        try:
            return opened.read(1, 1)
        finally:
            opened.close()

    return page


def text(x: float, y: float, words: str) -> str:
    return f"BT /M 10 Tf {x} {y} Td ({words}) Tj ET "


def place(x: float, y: float, chars: int) -> str:
    """Of so many characters of a font whose every character is 6 points wide."""
    return f"{x} {y - 3} {x + 6 * chars} {y + 9}"


def link(rect: str, target: str) -> str:
    return (
        f"<< /Type /Annot /Subtype /Link /Border [0 0 0] /Rect [{rect}] /A << /S /URI /URI ({target}) >> >>"
    )


def page_of(content: str, *links: str, extra: str = "") -> bytes:
    names = " ".join(f"{20 + n} 0 R" for n in range(len(links)))
    return page_pdf(content, extra=f"/Annots [{names}] {extra}", objects=links)


SENTENCE = text(50, 500, "See the customer portal, or the terms.")


def test_a_link_is_its_words_and_no_more(read: Any) -> None:
    page = read(
        page_of(
            SENTENCE,
            link(place(98, 500, 15), "https://portal.example.com/returns?ref=A-77"),
            link(place(242, 500, 5), "mailto:jane@example.com"),
        )
    )
    assert page.markdown == (
        "See the [customer portal](https://portal.example.com/returns?ref=A-77), or the "
        "[terms](mailto:jane@example.com)."
    )
    assert (
        '<a href="https://portal.example.com/returns?ref=A-77" rel="noopener noreferrer">customer portal</a>'
        in (page.html)
    )
    assert page.text == "See the customer portal, or the terms."
    (block,) = page.blocks
    assert [(block.text[k.start : k.end], k.text, k.url) for k in block.links] == [
        ("customer portal", "customer portal", "https://portal.example.com/returns?ref=A-77"),
        ("terms", "terms", "mailto:jane@example.com"),
    ]
    assert element_metadata(page, 0, section="", caption=None)["links"] == (
        "https://portal.example.com/returns?ref=A-77 mailto:jane@example.com"
    )
    document = Document.of([page])
    assert Document.from_json(document.to_json()) == document


@pytest.mark.parametrize(
    "target", ["javascript:alert(1)", "file:///etc/passwd", "data:text/html,x", "ftp://x.org/a"]
)
def test_other_schemes_lead_nowhere(read: Any, target: str) -> None:
    page = read(page_of(SENTENCE, link(place(98, 500, 15), target.replace("(", r"\(").replace(")", r"\)"))))
    assert page.markdown == "See the customer portal, or the terms."
    assert "<a" not in page.html and not page.blocks[0].links


def test_an_address_cannot_leave_its_place(read: Any) -> None:
    page = read(page_of(SENTENCE, link(place(98, 500, 15), r'https://x.org/a\)[b]\(c"<img>|d')))
    assert "[customer portal](https://x.org/a%29%5Bb%5D%28c%22%3Cimg%3E%7Cd)" in page.markdown
    assert '"<img>' not in page.html and "%3Cimg%3E" in page.html


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_turned_pages(read: Any, rotate: int) -> None:
    page = read(page_of(SENTENCE, link(place(98, 500, 15), "https://x.org/"), extra=f"/Rotate {rotate}"))
    assert "See the [customer portal](https://x.org/), or" in page.markdown


def test_a_link_over_two_lines_and_one_to_a_page(read: Any) -> None:
    content = text(50, 500, "All of our terms and conditions apply here to") + text(
        50, 488, "whatever is sold by us. Next chapter"
    )
    page = read(
        page_of(
            content,
            link(place(212, 500, 18), "https://x.org/terms"),
            link(place(50, 488, 8), "https://x.org/terms"),
            f"<< /Type /Annot /Subtype /Link /Rect [{place(194, 488, 12)}] /Dest [3 0 R /XYZ 0 0 0] >>",
        )
    )
    found = [k for block in page.blocks for k in block.links]
    assert [(k.url, k.page) for k in found] == [("https://x.org/terms", None), ("", 1)]
    assert "[apply here to whatever](https://x.org/terms)" in page.markdown
    assert "[Next" not in page.markdown


def test_links_in_lists_headings_and_cells(read: Any) -> None:
    grid = "".join(f"40 {y} m 340 {y} l S " for y in (300, 330, 360, 390)) + "".join(
        f"{x} 300 m {x} 390 l S " for x in (40, 190, 340)
    )
    for n, (a, b) in enumerate((("Item", "Price"), ("Pump", "12.50"), ("Valve", "7.10"))):
        grid += text(60, 370 - 30 * n, a) + text(220, 370 - 30 * n, b)
    page = read(
        page_of(
            text(50, 500, "1. First thing") + text(50, 486, "2. Second thing") + grid,
            link(place(68, 486, 6), "https://x.org/2"),
            link(place(60, 340, 4), "https://x.org/pump"),
        )
    )
    assert "2. [Second](https://x.org/2) thing" in page.markdown
    assert "| [Pump](https://x.org/pump) | 12.50 |" in page.markdown
    assert '<a href="https://x.org/pump" rel="noopener noreferrer">Pump</a>' in page.tables[0].to_html()
