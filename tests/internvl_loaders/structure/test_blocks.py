"""What the pieces of a page are: paragraphs, headings, lists, captions, running lines, notes, code."""

from dataclasses import replace

import pytest

from internvl_loaders.content import Content, Rect, Span
from internvl_loaders.document import Cell, Table
from internvl_loaders.structure import structure
from internvl_loaders.structure.tables.find import FoundTable
from tests.kit.typeset import PROSE, Setter

pytestmark = pytest.mark.usefixtures("no_tables")


def kinds(blocks):
    return [(b.type, b.text) for b in blocks]


def book_page(number: str = "17", head: str = "") -> Setter:
    page = Setter()
    if head:
        page.line(head, 50, 30)
    page.prose(PROSE * 3, 50, 80, 500)
    page.line(number, 300, 750)
    return page


# Paragraphs


def test_paragraphs_are_parted_by_indents_by_space_and_by_short_last_lines():
    page = Setter()
    y = page.prose(PROSE[:40], 50, 60, 500)
    page.line(" ".join(["Indented", *PROSE[:12]]), 65, y)
    y = page.prose(PROSE[12:40], 50, y + 12, 500)
    y = page.prose(["Spaced", *PROSE[:40], "ending", "here."], 50, y + 12, 500)
    page.prose(["Next", *PROSE[:30]], 50, y, 500)
    assert [b.text.split()[0] for b in structure(page.content)] == ["the", "Indented", "Spaced", "Next"]


def test_lines_of_prose_become_running_text():
    page = Setter()
    page.prose(PROSE, 50, 60, 500)
    assert kinds(structure(page.content)) == [("paragraph", " ".join(PROSE))]


def test_an_address_keeps_its_lines():
    page = Setter()
    for n, text in enumerate(["Ada Lovelace", "12 Analytical Engine Road", "London"]):
        page.line(text, 50, 60 + 12 * n)
    assert [b.text for b in structure(page.content)] == ["Ada Lovelace\n12 Analytical Engine Road\nLondon"]


def test_a_hanging_entry_is_one_paragraph():
    page = Setter()
    y = 60
    for name in ("Abel", "Cain"):
        page.line(" ".join([name, *PROSE[:15]]), 50, y)
        page.line(" ".join(PROSE[15:31]), 65, y + 12)
        page.line(" ".join(PROSE[31:40]), 65, y + 24)
        y += 36
    assert [b.text.split()[0] for b in structure(page.content)] == ["Abel", "Cain"]


def test_words_broken_at_line_ends_are_joined():
    page = Setter()
    page.line("A sentence with a word that is hyphe-", 50, 60)
    page.line("nated in its middle as it often happens", 50, 72)
    (block,) = structure(page.content)
    assert block.text == "A sentence with a word that is hyphenated in its middle as it often happens"


