from __future__ import annotations

from internvl_loaders.document import Block, Box, Dispute, Link, TextSpan, Word
from internvl_loaders.ground.changes import SOURCE, changed
from tests.kit.grids import STATEMENT, grid


def test_offsets_after_and_around_a_token_move_with_it() -> None:
    text = "Pay 1185.00 now at www.example.com, please"
    link = Link(text="www.example.com", url="http://www.example.com", start=19, end=34)
    within = Link(text="1185.00", url="http://a.example", start=4, end=11)
    spans = (
        TextSpan(start=0, end=3),
        TextSpan(start=4, end=11),
        TextSpan(start=6, end=15),
        TextSpan(start=12, end=15),
    )
    block = Block(type="paragraph", text=text, links=(link, within), spans=spans)
    put = changed([block], Dispute(text="1185.00", block=0, start=4), "185.00")
    assert put is not None
    (new,), start = put
    assert new.text == "Pay 185.00 now at www.example.com, please"
    assert start == 4
    assert [new.text[x.start : x.end] for x in new.links] == ["www.example.com", "185.00"]
    assert new.links[1].text == "185.00"
    assert [new.text[x.start : x.end] for x in new.spans] == [
        "Pay",
        "185.00",
        "185.00 now",
        "now",
    ]


def test_cells_say_what_read_them_and_the_block_has_their_text() -> None:
    block = grid(STATEMENT)
    put = changed([block], Dispute(text="67.40", block=0, row=4, col=2, start=0), "677.40")
    assert put is not None and put[0][0].table is not None
    cell = next(c for c in put[0][0].table.cells if (c.row, c.col) == (4, 2))
    assert (cell.text, cell.source) == ("677.40", SOURCE)
    assert put[0][0].text == block.text.replace("67.40", "677.40")
    assert sum(c.source == SOURCE for c in put[0][0].table.cells) == 1


def test_words_change_where_the_token_is() -> None:
    here, there = Box(x0=0.1, y0=0.1, x1=0.2, y1=0.12), Box(x0=0.1, y0=0.5, x1=0.2, y1=0.52)
    words = (Word(text="1185.00", box=there), Word(text="1185.00,", box=here))
    block = Block(type="paragraph", text="1185.00 and 1185.00,", words=words)
    put = changed([block], Dispute(text="1185.00", block=0, start=12, box=here), "185.00")
    assert put is not None
    assert put[0][0].text == "1185.00 and 185.00,"
    assert [word.text for word in put[0][0].words] == ["1185.00", "185.00,"]


def test_a_token_that_is_not_there_changes_nothing() -> None:
    blocks = [Block(type="paragraph", text="twice 5.00 and 5.00"), grid(STATEMENT)]
    for place in ({"block": 0, "start": 1}, {"block": 7}, {"block": 1, "row": 99, "col": 0}, {}):
        assert changed(blocks, Dispute(text="5.00", **place), "6.00") is None  # type: ignore[arg-type]
