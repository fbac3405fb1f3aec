"""Lattices whose rulings part rows in some columns only: forms, and tables under white fills."""

from __future__ import annotations

import pytest

from internvl_loaders.structure.tables.find import find_tables
from tests.internvl_loaders.structure.tables.test_find import Sheet, only, ruled
from tests.kit.typeset import PROSE

LINES = [
    ("7", "Wages and salaries", "41,200"),
    ("8", "Taxable interest", "310"),
    ("9", "Ordinary dividends", "75"),
    ("10", "Refunds of local taxes", ""),
    ("11", "Business income or loss", "(1,120)"),
    ("12", "Capital gain", "640"),
]
TOP, HIGH = 100, 18


def form(*, framed: bool, leaders: bool = False, ocr: bool = False, pitch: float = HIGH) -> Sheet:
    """Numbered lines with boxes for number and amount at the right; `pitch` is that of the lines."""
    page = Sheet(ocr=ocr)
    bottom = TOP + HIGH * len(LINES)
    for n in range(len(LINES) + 1):
        ends = n in (0, len(LINES))
        page.across(TOP + n * HIGH, 60 if framed and ends else 400, 520)
    for x in (*((60,) if framed else ()), 400, 430, 520):
        page.down(x, TOP, bottom)
    for n, (number, label, amount) in enumerate(LINES):
        y = TOP + 4 + n * pitch
        page.line(number, 66, y)
        end = page.line(label, 90, y)
        if leaders:
            page.line(". " * int((390 - end) / 7), end + 3, y)
        page.row(TOP + 4 + n * HIGH, [number, amount], [415, 515], "cr")
    return page


@pytest.mark.parametrize("framed", [False, True])
@pytest.mark.parametrize("leaders", [False, True])
@pytest.mark.parametrize("ocr", [False, True])
def test_each_line_of_a_form_is_a_row(framed: bool, leaders: bool, ocr: bool) -> None:
    found = only(form(framed=framed, leaders=leaders, ocr=ocr).content)
    assert found.table.grid() == [[n, label, n, amount] for n, label, amount in LINES]
    assert found.table.header_rows == 0
    assert all(c.row_span == 1 for c in found.table.cells)


def test_text_at_another_pitch_beside_a_lattice_stays_outside() -> None:
    found = only(form(framed=False, pitch=14).content)
    assert found.table.grid() == [[n, amount] for n, _, amount in LINES]


def test_a_paragraph_beside_a_lattice_of_values_stays_outside() -> None:
    page = Sheet()
    for n in range(8):
        page.across(TOP + n * 12, 400, 520)
    for x in (400, 460, 520):
        page.down(x, TOP, TOP + 84)
    for n in range(7):
        page.row(TOP + 1 + n * 12, [str(n), str(7 * n)], [430, 490], "c")
    page.prose(PROSE[:50], 60, TOP + 1, 300)
    (found,) = find_tables(page.content)
    assert found.table.cols == 2


def parted(*, wrapped: bool = False) -> Sheet:
    """Rows parted in the first two columns only; values in the others, the last two without a wall."""
    page = Sheet()
    for n in range(7):
        page.across(TOP + n * 30, 60, 300 if 1 < n < 6 else 540)
    for x in (60, 240, 300, 380, 540):
        page.down(x, TOP, TOP + 180)
    page.down(460, TOP, TOP + 60)
    page.row(TOP + 8, ["Indicator", "Total", "Rural", "Urban", "Both"], [70, 270, 340, 420, 500], "lc")
    for n in range(5):
        y = TOP + 38 + n * 30
        if wrapped:
            page.line(f"Children of age {n}", 70, y - 6)
            page.line("weighed at birth", 70, y + 6)
        else:
            page.line(f"Children of age {n}", 70, y)
        values = [f"{70 + n}.1", f"{60 + n}.2", "NA" if n == 3 else f"{50 + n}.3", f"{40 + n}.4"]
        page.row(y, values, [270, 340, 420, 500], "c")
    return page


@pytest.mark.parametrize("wrapped", [False, True])
def test_values_under_white_fills_are_one_a_row(wrapped: bool) -> None:
    grid = only(parted(wrapped=wrapped).content).table.grid()
    label = " weighed at birth" if wrapped else ""
    assert grid[1] == [f"Children of age 0{label}", "70.1", "60.2", "50.3", "40.4"]
    assert grid[4] == [f"Children of age 3{label}", "73.1", "63.2", "NA", "43.4"]
    assert len(grid) == 6


@pytest.mark.parametrize("lines", [["Region of"], ["Region of", "the north", "and west"], ["North"]])
def test_one_label_for_several_rows_stays_one(lines: list[str]) -> None:
    page = Sheet()
    rows = 4
    for n in range(rows + 2):
        page.across(TOP + n * 20, 60 if n in (0, 1, rows + 1) else 180, 420)
    for x in (60, 180, 300, 420):
        page.down(x, TOP, TOP + 20 * (rows + 1))
    page.row(TOP + 5, ["Area", "Year", "Share"], [70, 190, 310])
    for n, line in enumerate(lines):
        page.line(line, 70, TOP + 20 + 40 - 6 * len(lines) + 12 * n)
    for n in range(rows):
        page.row(TOP + 25 + 20 * n, [f"year {n}", f"{n}5%"], [190, 310])
    cells = only(page.content).table.cells
    (label,) = [c for c in cells if c.row == 1 and c.col == 0]
    assert (label.text, label.row_span) == (" ".join(lines), rows)


def test_a_list_in_a_cell_stays_in_its_cell() -> None:
    page = ruled([["Part", "Steps"], ["Pump", ""], ["Valve", ""], ["Hose", ""], ["Tap", ""]], height=60)
    for row in range(1, 5):
        for n in range(3):
            page.line(str(n + 1), 186, 105 + row * 60 + 14 * n)
            page.line("Clean it", 206, 105 + row * 60 + 14 * n)
    assert only(page.content).table.cols == 2
