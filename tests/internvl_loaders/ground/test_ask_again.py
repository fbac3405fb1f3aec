from __future__ import annotations

import asyncio
from collections.abc import Sequence

import PIL.Image
import pytest

from internvl_loaders.document import Block, Box, Dispute, Finding, Page
from internvl_loaders.ground.ask_again import (
    CROP_PROMPT,
    TABLE_PROMPT,
    Ask,
    Budget,
    asks,
    settle,
    with_checks,
)
from internvl_loaders.ground.changes import SOURCE
from internvl_loaders.values import DisputeKind
from tests.kit.grids import STATEMENT, grid

IMAGE = PIL.Image.new("RGB", (800, 1000), "white")
BOX = Box(x0=0.4, y0=0.3, x1=0.5, y1=0.32)
WHOLE = Box(x0=0.1, y0=0.1, x1=0.9, y1=0.8)


def page(*blocks: Block, disputes: Sequence[Dispute] = (), reason: str = "") -> Page:
    return Page(
        source="a.pdf",
        number=1,
        status="ok",
        blocks=blocks,
        disputes=tuple(disputes),
        reason=reason,
        method="internvl",
    )


def answering(*answers: object, calls: list[Sequence[tuple[PIL.Image.Image, str]]] | None = None) -> Ask:
    """The first so many answers, the last one again and again."""

    async def ask(crops: Sequence[tuple[PIL.Image.Image, str]]) -> Sequence[str]:
        if calls is not None:
            calls.append(crops)
        if isinstance(answers[0], BaseException):
            raise answers[0]
        return [str(answers[min(n, len(answers) - 1)]) for n in range(len(crops))]

    return ask


def paid(text: str = "Paid 1185.00 on 3 May") -> Block:
    return Block(type="paragraph", text=text)


def about(
    text: str = "1185.00", witness: str = "185.00", kind: DisputeKind = "amount", start: int = 5
) -> Dispute:
    return Dispute(text=text, witness=witness, kind=kind, box=BOX, block=0, start=start)


async def test_two_of_three_change_the_page_and_it_says_so() -> None:
    calls: list[Sequence[tuple[PIL.Image.Image, str]]] = []
    before = page(paid(), disputes=[about()], reason="asked twice")
    after = await settle(before, IMAGE, answering("185.00", calls=calls))
    assert after.blocks[0].text == "Paid 185.00 on 3 May"
    (dispute,) = after.disputes
    assert (dispute.text, dispute.asked, dispute.settled) == ("1185.00", ("185.00",), "185.00")
    assert after.reason == "asked twice; '1185.00' was read again as '185.00'"
    assert [(len(crops), crops[0][1]) for crops in calls] == [(1, CROP_PROMPT)]
    assert after.history[-1].what == "1 crop of what was in dispute (crops-1)"
    assert Page.model_validate_json(after.model_dump_json()) == after


async def test_what_the_crop_confirms_stays_as_it_was() -> None:
    after = await settle(page(paid(), disputes=[about()]), IMAGE, answering("1185.00"))
    assert after.blocks == (paid(),)
    assert after.disputes[0].settled == "1185.00"
    assert after.reason == ""


@pytest.mark.parametrize(
    "answer",
    [
        "1785.00",
        "",
        "[illegible]",
        "I am sorry, I cannot read this.",
        "1185.00 or 185.00",
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<|im_end|>",
        "9" * 5000,
        "| a | b |\n" * 300,
    ],
)
async def test_what_agrees_with_neither_leaves_the_dispute_open(answer: str) -> None:
    before = page(paid(), disputes=[about()])
    after = await settle(before, IMAGE, answering(answer))
    assert after.blocks == before.blocks
    assert after.disputes[0].settled is None
    assert after.reason == ""


@pytest.mark.parametrize("failure", [RuntimeError("CUDA out of memory"), TimeoutError(), ValueError("no")])
async def test_an_engine_that_fails_costs_nothing_but_the_answer(failure: Exception) -> None:
    before = page(paid(), disputes=[about()])
    after = await settle(before, IMAGE, answering(failure))
    assert after.disputes == before.disputes
    assert after.blocks == before.blocks
    assert type(failure).__name__ in after.history[-1].problem


