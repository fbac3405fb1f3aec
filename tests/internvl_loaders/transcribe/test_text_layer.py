"""Which text layers stand for their page."""

from __future__ import annotations

import random
import string

import pytest

from internvl_loaders.content import Content, Rect, Span
from internvl_loaders.transcribe.legibility import illegible
from internvl_loaders.transcribe.text_layer import judge, visible
from tests.kit.languages import TEXTS

ENGLISH = " ".join(TEXTS["english"].split())


def exchanged(text: str, seed: int) -> str:
    letters = list(string.ascii_lowercase)
    random.Random(seed).shuffle(letters)
    table = str.maketrans(string.ascii_lowercase, "".join(letters))
    return text.lower().translate(table)


def by_first_use(text: str, start: int) -> str:
    numbers: dict[str, str] = {}
    return "".join(c if c == " " else numbers.setdefault(c, chr(start + len(numbers))) for c in text)


GARBLED = {
    **{f"exchanged {seed}": exchanged(ENGLISH, seed) for seed in range(5)},
    "glyph numbers": " ".join("".join(chr(ord(c) - 29) for c in w) for w in ENGLISH.split()),
    "first use, symbols": by_first_use(ENGLISH, 0x21),
    "first use, letters": by_first_use(ENGLISH.lower(), ord("a")),
    "Hangul": by_first_use(TEXTS["russian"].replace("\n", " "), 0xB400),
    "ideographs": by_first_use(ENGLISH, 0x7280),
    "private": " ".join("".join(chr(0xE000 + ord(c)) for c in w) for w in ENGLISH.split()),
    "replaced": " ".join("\ufffd" * len(w) for w in ENGLISH.split()),
    "half replaced": "".join("\ufffd" if c in "aeit" else c for c in ENGLISH),
    "single": " ".join(ENGLISH.replace(" ", "")[:150]),
    "Cyrillic as Latin": TEXTS["russian"].replace("ё", "е").encode("cp1251").decode("latin-1"),
    "a single word": '"7+%-',
}


@pytest.mark.parametrize("name", TEXTS)
def test_legible(name: str) -> None:
    assert illegible(TEXTS[name].split()) is None


@pytest.mark.parametrize("name", GARBLED)
def test_illegible(name: str) -> None:
    assert illegible(GARBLED[name].split())


def test_bullets_and_a_few_lost_signs_are_no_harm() -> None:
    words = ENGLISH.split()
    assert illegible([w for word in words for w in ("\uf0a7", word)]) is None
    assert illegible([*words, "x\ufffd=\ufffdy"]) is None


def page(
    text: str = "", *, hidden: str = "", figures: list[Rect] | None = None, drawings: int = 0
) -> Content:
    spans = [Span(w, 50, 50, 60, 60) for w in text.split()]
    spans += [Span(w, 50, 50, 60, 60, hidden=True) for w in hidden.split()]
    return Content(600, 800, spans=spans, figures=figures or [], drawings=drawings)


WHOLE = [Rect(0, 0, 600, 800)]
STRIPS = [Rect(0, y, 600, y + 100) for y in range(0, 800, 100)]
PICTURE = [Rect(100, 100, 500, 500)]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (page(ENGLISH), "sound"),
        (page("Invoice 17"), "sound"),
        (page(ENGLISH, figures=PICTURE), "sound"),
        (page(2 * (ENGLISH + " "), figures=WHOLE), "sound"),  # a background
        (page(ENGLISH, hidden="a few notes"), "sound"),
        (page(ENGLISH, drawings=5000), "sound"),
        (page("Geometry and Topology, lecture notes of the winter term", drawings=5000), "sound"),
        (page("Figure 1", figures=PICTURE), "sound"),
        (page(), "empty"),
        (page(figures=WHOLE), "missing"),
        (page(drawings=3), "missing"),
        (page("Page 3 of 12", figures=WHOLE), "image"),
        (page("CONFIDENTIAL 00017", figures=STRIPS), "image"),
        (page("Draft", drawings=900), "image"),
        (page(hidden=ENGLISH, figures=WHOLE), "hidden"),
        (page("Page 3", hidden=ENGLISH, figures=WHOLE), "hidden"),
        (page(hidden=ENGLISH), "hidden"),
        (page(exchanged(ENGLISH, 1)), "garbled"),
        (page(exchanged(ENGLISH, 1), figures=PICTURE), "garbled"),
    ],
)
def test_kinds(content: Content, kind: str) -> None:
    verdict = judge(content)
    assert verdict.kind == kind
    assert verdict.sound is (kind == "sound")
    assert bool(verdict.reason) is not verdict.sound


def test_visible() -> None:
    content = page("seen", hidden="unseen", figures=PICTURE, drawings=3)
    assert visible(content) == page("seen", figures=PICTURE, drawings=3)
