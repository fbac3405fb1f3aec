"""Transcriptions against witnesses: boxes, confidences, disputes, in any order of the text."""

from __future__ import annotations

import random

import pytest

from internvl_loaders.document import Block, Table
from internvl_loaders.ground.page import Grounded, ground
from internvl_loaders.ground.witness import Witness
from internvl_loaders.values import Box, Cell
from tests.kit.witnesses import HIGH, WIDE, witness

RECEIPT = """\
UNIHAKKA INTERNATIONAL SDN BHD
TAX INVOICE    14 MAR 2018 18:40
Invoice # OR18031402160311
2 Nasi Lemak Ayam         17.60
1 Teh Tarik                2.80
1 Rice 5kg Imported       31.95
Total Amount              52.35
Cash                     100.00
Change                    47.65
THANK YOU PLEASE COME AGAIN"""


def paragraph(text: str) -> list[Block]:
    return [Block(type="paragraph", text=text)]


def numbers(grounded: Grounded) -> list[tuple[str, str]]:
    return [(d.text, d.witness) for d in grounded.disputes]


def flat(text: str) -> str:
    return "\n".join(" ".join(line.split()) for line in text.split("\n"))


def columns(text: str) -> list[Block]:
    rows = [line.split("    ") for line in text.split("\n")]
    left = "\n".join(row[0].strip() for row in rows)
    right = "\n".join(row[-1].strip() for row in rows if len(row) > 1)
    return [*paragraph(left), *paragraph(right)]


def table(text: str) -> list[Block]:
    cells = []
    rows = text.split("\n")
    for r, line in enumerate(rows):
        left, _, right = line.partition("    ")
        cells += [Cell(row=r, col=0, text=left), Cell(row=r, col=1, text=right.strip())]
    return [Block(type="table", table=Table(rows=len(rows), cols=2, cells=tuple(cells)))]


FORMS = {
    "rows": lambda text: paragraph(flat(text)),
    "joined": lambda text: paragraph(" ".join(text.split())),
    "columns": columns,
    "table": table,
    "lines as paragraphs": lambda text: [b for line in text.split("\n") for b in paragraph(line)],
}


@pytest.mark.parametrize("form", FORMS)
def test_what_both_read_the_same_is_in_no_dispute(form: str) -> None:
    grounded = ground(FORMS[form](RECEIPT), witness(RECEIPT))
    assert not grounded.disputes
    assert not grounded.findings
    assert grounded.coverage is not None
    assert grounded.coverage.recall == grounded.coverage.precision == 1
    assert all(block.confidence == 1 for block in grounded.blocks)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("true", "false"),
    [
        ("31.95", "37.95"),
        ("31.95", "31.9"),
        ("31.95", "131.95"),
        ("31.95", "331.95"),
        ("31.95", "3I.95"),
        ("17.60", "71.60"),
        ("52.35", "5.35"),
        ("14 MAR", "15 MAR"),
        ("OR18031402160311", "OR1803140216031"),
        ("OR18031402160311", "OR18031402760311"),
        ("100.00", "10.000"),
    ],
)
def test_a_digit_that_is_wrong_is_in_dispute(form: str, true: str, false: str) -> None:
    grounded = ground(FORMS[form](RECEIPT.replace(true, false)), witness(RECEIPT))
    assert numbers(grounded) == [(false.split()[0], true.split()[0])]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("one", "two"), [("17.60", "47.65"), ("2.80", "52.35"), ("100.00", "31.95")])
def test_tokens_that_change_places_are_both_in_dispute(form: str, one: str, two: str) -> None:
    exchanged = RECEIPT.replace(one, "@").replace(two, one).replace("@", two)
    grounded = ground(FORMS[form](exchanged), witness(RECEIPT))
    assert {d.text for d in grounded.disputes} == {one, two}
    assert all(d.witness in {one, two, ""} for d in grounded.disputes)


def test_boxes_are_those_of_the_words() -> None:
    grounded = ground(table(RECEIPT), witness(RECEIPT))
    grid = grounded.blocks[0].table
    assert grid is not None
    cell = next(cell for cell in grid.cells if cell.text == "52.35")
    assert cell.box == Box.of(26 * WIDE, 6 * 1.5 * HIGH, 31 * WIDE, 6 * 1.5 * HIGH + HIGH)
    assert cell.confidence == 1
    assert grounded.blocks[0].box == Box.of(0, 0, 32 * WIDE, 9 * 1.5 * HIGH + HIGH)


def test_a_dispute_tells_its_place_and_kind() -> None:
    grounded = ground(table(RECEIPT.replace("2.80", "2.30")), witness(RECEIPT, sure={"2.80": 0.75}))
    (dispute,) = grounded.disputes
    assert (dispute.block, dispute.row, dispute.col, dispute.start) == (0, 4, 1, 0)
    assert dispute.kind == "amount"
    assert dispute.confidence == 0.75
    assert dispute.box == Box.of(27 * WIDE, 4 * 1.5 * HIGH, 31 * WIDE, 4 * 1.5 * HIGH + HIGH)
    grounded = ground(paragraph(flat(RECEIPT).replace("2.80", "2.30")), witness(RECEIPT))
    (dispute,) = grounded.disputes
    assert grounded.blocks[0].text[dispute.start :].startswith("2.30")


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        ("80 91", "80.91"),
        ("RM80.91", "RM 80.91"),
        ("RM 80.91", "RM80.91"),
        ("S80.91", "$80.91"),
        ("8O.9l", "80.91"),
        ("Total:80.91", "Total: 80.91"),
        ("80,91", "80.91"),
        ("8091", "80.91"),
    ],
)
def test_what_ocr_tears_joins_and_mistakes_is_no_dispute(seen: str, said: str) -> None:
    page = RECEIPT.replace("52.35", "{}")
    grounded = ground(paragraph(flat(page.format(said))), witness(page.format(seen)))
    assert not grounded.disputes


