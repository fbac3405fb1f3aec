"""True identifiers are of public examples: ISO 13616 registry, ISBN agency, tax offices' own test numbers."""

from __future__ import annotations

import pytest

from internvl_loaders.ground.checks.identifiers import bad_identifiers

TRUE = [
    "IBAN: DE89 3704 0044 0532 0130 00",
    "account GB29NWBK60161331926819 and then",
    "FR14 2004 1010 0505 0001 3M02 606 BIC PSSTFRPPPAR",
    "Rekening NL91ABNA0417164300",
    "CH93 0076 2011 6238 5295 7",
    "ISBN 978-3-16-148410-0",
    "ISBN-10: 0-306-40615-2",
    "ISBN 0-8044-2957-X",
    "EAN 4006381333931",
    "EAN 96385074",
    "4012345001235 (GTIN)",
    "VISA 4111 1111 1111 1111",
    "USt-IdNr.: DE136695976",
    "BTW BE 0428.759.497",
    "TVA FR 83 404 833 048",
    "VAT No. GB 980 7806 84",
    "P.IVA IT 00743110157",
    "NIF ESB58378431",
    "BTW NL004495445B01",
    "UID ATU13585627",
    "VAT DK13585628",
    "NIP PL8567346215",
    "NIF PT501964843",
    "VAT SE556188840401",
    "ALV FI20774740",
    "TVA LU15027442",
]


@pytest.mark.parametrize("text", TRUE)
def test_true_ones_are_let_be(text: str) -> None:
    assert list(bad_identifiers(text)) == []


@pytest.mark.parametrize("text", TRUE)
def test_a_wrong_digit_is_told(text: str) -> None:
    """Of the middle of the number: every one of these schemes sees any single wrong digit."""
    places = [n for n, c in enumerate(text) if c.isdigit()]
    place = places[len(places) * 2 // 3]
    wrong = text[:place] + str((int(text[place]) + 1) % 10) + text[place + 1 :]
    (bad,) = bad_identifiers(wrong)
    assert wrong.startswith(bad.text, bad.start)
    assert bad.start <= place < bad.start + len(bad.text)


@pytest.mark.parametrize(
    "text",
    [
        "USt-IdNr. DE123456789",  # an example
        "IBAN DE00 1234 5678 9012 3456 78",
        "order number 4006381333932",
        "DE136695977 in a text that tells of no tax",
        "card 1234",
        "IT 2024 report",
        "ISBN",
        "Model GB29 series",
        "Référence FO10479674 10577874 du client",
    ],
)
def test_what_is_none_is_let_be(text: str) -> None:
    assert list(bad_identifiers(text)) == []


@pytest.mark.parametrize(
    "text", ["IBAN DE89 3704 0044 0532 0130 0", "IBAN DE89370400440532013000 0"[:-2] + "7"]
)
def test_a_digit_too_few_or_too_many_is_told(text: str) -> None:
    assert [bad.name for bad in bad_identifiers(text)] == ["IBAN"]


def test_full_width_digits_count() -> None:
    (bad,) = bad_identifiers("ＩＳＢＮ ９７８３１６１４８４１０１")
    assert bad.text == "９７８３１６１４８４１０１"


def test_hostile_texts_end() -> None:
    for text in (
        "DE12" + " A" * 50_000,
        "EAN" + " " * 100_000,
        "VAT DE" + "1." * 50_000,
        "ISBN " + "9" * 100_000,
    ):
        list(bad_identifiers(text))
