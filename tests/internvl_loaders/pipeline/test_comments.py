"""Sticky notes and remarks on marked text."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from internvl_loaders import ParseOptions, parse
from internvl_loaders.document import Page
from internvl_loaders.pipeline.reading import OpenDocument
from tests.kit.build import page_pdf
from tests.kit.scripted import ScriptedEngine

TEXT = "BT /F 12 Tf 50 500 Td (The annual fee is 5,200 EUR.) Tj ET "
QUADS = "/QuadPoints [139 511 203 511 139 497 203 497]"
NOTES = {
    "Text": "<< /Type /Annot /Subtype /Text /Rect [300 500 320 520] /F 4 /T (Ann) /Contents (Ask Bob) >>",
    "Highlight": f"<< /Type /Annot /Subtype /Highlight /Rect [139 497 203 511] {QUADS} /Contents (Odd) >>",
    "Square": "<< /Type /Annot /Subtype /Square /Rect [30 480 300 530] /T (Ann) /Contents (Check\rthis) >>",
    "in Unicode": "<< /Type /Annot /Subtype /Text /Rect [9 9 29 29] /Contents <FEFF00E9007400E9> >>",
}
SILENT = {
    "hidden": NOTES["Text"].replace("/F 4", "/F 2"),
    "not viewed": NOTES["Text"].replace("/F 4", "/F 32"),
    "popup": "<< /Type /Annot /Subtype /Popup /Rect [300 400 400 500] /Contents (Ask Bob) >>",
    "empty": NOTES["Text"].replace("Ask Bob", "  "),
    "link": "<< /Type /Annot /Subtype /Link /Rect [50 497 90 511] /Contents (go) "
    "/A << /S /URI /URI (https://example.com) >> >>",
}
Read = Callable[..., Page]


@pytest.fixture(params=["pymupdf", "pdfium"])
def read(request: pytest.FixtureRequest) -> Read:
    def page(*notes: str, rotate: int = 0, annotations: str = "keep") -> Page:
        numbers = " ".join(f"{20 + n} 0 R" for n in range(len(notes)))
        pdf = page_pdf(TEXT, extra=f"/Rotate {rotate} /Annots [{numbers}]", objects=notes)
        chosen = ParseOptions.of(transcriber="text-layer", annotations=annotations)
        document = OpenDocument(pdf, "a.pdf", chosen)
        document.reader._order = (request.param,)  # type: ignore[union-attr]
        document.reader.name = request.param  # type: ignore[union-attr]
        try:
            return document.read(1, 1)
        finally:
            document.close()

    return page


@pytest.mark.parametrize("rotate", [0, 90, 180])
def test_comments_are_behind_their_page_from_top_to_bottom(read: Read, rotate: int) -> None:
    texts = [block.text for block in read(*NOTES.values(), rotate=rotate).blocks]
    assert sorted(texts[1:]) == [
        "[Comment by Ann: Ask Bob]",
        "[Comment by Ann: Check\nthis]",
        "[Comment: Odd]",
        "[Comment: été]",
    ]
    assert "été" in texts[1 if rotate == 180 else -1 if rotate == 0 else texts.index("[Comment: été]")]


def test_they_are_left_out_by_default(read: Read) -> None:
    assert ParseOptions().annotations == "omit"
    assert "Comment" not in read(*NOTES.values(), annotations="omit").markdown


@pytest.mark.parametrize("kind", SILENT)
def test_what_nobody_can_open_is_no_comment(read: Read, kind: str) -> None:
    assert "Comment" not in read(SILENT[kind]).markdown


def test_they_are_behind_what_a_model_reads_and_no_witness_looks_for_them() -> None:
    pdf = page_pdf(TEXT, extra="/Annots [20 0 R]", objects=[NOTES["Text"].replace("Ask Bob", "Pay 77.10")])
    engine = ScriptedEngine(lambda request: "The annual fee is 5,200 EUR.")
    (page,) = parse(pdf, transcriber="internvl", engine=engine, annotations="keep", dpi=72)
    assert [block.text for block in page.blocks] == [
        "The annual fee is 5,200 EUR.",
        "[Comment by Ann: Pay 77.10]",
    ]
    assert (page.status, page.disputes, page.findings) == ("ok", (), ())
