"""What both PDF readers must see alike."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import PIL.Image
import pytest

from internvl_loaders.content import Content, Span
from tests.kit.build import page_pdf

PARAGRAPH = (
    "BT /F 12 Tf 14 TL 50 500 Td (The quick brown fox) Tj T* (jumps over the lazy dog, 1,234.50.) Tj T* "
    "/B 12 Tf (Bold) Tj /I 12 Tf ( slanted) Tj /M 12 Tf ( fixed) Tj ET"
)


@pytest.fixture(params=["pymupdf", "pdfium"])
def reader(request: pytest.FixtureRequest) -> Any:
    pytest.importorskip({"pdfium": "pypdfium2"}.get(request.param, request.param))
    return import_module(f"internvl_loaders.readers.{request.param}")


def content(reader: Any, pdf: bytes) -> Content:
    opened = reader.open_pdf(pdf, None)
    try:
        found: Content = opened.content(0)
        return found
    finally:
        opened.close()


def texts(found: Content) -> list[str]:
    return [s.text for s in found.spans]


def word(found: Content, text: str) -> Span:
    return next(s for s in found.spans if s.text == text)


def near(values: tuple[float, ...], wanted: tuple[float, ...], within: float = 3) -> bool:
    return all(abs(a - b) <= within for a, b in zip(values, wanted, strict=True))


def test_words_lines_and_styles(reader: Any) -> None:
    found = content(reader, page_pdf(PARAGRAPH))
    assert texts(found) == [
        *("The", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog,", "1,234.50."),
        *("Bold", "slanted", "fixed"),
    ]
    assert (found.width, found.height) == (400, 600)
    assert near(word(found, "The").rect, (50, 89, 71, 104))
    assert word(found, "The").size == pytest.approx(12, abs=0.1)
    assert word(found, "The").line == word(found, "fox").line != word(found, "jumps").line
    assert [word(found, t).bold for t in ("The", "Bold", "slanted")] == [False, True, False]
    assert [word(found, t).italic for t in ("The", "Bold", "slanted")] == [False, False, True]
    assert [word(found, t).mono for t in ("The", "fixed")] == [False, True]
    assert not any(s.hidden or s.superscript for s in found.spans)
    assert all(s.upright for s in found.spans)


@pytest.mark.parametrize(
    ("rotate", "size", "place", "upright"),
    [
        (0, (400, 600), (50, 89, 71, 104), True),
        (90, (600, 400), (496, 50, 511, 71), False),
        (180, (400, 600), (329, 496, 350, 511), True),
        (270, (600, 400), (89, 329, 104, 350), False),
    ],
)
def test_rotation_turns_words_rulings_and_images(
    reader: Any, rotate: int, size: tuple[int, int], place: tuple[int, ...], upright: bool
) -> None:
    drawn = PARAGRAPH + " 50 480 m 250 480 l S q 100 0 0 50 50 400 cm /Opaque Do Q"
    found = content(reader, page_pdf(drawn, extra=f"/Rotate {rotate}"))
    assert (found.width, found.height) == size
    assert near(word(found, "The").rect, place)
    assert word(found, "The").upright is upright
    ruling = {
        0: (50, 120, 250, 120),
        90: (480, 50, 480, 250),
        180: (150, 480, 350, 480),
        270: (120, 150, 120, 350),
    }
    figure = {
        0: (50, 150, 150, 200),
        90: (400, 50, 450, 150),
        180: (250, 400, 350, 450),
        270: (150, 250, 200, 350),
    }
    assert [near(r, ruling[rotate], 1) for r in found.rulings] == [True]
    assert [near(f, figure[rotate], 1) for f in found.figures] == [True]


def test_odd_boxes(reader: Any) -> None:
    """A page whose box starts below zero, cropped: what is outside is not on the page."""
    text = "BT /F 12 Tf -80 -80 Td (inside) Tj 0 -100 Td (outside) Tj ET"
    found = content(
        reader, page_pdf(text, media=(-100, -200, 300, 400), extra="/CropBox [-100 -100 300 400]")
    )
    assert (found.width, found.height) == (400, 500)
    assert texts(found) == ["inside"]
    assert near(word(found, "inside").rect, (20, 469, 53, 484))


def test_rulings_from_lines_rectangles_and_grids(reader: Any) -> None:
    drawn = (
        "50 500 m 250 500 l S "  # a line
        "50 450 200 1.5 re f "  # a line drawn as a filled rectangle
        "50 300 200 100 re S "  # four edges
        "60 200 80 60 re f "  # a shaded area is no ruling
        "300 100 m 350 180 l S "  # nor is an oblique line
        + " ".join(f"{50 + 5 * i} 50 m {53 + 5 * i} 50 l S" for i in range(20))  # dashes
    )
    rulings = content(reader, page_pdf(drawn)).rulings
    wanted = [
        *((50, 100, 250, 100), (50, 149.25, 250, 149.25), (50, 200, 250, 200), (50, 300, 250, 300)),
        *((50, 550, 148, 550), (50, 200, 50, 300), (250, 200, 250, 300)),
    ]
    assert len(rulings) == len(wanted)
    assert all(any(near(ruling, w, 1) for ruling in rulings) for w in wanted)


def test_a_grid_in_a_form(reader: Any) -> None:
    lines = "0 0 m 100 0 l 0 50 m 100 50 l S"
    form = (
        f"<< /Type /XObject /Subtype /Form /BBox [0 0 400 600] /Length {len(lines)} >>\n"
        f"stream\n{lines}\nendstream"
    )
    found = content(
        reader,
        page_pdf("q 2 0 0 1 50 100 cm /Form Do Q", objects=(form,)).replace(b"/Clear 6 0 R", b"/Form 20 0 R"),
    )
    assert sorted((round(r.x0), round(r.y0), round(r.x1)) for r in found.rulings) == [
        (50, 450, 250),
        (50, 500, 250),
    ]


def test_superscripts(reader: Any) -> None:
    """10 to the sixth must not become 106; the mark of a footnote is a span of its own."""
    text = (
        "BT /F 12 Tf 50 500 Td (costs 10) Tj 7 Ts /F 7 Tf (6) Tj 0 Ts /F 12 Tf ( euros) Tj "
        "0 -30 Td 5 Ts /F 7 Tf (2) Tj 0 Ts /F 12 Tf (See there for H) Tj "
        "-2 Ts /F 7 Tf (2) Tj 0 Ts /F 12 Tf (O) Tj ET"
    )
    found = content(reader, page_pdf(text))
    assert texts(found) == ["costs", "10⁶", "euros", "2", "See", "there", "for", "H2O"]
    assert [s.text for s in found.spans if s.superscript] == ["2"]


def test_hidden_text_is_marked(reader: Any) -> None:
    found = content(reader, page_pdf("BT /F 12 Tf 50 500 Td (seen) Tj 3 Tr ( unseen) Tj ET"))
    assert [(s.text, s.hidden) for s in found.spans] == [("seen", False), ("unseen", True)]


def test_text_beneath_a_scan_is_hidden(reader: Any) -> None:
    def drawn(image: str) -> str:
        return (
            f"BT /F 12 Tf 50 500 Td (beneath) Tj ET q 400 0 0 600 0 0 cm /{image} Do Q "
            "BT /F 12 Tf 50 400 Td (above) Tj ET"
        )

    found = content(reader, page_pdf(drawn("Opaque")))
    assert {s.text: s.hidden for s in found.spans} == {"beneath": True, "above": False}
    found = content(reader, page_pdf(drawn("Clear")))
    assert {s.text: s.hidden for s in found.spans} == {"beneath": False, "above": False}


def test_doubled_text_is_bold_once(reader: Any) -> None:
    found = content(
        reader, page_pdf("BT /F 12 Tf 50 500 Td (Total due) Tj ET BT /F 12 Tf 50.4 500 Td (Total due) Tj ET")
    )
    assert texts(found) == ["Total", "due"]
    found = content(reader, page_pdf("BT /F 12 Tf 50 500 Td (7 7 7) Tj ET"))
    assert texts(found) == ["7", "7", "7"]


def test_words_apart_by_position_only(reader: Any) -> None:
    found = content(
        reader, page_pdf("BT /F 12 Tf 50 500 Td [(two) -300 (words) -3000 (far) 20 (ther)] TJ ET")
    )
    assert texts(found) == ["two", "words", "farther"]
    assert word(found, "two").line == word(found, "words").line != word(found, "farther").line


def test_letterspaced_words_stay_whole(reader: Any) -> None:
    found = content(reader, page_pdf("BT /F 12 Tf 2.2 Tc 50 500 Td (ANNUAL REPORT) Tj 0 Tc ET"))
    assert texts(found) == ["ANNUAL", "REPORT"]
    found = content(reader, page_pdf("BT /F 12 Tf 50 500 Td [(1) -250 (2) -250 (3) -250 (4) -250 (5)] TJ ET"))
    assert texts(found) == ["1", "2", "3", "4", "5"]


def test_symbol_fonts(reader: Any) -> None:
    found = content(reader, page_pdf("BT /S 12 Tf 50 500 Td (a\xb7) Tj /Z 12 Tf 0 -30 Td (4) Tj ET"))
    assert texts(found) == ["α•", "✔"]


def test_vertical_text(reader: Any) -> None:
    found = content(reader, page_pdf("BT /F 12 Tf 0 1 -1 0 100 300 Tm (runs upward) Tj ET"))
    assert [(s.text, s.upright) for s in found.spans] == [("runs", False), ("upward", False)]


FIELD = (
    "<< /Type /Annot /Subtype /Widget /FT /Tx /T (name) /V (Jane Roe) /Rect [50 300 250 320] /F 4 "
    "/DA (/F 12 Tf 0 g) /AP << /N 21 0 R >> >>",
    "<< /Type /XObject /Subtype /Form /BBox [0 0 200 20] /Resources << /Font << /F << /Type /Font "
    "/Subtype /Type1 /BaseFont /Helvetica >> >> >> /Length 46 >>\nstream\n"
    "/Tx BMC BT /F 12 Tf 2 5 Td (Jane Roe) Tj ET EMC\nendstream",
)


def field_pdf() -> bytes:
    return page_pdf(
        "BT /F 12 Tf 50 325 Td (Name:) Tj ET",
        extra="/Annots [20 0 R]",
        catalog="/AcroForm << /Fields [20 0 R] /DA (/F 12 Tf 0 g) >>",
        objects=FIELD,
    )


def test_form_values_are_read_and_drawn(reader: Any) -> None:
    opened = reader.open_pdf(field_pdf(), None)
    assert texts(opened.content(0)) == ["Name:", "Jane", "Roe"]
    assert near(word(opened.content(0), "Jane").rect, (52, 285, 78, 300))
    image = opened.render(0, 72, 10**6)
    assert image.crop((50, 280, 110, 300)).convert("L").getextrema()[0] < 128


def test_render_is_rgb_and_within_limits(reader: Any) -> None:
    opened = reader.open_pdf(page_pdf(PARAGRAPH, extra="/Rotate 90"), None)
    image = opened.render(0, 144, 10**9)
    assert isinstance(image, PIL.Image.Image)
    assert (image.mode, image.size) == ("RGB", (1200, 800))
    small = opened.render(0, 144, 50_000)
    assert 40_000 < small.width * small.height <= 50_000
    assert small.width / small.height == pytest.approx(1.5, abs=0.02)


def test_a_huge_page_is_drawn_small(reader: Any) -> None:
    opened = reader.open_pdf(page_pdf("", media=(0, 0, 14400, 14400)), None)
    image = opened.render(0, 600, 250_000)
    assert image.width * image.height <= 250_000


def test_an_empty_page(reader: Any) -> None:
    found = content(reader, page_pdf(""))
    assert (found.spans, found.rulings, found.figures, found.drawings) == ([], [], [], 0)


def test_many_drawings_have_no_rulings(reader: Any) -> None:
    drawn = " ".join(f"{i % 300} {i // 300} m {i % 300 + 9} {i // 300} l S" for i in range(10_050))
    found = content(reader, page_pdf(drawn))
    assert found.rulings == []
    assert found.drawings > 10_000


@pytest.mark.parametrize(
    ("drawn", "wanted"),
    [
        ("(E = mc) Tj 4 Ts (2) Tj", "mc²"),
        ("(E = mc) Tj /F 8 Tf 5 Ts (2) Tj /F 12 Tf 0 Ts ( holds) Tj", "mc²"),
        ("(1,000 mc) Tj 3.5 Ts (3) Tj 0 Ts ( a year) Tj", "mc³"),
    ],
)
def test_exponents_by_text_rise(reader: Any, drawn: str, wanted: str) -> None:
    assert wanted in texts(content(reader, page_pdf(f"BT /F 12 Tf 50 500 Td {drawn} ET")))


def test_a_hyphen_above_the_next_line_is_no_exponent(reader: Any) -> None:
    drawn = "BT /F 12 Tf 50 500 Td (nulla. Cur) Tj 4 Ts (-) Tj 0 Ts (abitur) Tj ET"
    assert "⁻" not in "".join(texts(content(reader, page_pdf(drawn))))


def test_notes_below_and_lines_that_step_are_no_exponents(reader: Any) -> None:
    drawn = "BT /F 12 Tf 50 500 Td (H) Tj -3 Ts (2) Tj 0 Ts (O and level 7) Tj 8 Ts (2) Tj ET"
    assert "²" not in "".join(texts(content(reader, page_pdf(drawn))))
