"""Each rule with what breaks it, and true pages that none of them accuses."""

from __future__ import annotations

from decimal import Decimal

import pytest

from internvl_loaders.document import Block
from internvl_loaders.ground.checks import check
from tests.kit.grids import INVOICE, STATEMENT, grid

STATEMENT_BACKWARDS = "\n".join(
    [STATEMENT.strip().splitlines()[0], *reversed(STATEMENT.strip().splitlines()[1:])]
)
SIGNED = """
Datum | Text | Betrag | Saldo
01.03. | Anfangssaldo | | 1.000,00 H
02.03. | Gehalt | 2.500,00 H | 3.500,00 H
03.03. | Miete | 4.185,00 S | 685,00 S
04.03. | Einkauf | 67,40 S | 752,40 S
05.03. | Erstattung | 820,00 H | 67,60 H
06.03. | Strom | 43,15 S | 24,45 H
"""
SECTIONS = """
Position | 2022 | 2023
Rent | 1,200.00 | 1,250.00
Power | 310.50 | 402.10
Subtotal | 1,510.50 | 1,652.10
Paper | 88.20 | 92.00
Post | 41.30 | 38.75
Subtotal | 129.50 | 130.75
Total | 1,640.00 | 1,782.85
"""
TAXES = """
Art | Netto | Steuersatz | Steuer | Brutto
Umsatzsteuer | 275,00 | 7 % | 19,25 | 294,25
Umsatzsteuer | 198,00 | 19 % | 37,62 | 235,62
Umsatzsteuer | 80,00 | 19 % | 15,20 | 95,20
Summe | 553,00 | | 72,07 | 625,07
"""
CHINESE = """
项目 | 数量 | 单价 | 金额
纸张 | 20 | ￥９．９０ | ￥１９８．００
墨盒 | 3 | ￥61.25 | ￥183.75
合计 | | | ￥381.75
"""
DAY_ENDS = """
Date | Details | Paid out | Paid in | Balance
1 Mar | BALANCE BROUGHT FORWARD | | | 512.30
2 Mar | Card A | 12.00 | |
 | Card B | 30.45 | |
 | Transfer | | 100.00 | 569.85
3 Mar | Card C | 9.99 | |
 | Direct debit | 200.00 | | 359.86
4 Mar | Card D | 5.00 | | 354.86
 | BALANCE CARRIED FORWARD | | | 354.86
"""
REGIONS = """
Region | Q1 | Q2 | Q3 | Total
North | 120 | 130 | 125 | 375
South | 80 | 85 | 90 | 255
West | 60 | 62 | 64 | 186
Total | 260 | 277 | 279 | 816
"""
YEN = """
品名 | 数量 | 単価 | 金額
りんご | 3 | ¥150 | ¥450
みかん | 10 | ¥80 | ¥800
ぶどう | 2 | ¥1,200 | ¥2,400
小計 | | | ¥3,650
消費税 10% | | | ¥365
合計 | | | ¥4,015
"""
STUNDEN = """
Pos | Bezeichnung | Menge | Einzelpreis | Gesamt
1 | Beratung | 12 Std | 95,00 € | 1.140,00 €
2 | Fahrt | 2 | 45,50 € | 91,00 €
 | Nettobetrag | | | 1.231,00 €
 | MwSt. 19 % | | | 233,89 €
 | Gesamtbetrag | | | 1.464,89 €
"""
PAY = """
Earnings | Rate | Hours | This period | Year to date
Regular | 25.00 | 80.00 | 2,000.00 | 10,000.00
Overtime | 37.50 | 4.00 | 150.00 | 600.00
Gross pay | | | 2,150.00 | 10,600.00
Tax | | | -320.00 | -1,590.00
Net pay | | | 1,830.00 | 9,010.00
"""
TRUE = [
    DAY_ENDS,
    REGIONS,
    YEN,
    STUNDEN,
    PAY,
    STATEMENT.partition("Balance")[2],
    STATEMENT,
    STATEMENT_BACKWARDS,
    SIGNED,
    INVOICE,
    SECTIONS,
    TAXES,
    CHINESE,
]


@pytest.mark.parametrize("text", TRUE)
def test_true_tables_are_not_accused(text: str) -> None:
    checked = check([grid(text, head=0 if text.startswith("\n01/03") else 1)])
    assert not checked.findings
    assert checked.held > 1, text


