from __future__ import annotations

from decimal import Decimal

import pytest

from internvl_loaders.ground.readings import chosen, put_in, read_crop, same, token_in


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("185.00", "185.00"),
        ("**185.00**\n", "185.00"),
        ("```\n185.00\n```", "185.00"),
        ("<b>185.00</b>", "185.00"),
        ("<table><tr><td>Rent</td><td>185.00</td></tr></table>", "Rent 185.00"),
        ("- 12.00", "- 12.00"),
        ("12. 5", "12. 5"),
        ("[illegible]", ""),
        ("", ""),
        ("1" * 100_000, ""),
    ],
)
def test_answers(answer: str, text: str) -> None:
    assert read_crop(answer) == text


@pytest.mark.parametrize(
    ("reading", "token"),
    [
        ("185.00", "185.00"),
        ("Rent 185.00", "185.00"),
        ("The characters are: 185.00.", "185.00."),
        ("RM 1185.00", "1185.00"),
        ("nothing like it here", ""),
        ("", ""),
        ("2185.00 3185.00", ""),  # which of them?
    ],
)
def test_the_token_of_a_crop(reading: str, token: str) -> None:
    assert token_in(reading, "1185.00", "185.00") == token


def test_a_word_alone_is_the_token_whatever_it_is() -> None:
    """So that a third reading that agrees with neither is seen as one."""
    assert token_in("9999", "1185.00", "185.00") == "9999"


def test_tokens_of_several_words() -> None:
    assert token_in("IBAN DE89 3704 0044 BIC", "DE89 3704 0O44", "") == "DE89 3704 0044"


@pytest.mark.parametrize(
    ("one", "two", "equal"),
    [
        ("1,185.00", "1185.00", True),
        ("RM185.00", "185.00", True),
        ("１８５．００", "185.00", True),
        ("Total:", "total", True),
        ("185.00", "185.0", False),
        ("185.00", "-185.00", False),
        ("143J44363", "143344363", False),
    ],
)
def test_same(one: str, two: str, *, equal: bool) -> None:
    assert same(one, two) is equal


@pytest.mark.parametrize(
    ("text", "witness", "asked", "expected", "reading"),
    [
        ("1185.00", "185.00", ["185.00"], None, "185.00"),
        ("1185.00", "185.00", ["1185.00"], None, "1185.00"),
        ("1185.00", "185.00", ["785.00"], None, None),
        ("1185.00", "185.00", [], None, None),
        ("1185.00", "185.00", [""], None, None),
        ("1185.00", "", ["185.00", "185.00"], None, "185.00"),
        ("1185.00", "", ["1185.00", "185.00"], None, "1185.00"),
        ("1185.00", "", ["1185.00", "185.00"], "185.00", None),  # the balance speaks against it
        ("1185.00", "", ["185.00"], None, None),
        ("0.39", "0", ["0"], None, None),  # the witness saw a part of it
        ("12.50", "60.30", ["60.30"], None, "60.30"),
        ("@3%", "6", ["@6%"], None, "@6%"),
        ("-00.00", "30.00", ["-30.00"], None, "-30.00"),
        ("18500", "185.00", ["185.00"], None, "185.00"),
        ("18500", "185.00", ["18500"], None, "18500"),
        ("12.50", "", ["60.31", "60.31"], None, None),
        ("1185.00", "", ["185.00"], "185.00", "185.00"),
        ("1185.00", "185.00", ["1185.00"], "185.00", None),
        ("1185.00", "155.00", ["185.00"], "185.00", "185.00"),
        ("1185.00", "", ["1185.00", "1185.00"], "185.00", "1185.00"),
        ("RM1,185.00", "1185.00", ["1,185.00"], None, "RM1,185.00"),
    ],
)
def test_two_of_three(
    text: str, witness: str, asked: list[str], expected: str | None, reading: str | None
) -> None:
    assert chosen(text, witness, asked, Decimal(expected) if expected else None) == reading


@pytest.mark.parametrize(
    ("text", "reading", "put"),
    [
        ("RM1185.00", "185.00", "RM185.00"),
        ("(1185.00)", "185.00", "(185.00)"),
        ("1185.00", "RM185.00", "185.00"),
        ("185.00", "-185.00", "-185.00"),
        ("143344363", "143J44363", "143J44363"),
        ("12/O3/2024", "12/03/2024", "12/03/2024"),
        ("J.08", "3.08", "3.08"),
        ("Z7", "27", "27"),
        ("$B.60", "8.60", "8.60"),
    ],
)
def test_what_is_put_in_its_place(text: str, reading: str, put: str) -> None:
    assert put_in(text, reading) == put
