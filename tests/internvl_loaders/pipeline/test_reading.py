"""One page of an open document: what its reader or OCR gives, made sane once and then read."""

from __future__ import annotations

import math
import sys
from itertools import product
from pathlib import Path

import PIL.Image
import pytest

from internvl_loaders.content import Content, Rect, Ruling, Span
from internvl_loaders.document import Page
from internvl_loaders.options import ParseOptions
from internvl_loaders.pipeline import reading
from internvl_loaders.pipeline.reading import OpenDocument
from internvl_loaders.pipeline.store import PageStore
from internvl_loaders.structure.sane import sane
from internvl_loaders.transcribe import OCRPage

ODD = [0.0, math.nan, math.inf, -1e308, 300.0]
WORDS = ["The", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog", "and", "runs", "home"]


def page(top: float = 72.0) -> Content:
    return Content(
        595, 842, [Span(w, 72 + 30 * n, top, 98 + 30 * n, top + 12, 10) for n, w in enumerate(WORDS)]
    )


def impossible() -> Content:
    """Words, rulings and pictures at every pair of odd numbers, on a page without a width."""
    pairs = list(product(ODD, ODD))
    words = [Span(WORDS[n % len(WORDS)], x, y, x, y, 9) for n, (x, y) in enumerate(pairs)]
    return Content(
        math.nan, 842, words, [Ruling(x, y, x, y) for x, y in pairs], [Rect(*p, *p) for p in pairs], 25
    )


class StubReader:
    """Pages that hold what they are told to; their images are blank paper."""

    def __init__(self, *contents: Content) -> None:
        self.contents = contents

    def __len__(self) -> int:
        return len(self.contents)

    def label(self, index: int) -> str:
        return str(index + 1)

    def size(self, index: int) -> tuple[float, float]:
        return 595.0, 842.0

    def notes(self, index: int) -> list[str]:
        return []

    def attached(self) -> list[str]:
        return []

    def xfa(self) -> bytes | None:
        return None

    def content(self, index: int) -> Content:
        return self.contents[index]

    def render(self, index: int, dpi: float, max_pixels: int) -> PIL.Image.Image:
        return PIL.Image.new("RGB", (595, 842), "white")


class StubOCR:
    def __init__(self, content: Content, late: int = 0) -> None:
        self.content = content
        self.late = late

    def read(self, image: PIL.Image.Image, dpi: float, until: float) -> OCRPage:
        return OCRPage(self.content, confidence=0.9, late=self.late)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Content]:
    """What `sane` is called with, whichever module calls it."""
    given: list[Content] = []

    def counted(content: Content) -> Content:
        given.append(content)
        return sane(content)

    for name, module in list(sys.modules.items()):
        if name.startswith("internvl_loaders") and getattr(module, "sane", None) is sane:
            monkeypatch.setattr(module, "sane", counted)
    return given


def opened(monkeypatch: pytest.MonkeyPatch, *contents: Content, **options: object) -> OpenDocument:
    monkeypatch.setattr(reading, "open_document", lambda *args, **kwargs: StubReader(*contents))
    return OpenDocument(b"", "a.pdf", ParseOptions.of(None, **options))


def test_a_text_layer_is_made_sane_once_a_page(monkeypatch: pytest.MonkeyPatch, calls: list[Content]) -> None:
    """Though it is judged, read, and looked at again for its neighbours' running heads."""
    contents = [page(72.0 + n) for n in range(3)]
    document = opened(monkeypatch, *contents)
    pages = [document.read(number, threads=1) for number in (1, 2, 3)]
    assert [p.method for p in pages] == ["text-layer"] * 3
    assert calls == contents


def test_what_ocr_sees_is_made_sane_once_a_page(
    monkeypatch: pytest.MonkeyPatch, calls: list[Content]
) -> None:
    seen = page()
    monkeypatch.setattr(reading, "_transcriber", lambda threads: StubOCR(seen))
    scans = [Content(595, 842, figures=[Rect(0, 0, 595, 842 - n)]) for n in range(2)]
    document = opened(monkeypatch, *scans)
    assert [document.read(number, threads=1).method for number in (1, 2)] == ["rapidocr"] * 2
    assert calls == [scans[0], seen, scans[1], seen]


@pytest.mark.parametrize("transcriber", ["text-layer", "rapidocr"])
def test_a_page_of_impossible_numbers_is_read(monkeypatch: pytest.MonkeyPatch, transcriber: str) -> None:
    """No word is lost, on it and on the page beside it."""
    monkeypatch.setattr(reading, "_transcriber", lambda threads: StubOCR(impossible()))
    document = opened(monkeypatch, impossible(), impossible(), transcriber=transcriber, words=True)
    for number in (1, 2):
        read = document.read(number, threads=1)
        assert sorted(w.text for b in read.blocks for w in b.words) == sorted(
            s.text for s in impossible().spans
        )


def test_lines_that_there_was_no_time_for_are_said_and_the_page_is_not_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    scans = [Content(595, 842, figures=[Rect(0, 0, 595, 842)])] * 2
    document = opened(monkeypatch, *scans, cache_dir=tmp_path)
    kept = []
    for number, late in ((1, 7), (2, 0)):
        monkeypatch.setattr(reading, "_transcriber", lambda threads, late=late: StubOCR(page(), late))
        reply = document.answer({"op": "page", "page": number, "threads": 1})
        store = PageStore(document.options, None)
        keep = store.keeper("0" * 64, number)
        assert keep is not None
        keep(reply)
        kept.append((Page.model_validate_json(reply[1]), store.find("0" * 64, number) is not None))
    (hurried, hurried_kept), (whole, whole_kept) = kept
    assert (hurried.status, hurried_kept) == ("fallback", False)
    assert hurried.reason == (
        "there was no time to read 7 lines of text on the page image; raise max_seconds (120)"
    )
    assert "The quick brown fox" in hurried.text
    assert (whole.status, whole.reason, whole_kept) == ("ok", "", True)
