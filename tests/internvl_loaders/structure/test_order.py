"""Reading order of whole pages."""

import random
from dataclasses import replace

import pytest

from internvl_loaders.content import Rect
from internvl_loaders.structure import structure
from tests.kit.typeset import Setter, numbered

pytestmark = pytest.mark.usefixtures("no_tables")


def words_of(blocks):
    return " ".join(b.text for b in blocks).split()


def test_two_columns_under_a_spanning_title_and_over_a_spanning_foot():
    page = Setter()
    page.line("A Title Set Over Both Columns Of This Page", 150, 40, 16)
    page.prose(numbered("l"), 50, 80, 230)
    page.prose(numbered("r"), 320, 86, 230)
    page.prose(numbered("z", 30), 50, 400, 500)
    blocks = structure(page.content)
    assert blocks[0].type == "heading"
    assert words_of(blocks[1:]) == numbered("l") + numbered("r") + numbered("z", 30)


def test_three_columns():
    page = Setter()
    for n, prefix in enumerate("abc"):
        page.prose(numbered(prefix), 40 + 180 * n, 60 + 3 * n, 165)
    assert words_of(structure(page.content)) == numbered("a") + numbered("b") + numbered("c")


def test_columns_that_share_every_baseline_are_columns_if_they_are_prose():
    page = Setter(ocr=True)
    for n in range(12):
        page.line("here runs the left column of the page on", 50, 60 + 12 * n)
        page.line("while on the right another story is told", 320, 60 + 12 * n)
    words = words_of(structure(page.content))
    assert words[: 9 * 12] == ["here", "runs", "the", "left", "column", "of", "the", "page", "on"] * 12


def test_a_column_interrupted_by_a_spanning_table_or_figure_is_read_above_it_first():
    page = Setter()
    for y, (left, right) in ((60, "ab"), (450, "cd")):
        page.prose(numbered(left), 50, y, 230)
        page.prose(numbered(right), 320, y, 230)
    page.content.figures.append(Rect(50, 300, 550, 430))
    blocks = structure(page.content)
    order = [b.type if b.type == "figure" else b.text[0] for b in blocks]
    assert order == ["a", "b", "figure", "c", "d"]


def test_a_side_column_of_other_width_and_pitch():
    page = Setter()
    page.prose(numbered("m", 200), 200, 60, 350)
    page.prose(numbered("s", 30), 50, 63, 120, size=8, leading=9)
    assert words_of(structure(page.content)) == numbered("s", 30) + numbered("m", 200)


def test_a_longer_left_column_is_read_to_its_end():
    page = Setter()
    page.prose(numbered("l", 160), 50, 60, 230)
    page.prose(numbered("r", 20), 320, 60, 230)
    assert words_of(structure(page.content)) == numbered("l", 160) + numbered("r", 20)


def test_a_right_column_that_begins_above_the_left_one():
    page = Setter()
    page.prose(numbered("l", 60), 50, 120, 230)
    page.prose(numbered("r", 100), 320, 60, 230)
    assert words_of(structure(page.content)) == numbered("l", 60) + numbered("r", 100)


@pytest.mark.parametrize("tilt", [0.004, -0.004])
def test_ocr_boxes_jitter_and_tilt(tilt):
    page = Setter(ocr=True)
    page.prose(numbered("l"), 50, 80, 230)
    page.prose(numbered("r"), 320, 80, 230)
    noise = random.Random(7)
    page.content.spans = [
        replace(
            s,
            x0=s.x0 - noise.uniform(0, 1.5),
            x1=s.x1 + noise.uniform(0, 1.5),
            y0=s.y0 + tilt * s.x0 - noise.uniform(0, 2),
            y1=s.y1 + tilt * s.x0 + noise.uniform(0, 2),
        )
        for s in page.content.spans
    ]
    assert words_of(structure(page.content)) == numbered("l") + numbered("r")


def test_an_ocr_line_across_a_narrow_gutter_is_cut():
    page = Setter(ocr=True)
    for n in range(10):
        end = page.line("the left half of a line that", 50, 60 + 12 * n)
        page.line("was taken for one with this right half", end + 8, 60 + 12 * n)
    page.content.spans = [replace(s, line=int(s.y0)) for s in page.content.spans]
    words = words_of(structure(page.content))
    assert words[:70] == ["the", "left", "half", "of", "a", "line", "that"] * 10


def test_a_receipt_is_read_row_by_row():
    page = Setter(300, 500, ocr=True)
    rows = [
        ("Coffee beans", "12.50"),
        ("Milk", "1.19"),
        ("Rye bread", "3.40"),
        ("TOTAL", "17.09"),
        ("Cash", "20.00"),
    ]
    for n, (label, value) in enumerate(rows):
        page.line(label, 20, 40 + 14 * n)
        page.line(value, 240, 41 + 14 * n)
    lines = "\n".join(b.text for b in structure(page.content)).splitlines()
    assert lines == [f"{label} {value}" for label, value in rows]


