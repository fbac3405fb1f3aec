"""Articles of invoices: what is told of each on further lines is in its row."""

from __future__ import annotations

import random

import pytest

from internvl_loaders.structure.tables.find import find_tables
from tests.internvl_loaders.structure.tables.test_find import Sheet

HEAD, XS = ["Description", "Qty", "Price", "Amount"], [60.0, 330.0, 430.0, 530.0]
DETAILS = {
    "serial numbers": [["Serial no. AX-77{}1"]],
    "some have more": [["S/N: 1234{}"], [], ["with duplex unit", "S/N: 998{}"]],
    "wrapped": [["with duplex unit and tray"]],
    "capitals": [["Delivered in May 2024"]],
    "bare numbers": [["99812{}"]],
    "capitals, some have more": [["Delivered in May 2024", "Room 1{}"], [], ["Laser, colour"]],
}
TELLING = ["serial numbers", "some have more", "wrapped"]
"""Those that are clear without space or rulings between the articles."""


def invoice(
    details: list[list[str]],
    *,
    gap: float = 0,
    numbered: bool = False,
    ruled: bool = True,
    between: bool = False,
    indent: float = 0,
    ocr: bool = False,
) -> Sheet:
    page, shake = Sheet(ocr=ocr), random.Random(2)
    head, xs = (["Pos", *HEAD], [60.0, 90.0, *XS[1:]]) if numbered else (HEAD, XS)
    align, y = "ll" * numbered + "lrrr"[numbered:], 100.0
    page.row(y, head, xs, align, bold=True)
    y += 15
    if ruled:
        page.across(y - 3, 55, 535)
    for k in range(4):
        values = [f"Printer model {k}", str(k + 1), f"{k}9.00", f"{k}8.00"]
        page.row(y + shake.uniform(-0.8, 0.8) * ocr, [str(k + 1)] * numbered + values, xs, align)
        y += 13
        for text in details[k % len(details)]:
            page.line(text.format(k), xs[numbered] + indent, y + shake.uniform(-0.8, 0.8) * ocr)
            y += 13
        y += gap
        if between:
            page.across(y - 1, 55, 535)
            y += 3
    if ruled:
        page.across(y, 55, 535)
    return page


def articles(page: Sheet) -> list[str]:
    """The descriptions of the one table's rows below the heads."""
    (found,) = find_tables(page.content)
    grid = found.table.grid()
    column = grid[0].index("Description")
    return [row[column] for row in grid[1:]]


def expected(details: list[list[str]]) -> list[str]:
    return [
        " ".join([f"Printer model {k}", *(text.format(k) for text in details[k % len(details)])])
        for k in range(4)
    ]


@pytest.mark.parametrize("kind", TELLING)
@pytest.mark.parametrize("numbered", [False, True])
@pytest.mark.parametrize("ocr", [False, True])
def test_details_that_say_so(kind: str, numbered: bool, ocr: bool) -> None:
    details = DETAILS[kind]
    assert articles(invoice(details, numbered=numbered, ocr=ocr)) == expected(details)


@pytest.mark.parametrize("kind", DETAILS)
@pytest.mark.parametrize(
    "style",
    [
        {"gap": 6},
        {"gap": 6, "numbered": True},
        {"gap": 6, "ocr": True},
        {"gap": 5, "indent": 10},
        {"between": True},
        {"between": True, "numbered": True},
    ],
    ids=str,
)
def test_space_or_rulings_between_articles(kind: str, style: dict[str, float]) -> None:
    details = DETAILS[kind]
    assert articles(invoice(details, **style)) == expected(details)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", DETAILS)
def test_no_rulings_at_all(kind: str) -> None:
    """What is told of the last article may be text below the table."""
    details = DETAILS[kind]
    assert articles(invoice(details, gap=6, ruled=False))[:3] == expected(details)[:3]


@pytest.mark.parametrize("text", ["Delivered in May 2024", "99812{}", "Assets:", "Intangible"])
def test_rows_without_values_stay_rows(text: str) -> None:
    assert text.format(2) in articles(invoice([[text]]))


def test_titles_of_groups_are_no_details() -> None:
    page, y = Sheet(), 100.0
    page.row(y, HEAD, XS, "lrrr", bold=True)
    for k, label in enumerate(
        ["Office", "Desk", "Chair", "Garden", "Table", "Hedge", "Kitchen", "Oven", "Sink"]
    ):
        y += 20 if k % 3 == 0 else 13
        if k % 3:
            page.row(y, [label, str(k), f"{k}9.00", f"{k}8.00"], XS, "lrrr")
        else:
            page.line(label, 60, y)
    assert articles(page) == [
        "Office",
        "Desk",
        "Chair",
        "Garden",
        "Table",
        "Hedge",
        "Kitchen",
        "Oven",
        "Sink",
    ]
