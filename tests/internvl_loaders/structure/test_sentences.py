"""No hard break falls inside a sentence of running text; verse and rows keep theirs."""

from __future__ import annotations

import pytest

from internvl_loaders.structure import structure
from tests.kit.typeset import PROSE, Setter


@pytest.mark.parametrize("ocr", [False, True])
@pytest.mark.parametrize("short", [0, 1])
def test_ragged_prose_is_whole(ocr: bool, short: int) -> None:
    """Lines that end before their room is used up, as a typist or a converter ends them."""
    lines = [" ".join(PROSE[n : n + 10 - short * (n % 20 == 0)]) for n in range(0, 50, 10)]
    page = Setter(ocr=ocr)
    for n, line in enumerate(lines):
        page.line(line, 50, 100 + 12 * n)
    (block,) = structure(page.content)
    assert block.text == " ".join(lines)


def test_a_wide_gap_or_dots_inside_a_sentence_break_nothing() -> None:
    page = Setter()
    page.line("the buyer shall pay what he owes within", 50, 100)
    page.line("thirty . . . . . . days of the delivery of all goods", 50, 112)
    page.line("that he ordered from the seller before", 50, 124)
    assert "\n" not in structure(page.content)[0].text


def test_verse_and_addresses_keep_their_lines() -> None:
    page = Setter()
    for n, line in enumerate(["Ms Jane Doe", "c/o the agency", "12 Long Road", "town of Leeds"]):
        page.line(line, 50, 100 + 12 * n)
    page.prose(PROSE * 3, 50, 200, 450)
    assert structure(page.content)[0].text.count("\n") == 3
