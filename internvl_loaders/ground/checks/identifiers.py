"""Identifiers whose check digits do not come out: IBAN, ISBN, EAN, VAT numbers, payment cards.

Rules: ISO 13616 (IBAN, mod 97 of ISO 7064), ISO 2108 (ISBN), GS1 General Specifications (EAN, GTIN), ISO/IEC
7812 (Luhn), and for VAT numbers the algorithms that the member states' tax offices publish, as collected in
the European Commission's VIES documents.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from internvl_loaders.ground.checks.numbers import western

IBAN_LENGTHS = {
    country: length
    for length, countries in {
        15: "NO",
        16: "BE",
        18: "DK FI FO GL NL",
        19: "MK SI",
        20: "AT BA EE KZ LT LU XK",
        21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS VA",
        23: "AE GI IL",
        24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "PT",
        26: "IS TR",
        27: "FR GR IT MC MR SM",
        28: "AL AZ BY CY DO GT HU LB PL",
        29: "BR EG QA UA",
        30: "JO KW MU",
        31: "MT",
    }.items()
    for country in countries.split()
}


@dataclass(frozen=True, slots=True)
class BadIdentifier:
    """`text` stands at `start`; `name` is what kind of identifier its check digits say it is not."""

    name: str
    text: str
    start: int


def is_iban(code: str) -> bool:
    turned = code[4:] + code[:4]
    return int("".join(str(int(c, 36)) for c in turned)) % 97 == 1


def is_ean(digits: str) -> bool:
    """EAN-8, EAN-13, GTIN-12 and GTIN-14 alike: from the right, every second digit thrice."""
    return sum(int(c) * (3 if place % 2 else 1) for place, c in enumerate(reversed(digits))) % 10 == 0


def is_isbn10(code: str) -> bool:
    return sum((10 - place) * (10 if c in "Xx" else int(c)) for place, c in enumerate(code)) % 11 == 0


def is_luhn(digits: str) -> bool:
    doubled = (int(c) * (2 if place % 2 else 1) for place, c in enumerate(reversed(digits)))
    return sum(d // 10 + d % 10 for d in doubled) % 10 == 0


def _mod11_10(digits: str) -> bool:
    """ISO 7064 MOD 11,10."""
    product = 10
    for c in digits[:-1]:
        product = 2 * ((int(c) + product) % 10 or 10) % 11
    return (product + int(digits[-1])) % 10 == 1


def _weighted(digits: str, *weights: int) -> int:
    return sum(int(c) * weight for c, weight in zip(digits, weights, strict=False))


def _is_gb(d: str) -> bool:
    left = _weighted(d, 8, 7, 6, 5, 4, 3, 2, 10, 1) % 97
    return left in (0, 42)  # 42: numbers given since 2010


def _is_nl(code: str) -> bool:
    """Of companies by eleven, of others since 2020 by 97."""
    digits = code[:9]
    spelled = int("".join(str(int(c, 36)) for c in f"NL{code}"))
    return _weighted(digits, 9, 8, 7, 6, 5, 4, 3, 2) % 11 == int(digits[8]) or spelled % 97 == 1


def _is_fr(code: str) -> bool:
    """With a SIREN, whose key is of digits alone; other keys are not checked."""
    return not code[:2].isdecimal() or (int(code[2:]) * 100 + 12) % 97 == int(code[:2]) % 97


def _is_at(d: str) -> bool:
    doubled = (int(c) * (1 + place % 2) for place, c in enumerate(d[:7]))
    return (96 - sum(v // 10 + v % 10 for v in doubled)) % 10 == int(d[7])


def _is_es(code: str) -> bool:
    """Persons by 23 letters, companies by Luhn, as a digit or a letter."""
    letters = "TRWAGMYFPDXBNJZSQVHLCKE"
    first, digits, last = code[0], code[1:8], code[8]
    if not digits.isdecimal():
        return True
    if first.isdecimal() or first in "XYZ":
        number = int((first if first.isdecimal() else str("XYZ".index(first))) + digits)
        return last == letters[number % 23]
    key = next(k for k in range(10) if is_luhn(digits + str(k)))
    return last in (str(key), "JABCDEFGHI"[key])


VAT: dict[str, tuple[str, Callable[[str], bool]]] = {
    "DE": (r"\d{9}", _mod11_10),
    "AT": (r"U\d{8}", lambda code: _is_at(code[1:])),
    "BE": (r"[01]\d{9}", lambda d: 97 - int(d[:8]) % 97 == int(d[8:])),
    "DK": (r"\d{8}", lambda d: _weighted(d, 2, 7, 6, 5, 4, 3, 2, 1) % 11 == 0),
    "ES": (r"[A-Z\d]\d{7}[A-Z\d]", _is_es),
    "FI": (r"\d{8}", lambda d: (11 - _weighted(d, 7, 9, 10, 5, 8, 4, 2) % 11) % 11 == int(d[7])),
    "FR": (r"[A-HJ-NP-Z\d]{2}\d{9}", _is_fr),
    "GB": (r"\d{9}", _is_gb),
    "IT": (r"\d{11}", is_luhn),
    "LU": (r"\d{8}", lambda d: int(d[:6]) % 89 == int(d[6:])),
    "NL": (r"\d{9}B\d{2}", _is_nl),
    "PL": (r"\d{10}", lambda d: _weighted(d, 6, 5, 7, 2, 3, 4, 5, 6, 7) % 11 == int(d[9])),
    "PT": (r"\d{9}", lambda d: (11 - _weighted(d, 9, 8, 7, 6, 5, 4, 3, 2) % 11) % 11 % 10 == int(d[8])),
    "SE": (r"\d{10}01", lambda d: is_luhn(d[:10])),
}
"""By country: the form of the number after its letters, and its check."""

_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{1,4}){3,8}(?![A-Za-z0-9])")
_IBAN_TOLD = re.compile(r"iban|bank|konto|account|compte|rekening|cuenta|swift|bic", re.IGNORECASE)
_VAT = re.compile(rf"(?<![A-Za-z0-9])({'|'.join(VAT)})[ .-]?((?:[A-Z0-9][ .-]?){{7,12}})(?![A-Za-z0-9])")
_VAT_TOLD = re.compile(
    r"vat|ust|umsatzsteuer|tva|btw|\biva\b|moms|tax (?:id|no|reg)"
    r"|steuer.?id|n\.?i\.?f\b|cvr|uid\b|\bnip\b|alv\b",
    re.IGNORECASE,
)
_ISBN = re.compile(
    r"ISBN(?:-1[03])?[:\s]{0,3}((?:97[89][- ]?)?(?:\d[- ]?){9}[\dXx])(?![\dA-Za-z])", re.IGNORECASE
)
_EAN = re.compile(
    r"(?:\b(?:EAN|GTIN|UPC|barcode)(?:-?\d{1,2})?\b)[^\d\n]{0,12}(\d{8}|\d{12,14})(?!\d)", re.IGNORECASE
)
_EAN_BEFORE = re.compile(r"(?<!\d)(\d{8}|\d{12,14})\s{0,3}\(?(?:EAN|GTIN)\b", re.IGNORECASE)
_CARD = re.compile(
    r"(?:visa|master ?card|amex|american express|card(?: no| number|nummer)?|karte(?:nnummer)?"
    r"|kreditkarte)\b[^\d\n]{0,20}((?:\d{4}[ -]?){3}\d{1,4}|3\d{3}[ -]?\d{6}[ -]?\d{5})(?!\d)",
    re.IGNORECASE,
)


def bad_identifiers(text: str) -> Iterator[BadIdentifier]:
    """Examples (counting up or one digit throughout) are not told."""
    plain = western(text)
    for match in _IBAN.finditer(plain):
        told = _IBAN_TOLD.search(plain, max(match.start() - 60, 0), match.start())
        if (told or match[0][4] == " ") and (found := _iban(match[0])) is not None:
            yield BadIdentifier("IBAN", text[match.start() : match.start() + found], match.start())
    for match in _VAT.finditer(plain):
        form, check = VAT[match[1]]
        if not _VAT_TOLD.search(plain, max(match.start() - 40, 0), match.start()):
            continue
        # Words after it may look like more of it.
        ends = [match.end()] + [match.start(2) + gap.start() for gap in re.finditer(r"[ .-]", match[2])]
        for end in sorted(ends, reverse=True):
            code = _bare(plain[match.start(2) : end])
            if re.fullmatch(form, code):
                if not check(code) and not _is_example(code):
                    yield _bad(f"{match[1]} VAT number", text, match.start(), end)
                break
    for match in _ISBN.finditer(plain):
        code = _bare(match[1])
        if not (is_isbn10(code) if len(code) == 10 else code[:-1].isdecimal() and is_ean(code)):
            yield _bad("ISBN", text, *match.span(1))
    for pattern, name, check in (
        (_EAN, "EAN", is_ean),
        (_EAN_BEFORE, "EAN", is_ean),
        (_CARD, "card number", is_luhn),
    ):
        for match in pattern.finditer(plain):
            code = _bare(match[1])
            if not check(code) and not _is_example(code):
                yield _bad(name, text, *match.span(1))


def _bad(name: str, text: str, start: int, end: int) -> BadIdentifier:
    return BadIdentifier(name, text[start:end].rstrip(" .-"), start)


def _bare(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "", text).upper()


def _iban(printed: str) -> int | None:
    """The characters of a wrong IBAN that `printed` begins with; None for a right one and what is none.

    Words after it may look like its last groups. One digit too few or too many is wrong too.
    """
    length = IBAN_LENGTHS.get(printed[:2])
    if length is None:
        return None
    spans: dict[int, int] = {}
    count = 0
    for place, char in enumerate(printed, 1):
        if char != " ":
            count += 1
            if place == len(printed) or printed[place] == " ":
                spans[count] = place
    whole = _bare(printed)
    if length in spans and is_iban(whole[:length]):
        return None
    known = next((n for n in (length, length - 1, length + 1) if n in spans), None)
    if known is None or _is_example(whole[4:length]):
        return None
    return spans[known]


def _is_example(code: str) -> bool:
    digits = "".join(filter(str.isdecimal, code))
    return len(set(digits)) < 3 or "123456" in digits or "234567" in digits
