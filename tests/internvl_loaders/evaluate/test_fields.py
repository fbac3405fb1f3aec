from datetime import date
from decimal import Decimal

import pytest

from internvl_loaders.evaluate.fields import field_scores, find_amounts, find_dates, match_field, match_fields


def found(value: object, text: str, name: str = "key") -> tuple[bool, bool]:
    field = match_field(name, value, text)
    return field.exact, field.lenient


@pytest.mark.parametrize(
    ("text", "dates"),
    [
        ("2018-03-05", {date(2018, 3, 5)}),
        ("2018年3月5日", {date(2018, 3, 5)}),
        ("25/03/2018", {date(2018, 3, 25)}),
        ("05.03.18", {date(2018, 3, 5), date(2018, 5, 3)}),
        ("30 MAR 2018", {date(2018, 3, 30)}),
        ("30-Mar-18", {date(2018, 3, 30)}),
        ("19 april 2014", {date(2014, 4, 19)}),
        ("5. März 2018", {date(2018, 3, 5)}),
        ("le 2 juillet 2015", {date(2015, 7, 2)}),
        ("March 5th, 2018", {date(2018, 3, 5)}),
        ("1/2/75", {date(1975, 2, 1), date(1975, 1, 2)}),
        ("31/02/2018 and 99.99.9999 and 12 apples 2018", set()),
    ],
)
def test_find_dates(text: str, dates: set[date]) -> None:
    assert find_dates(text) == dates


@pytest.mark.parametrize(
    ("text", "amounts"),
    [
        ("RM5.00", {"5.00"}),
        ("1.163,40 EUR", {"1163.40"}),
        ("$1,163.40", {"1163.40"}),
        ("1 163,40", {"1163.40"}),
        ("1,136", {"1136", "1.136"}),
        ("-30.00", {"30.00"}),
        ("10/03", {"10", "3"}),
        ("1.2.3", set()),
    ],
)
def test_find_amounts(text: str, amounts: set[str]) -> None:
    assert find_amounts(text) == {Decimal(a) for a in amounts}


@pytest.mark.parametrize(
    ("value", "text", "exact", "lenient"),
    [
        ("WARAKUYA SDN BHD", "x Warakuya  Sdn\nBhd y", True, True),
        ("WARAKUYA SDN BHD", "warakuyasdnbhd", False, True),
        ("WARAKUYA SDN. BHD", "WARAKUYA SDN BHD", False, True),
        ("WARAKUYA SDN BHD", "WARAKUVA SDN BHD", False, True),  # one of 14 letters
        ("WARAKUYA SDN BHD", "WRRRKUVA SDN BHD", False, False),
        ("FREE", "FREEDOM", False, True),
        ("57.80", "TOTAL:RM57.80", True, True),
        ("57.80", "157.80", False, False),
        ("57.80", "57.801", False, False),
        ("57.80", "1,57.80", False, False),
        ("57.80", "57,80", False, True),
        ("$8.20", "RM 8.20", False, True),
        ("10/03/2018", "DATE: 10/03/2018 5:41", True, True),
        ("10/03/2018", "10-03-18", False, True),
        ("10/03/2018", "11/03/2018", False, False),
        ("NO. 76, JALAN SS15/4B, 47500 SUBANG", "NO.76 JALAN SS15/4B 47500 SUBANG", False, True),
        ("NO. 76, JALAN SS15/4B, 47500 SUBANG", "NO.76 JALAN SS15/4B 47508 SUBANG", False, False),
        ("33207675", "No 33207675", True, True),
        ("33207675", "No 33207676", False, False),
        ("天津瑞佳讯", "销售方:天津瑞佳讯贸易", True, True),
        ("anything", "", False, False),
    ],
)
def test_as_written(value: str, text: str, exact: bool, lenient: bool) -> None:
    assert found(value, text) == (exact, lenient)


def test_machine_forms_are_found_in_any_form() -> None:
    assert found(1163.4, "Summe 1.163,40 €") == (True, True)
    assert found(-8.79, "8,79-") == (True, True)
    assert found(4, "41") == (False, False)
    assert found("2014-08-03", "August 3, 2014") == (True, True)
    assert found("20180305", "05.03.2018", "date") == (True, True)
    assert found("20180305", "05.03.2018", "order") == (False, False)


def test_lists_are_fields_each_and_other_values_none() -> None:
    fields = match_fields({"a": ["x", "y"], "b": None, "c": {"d": 1}, "e": "", "f": "x"}, "x")
    assert [(f.name, f.exact) for f in fields] == [("a.1", True), ("a.2", False), ("f", True)]


def test_scores_are_shares() -> None:
    fields = match_fields({"a": "one", "b": "two", "c": "57.80", "d": "four"}, "one 57,80")
    assert field_scores(fields) == {"fields": 1 / 4, "fields_lenient": 2 / 4}
    assert field_scores([]) == {}


@pytest.mark.parametrize("value", [True, False, float("nan"), float("inf"), 10**400])
def test_values_that_are_no_amounts(value: object) -> None:
    assert found(value, "12.50") == (False, False)
    assert found(True, "paid: true") == (True, True)