async def test_cancelling_is_no_failure() -> None:
    with pytest.raises(asyncio.CancelledError):
        await settle(page(paid(), disputes=[about()]), IMAGE, answering(asyncio.CancelledError()))


async def test_answers_that_are_fewer_than_the_crops_are_of_nobody() -> None:
    async def one(crops: Sequence[tuple[PIL.Image.Image, str]]) -> Sequence[str]:
        return ["185.00"]

    before = page(paid("Paid 1185.00 and 1185.00"), disputes=[about(), about(start=17)])
    after = await settle(before, IMAGE, one)
    assert after.disputes == before.disputes
    assert after.history[-1].problem


async def test_no_dispute_no_question() -> None:
    calls: list[Sequence[tuple[PIL.Image.Image, str]]] = []
    before = page(grid(STATEMENT, box=WHOLE))
    assert await settle(before, IMAGE, answering("", calls=calls)) == before
    assert not calls
    assert not asks(before)


async def test_several_in_one_text_keep_their_places() -> None:
    text = "A 1185.00 B 677.40 C 143344363 D"
    disputes = [
        about("1185.00", "185.00", start=2),
        about("677.40", "67.40", start=12),
        about("143344363", "143J44363", "identifier", start=21),
    ]
    # Amounts come first, then identifiers.
    after = await settle(
        page(paid(text), disputes=disputes), IMAGE, answering("185.00", "67.40", "143J44363")
    )
    assert after.blocks[0].text == "A 185.00 B 67.40 C 143J44363 D"
    for dispute in after.disputes:
        assert dispute.settled is not None and dispute.start is not None
        assert after.blocks[0].text.startswith(dispute.settled, dispute.start)
    assert after.reason.count("was read again as") == 3


async def test_without_a_witness_two_crops_that_differ_in_size_are_read() -> None:
    wrong = grid(STATEMENT.replace("67.40", "677.40"), box=WHOLE)
    calls: list[Sequence[tuple[PIL.Image.Image, str]]] = []
    after = await settle(page(wrong), IMAGE, answering("67.40", calls=calls))
    (crops,) = calls
    assert len(crops) == 2 and crops[0][0].size != crops[1][0].size
    assert after.blocks[0].text == grid(STATEMENT).text
    (dispute,) = after.disputes
    assert (dispute.text, dispute.settled, dispute.asked) == ("677.40", "67.40", ("67.40", "67.40"))
    assert dispute.check.startswith("balance: ")
    assert after.findings == ()
    table = after.blocks[0].table
    assert table is not None
    assert [cell.text for cell in table.cells if cell.source == SOURCE] == ["67.40"]


async def test_what_is_printed_wrong_stays_and_is_told() -> None:
    wrong = grid(STATEMENT.replace("67.40", "677.40"), box=WHOLE)
    after = await settle(page(wrong), IMAGE, answering("677.40"))
    assert after.blocks == (wrong,)
    assert after.disputes[0].settled == "677.40"
    assert [finding.check for finding in after.findings] == ["balance"]


async def test_a_check_and_a_witness_that_speak_of_one_token_are_one_dispute() -> None:
    wrong = grid(STATEMENT.replace("67.40", "677.40"), box=WHOLE)
    dispute = Dispute(text="677.40", witness="67.40", kind="amount", box=BOX, block=0, row=4, col=2, start=0)
    calls: list[Sequence[tuple[PIL.Image.Image, str]]] = []
    after = await settle(page(wrong, disputes=[dispute]), IMAGE, answering("67.40", calls=calls))
    assert len(calls[0]) == 1
    assert [(d.settled, bool(d.check)) for d in after.disputes] == [("67.40", True)]


