"""Invoices, receipts and forms: several tables and texts that share columns stay apart."""

import pytest

from internvl_loaders.structure.tables.find import find_tables
from tests.internvl_loaders.structure.tables.test_find import Sheet, only, ruled, texts
from tests.kit.typeset import PROSE


def grids(page: Sheet) -> list[list[list[str]]]:
    return [t.table.grid() for t in find_tables(page.content)]


ORDER = [["Client", "Order", "Date", "Due"], ["8873001", "4431", "8-9-2022", "22-9-2022"]]
ITEMS = [
    ["Item", "Name", "Price", "Sum"],
    ["E103184", "Cleaning set", "49,99", "49,99"],
    ["E103560", "Voucher for members", "0,00", "0,00"],
]
TAX = [["Rate", "Base", "Tax", "Total"], ["21", "41,31", "8,68", "49,99"], ["9", "10,00", "0,90", "10,90"]]


def invoice() -> Sheet:
    page = Sheet()
    page.across(100, 50, 550)
    for n, (a, b) in enumerate(
        [("Anna Berg", "Timber House Ltd"), ("Quay 7", "Bridge Street 12"), ("22100 Lund", "4000 Basel")]
    ):
        page.row(110 + n * 12, [a, b], [80, 360])
    page.line("Invoice", 50, 200, 16, bold=True)
    page.across(222, 50, 550)
    page.row(226, ORDER[0], [50, 140, 370, 545], "llrr")
    page.row(238, ORDER[1], [50, 140, 370, 545], "llrr")
    page.row(280, ITEMS[0], [50, 110, 460, 545], "llrr")
    page.across(293, 50, 550)
    for n, row in enumerate(ITEMS[1:]):
        page.row(296 + n * 12, row, [50, 110, 460, 545], "llrr")
    page.row(400, TAX[0], [330, 400, 470, 545], "r")
    page.across(413, 50, 550)
    for n, row in enumerate(TAX[1:]):
        page.row(416 + n * 12, row, [330, 400, 470, 545], "r")
    page.line("Paid in advance, so nothing is left to pay for this delivery.", 50, 520)
    page.across(540, 50, 550)
    return page


def test_an_invoice_between_two_rulings_is_its_tables_only():
    page = invoice()
    assert grids(page) == [ORDER, ITEMS, TAX]


def test_successive_tables_of_a_receipt_stay_apart():
    page = Sheet(ocr=True)
    page.row(100, ["Item", "Qty", "Total"], [60, 120, 300], "llr")
    for n, (name, price) in enumerate([("Vegetable soup", "5.50"), ("Fried noodles", "2.70")]):
        page.row(113 + n * 26, [name], [60])
        page.row(126 + n * 26, [price, "1", price], [60, 124, 300], "llr")
    for n, total in enumerate(["Total Amount: 8.20", "Tax 6%: 0.46", "Nett Total: 8.20"]):
        page.row(166 + n * 12, [total], [300], "r")
    page.row(208, ["Payment Mode", "Amount"], [60, 300], "lr")
    page.across(220, 58, 302)
    page.row(222, ["CASH", "8.20"], [60, 300], "lr")
    page.row(234, ["CHANGE", "0.00"], [60, 300], "lr")
    page.row(260, ["Tax Summary", "Amount", "Tax"], [60, 220, 300], "lr")
    page.across(272, 58, 302)
    page.row(274, ["SR 6%", "7.74", "0.46"], [60, 220, 300], "lr")
    items, payment, tax = grids(page)
    assert items[0] == ["Item", "Qty", "Total"] and items[-1] == ["2.70", "1", "2.70"]
    assert payment == [["Payment Mode", "Amount"], ["CASH", "8.20"], ["CHANGE", "0.00"]]
    assert tax == [["Tax Summary", "Amount", "Tax"], ["SR 6%", "7.74", "0.46"]]


@pytest.mark.parametrize("rulings", [False, True])
def test_blocks_of_addresses_and_bank_details_are_text(rulings: bool):
    page = Sheet()
    blocks = [
        ["Timber House Ltd", "Bridge Street 12", "4000 Basel", "Tel. +41 61 916 44 10", "timber.example"],
        [
            "Board: Hans Muster",
            "Court Basel 13302",
            "VAT DE 232 446 240",
            "Tax no. 044 241 601",
            "A. Berg",
        ],
        [
            "Savings Bank Basel",
            "Account 48567",
            "Code: 507 500 94",
            "IBAN CH305075000000048567",
            "BIC HELADEF1",
        ],
    ]
    for x, block in zip((50, 230, 410), blocks, strict=True):
        for n, line in enumerate(block):
            page.line(line, x, 700 + n * 9, 7)
    if rulings:
        page.across(695, 50, 550)
        page.across(748, 50, 550)
    assert grids(page) == []


def test_a_sentence_and_a_title_end_a_table():
    page = Sheet()
    xs = [60, 300, 400, 500]
    rows = [["Place", "2020", "2021", "2022"], *([f"Town {c}", "14.5", "15.5", "16.5"] for c in "abc")]
    for top in (100, 230):
        for n, row in enumerate(rows):
            page.row(top + n * 12, row, xs, "lr")
    page.line("All of these are given as they were counted by the towns themselves in spring.", 60, 148)
    page.line("Later counts", 60, 190, 15, bold=True)
    assert grids(page) == [rows, rows]


def test_close_headings_over_parted_columns_are_cut():
    page = Sheet()
    page.row(100, ["Item", "Price"], [50, 300])
    page.line("Tax", 340, 100)
    page.line("Quantity", 359, 100)
    page.row(100, ["Sum"], [500], "r")
    page.across(112, 50, 500)
    for n, name in enumerate(["Oak plank", "Glue", "Nails"]):
        page.row(115 + n * 13, [name, "49,99", "21", "3", "149,97"], [50, 300, 340, 395, 500], "lllrr")
    assert only(page.content).table.grid()[0] == ["Item", "Price", "Tax", "Quantity", "Sum"]


def test_a_drawn_row_that_holds_a_heading_amounts_and_a_sum_is_three_rows():
    page = ruled([["Seller", "", "", ""], ["", "", "", ""], ["Note", "", "", "paid"]], height=50)
    for n, row in enumerate([["Goods", "Unit", "Price", "Tax"], ["Books", "", "46.62", "6.08"]]):
        page.row(154 + n * 13, row, [66 + c * 120 for c in range(4)])
    page.row(186, ["Sum", "", "¥46.62", "¥6.08"], [66 + c * 120 for c in range(4)])
    grid = only(page.content).table.grid()
    assert ["Books", "", "46.62", "6.08"] in grid
    assert ["Sum", "", "¥46.62", "¥6.08"] in grid


def test_rows_far_apart_with_rulings_between_them_are_one_table():
    page = Sheet()
    for n in range(5):
        page.across(100 + n * 18, 50, 550)
    for n in range(4):
        page.across(190 + n * 14, 50, 550)
    for y, name in ((104, "Rent"), (122, "Power"), (140, "Water"), (158, "Heating"), (236, "Deposit")):
        page.row(y, [name, "12.50", "2", "25.00"], [60, 300, 400, 500], "lr")
    page.across(250, 50, 550)
    found = only(page.content)
    assert "Deposit" in texts(found, page.content)


def test_two_lines_of_numbers_without_headings_are_text():
    page = Sheet()
    for n, name in enumerate(["Tel", "Fax"]):
        page.row(100 + n * 12, [name, "03", "2026", "6386"], [60, 100, 140, 200])
    page.prose(PROSE, 60, 140, 400)
    assert grids(page) == []
