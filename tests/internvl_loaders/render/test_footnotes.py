"""Footnotes of markdown for tokens in dispute."""

from __future__ import annotations

from typing import Any

from markdown_it import MarkdownIt

from internvl_loaders.document import Block, Dispute, Document, Page, Table
from internvl_loaders.values import Cell, TextSpan


def page(*blocks: Block, disputes: tuple[Dispute, ...], **fields: Any) -> Page:
    made: dict[str, Any] = {"number": 2, "status": "ok", **fields}
    return Page(source="a.pdf", blocks=blocks, disputes=disputes, **made)


def test_each_token_in_dispute_has_a_footnote_and_only_if_asked() -> None:
    text = "Total 37.95 of <b>31.95</b>"
    read = page(
        Block(type="paragraph", text=text),
        disputes=(
            Dispute(text="37.95", witness="31.95", kind="amount", block=0, start=6, asked=("31.95", "37.95")),
            Dispute(text="31.95", kind="amount", block=0, start=18, settled="31.95", asked=("31.95",)),
            Dispute(text="9", block=0),
        ),
    )
    assert read.to_markdown() == "Total 37.95 of &lt;b>31.95&lt;/b>"
    assert read.to_markdown(footnotes=True) == (
        "Total 37.95[^2.1] of &lt;b>31.95[^2.2]&lt;/b>\n\n"
        "[^2.1]: transcribed as “37.95”; the witness reads “31.95”; read again as “31.95”, “37.95”; open.\n\n"
        "[^2.2]: transcribed as “31.95”; the witness sees nothing; read again as “31.95”; settled."
    )
    assert "[^2.1]" in Document.of([read]).to_markdown(footnotes=True)


def test_a_footnote_stands_in_the_cell_and_not_in_code() -> None:
    cells = (Cell(row=0, col=0, text="Sum", header=True), Cell(row=1, col=0, text="5|00"))
    read = page(
        Block(type="table", table=Table(rows=2, cols=1, cells=cells)),
        Block(type="code", text="x = 1"),
        disputes=(
            Dispute(text="5|00", witness="500", block=0, row=1, col=0, start=0),
            Dispute(text="1", witness="7", block=1, start=4),
        ),
    )
    made = read.to_markdown(footnotes=True)
    assert "| 5&#124;00[^2.1] |" in made
    assert "x = 1\n" in made
    assert made.count("[^") == 2


def test_what_is_struck_stays_where_it_is() -> None:
    read = page(
        Block(type="paragraph", text="was 10 and is 12", spans=(TextSpan(start=11, end=16, struck=True),)),
        disputes=(Dispute(text="10", witness="16", block=0, start=4),),
    )
    assert read.to_markdown(footnotes=True).startswith("was 10[^2.1] and ~~is 12~~")


def test_readings_are_no_markup() -> None:
    seen = "<script>alert(1)</script> `*x*` [a](http://b)\n# T"
    read = page(
        Block(type="paragraph", text="A1 \U000efffe9\U000effff"),
        disputes=(Dispute(text="A1", witness=seen, block=0, start=0),),
    )
    made = MarkdownIt("commonmark").render(read.to_markdown(footnotes=True))
    assert not any(tag in made for tag in ("<script", "<em", "<h1", "<a ", "<code"))
    assert "\U000efffe" not in made


def test_a_text_cannot_forge_the_place_of_a_footnote() -> None:
    forged = "\U000efffe{}\U000effff"
    page = Page(
        source="a",
        number=1,
        status="ok",
        blocks=(
            Block(type="paragraph", text="a " + forged.format(9) + forged.format(0)),
            Block(type="code", text=forged.format("7" * 5000)),
            Block(type="list_item", text="b", marker=forged.format(3)),
            Block(type="paragraph", text="Total 12.00"),
        ),
        disputes=(Dispute(text="12.00", witness="12.80", block=3, start=6, kind="amount"),),
    )
    told = page.to_markdown(footnotes=True)
    assert told.count("[^1.1]") == 2
    assert "\U000efffe" not in told and "\U000effff" not in told
