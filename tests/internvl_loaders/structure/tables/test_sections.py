"""Titles of groups and empty rows do not tear a table."""

from __future__ import annotations

import pytest

from internvl_loaders.structure.tables.find import find_tables
from tests.internvl_loaders.structure.tables.test_find import Sheet, only

HEAD = ["Item", "Unit", "Count", "Price", "Sum"]
XS, ALIGN = [60, 220, 330, 420, 520], "llrrr"
NAMES = ("Timber", "Metal", "Glass")


def sections(
    *,
    ruled: bool = True,
    bold: bool = True,
    gap: float = 0,
    ocr: bool = False,
    centred: bool = False,
    remark: str = "",
    names: tuple[str, ...] = NAMES,
    pitch: float = 14,
) -> Sheet:
    """Three rows below each title; `ruled` has full-width rulings above and below every title."""
    page = Sheet(ocr=ocr)
    y = 100.0
    if ruled:
        page.across(y - 3, 55, 525)
    page.row(y, HEAD, XS, ALIGN, bold=True)
    y += pitch
    for name in names:
        y += gap
        if ruled:
            page.across(y - 3, 55, 525)
        if centred:
            page.row(y, [name], [290], "c", bold=bold)
        else:
            page.line(name, 60, y, bold=bold)
            page.line(remark, 220, y) if remark else None
        y += pitch
        if ruled:
            page.across(y - 3, 55, 525)
        for n in range(3):
            page.row(y, [f"{name} {n}", "m", f"{n}0", f"{n}.50", f"{n}7.00"], XS, ALIGN)
            y += pitch
    if ruled:
        page.across(y - 3, 55, 525)
    return page


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"bold": False},
        {"ocr": True},
        {"gap": 14},
        {"centred": True},
        {"remark": "What was bought"},
        {"remark": "What was bought", "names": NAMES[:2]},
        {"remark": "What was bought", "ocr": True},
        {"ruled": False},
        {"ruled": False, "gap": 14},
        {"ruled": False, "pitch": 22, "gap": 22},
        {"ruled": False, "centred": True, "gap": 10},
        {"ruled": False, "remark": "What was bought", "gap": 8},
        {"names": ("Timber", "Metal")},
    ],
)
def test_one_table_with_its_head(how: dict[str, object]) -> None:
    found = only(sections(**how).content)  # type: ignore[arg-type]
    names = how.get("names", NAMES)
    assert isinstance(names, tuple)
    assert found.table.rows == 1 + 4 * len(names)
    assert (found.table.grid()[0], found.table.header_rows) == (HEAD, 1)
    titles = {c.text: c for c in found.table.cells if c.text in names}
    assert [titles[n].row for n in names] == [1 + 4 * n for n in range(len(names))]
    if "remark" not in how and how.get("ruled", True):
        assert {c.col_span for c in titles.values()} <= {4, 5}


def test_another_table_below_stays_apart() -> None:
    page = sections(names=("Timber",))
    page.row(190, ["Staff", "Hours", "Rate"], [60, 280, 380], "lrr", bold=True)
    page.across(203, 55, 525)
    for n in range(3):
        page.row(206 + 14 * n, [f"Person {n}", f"{n}1", f"{n}.25"], [60, 280, 380], "lrr")
    assert len(find_tables(page.content)) == 2


def test_tables_of_labels_and_values_with_a_title_each_stay_apart() -> None:
    page = Sheet()
    for k in range(2):
        y = 100 + 150 * k
        page.row(y, ["Quarter", "North", "South"], [60, 240, 340], "lrr", bold=True)
        page.across(y + 13, 55, 345)
        for n in range(4):
            page.row(y + 16 + 14 * n, [f"Q{n + 1}", f"{n}1.5", f"{n}2.5"], [60, 240, 340], "lrr")
    assert len(find_tables(page.content)) == 2
