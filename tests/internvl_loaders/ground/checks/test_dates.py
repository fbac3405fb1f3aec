from __future__ import annotations

import pytest

from internvl_loaders.ground.checks.dates import bad_dates


@pytest.mark.parametrize(
    "text",
    [
        "31.02.2024",
        "30/02/2021",
        "15/13/2021",
        "2021-13-05",
        "2021/02/29",
        "2021年2月30日",
        "31 April 2020",
        "31. Juni 2020",
        "February 30, 2021",
        "32/01/2020",
        "00.05.2020",
    ],
)
def test_dates_that_cannot_be(text: str) -> None:
    assert list(bad_dates(f"Paid on {text} by card")) == [(text, 8)]


@pytest.mark.parametrize(
    "text",
    [
        "29.02.2024",
        "02/29/2024",
        "12/31/2021",
        "31/12/2021",
        "2021-12-31",
        "31 March 2020",
        "31. März 2020",
        "May 31, 2021",
        "25/12/18",
        "18/12/25",
        "version 31.15.20",
        "Tel. 31-15-20",
        "chapter 13.13.2013.4",
        "192.168.2020.13",
        "call 0800-31-02-2024",
        "Marsh 31 2020",
    ],
)
def test_dates_that_can_be_and_what_is_none(text: str) -> None:
    assert list(bad_dates(f"see {text} here")) == []