@pytest.mark.parametrize(
    ("text", "old", "new", "name", "expected"),
    [
        (STATEMENT, "1,185.00", "185.00", "balance", "1185.00"),  # a digit dropped
        (STATEMENT, "67.40", "677.40", "balance", "67.40"),  # doubled
        (STATEMENT, "2,315.00", "2,135.00", "balance", "2315.00"),  # exchanged, in a balance
        (STATEMENT_BACKWARDS, "67.40", "61.40", "balance", "67.40"),
        (SIGNED, "4.185,00 S", "4.185,00 H", "balance", None),  # a sign
        (SIGNED, "67,40 S", "677,40 S", "balance", "-67.40"),
        (INVOICE, "183.75", "133.75", "product", "183.75"),  # by its product and by the sum
        (INVOICE, "61.25", "61.75", "product", "61.25"),
        (INVOICE, "410.75", "401.75", "sum", "410.75"),
        (SECTIONS, "402.10", "420.10", "sum", "402.10"),
        (SECTIONS, "1,782.85", "1,728.85", "sum", "1782.85"),
        (TAXES, "37,62", "31,62", "product", "37.62"),
        (TAXES, "294,25", "204,25", "sum", "294.25"),
        (CHINESE, "￥183.75", "￥188.75", "product", "183.75"),
        (DAY_ENDS, "569.85", "589.85", "balance", "569.85"),
        (DAY_ENDS, "200.00", "700.00", "balance", "200.00"),
        (REGIONS, "80", "89", "sum", "80"),
        (REGIONS, "255", "225", "sum", "255"),
        (YEN, "¥150", "¥750", "product", "150"),
        (YEN, "¥365", "¥305", "amounts", "365"),
        (STUNDEN, "95,00", "95,20", "product", "95.00"),
        (STUNDEN, "1.464,89", "1.464,39", "amounts", "1464.89"),
        (STUNDEN, "233,89", "233,80", "amounts", "233.89"),
    ],
)
def test_one_figure_that_is_wrong(text: str, old: str, new: str, name: str, expected: str | None) -> None:
    checked = check([grid(text.replace(old, new, 1))])
    assert name in {finding.check for finding in checked.findings}
    suspects = [s for s in checked.suspects if s.unique]
    assert len(suspects) == 1, checked
    assert suspects[0].text in new
    if expected is not None:
        assert suspects[0].expected == Decimal(expected)


def test_a_debit_among_credits_is_told_by_the_balance() -> None:
    wrong = STATEMENT.replace("| 67.40 | |", "| | 67.40 |")
    checked = check([grid(wrong)])
    assert [finding.check for finding in checked.findings] == ["balance"]
    assert "67.40" in checked.findings[0].text
    assert checked.bad_tables == (0,)


def test_a_statement_wrong_in_many_rows_is_a_bad_table() -> None:
    wrong = STATEMENT.replace("67.40", "677.40").replace("143.15", "1143.15").replace("1,185.00", "185.00")
    checked = check([grid(wrong)])
    assert sum(finding.check == "balance" for finding in checked.findings) == 3
    assert {s.text for s in checked.suspects} >= {"677.40", "1143.15", "185.00"}
    assert {s.text for s in checked.suspects if s.unique} == {"677.40", "185.00"}
    assert checked.bad_tables == (0,)


def test_a_row_that_was_lost_breaks_the_balance_and_accuses_nobody() -> None:
    lines = STATEMENT.strip().splitlines()
    del lines[4]
    checked = check([grid("\n".join(lines))])
    assert [finding.check for finding in checked.findings] == ["balance"]
    assert not [s for s in checked.suspects if s.unique]


@pytest.mark.parametrize(
    "text",
    [
        "Year | Share\n2019 | 12.50\n2020 | 13.75\n2021 | 11.10\nTotal | 39.10",  # far from it
        "Land | Rate %\nDE | 5.20\nFR | 7.30\nIT | 9.10\nTotal | 7.20",  # a mean
        "Age | Men | Total\n0-9 | 12 | 26\n10-19 | 15 | 26\n20+ | 33 | 69\nTotal | 60 | 122",  # rounded
        "Bank | Limit | Used | Balance\nA | 330.30 | 234.00 | 96.30\nB | 330.30 | 256.30 | 74.00\n"
        "C | 302.00 | 110.00 | 192.00\nD | 205.00 | 205.00 | 0.00\nE | 175.00 | 175.00 | 0.00\n"
        "F | 98.00 | 0.00 | 98.00\nG | 46.00 | 46.00 | 0.00",
        "N | A | B | C\n1 | 10 | 14 | 24\n2 | 4 | 2 | 6\n3 | 12 | 11 | 23\n4 | 4 | 4 | 6\n5 | 13 | 12 | 25",
        "Item | Amount\nA | 12.00\nB | 14.00\nTotal paid to date | 512.00",
    ],
)
def test_totals_that_are_no_sums_are_not_accused(text: str) -> None:
    assert not check([grid(text)]).findings


RECEIPT = "Coffee 8.00\nCake 12.50\nSUBTOTAL 20.50\nGST 6% 1.23\nTOTAL 21.73\nCASH 50.00\nCHANGE 28.27"
RECHNUNG = "Netto 1.198,00 EUR\nzzgl. 19 % MwSt.\n227,62 EUR\nGesamtbetrag 1.425,62 EUR"
FACTURE = "Total HT : 1 198,00 €\nTVA 20 % : 239,60 €\nTotal TTC : 1 437,60 €"


ITEMS = (
    "Paper 2 5.20 10.40 SR\nTape 3 x 2.15 6.45 SR\nGlue 1 4.00 4.00\nApples 1.255 kg @ 3.98 4.99\nTotal 25.84"
)
SHIRTS = "Shirts 4 x 12.50 = 50.00\nTotal 50.00"


