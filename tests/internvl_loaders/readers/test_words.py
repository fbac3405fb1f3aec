"""Words of glyphs, whatever reader they come from."""

from __future__ import annotations

import pytest

from internvl_loaders.content import Span
from internvl_loaders.readers.glyphs import Axis, Glyph, axis_of, style_of
from internvl_loaders.readers.symbols import dingbat, is_dingbats, mended, unmapped
from internvl_loaders.readers.words import Words

STYLE = style_of("Helvetica", 10.0)


def line(text: str, *, x: float = 50, y: float = 100, step: float = 5, advance: float = 5) -> list[Glyph]:
    """Glyphs of `advance` points, one every `step`, in 10 points."""
    return [(c, x + i * step, y - 8, x + i * step + advance, y + 2, y, STYLE) for i, c in enumerate(text)]


def words(*lines: list[Glyph], axis: Axis = "x") -> list[Span]:
    collected = Words(400, 600)
    for glyphs in lines:
        collected.add_line(glyphs, axis)
    return collected.finish()


def texts(*lines: list[Glyph]) -> list[str]:
    return [s.text for s in words(*lines)]


def test_spaces_and_gaps_part_words() -> None:
    assert texts(line("two words")) == ["two", "words"]
    assert texts(line("two"), line("words", x=66.6)) == ["two", "words"]
    assert texts(line("kern"), line("ed", x=71.4)) == ["kerned"]


def test_lines_go_on_where_readers_break_them() -> None:
    goes_on = words(line("one"), line("line", x=68))
    assert [s.line for s in goes_on] == [0, 0]
    columns = words(line("one"), line("two", x=80))
    assert len({s.line for s in columns}) == 2
    below = words(line("one"), line("two", y=112))
    assert len({s.line for s in below}) == 2


def test_a_wide_gap_within_a_readers_line_starts_another() -> None:
    spans = words([*line("left"), *line("right", x=200)])
    assert [(s.text, s.line) for s in spans] == [("left", 0), ("right", 1)]


def test_letterspacing_and_spaced_digits() -> None:
    assert texts(line("CONTENTS", step=6.8)) == ["CONTENTS"]
    assert texts(line("12345678", step=7.5)) == list("12345678")


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("e\ufb03cient", "efficient"),
        ("a\u200bb\ufeff", "ab"),
        ("\u202eright", "right"),
        ("x\x03\x1fy", "x\ufffd\ufffdy"),
        ("a\u00adb", "a\u00adb"),
        ("می\u200cروم", "می\u200cروم"),
    ],
)
def test_repairs(given: str, wanted: str) -> None:
    assert texts(line(given)) == [wanted]


def test_nothing_but_invisible_marks_is_no_word() -> None:
    assert texts(line("\u200b\ufeff")) == []


def test_spaces_alone_are_no_word() -> None:
    assert texts([*line("  "), *line("  ", x=60, y=96)]) == []


def test_text_off_the_page_is_dropped() -> None:
    assert texts(line("gone", x=-100), line("gone", y=700), line("here", x=390)) == ["here"]


def test_twins() -> None:
    spans = words(line("Total"), line("next", y=130), line("Total", x=50.5))
    assert [(s.text, s.bold) for s in spans] == [("Total", True), ("next", False)]
    assert texts(line("same"), line("same", y=112)) == ["same", "same"]


def test_lam_alef_is_put_in_order() -> None:
    """The ligature's two letters come with one box, the wrong way round."""
    alef_hamza, lam, ha = ("إ", 60, 92, 70, 102, 100, STYLE), ("ل", 60, 92, 70, 102, 100, STYLE), "ح"
    article = [("ا", 70, 92, 75, 102, 100, STYLE)]
    assert texts([*article, alef_hamza, lam, (ha, 50, 92, 60, 102, 100, STYLE)]) == ["الإح"]
    plain = [("ا", 70, 92, 75, 102, 100, STYLE), ("ل", 65, 92, 70, 102, 100, STYLE)]
    assert texts(plain) == ["ال"]


@pytest.mark.parametrize(("letters", "wanted"), [("اخلطوط", "الخطوط"), ("محل", "لحم"), ("احمل", "المح")])
def test_ligatures_of_arabic_are_put_in_order(letters: str, wanted: str) -> None:
    """MuPDF gives the second letter, and the third, before the first, without a width."""
    first = letters.index("ل")
    seconds = 1 if letters == "اخلطوط" else 2
    glyphs: list[Glyph] = []
    x = 200.0
    for i, char in enumerate(letters):
        width = 0 if first - seconds <= i < first else 10
        glyphs.append((char, x - width, 92, x, 102, 100, STYLE))
        x -= width
    assert texts(glyphs) == [wanted]


def test_vowel_signs_stay_where_they_are() -> None:
    signs: list[Glyph] = [("ب", 60, 92, 70, 102, 100, STYLE), ("\u064e", 60, 92, 60, 102, 100, STYLE)]
    assert texts([*signs, ("ت", 50, 92, 60, 102, 100, STYLE)]) == ["ب\u064eت"]


def test_a_combining_mark_never_starts_a_word() -> None:
    assert texts([*line("Au"), ("\u0308", 70, 90, 72, 95, 100, STYLE)]) == ["Au\u0308"]


def test_style_by_name() -> None:
    style = style_of("ABCDEF+Courier-BoldOblique", 9)
    assert (style.font, style.bold, style.italic, style.mono) == ("Courier-BoldOblique", True, True, True)
    assert style_of("Garamond", 9)[2:5] == (False, False, False)


def test_ideographs_are_not_code() -> None:
    mono = style_of("MS-Mincho", 10, mono=True)
    spans = words([("決", 50, 90, 60, 100, 98, mono)], [("x", 50, 120, 60, 130, 128, mono)])
    assert [s.mono for s in spans] == [False, True]


def test_axis() -> None:
    assert [axis_of(*d) for d in ((1, 0), (-1, 0.1), (0, 1), (0.1, -1), (1, 1))] == [
        *("x", "x", "y", "y", "oblique"),
    ]
    spans = words(line("on end"), axis="oblique")
    assert [(s.text, s.upright) for s in spans] == [("on", False), ("end", False)]


def test_symbols() -> None:
    assert mended("\uf0b7", "SymbolMT") == "•"
    assert mended("\uf061\uf02b", "Symbol") == "α+"
    assert mended("\uf0fc", "Wingdings-Regular") == "✓"
    assert mended("\ue123", "Icons") == "\ue123"
    assert mended("A\u0338=∅", "CMSY10") == "A≠∅"
    assert [unmapped("CMSY10", c) for c in (0x30, 0x32)] == ["′", "∈"]
    assert [unmapped("CMEX10", c) for c in (0x58, 0x7A)] == ["∑", ""]
    assert unmapped("Helvetica", 0x58) == "\ufffd"
    assert [dingbat(c) for c in ("\x14", "G", "✔", " ")] == ["✔", "●", "✔", " "]
    assert [is_dingbats(font) for font in ("ZapfDingbats", "Helvetica")] == [True, False]
