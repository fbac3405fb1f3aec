"""Loops are seen while they grow; what pages really repeat is none."""

from __future__ import annotations

import random
import time

import pytest

from internvl_loaders.transcribe.model.repetition import anywhere, at_end

SENTENCE = "The quick brown fox jumps over the lazy dog. "
WORDS = random.Random(1).choices(["lorem", "ipsum", "dolor", "sit", "amet", "12", "consectetur"], k=3000)


@pytest.mark.parametrize(
    ("unit", "times"),
    [
        (SENTENCE, 14),
        ("ab", 210),
        ("<td>0.00</td>", 150),
        ("| 1 | 2 |\n", 190),
        ("一二三", 140),
        ("- item\n", 70),
    ],
)
def test_a_loop_is_cut_where_it_begins(unit: str, times: int) -> None:
    page = "Invoice 42 of the year.\n"
    found = at_end(page + unit * times)
    assert found is not None
    assert len(found.unit) == len(unit)
    assert abs(found.start - len(page)) <= len(unit)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ".join(WORDS),
        SENTENCE * 4,
        "Chapter 1 " + "." * 150 + " 7\nChapter 2 " + "." * 150,
        "| a | b |\n|---|---|\n" + "|  |  |\n" * 40,
        "<table>" + "<tr><td></td><td></td><td></td></tr>" * 25,
        "<table>" + "<tr><td>0</td><td>0</td></tr>" * 30,
        "".join(f"<tr><td>{n}</td><td>{n * n}</td></tr>" for n in range(300)),
        "\n".join(f"{n}. item {n}" for n in range(300)),
    ],
)
def test_a_page_is_no_loop(text: str) -> None:
    assert anywhere(text) is None


def test_empty_cells_without_end_are_a_loop() -> None:
    assert at_end("<table><tr>" + "<td></td>" * 400) is not None


def test_a_loop_within_the_text_is_found() -> None:
    text = "start " + SENTENCE * 40 + " ".join(WORDS[:200])
    found = anywhere(text)
    assert found is not None
    assert found.start <= 6 + len(SENTENCE)


def test_it_is_quick_on_a_tail_made_to_be_slow() -> None:
    started = time.process_time()
    at_end(("a" * 500 + "b") * 40)
    assert time.process_time() - started < 0.5
