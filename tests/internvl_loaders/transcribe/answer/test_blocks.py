"""What models write, sound or not, as blocks."""

from __future__ import annotations

import re
import time
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from internvl_loaders.document import Block, Table
from internvl_loaders.transcribe.answer.blocks import blocks
from tests.kit.documents import HOSTILE


def brief(answer: str) -> list[tuple[Any, ...]]:
    return [(b.type, b.text) for b in blocks(answer)]


def table(answer: str) -> Table:
    (block,) = blocks(answer)
    assert block.table is not None
    return block.table


def cells(answer: str) -> list[tuple[int, int, int, int, str]]:
    return [(c.row, c.col, c.row_span, c.col_span, c.text) for c in table(answer).cells]


def test_headings_paragraphs_and_lists() -> None:
    answer = "# Invoice **42**\n\nDear *reader*,\nsecond `line`\n\n1. one\n   - sub\n\n     more\n7. seven"
    answer += "\n\nA\n---\nB"
    assert [(b.type, b.text, b.level, b.marker) for b in blocks(answer)] == [
        ("heading", "Invoice 42", 1, None),
        ("paragraph", "Dear reader,\nsecond line", None, None),
        ("list_item", "one", 0, "1."),
        ("list_item", "sub\nmore", 1, "-"),
        ("list_item", "seven", 0, "7."),
        ("paragraph", "A", None, None),
        ("paragraph", "B", None, None),
    ]


@pytest.mark.parametrize(
    ("answer", "latex"),
    [
        ("$$\nE = mc^2 \\\\\n$$", "E = mc^2 \\\\"),
        (r"\[ a_{[1]} * b * c \]", "a_{[1]} * b * c"),
        ("$x_1 * y * z$", "x_1 * y * z"),
        (r"\( \alpha\_b \)", r"\alpha\_b"),
        ("\\begin{align*}\na &= b \\\\\n\\end{align*}", "\\begin{align*}\na &= b \\\\\n\\end{align*}"),
    ],
)
def test_formulas(answer: str, latex: str) -> None:
    assert brief(answer) == [("formula", latex)]


def test_formulas_within_a_line_keep_their_marks_and_prices_are_none() -> None:
    assert brief(r"Let $a*b*c$ and \(x\_y\).") == [("paragraph", r"Let $a*b*c$ and \(x\_y\).")]
    assert brief("It costs $5 or *now* $6.") == [("paragraph", "It costs $5 or now $6.")]
    assert brief("$$ open\n\nnext") == [("paragraph", "$$ open"), ("paragraph", "next")]


def test_gfm_tables() -> None:
    assert cells("| A | B |\n|---|:-:|\n| 1 | **2** | 3 |\n| a \\| b |") == [
        (0, 0, 1, 1, "A"), (0, 1, 1, 1, "B"),
        (1, 0, 1, 1, "1"), (1, 1, 1, 1, "2"), (1, 2, 1, 1, "3"),
        (2, 0, 1, 1, "a | b"),
    ]  # fmt: skip
    assert table("| A |\n|---|\n| 1 |").header_rows == 1
    assert table("| | |\n|---|---|\n| 1 | 2 |").header_rows == 0
    assert table("| no | rule |\n| 1 | 2 |").rows == 2
    assert cells("a | b\n--|--\n$x|y$ | 2")[0] == (0, 0, 1, 1, "a")