def test_right_to_left_paragraphs_begin_at_the_right():
    page = Setter()
    for n, (width, mark) in enumerate(
        [(480, ","), (500, ","), (200, "."), (480, ","), (500, ","), (150, ".")]
    ):
        text = "שלום" * (width // 20 - 1) + mark
        right = 535 if n % 3 == 0 else 550
        page.line(text, right - width, 60 + 12 * n)
        last = page.content.spans[-1]
        page.content.spans[-1] = replace(last, x1=float(right))
    assert [b.text.count(",") for b in structure(page.content)] == [2, 2]


def test_superscripts_stay_with_their_word():
    page = Setter()
    end = page.line("energy is mc", 50, 60)
    page.line("2", end, 58, 6, superscript=True)
    page.line("as known", end + 6, 60)
    (block,) = structure(page.content)
    assert block.text == "energy is mc2 as known"


def test_a_drop_capital_belongs_to_its_word():
    page = Setter()
    page.line("O", 50, 60, 34)
    page.prose(["nce", *PROSE[:30]], 68, 62, 480)
    page.prose(PROSE[30:60], 50, 98, 500)
    assert structure(page.content)[0].text.startswith("Once the river")


# Headings


def test_headings_are_ranked_by_size():
    page = Setter()
    page.line("The Great Work", 50, 40, 20)
    page.line("First part", 50, 80, 14, bold=True)
    page.prose(PROSE, 50, 100, 500)
    page.line("1.2 A detail", 50, 160, 10, bold=True)
    page.prose(PROSE, 50, 180, 500)
    found = [(b.text, b.level) for b in structure(page.content) if b.type == "heading"]
    assert found == [("The Great Work", 1), ("First part", 2), ("1.2 A detail", 3)]


def test_levels_are_ranked_over_the_neighbours_too():
    other, page = Setter(), Setter()
    other.line("The Great Work", 50, 40, 20)
    page.line("First part", 50, 80, 16)
    page.prose(PROSE, 50, 100, 500)
    assert structure(page.content)[0].level == 1
    assert structure(page.content, neighbours=[other.content])[0].level == 2


@pytest.mark.parametrize(
    "text", ["TOTAL $821.14", "Customer: 4711", "(in thousands)", "No sentence is one.", "4711 - 17"]
)
def test_what_is_bold_is_not_always_a_heading(text):
    page = Setter()
    page.line(text, 50, 60, bold=True)
    page.prose(PROSE, 50, 90, 500)
    assert structure(page.content)[0].type == "paragraph"


def test_ocr_heights_vary_without_making_headings():
    page = Setter(ocr=True)
    page.line("Rather tall letters", 50, 60, 13)
    page.prose(PROSE, 50, 90, 500)
    assert structure(page.content)[0].type == "paragraph"


# Lists


def test_lists_nest_by_indent_and_join_their_lines():
    page = Setter()
    page.prose(PROSE, 50, 60, 500)
    for n, (x, text) in enumerate(
        [(60, "• fruit"), (80, "– apples"), (80, "– pears, which"), (60, "• bread")]
    ):
        page.line(text, x, 110 + 14 * n + 12 * (n == 3))
    page.line("are green", 87.5, 110 + 14 * 2 + 12)
    found = [(b.marker, b.level, b.text) for b in structure(page.content) if b.type == "list_item"]
    assert found == [
        ("•", 0, "fruit"),
        ("–", 1, "apples"),
        ("–", 1, "pears, which\nare green"),
        ("•", 0, "bread"),
    ]


@pytest.mark.parametrize(
    "markers", ["1. 2. 3.", "a) b) c)", "(i) (ii) (iii)", "7. 8. 9.", "A. B. C.", "[1] [2] [3]"]
)
def test_counted_lists(markers):
    page = Setter()
    for n, marker in enumerate(markers.split()):
        page.line(f"{marker} an item of the list", 50, 60 + 14 * n)
    assert [b.marker for b in structure(page.content)] == markers.split()


def test_a_date_or_an_initial_begins_no_list():
    page = Setter()
    page.line("12. November of that year", 50, 60)
    page.line("A. Smith wrote it", 50, 100)
    assert {b.type for b in structure(page.content)} == {"paragraph"}


def test_a_bullet_with_a_wrong_character_is_a_bullet():
    page = Setter()
    for n in range(2):
        page.line("ｲ", 50, 60 + 14 * n, font="Odd")
        page.content.spans[-1] = page.content.spans[-1].__class__(
            "ｲ", 50, 60 + 14 * n, 55, 70 + 14 * n, 10, n, "Odd"
        )
        for word, x in (("an", 62), ("item", 75)):
            page.content.spans.append(Span(word, x, 60 + 14 * n, x + 10, 70 + 14 * n, 10, n, "Body"))
    assert kinds(structure(page.content)) == [("list_item", "an item")] * 2


# Captions, notes, code


def test_a_caption_is_told_from_a_sentence():
    page = Setter()
    page.content.figures.append(Rect(50, 50, 300, 200))
    page.line("Figure 3 The valley from the north", 50, 206)
    page.prose(["Figure", "3", "shows", *PROSE], 50, 260, 500)
    page.line("Table 1: Yields", 50, 400)
    assert [b.type for b in structure(page.content)] == ["figure", "caption", "paragraph", "caption"]


def test_footnotes_are_small_marked_and_low():
    page = Setter()
    page.prose(PROSE, 50, 60, 500)
    page.line("1 Small print as a note", 50, 600, 7)
    page.line("1 Small print as well", 50, 200, 7)
    assert [b.type for b in structure(page.content)] == ["paragraph", "paragraph", "footnote"]


def test_code_keeps_lines_indents_and_blank_lines():
    page = Setter()
    page.prose(PROSE * 2, 50, 60, 500)
    for n, (indent, text) in enumerate([(0, "def f(x):"), (4, "return x"), (0, ""), (0, "f(1)")]):
        number = 100 + n
        x = 50 + indent * 5.0
        for word in text.split():
            page.content.spans.append(
                Span(word, x, 150 + 12 * n, x + 5 * len(word), 160 + 12 * n, 10, number, mono=True)
            )
            x += 5 * len(word) + 5
    assert kinds(structure(page.content))[1] == ("code", "def f(x):\n    return x\n\nf(1)")


def test_a_typewritten_page_is_not_code():
    page = Setter()
    page.prose(PROSE, 50, 60, 500, mono=True)
    assert [b.type for b in structure(page.content)] == ["paragraph"]


# Running lines


@pytest.mark.parametrize("number", ["17", "— 17 —", "xvii", "Page 17 of 203", "17/203", "第 17 页"])
def test_page_numbers(number):
    assert kinds(structure(book_page(number).content))[1:] == [("footer", number)]


def test_a_running_head_with_a_page_number():
    page = book_page()
    page.line("16", 50, 30)
    page.line("THE RIVER", 300, 30)
    assert kinds(structure(page.content))[0] == ("header", "16 THE RIVER")


def test_what_neighbours_repeat_is_a_running_line():
    page, other = book_page(head="Annual report 2016"), book_page("18", head="Annual report 2017")
    assert structure(page.content)[0].type == "paragraph"
    assert structure(page.content, neighbours=[other.content])[0].type == "header"


def test_a_name_on_top_of_a_lone_page_is_text():
    page = Setter()
    page.line("ACME Trading Ltd", 50, 30, 14)
    page.prose(PROSE, 50, 100, 500)
    assert structure(page.content)[0].type == "heading"


def test_a_page_of_running_lines_alone_is_text():
    page = Setter()
    page.line("17", 300, 750)
    assert kinds(structure(page.content)) == [("paragraph", "17")]


# Blocks


def test_box_confidence_and_words():
    content = Content(
        200,
        100,
        [
            Span("two", 20, 10, 50, 20, 10, 0, confidence=0.8),
            Span("words", 55, 10, 100, 20, 10, 0, confidence=0.6),
        ],
    )
    (block,) = structure(content, words=True)
    assert str(block.box) == "0.1,0.1,0.5,0.2"
    assert block.confidence == pytest.approx(0.7)
    assert [(w.text, str(w.box)) for w in block.words] == [
        ("two", "0.1,0.1,0.25,0.2"),
        ("words", "0.275,0.1,0.5,0.2"),
    ]
    assert structure(content)[0].words == ()


def test_a_table_takes_its_spans_and_its_place(monkeypatch):
    page = Setter()
    page.prose(PROSE, 50, 60, 500)
    first = len(page.content.spans)
    page.line("a b", 100, 200)
    page.prose(PROSE, 50, 300, 500)
    grid = Table(rows=1, cols=2, cells=(Cell(row=0, col=0, text="a"), Cell(row=0, col=1, text="b")))
    found = FoundTable(Rect(100, 200, 120, 210), grid, frozenset({first, first + 1}), 1.0)
    monkeypatch.setattr("internvl_loaders.structure.page.find_tables", lambda content: [found])
    blocks = structure(page.content, words=True)
    assert [b.type for b in blocks] == ["paragraph", "table", "paragraph"]
    assert (blocks[1].text, blocks[1].table) == ("a\tb", grid)
    assert [w.text for w in blocks[1].words] == ["a", "b"]


def test_an_empty_page_has_no_blocks():
    assert structure(Content(600, 800)) == []
    assert structure(Content(0, 0, [Span(" ", 0, 0, 0, 0)])) == []
