from __future__ import annotations

import numpy as np
import pytest

from internvl_loaders.transcribe.ocr import lone
from internvl_loaders.transcribe.ocr.ppocr import PPOCR, Line
from internvl_loaders.transcribe.ocr.words import half_width, words


@pytest.mark.parametrize(
    ("read", "meant"),
    [
        ("Total：12，50（net）", "Total:12,50(net)"),
        ("ＲＭ１２", "RM12"),
        ("金额：１２，５０（元）", "金额：１２，５０（元）"),
        ("です。", "です。"),
        ("plain, ascii", "plain, ascii"),
        ("Größe…", "Größe…"),
    ],
)
def test_full_width_forms_in_western_text(read: str, meant: str) -> None:
    assert half_width(read) == meant


def line(text: str, centres: list[float]) -> Line:
    return Line(text, tuple(centres), (0.9,) * len(text))


def crop(*inked: tuple[int, int], width: int = 400) -> np.ndarray:
    image = np.full((48, width, 3), 255, np.uint8)
    for x0, x1 in inked:
        image[14:34, x0:x1] = 0
    return image


def test_words_end_where_the_ink_ends() -> None:
    found = words(line("ab cd", [0.15, 0.2, 0.4, 0.6, 0.65]), crop((50, 90), (230, 270)))
    assert [(w.text, round(w.start * 400), round(w.end * 400)) for w in found] == [
        ("ab", 50, 90),
        ("cd", 230, 270),
    ]
    assert found[0].confidence == pytest.approx(0.9)


def test_words_without_a_gap_meet_in_the_middle() -> None:
    first, second = words(line("a b", [0.25, 0.5, 0.75]), crop((0, 400)))
    assert first.end == second.start == pytest.approx(0.5)
    assert (first.start, second.end) == (0, 1)


def test_only_spaces_is_no_word() -> None:
    assert words(line("  ", [0.3, 0.6]), crop()) == []


def test_a_likely_space_is_not_swallowed() -> None:
    networks = PPOCR(1)
    networks.__dict__["_characters"] = ["", "a", "b", " "]
    steps = np.zeros((5, 4), np.float32)
    steps[:, 0] = 0.8
    steps[0, 1] = steps[4, 2] = 0.95
    steps[2, 3] = 0.15
    assert networks._decode(steps).text == "a b"
    steps[2, 3] = 0.05
    read = networks._decode(steps)
    assert read.text == "ab" and read.confidence == pytest.approx(0.95)
    assert read.centres == pytest.approx((0.1, 0.9))


def test_lone_ink_beside_a_line_only() -> None:
    image = np.full((200, 400, 3), 255, np.uint8)
    image[52:70, 40:46] = 0  # beside the line
    image[150:168, 40:46] = 0  # below it
    image[40:90, 60:63] = 0  # too tall
    boxes = np.array([[120.0, 42.0, 380.0, 80.0]])
    (quad,) = lone.candidates(image, boxes, [])
    assert quad[0, 0] < 40 < 46 < quad[1, 0] and quad[0, 1] == 42 and quad[2, 1] == 80
    assert not len(lone.candidates(image, np.zeros((0, 4)), []))


def test_a_mark_is_no_character() -> None:
    assert lone.believable(Line("1", (0.5,), (0.95,)))
    assert not lone.believable(Line("1", (0.5,), (0.6,)))
    assert not lone.believable(Line("•", (0.5,), (0.99,)))
