from __future__ import annotations

import json
import unicodedata

import pytest

from internvl_llm.errors import InternVLError
from internvl_llm.names import MAX_NAME, encodable, file_name, on_screen, plain_json, printable, same_name
from tests.kit.names import BIDI, CONTROLS, HOSTILE, UNDECODABLE, UNSEEN

RESERVED = {"con", "prn", "aux", "nul", "com1", "com¹", "lpt9", "conin$"}


def test_there_are_enough_of_them() -> None:
    assert len(set(HOSTILE)) == len(HOSTILE) >= 100


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_a_name_on_the_screen_is_one_line_that_nothing_obeys(name: str) -> None:
    shown = on_screen(name)
    assert len(shown.splitlines()) == 1
    seen = shown.replace("\u200c", "").replace("\u200d", "")
    assert not {unicodedata.category(char) for char in seen} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert shown.encode()


def test_what_is_hidden_is_shown_and_what_is_not_stays() -> None:
    assert on_screen("a\nb\x1b[31m\u009b\u202e\udcff") == r"a\nb\x1b[31m\x9b\u202e\udcff"
    for name in (
        "naïve Größe.pdf",
        "見積書　2026.pdf",
        "می\u200cخواهم.pdf",
        "Screenshot 2.30\u202fPM.png",
        "a\\b",
    ):
        assert on_screen(name) == name


@pytest.mark.parametrize("char", [*CONTROLS, *BIDI], ids=ascii)
def test_text_on_the_screen_keeps_its_lines_and_nothing_that_is_obeyed(char: str) -> None:
    assert printable(f"one\n\ttwo{char}") == "one\n\ttwo" + (char if char in "\n\t" else "")


@pytest.mark.parametrize("char", [*CONTROLS, *BIDI, *UNSEEN], ids=ascii)
def test_json_says_the_same_without_what_is_obeyed(char: str) -> None:
    plain = plain_json(json.dumps({char: [char]}, ensure_ascii=False))
    assert json.loads(plain) == {char: [char]}
    assert printable(plain) == plain


@pytest.mark.parametrize("name", UNDECODABLE, ids=ascii)
def test_data_can_carry_every_name_and_tells_them_apart(name: str) -> None:
    assert encodable(name).encode().decode() == encodable(name)
    assert len(set(map(encodable, UNDECODABLE))) == len(UNDECODABLE)
    assert encodable("é\n.pdf") == "é\n.pdf"


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_a_file_name_is_one_on_every_filesystem(name: str) -> None:
    for given in (name, f"{name}.pdf"):
        safe = file_name(given)
        assert 0 < len(safe.encode()) <= MAX_NAME
        assert not set(safe) & set('<>:"|?*/\\\0')
        assert on_screen(safe) == safe
        assert safe == safe.rstrip(" .") == safe.lstrip(" ")
        assert safe.partition(".")[0].rstrip().casefold() not in RESERVED
        assert file_name(safe) == safe


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        *((same, same) for same in ("a.pdf", "a--b.pdf", "Größe é.pdf", ".hidden", "a~2.pdf", "console.pdf")),
        ("a\n\r\x1bb.pdf", "a-b.pdf"),
        ("CON.pdf", "CON-.pdf"),
        ("aux", "aux-"),
        ("nul .txt.pdf", "nul- .txt.pdf"),
        ("a. .", "a"),
        (".", ""),
        ("..", ""),
        ("x" * 300 + ".pdf", "x" * (MAX_NAME - 4) + ".pdf"),
        ("ü" * 300, "ü" * (MAX_NAME // 2)),
    ],
)
def test_a_file_name_changes_no_more_than_it_must(name: str, safe: str) -> None:
    assert file_name(name) == safe


def test_names_that_some_filesystem_takes_for_one() -> None:
    nfc, nfd = (unicodedata.normalize(form, "Größe é") for form in ("NFC", "NFD"))
    assert same_name(nfc) == same_name(nfd) == same_name(nfc.upper()) != same_name("Größe e")
    assert same_name("a\u200bb") == same_name("ab")


def test_an_error_shows_the_name_it_is_about_on_one_line() -> None:
    error = InternVLError("it broke", source="a\nfailed b.pdf: \x1b[31m", page=2)
    assert str(error) == r"a\nfailed b.pdf: \x1b[31m, page 2: it broke"
    assert error.source == "a\nfailed b.pdf: \x1b[31m"
