"""Letters set apart on purpose are one word; labels that stand evenly are not."""

from __future__ import annotations

import pytest

from tests.internvl_loaders.readers.test_overprint import reader, spans, text  # noqa: F401


def texts(reader: object, drawn: str) -> list[str]:  # noqa: F811
    return [s.text for s in spans(reader, drawn)]


def comb(words: str, pitch: float, width: float = 6) -> str:
    """Each character in the middle of a cell, or where it begins (`width` 0)."""
    drawn = ""
    for n, char in enumerate(words):
        own = {"1": 5.56, ".": 2.78, "-": 3.33, "I": 2.78, "i": 2.22, "l": 2.22, "t": 2.78}.get(char, 5.56)
        drawn += text(50 + pitch * n + (width - own) / 2 * bool(width), 500, char, "/F 10 Tf")
    return drawn


@pytest.mark.parametrize(
    ("drawn", "wanted"),
    [
        (text(50, 500, "INVOICE", "/F 16 Tf 6 Tc"), ["INVOICE"]),
        (text(50, 500, "DATE", "/B 12 Tf 4 Tc"), ["DATE"]),
        (text(50, 500, "REFERENCE NUMBER 4711", "/F 10 Tf 3 Tc"), ["REFERENCE", "NUMBER", "4711"]),
        (text(50, 500, "4711-0815", "/F 10 Tf 3 Tc"), ["4711-0815"]),
        (text(50, 500, "article info", "/F 9 Tf 2.5 Tc"), ["article", "info"]),
        (text(50, 500, "I N V O I C E", "/B 14 Tf"), ["INVOICE"]),
        (text(50, 500, "T O T A L   D U E", "/B 14 Tf"), ["TOTAL", "DUE"]),
        (comb("DE89370400440532013000", 8), ["DE89370400440532013000"]),
        (comb("03.02.2024", 8), ["03.02.2024"]),
        (comb("Deduplication", 7, 0), ["Deduplication"]),
        (text(50, 500, "Number 47110815", "/F 10 Tf") + text(50, 450, "BIC  ABCXDEFF", "/F 10 Tf 2 Tc"),
         ["Number", "47110815", "BIC", "ABCXDEFF"]),
    ],
)  # fmt: skip
def test_words_set_apart(reader: object, drawn: str, wanted: list[str]) -> None:  # noqa: F811
    assert texts(reader, drawn) == wanted


@pytest.mark.parametrize(
    ("drawn", "wanted"),
    [
        (comb("123456789", 9), list("123456789")),
        (comb("ABCDEF", 12), list("ABCDEF")),
        (text(50, 500, "1 2 3 4 5 6", "/F 10 Tf"), list("123456")),
        (text(50, 500, "3 5 2 4 1 5 3", "/F 10 Tf"), list("3524153")),
        (text(50, 500, "A B C D E F", "/F 10 Tf"), list("ABCDEF")),
        (text(50, 500, "Prices . . . . . . . . 9", "/F 10 Tf"), ["Prices", *"........9"]),
        (text(50, 500, "I am a b c man", "/F 10 Tf"), ["I", "am", "a", "b", "c", "man"]),
        (text(50, 500, "The quick brown fox", "/F 10 Tf"), ["The", "quick", "brown", "fox"]),
    ],
)
def test_what_only_stands_evenly(reader: object, drawn: str, wanted: list[str]) -> None:  # noqa: F811
    assert texts(reader, drawn) == wanted
