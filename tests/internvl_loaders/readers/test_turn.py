"""Pages set sideways are turned, ordinary ones are left alone."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module

import pytest

from internvl_loaders.readers.turn import upright
from tests.kit.build import page_pdf

LINES = "14 TL (A table set) Tj T* (sideways on its) Tj T* (page of the) Tj T* (report) Tj"
MATRICES = {
    0: "1 0 0 1 50 500",
    90: "0 -1 1 0 300 550",
    180: "-1 0 0 -1 350 100",
    270: "0 1 -1 0 100 50",
}


@pytest.mark.parametrize("module", ["pymupdf", "pdfium"])
@pytest.mark.parametrize("turn", MATRICES)
def test_turns(module: str, turn: int) -> None:
    pytest.importorskip({"pdfium": "pypdfium2"}.get(module, module))
    drawn = f"q {MATRICES[turn]} cm 0 -60 m 150 -60 l S BT /F 12 Tf {LINES} ET Q"
    reader = import_module(f"internvl_loaders.readers.{module}").open_pdf(page_pdf(drawn), None)
    content, found = upright(reader.content(0))
    assert found == turn
    assert (content.width, content.height) == ((400, 600) if turn in (0, 180) else (600, 400))
    assert all(s.upright for s in content.spans)
    words = " ".join(s.text for s in sorted(content.spans, key=lambda s: (round(s.y0), s.x0)))
    assert words == "A table set sideways on its page of the report"
    (ruling,) = content.rulings
    assert ruling.y0 == ruling.y1 == pytest.approx(min(s.y1 for s in content.spans) + 57, abs=4)


def test_what_is_left_alone() -> None:
    reader = import_module("internvl_loaders.readers.pdfium")
    for drawn in ("", "BT /F 12 Tf 0 1 -1 0 100 50 Tm (a margin note) Tj ET"):
        content = reader.open_pdf(page_pdf(drawn), None).content(0)
        assert upright(content) == (content, 0)
    content = reader.open_pdf(page_pdf(f"BT /F 12 Tf {MATRICES[180]} Tm {LINES} ET"), None).content(0)
    arabic = replace(content, spans=[replace(s, text="مرحبا") for s in content.spans])
    assert upright(arabic) == (arabic, 0)