async def test_figures_come_before_words_and_crops_are_bounded() -> None:
    text = " ".join(["word"] * 40 + ["1185.00"])
    disputes = [about("word", "ward", "word", start=5 * n) for n in range(40)]
    disputes.append(about("1185.00", "185.00", start=200))
    calls: list[Sequence[tuple[PIL.Image.Image, str]]] = []
    after = await settle(page(paid(text), disputes=disputes), IMAGE, answering("185.00", "ward", calls=calls))
    assert len(calls[0]) == 1 + Budget().words
    assert after.blocks[0].text.endswith("185.00")
    assert len(after.disputes) == 41
    assert sum(d.settled is not None for d in after.disputes) == 5
    after = await settle(
        page(paid(text), disputes=disputes), IMAGE, answering("185.00", calls=calls), budget=Budget(crops=0)
    )
    assert len(calls) == 1
    assert len(after.disputes) == 41


async def test_a_table_wrong_in_many_rows_is_read_again_as_one() -> None:
    wrong = STATEMENT.replace("| 67.40 | |", "| | 67.40 |").replace("| 143.15 | |", "| | 143.15 |")
    right = grid(STATEMENT).table
    assert right is not None
    calls: list[Sequence[tuple[PIL.Image.Image, str]]] = []

    async def ask(crops: Sequence[tuple[PIL.Image.Image, str]]) -> Sequence[str]:
        calls.append(crops)
        return [f"Here is the table:\n{right.to_html()}" if p == TABLE_PROMPT else "" for _, p in crops]

    after = await settle(page(grid(wrong, box=WHOLE)), IMAGE, ask)
    assert after.blocks[0].text == grid(STATEMENT).text
    assert after.findings == ()
    assert after.reason == "a table that did not come out was read again"
    assert after.blocks[0].box == WHOLE
    assert after.blocks[0].table is not None
    assert all(cell.box is not None for cell in after.blocks[0].table.cells)


async def test_a_ragged_table_is_read_again_as_one() -> None:
    right = "Name | Street | Town\nA | Elm 1 | Ulm\nB | Oak 2 | Bonn\nC | Ash 3 | Kiel\nD | Fir 4 | Hof"
    before = page(grid(right.replace("Oak 2 | Bonn", "Oak 2").replace("Ash 3 | Kiel", "Ash 3"), box=WHOLE))
    table = grid(right).table
    assert table is not None
    assert asks(before) and not asks(before, budget=Budget(tables=0))
    after = await settle(before, IMAGE, answering(table.to_html()))
    assert after.blocks[0].text == grid(right).text
    assert after.reason == "a table that did not come out was read again"
    again = await settle(before, IMAGE, answering("<table><tr><td>Elm</td></tr></table>"))
    assert again.blocks == before.blocks


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "no table here",
        "<table><tr><td>1</td></tr></table>",
        grid(STATEMENT.replace("| 67.40 | |", "| | 67.40 |").replace("Rent", "Ront")).table.to_html(),  # type: ignore[union-attr]
        grid("A | B\n1 | 2\n3 | 4\n5 | 6\n7 | 8\n9 | 1\n2 | 2").table.to_html(),  # type: ignore[union-attr]
    ],
)
async def test_a_table_that_is_no_better_is_not_taken(answer: str) -> None:
    wrong = grid(STATEMENT.replace("| 67.40 | |", "| | 67.40 |"), box=WHOLE)
    after = await settle(page(wrong), IMAGE, answering(answer))
    assert after.blocks == (wrong,)
    assert [finding.check for finding in after.findings] == ["balance"]
    assert [(d.text, d.settled) for d in after.disputes] == [("67.40", None)]


async def test_findings_of_others_and_settled_disputes_stay() -> None:
    other = Finding(check="missing line", text="the witness has 'Total'")
    done = about().model_copy(update={"settled": "1185.00"})
    before = page(paid(), disputes=[done]).model_copy(update={"findings": (other,)})
    assert await settle(before, IMAGE, answering("185.00")) == before


def test_checks_alone() -> None:
    after = with_checks(page(grid(STATEMENT.replace("67.40", "677.40"))))
    assert [finding.check for finding in after.findings] == ["balance"]
    assert [(d.text, d.settled, d.row, d.col) for d in after.disputes] == [("677.40", None, 4, 2)]
    assert with_checks(after) == after