def test_html_tables_with_spans() -> None:
    answer = (
        "<table><thead><tr><th rowspan='2'>H</th><th colspan=2>K</th></tr><tr><td>a</td><td>b</td></tr>"
        "</thead><tr><td>1</td><td>x<br>y &amp; z</td><td>**3**</td></tr></table>"
    )
    assert cells(answer) == [
        (0, 0, 2, 1, "H"), (0, 1, 1, 2, "K"), (1, 1, 1, 1, "a"), (1, 2, 1, 1, "b"),
        (2, 0, 1, 1, "1"), (2, 1, 1, 1, "x\ny & z"), (2, 2, 1, 1, "3"),
    ]  # fmt: skip
    assert table(answer).header_rows == 2


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("<table><tr><td>a<td>b<tr><td>c", [(0, 0, 1, 1, "a"), (0, 1, 1, 1, "b"), (1, 0, 1, 1, "c")]),
        ("<table><tr><td>a</td><td>cut o", [(0, 0, 1, 1, "a"), (0, 1, 1, 1, "cut o")]),
        ("<table><td>a</td><td>b</td></table>", [(0, 0, 1, 1, "a"), (0, 1, 1, 1, "b")]),
        ("<table><tr><td rowspan=9>a</td><td colspan=0>b</table>", [(0, 0, 1, 1, "a"), (0, 1, 1, 1, "b")]),
        (
            "<table><tr><td rowspan=2>a</td><td>b</td></tr><tr><td colspan=x>c</td></tr></table>",
            [(0, 0, 2, 1, "a"), (0, 1, 1, 1, "b"), (1, 1, 1, 1, "c")],
        ),
        (
            "<table><tr><td>a<table><tr><td>in</td><td>ner</td></tr></table></td><td>b</td></tr></table>",
            [(0, 0, 1, 1, "a\nin ner"), (0, 1, 1, 1, "b")],
        ),
    ],
)
def test_damaged_html_tables(answer: str, expected: list[tuple[int, int, int, int, str]]) -> None:
    assert cells(answer) == expected


def test_what_stands_beside_cells_is_kept() -> None:
    answer = "<table><caption>Sales</caption>loose<tr>stray<td>1</td></tr></table>after"
    assert [b.type for b in blocks(answer)] == ["caption", "paragraph", "table", "paragraph"]
    assert brief(answer)[1] == ("paragraph", "loose\nstray")


def test_entities() -> None:
    answer = "<table><tr><td>&check; &lt;b&gt; R&amp;D &amp;lt; &nope; &#8364;5</td></tr></table>"
    assert table(answer).cells[0].text == "✓ <b> R&D &lt; &nope; €5"


def test_a_hostile_span_does_not_make_a_giant() -> None:
    answer = "<table>" + "<tr><td rowspan=99999999 colspan=99999999>x</td></tr>" * 2000 + "</table>"
    grid = table(answer)
    assert (grid.rows, grid.cols) == (2000, 1)


@pytest.mark.parametrize(
    "fence", ["```markdown\n{}\n```", "```\n{}\n```", "~~~md\n{}", "Here it is:\n```md\n{}\n```"]
)
def test_a_fence_around_it_all_is_not_code(fence: str) -> None:
    found = blocks(fence.format("# Title\n\ntext"))
    assert [b.type for b in found][-2:] == ["heading", "paragraph"]


def test_code_is_code() -> None:
    assert brief("```python\nif x:\n    # no heading\n    <table>\n```") == [
        ("code", "if x:\n    # no heading\n    <table>")
    ]
    assert brief("```\nplain = 1\n```") == [("code", "plain = 1")]
    both = "```markdown\n# T\n\n```c\nint x;\n```\n\nend\n```"
    assert brief(both) == [("heading", "T"), ("code", "int x;"), ("paragraph", "end")]


def test_html_beside_tables_is_what_it_stands_for() -> None:
    answer = "<h2>Part</h2><p>one<br>two</p>\n<ul><li>a</li><li>b</li></ul>"
    answer += "\nmail <me@x.org> H<sub>2</sub>O &lt;b&gt;"
    assert brief(answer) == [
        ("heading", "Part"),
        ("paragraph", "one\ntwo"),
        ("list_item", "a"),
        ("list_item", "b"),
        ("paragraph", "mail <me@x.org> H2O <b>"),
    ]


def test_quotes_and_comparisons() -> None:
    assert brief("> said\n>> he") == [("paragraph", "said\nhe")]
    assert brief("> 65 years\n>= 3") == [("paragraph", "> 65 years\n>= 3")]