def test_words_are_in_dispute_only_where_the_witness_is_sure() -> None:
    said = paragraph(flat(RECEIPT.replace("Imported", "Exported")))
    (dispute,) = ground(said, witness(RECEIPT)).disputes
    assert (dispute.text, dispute.witness, dispute.kind) == ("Exported", "Imported", "name")
    assert not ground(said, witness(RECEIPT, sure={"Imported": 0.9})).disputes


def test_a_poor_witness_counts_only_where_it_is_sure() -> None:
    said = paragraph(flat(RECEIPT.replace("31.95", "37.95").replace("17.60", "11.60")))
    poor = Witness(witness(RECEIPT, confidence=0.8, sure={"31.95": 0.98}).words, "rapidocr", 0.8)
    assert numbers(ground(said, poor)) == [("37.95", "31.95")]


def test_without_witness_nothing_is_said() -> None:
    said = paragraph(RECEIPT)
    assert ground(said, Witness(())) == Grounded(tuple(said))


def test_a_text_layer_is_a_witness_without_confidence() -> None:
    said = paragraph(flat(RECEIPT.replace("Teh", "Tea").replace("2.80", "2.30")))
    grounded = ground(said, witness(RECEIPT, confidence=None))
    assert numbers(grounded) == [("Tea", "Teh"), ("2.30", "2.80")]
    assert all(d.confidence is None for d in grounded.disputes)


@pytest.mark.parametrize("form", ["rows", "joined", "lines as paragraphs", "table"])
def test_lines_left_out_and_said_twice(form: str) -> None:
    lines = RECEIPT.split("\n")
    gone = FORMS[form]("\n".join(lines[:4] + lines[5:]))
    (finding,) = ground(gone, witness(RECEIPT)).findings
    assert finding.check == "missing"
    assert "1 Teh Tarik 2.80" in finding.text
    twice = FORMS[form]("\n".join(lines[:6] + lines[5:]))
    grounded = ground(twice, witness(RECEIPT))
    assert [finding.check for finding in grounded.findings] == ["repeated"]
    assert not grounded.disputes


def test_what_is_cut_off_invented_or_of_another_page() -> None:
    lines = flat(RECEIPT).split("\n")
    cut = ground(paragraph("\n".join(lines[:5])), witness(RECEIPT))
    assert [finding.check for finding in cut.findings] == ["cut off"]
    invented = [*paragraph(flat(RECEIPT)), *paragraph("In summary this customer paid three dishes by card")]
    (finding,) = ground(invented, witness(RECEIPT)).findings
    assert (finding.check, finding.block) == ("unseen", 1)
    other = paragraph("An altogether different page about the weather of last week, with 3 degrees at night")
    grounded = ground(other, witness(RECEIPT))
    assert [finding.check for finding in grounded.findings] == ["another page"]
    assert not grounded.disputes


STATEMENT = """\
Date      Details        Debit     Credit    Balance
01/03     Opening                            100.00
02/03     Rent           55.10                44.90
03/03     Salary                   900.25    945.15
04/03     Shop           12.35               932.80
05/03     Refund                    20.20    953.00
06/03     Cash           40.00               913.00
07/03     Interest                   1.11    914.11
08/03     Fee             5.01               909.10"""


def test_a_figure_in_the_column_beside_its_own_is_found() -> None:
    starts = (0, 10, 25, 33, 44)
    rows = [
        [line[a:b].strip() for a, b in zip(starts, (*starts[1:], None), strict=True)]
        for line in STATEMENT.split("\n")
    ]

    def read(rows: list[list[str]]) -> Grounded:
        cells = [Cell(row=r, col=c, text=text) for r, row in enumerate(rows) for c, text in enumerate(row)]
        grid = Table(rows=len(rows), cols=5, cells=tuple(cells))
        return ground([Block(type="table", table=grid)], witness(STATEMENT))

    assert not read(rows).findings
    rows[4][2], rows[4][3] = "", rows[4][2]
    (finding,) = read(rows).findings
    assert (finding.check, finding.text) == ("column", "'12.35' is in column 4 and stands under column 3")


def test_hostile_texts_are_read_too() -> None:
    chance = random.Random(1)
    letters = "0O1lI. ,\n\u0301\u200b٣三ﬁ½<|>&\ud83d\ude00$S-"
    for _ in range(60):
        said = "".join(chance.choices(letters, k=chance.randrange(120)))
        seen = "".join(chance.choices(letters, k=chance.randrange(120)))
        ground(paragraph(said), witness(seen))
        same = ground(paragraph(said), witness(said))
        assert [(d.text, d.witness) for d in same.disputes if any(map(str.isdigit, d.text))] == []
