"""Texts of bands as one: nothing twice, nothing lost, tables and sentences whole."""

from __future__ import annotations

import pytest

from internvl_loaders.transcribe.model.joining import Piece, joined

HEAD = "<table><thead><tr><th>Item</th><th>Price</th></tr></thead><tbody>"


def row(item: str, price: str) -> str:
    return f"<tr><td>{item}</td><td>{price}</td></tr>"


@pytest.mark.parametrize(
    ("pieces", "whole"),
    [
        ([], ""),
        ([Piece("alone")], "alone"),
        ([Piece(""), Piece("below"), Piece(" \n")], "below"),
        ([Piece("First."), Piece("Second.", 0.1)], "First.\n\nSecond."),
        ([Piece("the end of"), Piece("a sentence.")], "the end of a sentence."),
        ([Piece("a sentence of exam-"), Piece("ples.")], "a sentence of exam-\nples."),
        ([Piece("Heading"), Piece("Another")], "Heading\n\nAnother"),
    ],
)
def test_without_an_overlap(pieces: list[Piece], whole: str) -> None:
    assert joined(pieces) == whole


def test_lines_that_both_show_are_there_once() -> None:
    above = "One line.\nTwo lines here.\nThree lines are here.\nFour lin"
    below = "ines here.\nThree lines are here.\nFour lines stand here.\nFive."
    assert joined([Piece(above), Piece(below, 0.3)]) == (
        "One line.\nTwo lines here.\nThree lines are here.\nFour lines stand here.\nFive."
    )


def test_a_paragraph_cut_within_is_whole() -> None:
    words = [f"word{n}" for n in range(60)]
    above, below = " ".join(words[:34]), " ".join(["ord27", *words[28:]])
    assert joined([Piece(above), Piece(below, 0.15)]) == " ".join(words)


def test_chinese_needs_no_spaces() -> None:
    text = "床前明月光疑是地上霜举头望明月低头思故乡"
    assert joined([Piece(text[:12]), Piece(text[8:], 0.3)]) == text


def test_what_comes_again_far_from_the_edge_stays() -> None:
    refrain = "And so say all of us."
    above = f"{refrain}\nVerse one of the song.\n{refrain}\nVerse two of the song."
    below = f"Verse three of the song.\n{refrain}\nVerse four of the song."
    whole = joined([Piece(above), Piece(below, 0.05)])
    assert whole.count(refrain) == 3
    assert whole.count("Verse") == 4


def test_a_table_with_an_overlap_goes_on() -> None:
    rows = [row(f"thing {n}", f"{n}.50") for n in range(10)]
    above = HEAD + "".join(rows[:6]) + "</tbody></table>"
    below = "<table>" + "".join(rows[4:]) + "</table>"
    whole = joined([Piece(above), Piece(below, 0.25)])
    assert [whole.count(one) for one in rows] == [1] * 10
    assert (whole.count("<table>"), whole.count("</table>"), whole.count("Item")) == (1, 1, 1)


@pytest.mark.parametrize("head", ["", "<tr><th>Item</th><th>Price</th></tr>"])
def test_a_table_cut_between_rows_goes_on(head: str) -> None:
    above = f"Before.\n\n{HEAD}{row('a', '1')}{row('b', '1')}</tbody></table>\n"
    below = f"<table>{head}<tr><th>b</th><th>1</th></tr>{row('c', '2')}</table>\n\nAfter."
    whole = joined([Piece(above), Piece(below)])
    assert whole.count("<table") == whole.count("</table>") == 1
    assert whole.count("Item") == 1
    assert whole.count(">b<") == 2  # rows may be alike: nothing was shown twice
    assert whole.endswith("\n\nAfter.")
    assert "<th>b" not in whole or head


def test_tables_of_other_columns_are_others() -> None:
    above, below = f"{HEAD}{row('a', '1')}</tbody></table>", "<table><tr><td>x</td></tr></table>"
    assert joined([Piece(above), Piece(below)]).count("<table") == 2


def test_a_pipe_table_goes_on() -> None:
    above = "| Item | Price |\n|---|---|\n| a | 1 |"
    below = "| b | 2 |\n| --- | --- |\n| c | 3 |\n\nAfter."
    assert joined([Piece(above), Piece(below)]) == (
        "| Item | Price |\n|---|---|\n| a | 1 |\n| b | 2 |\n| c | 3 |\n\nAfter."
    )
    again = "| Item | Price |\n|---|---|\n| b | 2 |"
    assert joined([Piece(above), Piece(again)]) == "| Item | Price |\n|---|---|\n| a | 1 |\n| b | 2 |"
