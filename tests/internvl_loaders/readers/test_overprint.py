"""Text drawn over text: the same letters at nearly the same place are one."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

from internvl_loaders.content import Span
from internvl_loaders.readers.glyphs import Axis, Glyph, style_of
from internvl_loaders.readers.overprint import without_copies
from internvl_loaders.readers.words import Words
from tests.kit.build import page_pdf, stream

STYLE = style_of("Helvetica", 10.0)


@pytest.fixture(params=["pymupdf", "pdfium"])
def reader(request: pytest.FixtureRequest) -> Any:
    pytest.importorskip({"pdfium": "pypdfium2"}.get(request.param, request.param))
    return import_module(f"internvl_loaders.readers.{request.param}")


def spans(reader: Any, drawn: str, **options: Any) -> list[Span]:
    opened = reader.open_pdf(page_pdf(drawn, **options), None)
    try:
        found: list[Span] = opened.content(0).spans
        return found
    finally:
        opened.close()


def text(x: float, y: float, words: str, font: str = "/F 12 Tf") -> str:
    return f"BT {font} {x:g} {y:g} Td ({words}) Tj ET "


@pytest.mark.parametrize(
    ("drawn", "wanted"),
    [
        pytest.param(text(50, 500, "54 5") + text(50, 500, "54.5"), ["54.5"], id="a point is missing in one"),
        pytest.param(text(50, 500, "54.5") + text(50, 500, "54 5"), ["54.5"], id="in the other"),
        pytest.param(text(50, 500, "119.5") + text(50.4, 499.7, "119.5"), ["119.5"], id="a little displaced"),
        pytest.param(
            text(50, 500, "27") + text(50.3, 500, "27 March 2012") + text(50, 500.3, "27"),
            ["27", "March", "2012"],
            id="a part again",
        ),
        pytest.param(
            "".join(text(50 + 8 * n + d, 500, c) for n, c in enumerate("BOLD 11") for d in (0, 0.6)),
            ["BOLD", "11"],
            id="letter by letter",
        ),
        pytest.param(
            "0.7 g " + text(51.2, 498.8, "Total 1,100.00") + "0 g " + text(50, 500, "Total 1,100.00"),
            ["Total", "1,100.00"],
            id="a shadow",
        ),
        pytest.param(
            "0.7 g " + text(54, 496, "SALE", "/F 24 Tf") + "0 g " + text(50, 500, "SALE", "/F 24 Tf"),
            ["SALE"],
            id="a deep shadow",
        ),
        pytest.param(
            "".join(text(50 + d, 500 + e, "7.6") for d in (0, 0.3) for e in (0, 0.3)),
            ["7.6"],
            id="four times",
        ),
    ],
)  # fmt: skip
def test_copies_are_read_once(reader: Any, drawn: str, wanted: list[str]) -> None:
    assert [s.text for s in spans(reader, drawn)] == wanted


@pytest.mark.parametrize("rotate", [90, 180, 270])
def test_copies_on_turned_pages(reader: Any, rotate: int) -> None:
    drawn = text(50, 500, "54 5") + text(50.2, 500, "54.5 kg")
    assert [s.text for s in spans(reader, drawn, extra=f"/Rotate {rotate}")] == ["54.5", "kg"]


def test_what_is_drawn_twice_is_bold(reader: Any) -> None:
    drawn = text(50, 500, "Total due") + text(50.4, 500, "Total") + text(50, 450, "plain")
    assert [(s.text, s.bold) for s in spans(reader, drawn)] == [
        *(("Total", True), ("due", False), ("plain", False)),
    ]


@pytest.mark.parametrize(
    "words", ["11 oo ll 1,111.11 illicit ... ---- ''", "WWW 000 mmm iii", "(a) ((b)) [[c]]"]
)
@pytest.mark.parametrize("font", ["/F 12 Tf", "/M 7 Tf", "/F 12 Tf 70 Tz", "/F 12 Tf -0.5 Tc"])
def test_honest_repeats_stay(reader: Any, words: str, font: str) -> None:
    drawn = text(50, 500, words.replace("(", r"\(").replace(")", r"\)"), font)
    assert "".join(s.text for s in spans(reader, drawn)) == words.replace(" ", "")


def test_columns_of_equal_numbers_stay(reader: Any) -> None:
    drawn = "".join(text(50, 500 - 9 * n, "100", "/F 9 Tf") for n in range(4))
    assert [s.text for s in spans(reader, drawn)] == ["100"] * 4


def test_a_repair_over_another_number_is_no_copy(reader: Any) -> None:
    drawn = text(50, 500, "1,234.50") + "1 g 48 496 60 14 re f 0 g " + text(50, 500, "5,678.00")
    assert [s.text for s in spans(reader, drawn) if not s.hidden][-1] == "5,678.00"


def test_a_value_set_over_the_end_of_its_label_stays_whole(reader: Any) -> None:
    drawn = text(50, 500, "Amount paid :") + text(112, 500, "29.99")
    assert {"Amount", "29.99"} <= {s.text for s in spans(reader, drawn)}


def test_letters_of_a_ligature_are_no_copies(reader: Any) -> None:
    names = "1 beginbfchar <41> <00660066> endbfchar"
    unicode = f"begincmap 1 begincodespacerange <00> <ff> endcodespacerange {names} endcmap"
    font = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /ToUnicode 21 0 R >>"
    pdf = page_pdf(text(50, 500, "oAer", "/L 12 Tf"), objects=(font, stream("", unicode.encode()).decode()))
    opened = reader.open_pdf(pdf.replace(b"/Font <<", b"/Font << /L 20 0 R"), None)
    assert [s.text for s in opened.content(0).spans] == ["offer"]
    opened.close()


def glyphs(text: str, x: float, y: float = 100, step: float = 6) -> list[Glyph]:
    return [(c, x + i * step, y - 8, x + (i + 1) * step, y + 2, y, STYLE) for i, c in enumerate(text)]


def test_right_to_left_copies() -> None:
    word = [(c, 100 - i * 6, 92, 106 - i * 6, 102, 100, STYLE) for i, c in enumerate("שלום")]
    copy: list[Glyph] = [(c, x0 + 0.3, *rest) for c, x0, *rest in word]  # type: ignore[misc]
    words = Words(400, 600)
    words.add_line(word, "x")
    words.add_line(copy, "x")
    assert [s.text for s in words.finish()] == ["שלום"]


@pytest.mark.parametrize("axis", ["x", "y", "oblique"])
def test_lines_without_copies_come_back_as_they_are(axis: Axis) -> None:
    lines = [(glyphs("one line", 50), axis), (glyphs("another", 50, 112), axis)]
    assert without_copies(lines) == lines


def test_thousands_of_copies_are_one() -> None:
    lines: list[tuple[list[Glyph], Axis]] = [(glyphs("abc", 50 + n % 7 * 0.1), "x") for n in range(3000)]
    assert [[g[0] for g in found] for found, _ in without_copies(lines)] == [["a", "b", "c"]]