@pytest.mark.parametrize("text", [RECEIPT, RECHNUNG, FACTURE, ITEMS, SHIRTS])
def test_true_amounts_are_not_accused(text: str) -> None:
    assert not check([Block(type="paragraph", text=text)]).findings


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        (RECEIPT, "21.73", "27.73"),
        (RECEIPT, "28.27", "228.27"),
        (RECHNUNG, "227,62", "221,62"),
        (RECHNUNG, "1.425,62", "1.245,62"),
    ],
)
def test_net_and_tax_are_the_gross_and_cash_the_total_and_change(text: str, old: str, new: str) -> None:
    wrong = text.replace(old, new)
    checked = check([Block(type="paragraph", text=wrong)])
    assert {finding.check for finding in checked.findings} == {"amounts"}
    found = [s for s in checked.suspects if s.text == new]
    assert found and wrong.startswith(new, found[0].start)


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        (ITEMS, "10.40", "70.40"),
        (ITEMS, "2.15", "2.75"),
        (ITEMS, "4.99", "4.39"),
        (SHIRTS, "12.50", "17.50"),
        (SHIRTS, "= 50.00", "= 550.00"),
    ],
)
def test_lines_of_receipts_are_products(text: str, old: str, new: str) -> None:
    wrong = text.replace(old, new, 1)
    checked = check([Block(type="paragraph", text=wrong)])
    assert [finding.check for finding in checked.findings] == ["product"]
    assert any(s.text in new and wrong.startswith(s.text, s.start) for s in checked.suspects)


@pytest.mark.parametrize(
    "text", ["from 2 to 5.00 and 6.00", "Size 3 10.00 12.00\nSize 4 11.00 13.00", "Page 2 5.00 11.00"]
)
def test_lines_that_are_no_products_are_let_be(text: str) -> None:
    assert not check([Block(type="paragraph", text=text)]).findings


def test_receipts_that_add_other_things_are_left_alone() -> None:
    text = "SUBTOTAL 20.50\nService charge 2.05\nGST 1.23\nTOTAL 23.80"
    assert not check([Block(type="paragraph", text=text)]).findings


def test_a_letter_in_a_column_of_numbers() -> None:
    text = STATEMENT.replace("2,247.60", "2,Z47.6O")
    checked = check([grid(text)])
    assert [finding.check for finding in checked.findings] == ["amount"]
    assert [(s.text, s.expected) for s in checked.suspects] == [("2,Z47.6O", Decimal("2247.60"))]


def test_a_letter_in_a_column_of_other_decimals() -> None:
    text = "Part | Weight\nA | 12.5\nB | 13.0\nC | l1.7\nD | 10.9\nE | 8.8"
    checked = check([grid(text)])
    assert [finding.check for finding in checked.findings] == ["column"]
    assert [(s.text, s.expected) for s in checked.suspects] == [("l1.7", Decimal("11.7"))]


@pytest.mark.parametrize(
    "text", ["1O5.00", "O.00", "l2,50", "O3/03/2018", "1.234,5O", "12.O5.2024", "10O", "2O18"]
)
def test_letters_in_amounts_and_dates(text: str) -> None:
    checked = check([Block(type="paragraph", text=f"Paid {text} today")])
    assert [(s.text, s.start) for s in checked.suspects] == [(text, 5)]


@pytest.mark.parametrize(
    "text",
    ["S.50", "B.60", "I.II.IZ", "OS.10", "IS 10.00", "x1O5.00", "Dl.Is.BO", "I.O.U.", "H2O", "1O", "OO7"],
)
def test_words_that_look_like_numbers_are_let_be(text: str) -> None:
    assert not check([Block(type="paragraph", text=f"see {text} here")]).suspects


def test_identifiers_and_dates_of_texts_and_cells_are_told_with_their_place() -> None:
    blocks = [
        Block(type="paragraph", text="IBAN DE89 3704 0044 0532 0130 01, due 31.02.2024"),
        grid("Key | Value\nIBAN | GB29 NWBK 6016 1331 9268 91\nDate | 2024-13-01"),
    ]
    checked = check(blocks)
    assert {(s.block, s.row, s.kind, s.text) for s in checked.suspects} == {
        (0, None, "identifier", "DE89 3704 0044 0532 0130 01"),
        (0, None, "date", "31.02.2024"),
        (1, 1, "identifier", "GB29 NWBK 6016 1331 9268 91"),
        (1, 2, "date", "2024-13-01"),
    }
    assert all(s.block or blocks[0].text.startswith(s.text, s.start) for s in checked.suspects)


@pytest.mark.parametrize("label", ["Post", "Total"])
def test_large_tables_end(label: str) -> None:
    """Even where every row is called a total."""
    rows = (f"01/03 | {label} | 1.00 | | {5000 - n}.00 | {n}.10" for n in range(1000))
    checked = check([grid("\n".join(["Date | What | Out | In | Balance | Other", *rows]))])
    assert checked.held > 900 or label == "Total"
