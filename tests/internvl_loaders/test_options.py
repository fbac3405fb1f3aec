from __future__ import annotations

import pytest

from internvl_llm.media.limits import Limits
from internvl_llm.media.page_ranges import absent_pages, last_page, page_ranges, select_pages
from internvl_loaders.errors import OptionError
from internvl_loaders.options import ParseOptions


@pytest.mark.parametrize(
    ("text", "total", "expected"),
    [
        (None, 3, [1, 2, 3]),
        ("2", 3, [2]),
        ("2-5,9", 10, [2, 3, 4, 5, 9]),
        ("3-", 5, [3, 4, 5]),
        ("-2", 5, [1, 2]),
        ("9, 2-3 ,2", 10, [2, 3, 9]),
        ("4-9", 3, []),
        ("1,7-", 6, [1]),
    ],
)
def test_select_pages(text: str | None, total: int, expected: list[int]) -> None:
    assert list(select_pages(text, total)) == expected


@pytest.mark.parametrize(
    ("text", "total", "expected", "last"),
    [
        (None, 2, "", 2),
        ("1,50", 2, "50", 1),
        ("1-5", 2, "3-5", 2),
        ("-5", 2, "3-5", 2),
        ("2-", 2, "", 2),
        ("1,3-", 2, "3-", 1),
        ("50,50,60-70", 2, "50,60-70", 0),
        ("2,1-9,3", 2, "3-9,3", 2),
    ],
)
def test_pages_that_are_not_there(text: str | None, total: int, expected: str, last: int) -> None:
    assert absent_pages(text, total) == expected
    assert last_page(text, total) == last == max(select_pages(text, total), default=0)


@pytest.mark.parametrize(
    "text", ["", "-", "0", "0-3", "5-2", "a", "1;2", "1-2-3", "1,,2", "1 2", "1.5", "9" * 10, "9" * 5000]
)
def test_page_ranges_refuses(text: str) -> None:
    with pytest.raises(OptionError):
        page_ranges(text)


def test_a_wrong_option_is_named() -> None:
    with pytest.raises(OptionError, match="option transcriber"):
        ParseOptions.of(transcriber="magic")
    with pytest.raises(OptionError, match="option dpi"):
        ParseOptions.of(dpi=5)
    with pytest.raises(OptionError, match="option colour"):
        ParseOptions.of(colour="red")
    with pytest.raises(OptionError, match="option pages"):
        ParseOptions.of(pages="5-2")
    with pytest.raises(OptionError, match="max_bytes"):
        ParseOptions.of(limits={"max_bytes": 0})


def test_changes_keep_the_rest() -> None:
    options = ParseOptions.of(ParseOptions(dpi=150, limits=Limits(max_pages=7)), jobs=3)
    assert (options.dpi, options.jobs, options.limits.max_pages) == (150, 3, 7)


def test_password_is_not_shown() -> None:
    assert "hunter2" not in repr(ParseOptions(password="hunter2"))