def test_pictures_links_and_captions() -> None:
    assert brief("![A chart](x.png)\n\nFigure 1: Growth") == [
        ("figure", "A chart"),
        ("caption", "Figure 1: Growth"),
    ]
    assert brief("[our site](https://x.org) and [https://x.org](https://x.org)") == [
        ("paragraph", "our site (https://x.org) and https://x.org")
    ]


@pytest.mark.parametrize("answer", ["", " \n ", "```\n```", "---", "<table></table>", "$$ $$"])
def test_nothing(answer: str) -> None:
    assert not any(c.isalnum() for block in blocks(answer) for c in block.text)


def letters(text: str) -> Counter[str]:
    return Counter(c for c in text if c.isalnum())


def kept(found: list[Block]) -> Counter[str]:
    return letters(" ".join(f"{b.marker or ''} {b.text}" for b in found))


MARKS = [
    *(
        "\n",
        "\n\n",
        " ",
        "  - ",
        "1. ",
        "# ",
        "> ",
        "| ",
        " |\n",
        "|--|\n",
        "**",
        "_",
        "`",
        "$",
        "$$\n",
        "\\[",
        "\\]",
    ),
    *(
        "\\(",
        "\\)",
        "\\",
        "[",
        "](",
        ")",
        "![",
        "!",
        "<",
        ">",
        "&",
        "~~~",
        "---\n",
        "\t",
        "- - - ",
        "\r",
        "\u2028",
    ),
]
PROSE = st.lists(st.sampled_from(MARKS) | st.text("abcXYZ019é漢ع", min_size=1, max_size=6), max_size=40)


@settings(deadline=None, max_examples=100)
@given(PROSE.map("".join))
def test_no_letter_of_markdown_is_lost(answer: str) -> None:
    told = re.sub(r"^[ \t]*(`{3,}|~{3,}).*$", "", "\n".join(answer.splitlines()), flags=re.MULTILINE)
    assert not letters(told) - kept(blocks(answer))


TAGS = [
    "<tr>",
    "</tr>",
    "<td>",
    "</td>",
    "<th>",
    "<thead>",
    "</thead>",
    "<tbody>",
    "<table>",
    "</table>",
    "<br>",
]
SPANS = ["<td rowspan=3>", "<td colspan='2'>", "<th rowspan=2 colspan=2>", "<caption>", "</caption>"]
OTHERS = ["<p>", "<div>", "&amp;", "&lt;", "&nbsp;"]
RUBBISH = st.lists(
    st.sampled_from(TAGS + SPANS + OTHERS) | st.text("abc019é漢ع ;", min_size=1, max_size=5), max_size=40
)


@settings(deadline=None, max_examples=100)
@given(RUBBISH)
def test_no_letter_of_a_table_is_lost(parts: list[str]) -> None:
    found = blocks("<table>" + "".join(parts))
    said = letters("".join(part for part in parts if part[0] not in "<&"))
    assert not said - kept(found)
    for block in found:
        if block.table is not None:
            block.table.to_html()


@settings(deadline=None, max_examples=100)
@given(st.lists(st.sampled_from(HOSTILE), max_size=40).map("".join) | st.text(max_size=200))
def test_anything_at_all_is_parsed(answer: str) -> None:
    for block in blocks(answer):
        Block.model_validate_json(block.model_dump_json())


@pytest.mark.parametrize(
    "answer",
    [
        "- " * 5000 + "end",
        "[" * 20_000 + "end",
        "**a" * 20_000 + "end",
        "<table><tr><td>" * 3000 + "end",
        "$$\n" * 20_000 + "end",
        "\\[\n" * 20_000 + "end",
        "> " * 20_000 + "end",
        "```\n~~~\n" * 5000 + "end",
        "| a " * 20_000 + "\n| end",
        "$" * 20_000 + "end",
        "&#" * 20_000 + "end",
        "<" * 20_000 + "end",
        "![](" * 10_000 + "end",
    ],
    ids=lambda answer: repr(answer[:6]),
)
def test_hostile_depth_takes_no_time_and_loses_nothing(answer: str) -> None:
    started = time.process_time()
    assert "end" in " ".join(block.text for block in blocks(answer))
    assert time.process_time() - started < 5
