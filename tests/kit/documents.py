"""Hypothesis strategies for documents whose text tries to be markup, and helpers to compare text."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import strategies as st

from internvl_loaders.document import Block, Box, Cell, Dispute, Document, Image, Page, Table, Word

HOSTILE = [
    *"\\`*_{}[]<>#+-.!|~$&:=()\"'@/ \t\n",
    *"ab1Zé中٣₂ ́－＋＝",
    *("**", "__", "~~", "$$", "```", "~~~", "---", "===", "| a |", "|---|", "- ", "1. ", "10) ", "# ", "> "),
    *(
        "[a](b)",
        "![a](b)",
        "[a]: b",
        "[^1]",
        "[ ] ",
        "[x] ",
        "<b>",
        "</p>",
        "<!--",
        "-->",
        "<script>alert(1)</script>",
    ),
    *(
        "<table>",
        "</table>",
        "</td>",
        "<a@b.c>",
        "<1@b.c>",
        "<http://x.y>",
        "www.x.y",
        "&amp;",
        "&lt;",
        "&#60;",
        "&copy",
    ),
    *(
        '" onerror="x',
        "' onclick='x",
        "javascript:x",
        "]]>",
        "<![CDATA[",
        "<?x",
        "  \n",
        "\n\n",
        "\r\n",
        "\f",
        "\x00",
    ),
    *("\u2028", "\x85", "\ufeff", "\u200b", "\ufffe", "snake_case", "5 * 3", "AT&T", "C#", "-5", "U+2013"),
]
texts = st.lists(st.sampled_from(HOSTILE), max_size=12).map("".join) | st.text(max_size=20)
fractions = st.floats(0, 1, allow_nan=False)


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    return Box.of(*(draw(fractions) for _ in range(4)))


@st.composite
def tables(draw: st.DrawFn, *, spans: bool = True) -> Table:
    """Any grid up to 4 x 4; without `spans`, every place has a cell of its own or none."""
    rows, cols = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    header_rows = draw(st.integers(0, rows))
    free = {(r, c) for r in range(rows) for c in range(cols)}
    cells = []
    for row, col in sorted(free):
        if (row, col) not in free or draw(st.integers(0, 7)) == 0:
            continue
        row_span = draw(st.integers(1, rows - row)) if spans else 1
        col_span = draw(st.integers(1, cols - col)) if spans else 1
        places = {(r, c) for r in range(row, row + row_span) for c in range(col, col + col_span)}
        if not places <= free:
            row_span = col_span = 1
            places = {(row, col)}
        free -= places
        cell = Cell(
            row=row, col=col, row_span=row_span, col_span=col_span, text=draw(texts), header=row < header_rows
        )
        cells.append(cell)
    return Table(rows=rows, cols=cols, cells=tuple(cells))


MARKERS = [
    None,
    "•",
    "-",
    "o",
    "1.",
    "2.",
    "3.",
    "4.",
    "12)",
    "007.",
    "a)",
    "(i)",
    "☐",
    "§ 3",
    "*",
    "\uf0b7",
    "[x]",
]
list_items = st.builds(
    Block,
    type=st.just("list_item"),
    text=texts,
    level=st.none() | st.integers(0, 4),
    marker=st.sampled_from(MARKERS) | texts,
)
headings = st.builds(Block, type=st.just("heading"), text=texts, level=st.none() | st.integers(0, 7))
images = st.builds(
    Image,
    data=st.binary(max_size=30),
    mime_type=st.sampled_from(["image/png", "image/jpeg"]),
    width=st.integers(1, 50),
    height=st.integers(1, 50),
)
prose = st.builds(
    Block, type=st.sampled_from(["paragraph", "caption", "header", "footer", "footnote"]), text=texts
)
codes = st.builds(Block, type=st.just("code"), text=texts)
formulas = st.builds(Block, type=st.just("formula"), text=texts)
figures = st.builds(Block, type=st.just("figure"), text=st.just("") | texts, image=st.none() | images)


def table_blocks(*, spans: bool = True) -> st.SearchStrategy[Block]:
    return st.builds(Block, type=st.just("table"), text=texts, table=tables(spans=spans))


blocks = prose | headings | list_items | codes | formulas | figures | table_blocks()
words = st.builds(Word, text=texts, box=boxes(), confidence=st.none() | fractions)
rich_blocks = st.builds(
    Block,
    type=st.sampled_from(["paragraph", "figure", "table"]),
    text=texts,
    box=st.none() | boxes(),
    confidence=st.none() | fractions,
    table=st.none() | tables(),
    image=st.none() | images,
    words=st.lists(words, max_size=3).map(tuple),
)
pages = st.builds(
    Page,
    source=texts,
    number=st.just(0),
    label=texts,
    width=st.floats(0, 2000, allow_nan=False),
    height=st.floats(0, 2000, allow_nan=False),
    status=st.sampled_from(["ok", "retried", "fallback", "failed", "empty"]),
    reason=texts,
    disputes=st.lists(st.builds(Dispute, text=texts, witness=texts, box=st.none() | boxes()), max_size=2).map(
        tuple
    ),
    timings=st.dictionaries(st.sampled_from(["read", "ocr"]), fractions),
    blocks=st.lists(blocks | rich_blocks, max_size=6).map(tuple),
    image=st.none() | images,
)


def numbered(pages: list[Page]) -> Document:
    return Document.of([page.model_copy(update={"number": n}) for n, page in enumerate(pages)])


documents = st.lists(pages, min_size=1, max_size=3).map(numbered)


def flat(text: str) -> str:
    """What of a text must survive: its characters but for white space and what HTML does not allow."""
    return re.sub("[\\s\x00-\x1f\x7f-\x9f\ufdd0-\ufdef\ufeff\ufffe\uffff]", "", text)


def table(*rows: list[Any], header_rows: int = 1) -> Table:
    """A table from rows of texts; a tuple is (text, row span, col span), None leaves the place to a span."""
    cells = []
    for r, row in enumerate(rows):
        for c, value in enumerate(row):
            if value is None:
                continue
            text, row_span, col_span = value if isinstance(value, tuple) else (value, 1, 1)
            cells.append(
                Cell(row=r, col=c, row_span=row_span, col_span=col_span, text=text, header=r < header_rows)
            )
    return Table(rows=len(rows), cols=len(rows[0]), cells=tuple(cells))
