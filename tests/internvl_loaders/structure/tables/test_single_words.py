"""Tables without rulings whose cells are single words, and what only looks like them."""

from __future__ import annotations

import pytest

from internvl_loaders.structure.page import structure
from internvl_loaders.structure.tables.find import find_tables
from tests.internvl_loaders.structure.tables.test_find import Sheet, only
from tests.kit.typeset import PROSE

COUNTRIES = [
    ["Country", "Capital", "Currency"],
    ["France", "Paris", "Euro"],
    ["Japan", "Tokyo", "Yen"],
    ["Poland", "Warsaw", "Zloty"],
    ["Chile", "Santiago", "Peso"],
]
NAMES = [["No", "Name", "City"], ["1", "Abc", "Foo"], ["2", "Bar", "Baz"], ["3", "Quux", "Argh"]]


def words(
    rows: list[list[str]],
    *,
    align: str = "l",
    bold: bool = True,
    rule: bool = False,
    text: bool = True,
    ocr: bool = False,
    xs: tuple[float, ...] = (100, 250, 400),
) -> Sheet:
    page = Sheet(ocr=ocr)
    if text:
        page.prose(PROSE[:40], 60, 60, 480)
    for n, row in enumerate(rows):
        page.row(160 + 14 * n, row, list(xs[: len(row)]), align, bold=bold and not n)
    if rule:
        page.across(172, 60, 480)
    if text:
        page.prose(PROSE[:40], 60, 260, 480)
    return page


@pytest.mark.parametrize("rows", [COUNTRIES, NAMES])
@pytest.mark.parametrize(
    "how",
    [
        {},
        {"bold": False},
        {"bold": False, "rule": True},
        {"rule": True, "align": "lcc"},
        {"align": "llr", "text": False},
        {"ocr": True, "bold": False},
    ],
)
def test_single_words_in_columns_are_a_table(rows: list[list[str]], how: dict[str, object]) -> None:
    found = only(words(rows, **how).content)  # type: ignore[arg-type]
    assert found.table.grid() == rows
    assert found.table.header_rows == 1


def test_two_columns_of_words_need_a_head_in_bold() -> None:
    rows = [row[:2] for row in COUNTRIES]
    assert only(words(rows).content).table.grid() == rows
    assert not find_tables(words(rows, bold=False).content)


def test_codes_of_a_letter_and_a_digit_are_no_formula() -> None:
    rows = [["Outer", "Inner", "Long"], *([f"{c}{n}" for c in "ABC"] for n in range(1, 5))]
    assert only(words(rows).content).table.grid() == rows


def test_prose_has_no_tables() -> None:
    for width in (90, 130, 200, 480):
        page = Sheet()
        for x in range(60, 540 - width, width + 20):
            page.prose(PROSE * 2, x, 80, width)
        assert not find_tables(page.content), width


BILL = ["Bill to", "Acme Ltd", "Accounts dept.", "1 Mill Lane", "Leeds LS1 1AA"]
SHIP = ["Ship to", "Depot North", "Gate 4, ask for Bo", "99 Dock Road", "Hull HU1 2BB"]
VON = ["Rechnungsadresse", "Anna Berg", "Hafenweg 7", "22100 Kiel"]
AN = ["Lieferadresse", "Lager Nord", "Am Kai 12", "22113 Hamburg"]


@pytest.mark.parametrize("bold", [False, True])
@pytest.mark.parametrize("ocr", [False, True])
@pytest.mark.parametrize("blocks", [(BILL, SHIP), (VON, AN), (BILL, [*VON, "Deutschland"])])
@pytest.mark.parametrize("gap", [200, 260])
def test_two_addresses_side_by_side_are_read_one_by_one(
    blocks: tuple[list[str], list[str]], bold: bool, ocr: bool, gap: float
) -> None:
    page = Sheet(ocr=ocr)
    for n, row in enumerate(zip(*blocks, strict=True)):
        page.row(100 + 13 * n, list(row), [60, 60 + gap], bold=bold and not n)
    page.prose(PROSE[:40], 60, 220, 480)
    text = "\n".join(b.text for b in structure(page.content))
    assert text.startswith("\n".join([*blocks[0], *blocks[1]]))


@pytest.mark.parametrize(
    "rows",
    [
        [["Name", "Anna Berg"], ["Street", "Quay 7"], ["Town", "22100 Lund"], ["Country", "Sweden"]],
        [["From", "To"], ["9:00", "10:30"], ["11:00", "12:15"], ["14:00", "15:00"]],
    ],
)
def test_labels_and_their_values_are_read_row_by_row(rows: list[list[str]]) -> None:
    page = Sheet()
    for n, row in enumerate(rows):
        page.row(100 + 13 * n, row, [60, 260])
    text = " ".join("\n".join(b.text for b in structure(page.content)).split())
    assert text == " ".join(word for row in rows for word in row)
