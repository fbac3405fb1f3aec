"""Boxes to tick and fields of forms, as fields, as drawings and as characters, through both readers."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

import pytest

from internvl_loaders.document import Page
from internvl_loaders.options import ParseOptions
from internvl_loaders.pipeline import reading
from internvl_loaders.readers.open import open_document
from tests.kit.build import page_pdf


@pytest.fixture(params=["pymupdf", "pdfium"])
def read(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    pytest.importorskip({"pdfium": "pypdfium2"}.get(request.param, request.param))
    monkeypatch.setattr(reading, "open_document", partial(open_document, readers=(request.param,)))

    def page(pdf: bytes) -> Page:
        opened = reading.OpenDocument(pdf, "form.pdf", ParseOptions())
        try:
            return opened.read(1, 1)
        finally:
            opened.close()

    return page


def text(x: float, y: float, words: str, font: str = "F") -> str:
    return f"BT /{font} 10 Tf {x} {y} Td ({words}) Tj ET "


def square(x: float, y: float) -> str:
    return f"{x} {y} 9 9 re S "


def strokes(x: float, y: float) -> str:
    """A square of four lines."""
    corners = [(x, y), (x + 9, y), (x + 9, y + 9), (x, y + 9), (x, y)]
    return "".join(f"{a} {b} m {c} {d} l S " for (a, b), (c, d) in pairwise(corners))


def white_on_black(x: float, y: float) -> str:
    """A frame of two fills, as browsers print it."""
    return f"0 g {x} {y} 9 9 re f 1 g {x + 1} {y + 1} 7 7 re f 0 g "


def circle(x: float, y: float, r: float = 4.5, paint: str = "S") -> str:
    k, cx, cy = 0.5523 * r, x + 4.5, y + 4.5
    return (
        f"{cx + r} {cy} m {cx + r} {cy + k} {cx + k} {cy + r} {cx} {cy + r} c "
        f"{cx - k} {cy + r} {cx - r} {cy + k} {cx - r} {cy} c "
        f"{cx - r} {cy - k} {cx - k} {cy - r} {cx} {cy - r} c "
        f"{cx + k} {cy - r} {cx + r} {cy - k} {cx + r} {cy} c {paint} "
    )


def cross(x: float, y: float) -> str:
    return f"{x + 2} {y + 2} m {x + 7} {y + 7} l S {x + 2} {y + 7} m {x + 7} {y + 2} l S "


def tick(x: float, y: float) -> str:
    return f"0 0.5 0 RG 1.2 w {x + 1.5} {y + 4} m {x + 4} {y + 1.5} l {x + 9} {y + 10} l S 0 G 1 w "


def fill(x: float, y: float) -> str:
    return f"{x + 2} {y + 2} 5 5 re f "


def dot(x: float, y: float) -> str:
    return circle(x, y, 2.2, "f")


def typed(x: float, y: float) -> str:
    return text(x + 1.2, y + 1, "X")


def blue(x: float, y: float) -> str:
    check = f"1 1 1 RG 1.3 w {x + 2} {y + 4} m {x + 4} {y + 2} l {x + 7} {y + 7} l S"
    return f"0.1 0.3 0.8 rg {x} {y} 9 9 re f {check} 0 g 0 G 1 w "


@pytest.mark.parametrize(
    ("frame", "ticking"),
    [
        *((square, cross), (square, tick), (square, fill), (square, typed), (square, blue)),
        *((strokes, cross), (strokes, tick), (white_on_black, cross), (white_on_black, fill), (circle, dot)),
    ],
)
@pytest.mark.parametrize("first", [False, True], ids=["frame first", "tick first"])
def test_drawn_boxes_say_whether_they_are_ticked(read: Any, frame: Any, ticking: Any, first: bool) -> None:
    if first and (frame is white_on_black or ticking is blue):
        pytest.skip("the later fill would cover the tick")
    boxes = ticking(120, 499) + frame(120, 499) if first else frame(120, 499) + ticking(120, 499)
    page = read(
        page_pdf(
            text(50, 500, "Gender:")
            + boxes
            + text(134, 500, "Female")
            + frame(190, 499)
            + text(204, 500, "Male")
        )
    )
    assert page.markdown == "Gender: [x] Female [ ] Male"
    assert [(f.kind, f.label, f.checked) for f in page.fields] == [
        ("checkbox", "Female", True),
        ("checkbox", "Male", False),
    ]


def test_a_column_of_drawn_boxes_is_a_list_of_tasks(read: Any) -> None:
    content = "".join(
        square(50, y) + (cross(50, y) if n == 1 else "") + text(66, y + 1, name)
        for n, (y, name) in enumerate(((499, "single"), (479, "married"), (459, "divorced")))
    )
    assert read(page_pdf(content)).markdown == "- [ ] single\n- [x] married\n- [ ] divorced"


def test_frames_letters_and_combs_are_no_boxes(read: Any) -> None:
    comb = "".join(f"{50 + 12 * n} 399 12 12 re S " + text(53 + 12 * n, 401, c) for n, c in enumerate("1984"))
    empty = "".join(f"{50 + 12 * n} 349 12 12 re S " for n in range(6))
    step = square(50, 299) + text(52, 300, "1") + text(66, 300, "Open the valve.")
    bullets = "".join(f"50 {y} 5 5 re f " + text(62, y - 1, "a point") for y in (260, 245, 230))
    page = read(page_pdf(comb + empty + text(130, 350, "Code") + step + bullets))
    assert "[ ]" not in page.text and "[x]" not in page.text and not page.fields


@pytest.mark.parametrize("ruled", [True, False])
@pytest.mark.parametrize(("yes", "sign"), [(tick, "✓"), (lambda x, y: circle(x, y, 4, "f"), "●")])
def test_a_grid_with_drawn_ticks_is_a_table(read: Any, ruled: bool, yes: Any, sign: str) -> None:
    names = ["Unlimited users", "Phone support", "Audit log", "Custom domain"]
    has = ["110", "011", "001", "011"]
    content = "".join(
        text(x, 500, head, "B") for x, head in ((50, "Feature"), (168, "Basic"), (230, "Plus"), (293, "Pro"))
    )
    for n, (name, row) in enumerate(zip(names, has, strict=True)):
        y = 476 - 24 * n
        content += text(50, y, name)
        content += "".join(yes(176 + 62 * k, y - 1) for k, state in enumerate(row) if state == "1")
    if ruled:
        content += "".join(f"40 {y} m 340 {y} l S " for y in range(396, 520, 24))
        content += "".join(f"{x} 396 m {x} 516 l S " for x in (40, 150, 212, 274, 340))
    (table,) = read(page_pdf(content)).tables
    assert table.grid()[1:] == [
        [name, *(sign if state == "1" else "" for state in row)] for name, row in zip(names, has, strict=True)
    ]


def widget(number: int, kind: str, rect: str, entries: str) -> str:
    return f"<< /Type /Annot /Subtype /Widget /FT /{kind} /F 4 /Rect [{rect}] {entries} >>"


FORM = page_pdf(
    text(50, 500, "First name:")
    + text(50, 480, "City")
    + text(64, 450, "Newsletter")
    + text(164, 450, "Phone"),
    extra="/Annots [20 0 R 21 0 R 22 0 R 23 0 R 24 0 R]",
    catalog="/AcroForm << /Fields [20 0 R 21 0 R 22 0 R 23 0 R 24 0 R] /DA (/Helv 10 Tf 0 g) >>",
    objects=(
        widget(
            20, "Tx", "180 495 300 511", "/T (first) /TU (Given name) /V (Maria Anna) /AP << /N 25 0 R >>"
        ),
        widget(21, "Tx", "180 475 300 491", "/T (city) /V (Utrecht)"),
        widget(
            22,
            "Btn",
            "50 449 60 459",
            "/T (news) /V /Yes /AS /Yes /AP << /N << /Yes 26 0 R /Off 27 0 R >> >>",
        ),
        widget(
            23,
            "Btn",
            "150 449 160 459",
            "/T (phone) /V /Off /AS /Off /AP << /N << /Yes 26 0 R /Off 27 0 R >> >>",
        ),
        widget(24, "Tx", "300 400 340 410", "/T (secret) /V (hidden) /F 2"),
        "<< /Type /XObject /Subtype /Form /BBox [0 0 120 16] /Resources << /Font << /F "
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> /Length 45 >>\nstream\n"
        "BT /F 10 Tf 2 4 Td (Maria Anna) Tj ET        \nendstream",
        "<< /Type /XObject /Subtype /Form /BBox [0 0 10 10] /Length 30 >>\nstream\n"
        "1 1 8 8 re S 2 2 m 8 8 l S    \nendstream",
        "<< /Type /XObject /Subtype /Form /BBox [0 0 10 10] /Length 12 >>\nstream\n1 1 8 8 re S\nendstream",
    ),
)


def test_fields_of_a_form_keep_names_values_and_labels(read: Any) -> None:
    page = read(FORM)
    assert [(f.kind, f.name, f.label, f.value, f.checked) for f in page.fields] == [
        ("text", "first", "First name:", "Maria Anna", None),
        ("text", "city", "City", "Utrecht", None),
        ("checkbox", "news", "Newsletter", "Yes", True),
        ("checkbox", "phone", "Phone", "Yes", False),
    ]
    assert "First name: Maria Anna" in page.markdown
    assert "City Utrecht" in page.markdown
    assert "[x] Newsletter" in page.markdown and "[ ] Phone" in page.markdown
    assert Page.model_validate_json(page.model_dump_json()) == page