def test_labels_and_values_of_a_form_are_joined():
    page = Setter()
    rows = [
        ("Invoice number:", "A 4711"),
        ("Customer:", "Miller and Sons"),
        ("Due:", "on receipt"),
        ("Ref:", "none"),
    ]
    for n, (label, value) in enumerate(rows):
        page.line(label, 50, 60 + 14 * n)
        page.line(value, 200, 60 + 14 * n)
    (block,) = structure(page.content)
    assert block.text.splitlines() == [f"{label} {value}" for label, value in rows]


def test_addresses_side_by_side_are_read_one_after_the_other():
    page = Setter()
    left = ["Bill to", "Ada Lovelace", "12 Analytical Road", "London"]
    right = ["Ship to", "Charles Babbage", "1 Engine Street", "Devon", "England"]
    for column, x in ((left, 50), (right, 350)):
        for n, text in enumerate(column):
            page.line(text, x, 60 + 12 * n)
    assert "\n".join(b.text for b in structure(page.content)).splitlines() == left + right


def test_right_to_left_words_and_columns():
    page = Setter()
    right = ["שלום", "עולם", "טוב", "מאוד", "היום", "כאן"]
    for x, prefix in ((320, "א"), (50, "ב")):
        for n in range(8):
            place = x + 230
            for word in right:
                start = place - 5 * len(prefix + word)
                page.line(prefix + word, start, 60 + 12 * n)
                place = start - 2.5
    words = words_of(structure(page.content))
    assert words == [f"{p}{w}" for p in "אב" for _ in range(8) for w in right]


def test_a_formula_keeps_the_order_it_was_written_in():
    page = Setter()
    page.line("thus", 50, 100)
    for text, x, y in (
        ("(", 80, 98),
        ("n", 88, 92),
        ("k", 88, 106),
        (")", 96, 98),
        ("=", 110, 98),
        ("m", 122, 98),
    ):
        page.line(text, x, y, 14 if text in "()" else 10)
    (block,) = structure(page.content)
    assert block.text.replace(" ", "") == "thus(nk)=m"


def test_text_on_a_figure_follows_the_figure():
    page = Setter()
    page.prose(numbered("a", 40), 50, 60, 500)
    page.content.figures.append(Rect(100, 150, 500, 400))
    page.line("axis", 120, 380)
    page.prose(numbered("b", 40), 50, 420, 500)
    assert [b.type if b.type == "figure" else b.text.split()[0] for b in structure(page.content)] == [
        "athe", "figure", "axis", "bthe",
    ]  # fmt: skip


def test_a_picture_behind_the_whole_page_is_no_figure_unless_alone():
    page = Setter()
    page.content.figures.append(Rect(0, 0, 600, 800))
    assert [b.type for b in structure(page.content)] == ["figure"]
    page.line("printed on it", 50, 60)
    assert [b.type for b in structure(page.content)] == ["paragraph"]


def test_pieces_of_one_picture_are_one_figure():
    page = Setter()
    page.content.figures += [Rect(100, 100 + 20 * n, 400, 120 + 20 * n) for n in range(10)]
    (figure,) = structure(page.content)
    assert (figure.box.y0, figure.box.y1) == (0.125, 0.375)


def test_text_up_the_margin_stands_last_with_its_box_on_the_page():
    page = Setter()
    page.prose(numbered("a", 40), 50, 60, 500)
    for n, word in enumerate(["up", "the", "margin"]):
        page.line(word, 20, 500 - 40 * n)
        last = page.content.spans[-1]
        page.content.spans[-1] = replace(last, x1=30, y1=last.y0 + 35, line=99, upright=False)
    blocks = structure(page.content, words=True)
    assert blocks[-1].text == "up the margin"
    assert str(blocks[-1].box) == str(blocks[-1].box.around([w.box for w in blocks[-1].words]))
    assert blocks[-1].box.x1 <= 0.06


def test_upright_columns_of_chinese_run_from_right_to_left():
    page = Setter()
    for n, text in enumerate(["春眠不覺曉", "處處聞啼鳥", "夜來風雨聲"]):
        page.line(text, 300 - 20 * n, 60)
        last = page.content.spans[-1]
        page.content.spans[-1] = replace(last, x1=last.x0 + 14, y1=140, size=14, upright=False)
    assert (
        "".join(b.text for b in structure(page.content)).replace("\n", "") == "春眠不覺曉處處聞啼鳥夜來風雨聲"
    )
