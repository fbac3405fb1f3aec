"""Heads of columns and labels of groups of rows that run up or down in an upright table."""

from __future__ import annotations

from importlib import import_module
from itertools import count

import pytest

from internvl_loaders.content import Span
from internvl_loaders.structure.page import structure
from tests.internvl_loaders.structure.tables.test_find import Sheet, only
from tests.kit.build import page_pdf

DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday"]
STAFF = [["Ann", "4", "0", "8", "8"], ["Bo", "8", "8", "0", "0"], ["Cy", "0", "8", "8", "8"]]
TOP, LOW = 100, 180
XS = [60, 180, 220, 260, 300, 340]


def sideways(page: Sheet, lines: list[str], x: float, y: float, *, down: bool = False) -> None:
    """Lines of words, from `y` on; the first at `x`, the next beside it as they are read."""
    number = count(1000 + len(page.content.spans))
    for k, text in enumerate(lines):
        line, at = next(number), y
        left = x - 12 * k if down else x + 12 * k
        for word in text.split():
            long = 5 * len(word)
            a, b = (at, at + long) if down else (at - long, at)
            page.content.spans.append(Span(word, left, a, left + 10, b, size=10, line=line, upright=False))
            at = b + 2.5 if down else a - 2.5


def roster(*, down: bool = False, wrapped: bool = False) -> Sheet:
    page = Sheet()
    for y in (TOP, *(LOW + 20 * n for n in range(len(STAFF) + 1))):
        page.across(y, XS[0], XS[-1])
    for x in XS:
        page.down(x, TOP, LOW + 20 * len(STAFF))
    for n, day in enumerate(DAYS):
        lines = [day, "of May"] if wrapped else [day]
        sideways(page, lines, XS[n + 1] + (22 if down else 6), TOP + 4 if down else LOW - 4, down=down)
    for n, row in enumerate(STAFF):
        page.row(LOW + 5 + 20 * n, row, [66, *(x + 18 for x in XS[1:-1])], "lc")
    return page


@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize("wrapped", [False, True])
def test_heads_that_run_up_or_down(down: bool, wrapped: bool) -> None:
    page = roster(down=down, wrapped=wrapped)
    found = only(page.content)
    heads = [f"{day} of May" if wrapped else day for day in DAYS]
    assert found.table.grid() == [["", *heads], *STAFF]
    assert found.table.header_rows == 1
    assert [b.type for b in structure(page.content)] == ["table"]  # no loose paragraphs


@pytest.mark.parametrize("down", [False, True])
def test_labels_of_groups_of_rows(down: bool) -> None:
    page = Sheet()
    rows = [
        ["", "Item", "Sum"],
        ["Wood", "Oak", "12"],
        ["Wood", "Pine", "15"],
        ["Tin", "Nail", "3"],
        ["Tin", "Nut", "4"],
    ]
    for n in range(6):
        page.across(TOP + 30 * n, 60 if n in (0, 1, 3, 5) else 90, 300)
    for x in (60, 90, 200, 300):
        page.down(x, TOP, TOP + 150)
    for n, row in enumerate(rows):
        page.row(TOP + 10 + 30 * n, row[1:], [96, 290], "lr")
    for n, label in enumerate(("Wood", "Tin")):
        sideways(page, [label], 70, TOP + (50 if down else 75) + 60 * n, down=down)
    found = only(page.content)
    assert found.table.grid() == rows
    assert found.table.header_rows == 1
    assert {c.text: c.row_span for c in found.table.cells if c.col == 0} == {"Wood": 2, "Tin": 2}


def test_text_that_runs_up_beside_a_table_is_not_of_it() -> None:
    page = roster()
    sideways(page, ["Confidential draft"], 20, 300)
    assert only(page.content).table.grid()[1:] == STAFF
    assert "Confidential draft" in [b.text for b in structure(page.content)]


@pytest.mark.parametrize("reader", ["pymupdf", "pdfium"])
@pytest.mark.parametrize("matrix", ["0 1 -1 0", "0 -1 1 0"])
def test_heads_of_a_pdf(reader: str, matrix: str) -> None:
    pytest.importorskip({"pdfium": "pypdfium2"}.get(reader, reader))
    lines = [f"{XS[0]} {600 - y} m {XS[-1]} {600 - y} l S" for y in (TOP, *range(LOW, LOW + 61, 20))]
    lines += [f"{x} {600 - TOP} m {x} {600 - LOW - 60} l S" for x in XS]
    up = matrix.startswith("0 1")
    for x, day in zip(XS[1:], DAYS, strict=False):
        place = f"{x + 23} {600 - LOW + 5}" if up else f"{x + 17} {600 - TOP - 5}"
        lines.append(f"BT /F 10 Tf {matrix} {place} Tm ({day}) Tj ET")
    for n, row in enumerate(STAFF):
        for x, word in zip(XS, row, strict=False):
            lines.append(f"BT /F 10 Tf 1 0 0 1 {x + 6} {600 - LOW - 14 - 20 * n} Tm ({word}) Tj ET")
    opened = import_module(f"internvl_loaders.readers.{reader}").open_pdf(page_pdf("\n".join(lines)), None)
    assert only(opened.content(0)).table.grid() == [["", *DAYS], *STAFF]
    opened.close()
