"""Loops and runaways are seen while they grow; what pages really repeat is neither."""

from __future__ import annotations

import random

import pytest

from benchmarks.witness.honest import CHINESE, pages
from internvl_loaders.transcribe.model.guard import STEP, Guard, degeneration

SENTENCE = "The quick brown fox jumps over the lazy dog. "
RNG = random.Random(1)
VOCABULARY = ["".join(RNG.choices("abcdefghijklmnoprstuvwz", k=RNG.randint(3, 9))) for _ in range(3000)]
PAGE = "Invoice 42 of the year.\n"


def words(count: int) -> str:
    return " ".join(RNG.choices(VOCABULARY, k=count))


def seen(text: str, piece: int = 4, witness: int | None = None) -> int | None:
    """Characters until something is told."""
    guard = Guard(witness)
    for at in range(0, len(text), piece):
        if guard.add(text[at : at + piece]):
            return min(at + piece, len(text))
    return None


@pytest.mark.parametrize(
    ("unit", "most"),
    [
        ("ab", 300),
        ("!", 260),
        ("一二三", 300),
        (SENTENCE, 450),
        ("- item\n", 1300),
        ("| 1 | 2 |\n", 1300),
        ("<td>0.00</td>", 1300),
        ("<td></td>", 1300),
        (".", 1100),
        ("&nbsp;", 900),
        ("\n", 300),
    ],
)
def test_a_loop_is_told_early_and_cut_where_it_begins(unit: str, most: int) -> None:
    text = PAGE + unit * (6000 // len(unit))
    assert (seen(text) or len(text)) <= len(PAGE) + most
    told = degeneration(text)
    assert told is not None
    assert abs(told.start - len(PAGE)) <= 2 * len(unit)


@pytest.mark.parametrize("period", [*range(1, 60, 7), *range(61, 2000, 97), 2000])
def test_periods_of_any_length_up_to_a_third_of_the_answer(period: int) -> None:
    unit = words(400)[: period - 1] + "x"
    text = PAGE + words(20) + ". " + unit * (40 + 400 // period)
    found = seen(text)
    assert found is not None
    assert found <= len(PAGE) + 200 + max(3 * period, 600) + STEP


def test_a_unit_that_repeats_something_within_has_its_own_period() -> None:
    unit = (
        "Chapter " + "." * 150 + " of the little book about loops and their ends in print " + "-" * 90 + "\n"
    )
    told = degeneration(PAGE + unit * 30)
    assert told is not None
    assert abs(told.start - len(PAGE)) <= 2 * len(unit)


@pytest.mark.parametrize(
    ("text", "what", "most"),
    [
        (words(3000), "without the end of a sentence", 3200),
        ("begin " + "internationaliza" * 3 + "".join(RNG.choices("abcdefgh", k=4000)), "one word", 700),
        (" ".join(RNG.choices(["of", "the", "and", "to"], k=3000)), "the same few words", 1400),
    ],
)
def test_runaways_without_a_period(text: str, what: str, most: int) -> None:
    told = degeneration(text)
    assert told is not None and what in told.what
    assert (seen(text) or len(text)) <= most


def test_few_sentences_in_any_order() -> None:
    sentences = [f"{words(12).capitalize()}." for _ in range(5)]
    told = degeneration(" ".join(RNG.choices(sentences, k=400)))
    assert told is not None


def test_a_paragraph_between_others_may_come_twice() -> None:
    paragraph = f"{words(40).capitalize()}."
    others = [f"{words(60).capitalize()}." for _ in range(5)]
    text = "\n\n".join(x for other in others for x in (other, paragraph))
    told = degeneration(text)
    assert told is not None and "the same paragraph 3 times" in told.what
    assert text[: told.start].count(paragraph) == 2
    assert degeneration("\n\n".join([paragraph] * 3)) is not None, "the last one ends with the text"
    assert degeneration("\n\n".join([paragraph, others[0], paragraph])) is None
    assert degeneration(text, witness=len(text)) is None, "the page has that much"


def test_more_than_twice_what_a_witness_saw() -> None:
    text = "".join(f"{words(12).capitalize()}.\n" for _ in range(200))
    told = degeneration(text, witness=1500)
    assert told is not None and "of a page that shows about 1,500" in told.what
    assert 3000 < told.start < 6000
    for witness in (None, 0, 100, 8000):
        assert degeneration(text, witness) is None
    table = "<table>" + '<tr><td style="a">1</td></tr>' * 40
    assert degeneration(table, witness=300) is None, "markup is no text"


def test_labels_are_no_loop_where_the_page_has_so_many() -> None:
    label = "Anna Berger of the city library\nMain Street 12 in the old town\nSpringfield, Ohio\n\n"
    assert degeneration(label * 30) is not None
    assert degeneration(label * 30, witness=len(label) * 30) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        words(20),
        SENTENCE * 4,
        "Chapter 1 " + "." * 150 + " 7\nChapter 2 " + "." * 150,
        "| a | b |\n|---|---|\n" + "|  |  |\n" * 60,
        "<table>" + "<tr><td></td><td></td><td></td></tr>" * 60,
        "<table>" + "<tr><td>0</td><td>0</td></tr>" * 30,
        "".join(f"<tr><td>{n}</td><td>{n * n}</td></tr>" for n in range(300)),
        "\n".join(f"{n}. item {n}" for n in range(300)),
        ("_" * 80 + "\n") * 40,
        ("Name: ________ Date: ________\n") * 25,
        "".join(RNG.choices(CHINESE, k=2000)),
        ("- [ ] Yes\n- [ ] No\n") * 25,
        "\\begin{array}{ccc}" + " 1 & 0 & 0 \\\\" * 20,
    ],
)
def test_a_page_is_no_loop(text: str) -> None:
    assert degeneration(text) is None


def test_honest_pages_of_all_kinds() -> None:
    assert [(kind, told.what) for kind, text in pages(60, seed=2) if (told := degeneration(text))] == []


def test_it_makes_no_difference_in_what_pieces_it_comes() -> None:
    text = PAGE + words(300) + ". " + SENTENCE * 60
    assert len({seen(text, piece) for piece in (1, 2, 8, 64)}) == 1
    told = degeneration(text)
    for piece in (1, 7, 1000):
        guard = Guard()
        found = next(filter(None, (guard.add(text[at : at + piece]) for at in range(0, len(text), piece))))
        assert found == told


def test_a_reset_guard_knows_nothing() -> None:
    guard = Guard()
    assert guard.add(SENTENCE * 60)
    guard.reset()
    assert guard.text == "" and guard.tokens == 0
    assert guard.add("text") is None and guard.close() is None
