"""Words with a line through them, and lines that only come near."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from internvl_loaders.content import Content, Ruling
from internvl_loaders.document import Block, Cell, Document, Page, Table, TextSpan
from internvl_loaders.options import ParseOptions
from internvl_loaders.pipeline.reading import OpenDocument
from internvl_loaders.structure import structure
from internvl_loaders.structure.strikes import strike
from tests.kit.build import page_pdf
from tests.kit.typeset import Setter

FEE = "BT /F 12 Tf 50 500 Td (The annual fee is 4,500 EUR 5,200 EUR a year.) Tj ET "
Read = Callable[..., Page]


@pytest.fixture(params=["pymupdf", "pdfium"])
def read(request: pytest.FixtureRequest) -> Read:
    def page(pdf: bytes, **options: object) -> Page:
        chosen = ParseOptions.of(transcriber="text-layer", **options)
        document = OpenDocument(pdf, "a.pdf", chosen)  # type: ignore[arg-type]
        document.reader._order = (request.param,)
        try:
            return document.read(1, 1)
        finally:
            document.close()

    return page


STRUCK = "The annual fee is ~~4,500 EUR~~ 5,200 EUR a year."


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("0.8 w 139 504 m 203 504 l S", id="line"),
        pytest.param("1 0 0 RG 1.5 w 139 503 m 203 503 l S", id="red"),
        pytest.param("139 503.5 64 0.8 re f", id="thin rectangle"),
        pytest.param("139 503 64 2 re f", id="thick rectangle"),
        pytest.param("0.5 w 139 503 m 203 503 l S 139 505.5 m 203 505.5 l S", id="double"),
        pytest.param("139 503.5 m 203 503.5 l 203 504.5 l 139 504.5 l h f", id="outline"),
        pytest.param("0.6 w 139 504 m 170 504 l S 170 504 m 203 504 l S", id="in pieces"),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_lines_through_words(read: Read, line: str, first: bool) -> None:
    assert read(page_pdf(f"{line} {FEE}" if first else FEE + line)).markdown == STRUCK


ANNOTATION = "<< /Type /Annot /Subtype /StrikeOut /Rect [139 497 203 511] /F 4 /C [1 0 0] /QuadPoints [%s] >>"


@pytest.mark.parametrize("points", ["139 511 203 511 139 497 203 497", "139 511 203 511 203 497 139 497"])
@pytest.mark.parametrize("rotate", [0, 180])
def test_strike_out_annotations(read: Read, points: str, rotate: int) -> None:
    pdf = page_pdf(FEE, extra=f"/Rotate {rotate} /Annots [20 0 R]", objects=(ANNOTATION % points,))
    assert read(pdf).markdown == STRUCK


def test_hidden_annotations_strike_nothing(read: Read) -> None:
    hidden = (ANNOTATION % "139 511 203 511 139 497 203 497").replace("/F 4", "/F 2")
    assert "~~" not in read(page_pdf(FEE, extra="/Annots [20 0 R]", objects=(hidden,))).markdown


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("0.8 w 139 498.6 m 203 498.6 l S", id="underline"),
        pytest.param("0.8 w 139 511 m 203 511 l S", id="overline"),
        pytest.param("0.8 w 20 504 m 380 504 l S", id="rule across"),
        pytest.param("0.8 w 139 490 m 203 490 l S 139 515 m 203 515 l S", id="rules of a table"),
        pytest.param("1 1 0 rg 139 497 64 13 re f", id="highlight"),
        pytest.param("0.8 w 171 480 m 171 520 l S", id="upright"),
    ],
)
def test_lines_near_words(read: Read, line: str) -> None:
    found = read(page_pdf(f"{line} 0 g {FEE}")).markdown
    assert "~~" not in found
    assert "4,500 EUR 5,200 EUR" in found.replace("|", "")


def test_a_struck_paragraph_and_its_hyphen(read: Read) -> None:
    lines = ["Either party may end the con-", "tract without a notice of any"]
    drawn = "".join(
        f"BT /F 12 Tf 50 {500 - 14 * n} Td ({t}) Tj ET 50 {504 - 14 * n} m 207 {504 - 14 * n} l S "
        for n, t in enumerate(lines)
    )
    page = read(page_pdf(drawn))
    assert page.markdown.replace("  \n", " ").count("~~") in (2, 4)
    assert page.blocks[0].text.startswith("Either party")
    assert all(not {"\ufdd0", "\ufdd1"} & set(b.text) for b in page.blocks)


def test_struck_text_is_left_out_if_asked(read: Read) -> None:
    line = "0.8 w 139 504 m 203 504 l S"
    assert read(page_pdf(FEE + line), struck="omit").markdown == "The annual fee is 5,200 EUR a year."


def test_every_format_says_so(read: Read) -> None:
    page = read(page_pdf(FEE + "0.8 w 139 504 m 203 504 l S"), words=True)
    (block,) = page.blocks
    assert block.text == "The annual fee is 4,500 EUR 5,200 EUR a year."
    assert [(block.text[s.start : s.end], s.struck) for s in block.spans] == [("4,500 EUR", True)]
    assert [w.text for w in block.words][4:6] == ["4,500", "EUR"]
    assert page.html == "<p>The annual fee is <del>4,500 EUR</del> 5,200 EUR a year.</p>"
    assert page.text == STRUCK
    document = Document.of([page])
    assert Document.from_json(document.to_json()) == document


def test_cells() -> None:
    cells = (
        Cell(row=0, col=0, text="Item", header=True),
        Cell(row=0, col=1, text="EUR", header=True),
        Cell(row=1, col=0, text="Desk"),
        Cell(row=1, col=1, text="450", spans=(TextSpan(start=0, end=3, struck=True),)),
    )
    table = Table(rows=2, cols=2, cells=cells)
    assert table.to_gfm().endswith("| Desk | ~~450~~ |")
    assert "<td><del>450</del></td>" in table.to_html()
    assert table.to_csv() == "Item,EUR\r\nDesk,~~450~~\r\n"
    assert table.to_records() == [{"Item": "Desk", "EUR": "~~450~~"}]
    assert table.grid()[1] == ["Desk", "450"]


def test_spans_that_lie_or_overlap_do_no_harm() -> None:
    spans = tuple(TextSpan(start=a, end=b, struck=True) for a, b in ((2, 900), (0, 4), (90, 80), (5, 5)))
    block = Block(type="paragraph", text="a *b* ~c~", spans=spans)
    page = Page(source="a", number=1, status="ok", blocks=(block,))
    assert page.markdown == r"~~a \*b~~~~\* \~c\~~~"
    forged = Block(type="paragraph", text="\U0010fffex\U0010ffff\ufdd0")
    assert "~" not in page.model_copy(update={"blocks": (forged,)}).markdown
    assert "del" not in page.model_copy(update={"blocks": (forged,)}).html


def test_marks_of_a_document_are_no_marks_of_ours() -> None:
    page = Setter()
    page.line("\ufdd0fo\ufdd1rged true", 50, 100)
    page.content.rulings.append(Ruling(92, 105, 113, 105))
    (block,) = structure(strike(page.content))
    assert [block.text[s.start : s.end] for s in block.spans] == ["true"]
    assert block.text == "forged true"


def test_of_many_lines_and_words_each_is_looked_at_where_it_is() -> None:
    page = Setter(600, 20_000)
    for n in range(500):
        page.line("one two three", 50, 20 + 30 * n)
        page.content.rulings.append(Ruling(50, 25 + 30 * n, 65, 25 + 30 * n))
    found = strike(page.content)
    assert [s.text for s in found.spans if s.struck] == ["one"] * 500
    assert found.rulings == []
    assert strike(Content(600, 800)).spans == []


def test_one_number_of_two(read: Read) -> None:
    fee = FEE.replace("4,500 EUR 5,200 EUR a year.", "due within 60 30 days.")
    assert (
        read(page_pdf(fee + "0.8 w 202 504 m 216 504 l S")).markdown
        == "The annual fee is due within ~~60~~ 30 days."
    )
