"""What a worker says and draws, in this process."""

from __future__ import annotations

from typing import Any

import PIL.Image
import pytest

from internvl_llm.errors import MediaError, PageRangeError
from internvl_llm.media.drawing import DocumentDrawing, Drawing, ImageDrawing
from internvl_llm.media.limits import Limits
from tests.kit.build import image_bytes
from tests.kit.pdfs import pdf
from tests.kit.pictures import gradient

SIZES = [(595.276, 841.89), (612, 792), (419.53, 595.28), (100.1, 50.4), (1000.7, 333.3)]


def opened(kind: type[Drawing], content: bytes, **limits: Any) -> Drawing:
    bounds = Limits(**limits).model_dump()
    return kind(content, {"name": "given", "limits": bounds, "dpi": 200})


def drawn(drawing: Drawing, **asked: Any) -> list[tuple[tuple[int, int], bytes]]:
    head, _ = drawing.answer({"op": "open", **asked})
    request = {"op": "draw", "stamp": head["stamp"]}
    return [
        ((width, height), drawing.answer(request | {"images": [[number, width, height]]})[1])
        for number, width, height in head["images"]
    ]


@pytest.mark.parametrize("dpi", [72, 110, 200, 301])
@pytest.mark.parametrize("size", SIZES)
def test_pages_are_as_large_as_they_were_told_to_be(dpi: int, size: tuple[float, float]) -> None:
    drawing = opened(DocumentDrawing, pdf("one", size=size))
    drawing.settings["dpi"] = dpi
    [((width, height), pixels)] = drawn(drawing, pages=None, most=9)
    assert len(pixels) == 3 * width * height
    assert drawing.draw([1])[0].size == (width, height)  # nothing was to be pasted or scaled
    assert abs(width - size[0] * dpi / 72) < 2 and abs(height - size[1] * dpi / 72) < 2


@pytest.mark.parametrize("difference", [(1, 0), (0, -1), (2, -2), (30, 0)])
def test_where_another_library_rounds_otherwise(
    difference: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawing = opened(DocumentDrawing, pdf("one", size=(200, 100)))
    [number, width, height] = drawing.answer({"op": "open", "pages": None, "most": 9})[0]["images"][0]
    other = PIL.Image.new("RGB", (width + difference[0], height + difference[1]), "black")
    monkeypatch.setattr(drawing, "draw", lambda numbers: [other])
    request = {"op": "draw", "stamp": [], "images": [[number, width, height]]}
    image = PIL.Image.frombytes("RGB", (width, height), drawing.answer(request)[1])
    assert image.getpixel((0, 0)) == (0, 0, 0)
    missing = difference[1] < 0
    assert image.getpixel((width - 1, height - 1)) == ((255, 255, 255) if missing else (0, 0, 0))


def test_a_page_that_pdfium_cannot_draw_is_drawn_by_pymupdf(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pymupdf")
    drawing = opened(DocumentDrawing, pdf("one", size=(200.3, 100.7)))

    def none(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr("internvl_llm.media.pdfium.PdfiumReader.render", none)
    [((width, height), pixels)] = drawn(drawing, pages=None, most=9)
    assert (width, height) == (557, 280)
    assert len(pixels) == 3 * width * height
    assert isinstance(drawing, DocumentDrawing)
    assert drawing.reader.notes(0) == ["pymupdf had to draw the page (pdfium: broken)"]


def test_the_pages_asked_for() -> None:
    drawing = opened(DocumentDrawing, pdf("a", "b", "c"))
    assert [number for number, *_ in drawing.sizes({"pages": "2-", "most": 9})] == [2, 3]
    assert len(drawing.sizes({"pages": None, "most": 1})) == 2  # one more than may be: enough to refuse
    with pytest.raises(PageRangeError, match="it has 3 pages, none of them among 7"):
        drawing.sizes({"pages": "7", "most": 9})


def test_an_image_as_it_is_in_its_file() -> None:
    """Though it says that its pixels are not square."""
    [(size, pixels)] = drawn(opened(ImageDrawing, image_bytes(gradient(), "PNG", dpi=(200, 100))))
    assert (size, pixels) == (gradient().size, gradient().tobytes())


def test_what_is_no_single_image() -> None:
    for content, says in ((pdf("a"), "Document part"), (b"%PDF-", "Document part"), (b"GIF", "known")):
        with pytest.raises(MediaError, match=says):
            opened(ImageDrawing, content)
