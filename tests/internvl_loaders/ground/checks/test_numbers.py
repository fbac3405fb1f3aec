from __future__ import annotations

from decimal import Decimal

import pytest

from internvl_loaders.ground.checks.numbers import decimal_mark, number_in_cell, numbers_in_line


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1,234.56", "1234.56"),
        ("1.234,56", "1234.56"),
        ("1 234,56", "1234.56"),
        ("1\u202f234,56", "1234.56"),
        ("1'234.56", "1234.56"),
        ("1’234.56", "1234.56"),
        ("1,23,456.00", "123456.00"),
        ("(12.00)", "-12.00"),
        ("12.00-", "-12.00"),
        ("−12.00", "-12.00"),
        ("- 12.00", "-12.00"),
        ("12.00 CR", "12.00"),
        ("12.00 DR", "-12.00"),
        ("12,00 S", "-12.00"),
        ("12,00 H", "12.00"),
        ("¥1,200", "1200"),
        ("￥１，２００．５０", "1200.50"),
        ("1200元", "1200"),
        ("€ 5,00", "5.00"),
        ("5,00 €", "5.00"),
        ("RM60.30", "60.30"),
        ("EUR 1.185,00", "1185.00"),
        ("5,--", "5"),
        (".50", "0.50"),
        ("0.500", "0.500"),
        ("9,9000", "9.9000"),
        ("1.234.567", "1234567"),
        ("19 %", "19"),
    ],
)
def test_a_cell_that_is_a_number(text: str, value: str) -> None:
    number = number_in_cell(text)
    assert number is not None
    assert number.value == Decimal(value)
    assert text[number.start : number.start + len(number.digits)] == number.digits


@pytest.mark.parametrize(
    "text", ["", "-", "12.05.2018", "12:30", "1,2,3", "12.00.00", "1O5.00", "3 of 4", "(12.00", "9" * 60]
)
def test_a_cell_that_is_none(text: str) -> None:
    assert number_in_cell(text) is None


def test_what_may_mean_two_values_is_read_as_its_neighbours() -> None:
    texts = ["12,50", "1.000,00", "3,75", "1.234"]
    assert decimal_mark(texts) == ","
    assert decimal_mark(["12.50", "1,234"]) == "."
    assert decimal_mark(["12.05.2018", "10:30", "1,234"]) == ""
    number = number_in_cell("1.234", ",")
    assert number is not None and number.value == 1234
    number = number_in_cell("1.234", ".")
    assert number is not None and number.value == Decimal("1.234")


def test_amounts_of_a_line() -> None:
    line = "TOTAL RM 60.30 (6.00) 12/10/2018 12:30 1,234.50 -0.02 3.5kg V1.25.3 19.00%"
    found = numbers_in_line(line)
    assert [n.value for n in found if n.money] == [Decimal(v) for v in ("60.30", "-6.00", "1234.50", "-0.02")]
    assert [n.digits for n in numbers_in_line("Total TTC : 1 437,60 € pour 2 100.00")] == [
        "1 437,60",
        "100.00",
    ]
    assert all(line[n.start :].startswith(n.digits) for n in found)
