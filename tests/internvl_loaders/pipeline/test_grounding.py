"""Pages that an engine reads, held against their text layer or what rapidocr sees on them."""

from __future__ import annotations

from typing import Any

import pytest

from internvl_llm.request import Request
from internvl_loaders import parse
from internvl_loaders.document import Page
from internvl_loaders.langchain import InternVLLoader
from internvl_loaders.values import Box
from tests.kit.pdfs import pdf
from tests.kit.scripted import ScriptedEngine

LINES = (
    "Invoice 2024-118 of 12 March 2024",
    "Nasi Lemak Ayam with rice 17.60",
    "Teh Tarik and water 12.80",
    "Total amount to be paid 30.40",
)
TEXT = "\n".join(LINES)


class Engine(ScriptedEngine):
    """Says `page` of a page and `crop` of what it is asked about again."""

    def __init__(self, page: str, crop: str = "") -> None:
        self.pages = self.crops = 0

        def answer(request: Request) -> str:
            whole = request.page
            self.pages += whole
            self.crops += not whole
            return page if whole else crop

        super().__init__(answer)


def read(engine: Engine, **options: Any) -> Page:
    made: dict[str, Any] = {"transcriber": "internvl", "dpi": 100, **options}
    (page,) = parse(pdf(TEXT, size=(400, 200)), engine=engine, **made)
    return page


def test_a_right_page_gets_boxes_and_is_asked_about_once() -> None:
    engine = Engine(TEXT)
    page = read(engine)
    assert (engine.pages, engine.crops) == (1, 0)
    assert not page.disputes
    assert not page.findings
    assert page.status == "ok"
    assert all(block.confidence == 1 and isinstance(block.box, Box) for block in page.blocks)
    assert page.timings["ground"] > 0


def test_a_wrong_digit_is_read_again_and_settled() -> None:
    engine = Engine(TEXT.replace("17.60", "11.60"), "17.60")
    page = read(engine)
    assert "17.60" in page.markdown
    assert "11.60" not in page.markdown
    (dispute,) = page.disputes
    assert (dispute.text, dispute.witness, dispute.settled) == ("11.60", "17.60", "17.60")
    assert page.reason == "'11.60' was read again as '17.60'"
    assert engine.crops >= 1
    assert page.history[-1].what.startswith(f"{engine.crops} crop")
    assert page.timings["asked again"] > 0


def test_without_crops_what_is_in_dispute_is_only_told() -> None:
    engine = Engine(TEXT.replace("17.60", "11.60"), "17.60")
    page = read(engine, max_crops=0)
    assert engine.crops == 0
    assert [(d.text, d.settled) for d in page.disputes] == [("11.60", None)]
    assert "11.60[^1.1]" in page.to_markdown(footnotes=True)


def test_without_a_witness_nothing_is_compared() -> None:
    page = read(Engine(TEXT.replace("17.60", "11.60").replace("30.40", "24.40")), witness="none")
    assert not page.disputes
    assert page.blocks[0].box is None
    assert "witness" not in page.timings


def test_rapidocr_is_the_witness_of_what_has_no_sound_text_layer() -> None:
    page = read(Engine(TEXT.replace("17.60", "11.60")), witness="rapidocr", max_crops=0, dpi=200)
    assert [(d.text, d.witness, d.kind) for d in page.disputes] == [("11.60", "17.60", "amount")]
    assert page.timings["witness"] > 0


def test_another_page_is_said() -> None:
    page = read(Engine("The weather of last week was mild, with rain in the evening and 3 degrees at night"))
    (finding,) = page.findings
    assert finding.check == "another page"
    assert "is not what the text-layer sees on this page" in finding.text
    assert not page.disputes


def test_what_comes_from_a_worker_may_be_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    from internvl_loaders.ground.witness import Witness

    for wrong in ({}, [], {"words": [1], "method": "", "confidence": None, "aspect": 1.0}, None):
        with pytest.raises(ValueError, match="no w"):
            Witness.told(wrong)


def test_metadata_says_what_is_in_dispute() -> None:
    engine = Engine(TEXT.replace("17.60", "11.60").replace("Teh Tarik and water 12.80\n", ""))
    options: dict[str, Any] = {"transcriber": "internvl", "engine": engine, "max_crops": 0}
    source = pdf(TEXT, size=(400, 200))
    for mode in ("page", "document"):
        (document,) = InternVLLoader(source, mode=mode, **options).load()
        assert document.metadata["disputes"] == 1
        assert document.metadata["flags"] == "missing"
        assert 0.8 < document.metadata["lowest_confidence"] < 1
