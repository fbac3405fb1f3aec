"""Print that is small beside its page: found at a scale of its own, read once, or said not to be."""

from __future__ import annotations

import re
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFilter
import PIL.ImageFont
import pytest
from rapidfuzz.fuzz import ratio

from internvl_loaders import ParseOptions, parse
from internvl_loaders.content import Content
from internvl_loaders.transcribe.ocr.rapidocr import RapidOCRTranscriber
from internvl_loaders.transcribe.ocr.small_print import find_small_print

NOTHING = np.zeros((0, 4, 2), np.float32)


@pytest.fixture(scope="module")
def transcriber() -> RapidOCRTranscriber:
    return RapidOCRTranscriber(threads=1)


class Sheet:
    """A large page and the lines on it."""

    def __init__(self, width: int, height: int) -> None:
        self.image = PIL.Image.new("RGB", (width, height), "white")
        self.lines: list[str] = []

    def block(self, x: int, y: int, font: int, amount: int, pitch: float = 1.6) -> Sheet:
        draw = PIL.ImageDraw.Draw(self.image)
        for n in range(amount):
            number = len(self.lines)
            text = f"Line {number} costs {number * 7 + 100}.50 for goods"
            place = (x, y + round(n * pitch * font))
            draw.text(place, text, fill="black", font=PIL.ImageFont.load_default(font))
            self.lines.append(text)
        return self


def lines(content: Content) -> list[str]:
    """Without spaces: between letters of few pixels they are often not seen."""
    found: dict[int, list[str]] = defaultdict(list)
    for span in content.spans:
        found[span.line].append(span.text)
    return ["".join(words) for words in found.values()]


def check(content: Content, wanted: list[str]) -> None:
    """Nothing is missing or there twice, but for a letter misread here and there."""
    squeezed = ["".join(line.split()) for line in wanted]
    read = lines(content)
    assert len(read) <= len(squeezed) + 1 + len(squeezed) // 10
    lost = [line for line in squeezed if max(ratio(line, other) for other in read) < 95]
    assert len(lost) <= len(squeezed) // 10, lost
    assert sum(map(len, read)) <= 1.05 * sum(map(len, squeezed))


@pytest.mark.slow
def test_small_print_on_a_large_sheet(transcriber: RapidOCRTranscriber) -> None:
    sheet = Sheet(3300, 4700).block(60, 60, 12, 4).block(2900, 4500, 12, 3)
    reading = transcriber.read(sheet.image, dpi=600)
    check(reading.content, sheet.lines)
    assert reading.unread == 0
    first = next(s for s in reading.content.spans if s.text == "Line")
    assert first.size == pytest.approx(12 * 72 / 600, rel=0.5)


@pytest.mark.slow
def test_a_headline_and_fine_print(transcriber: RapidOCRTranscriber) -> None:
    sheet = Sheet(4000, 3000).block(200, 2700, 12, 6)
    draw = PIL.ImageDraw.Draw(sheet.image)
    draw.text((200, 300), "GRAND OPENING", fill="black", font=PIL.ImageFont.load_default(200))
    draw.text((200, 900), "on Saturday the tenth of May", fill="black", font=PIL.ImageFont.load_default(60))
    wanted = [*sheet.lines, "GRAND OPENING", "on Saturday the tenth of May"]
    check(transcriber.read(sheet.image, dpi=300).content, wanted)


@pytest.mark.slow
@pytest.mark.parametrize("font", [16, 12])
def test_a_sheet_full_of_small_print(font: int) -> None:
    sheet = Sheet(4677, 6622)
    for column in range(6):
        sheet.block(60 + 763 * column, 60, font, 50, 130 / font)
    reading = RapidOCRTranscriber(threads=2).read(sheet.image, dpi=400)
    check(reading.content, sheet.lines)
    assert (reading.unread, reading.late) == (0, 0)


@pytest.mark.slow
def test_columns_of_small_print(transcriber: RapidOCRTranscriber) -> None:
    sheet = Sheet(2400, 3400)
    for column in range(3):
        sheet.block(60 + 200 * column, 60, 12, 6)
    check(transcriber.read(sheet.image, dpi=300).content, sheet.lines)


def test_no_line_is_begun_when_time_is_up(transcriber: RapidOCRTranscriber) -> None:
    sheet = Sheet(1000, 900).block(100, 100, 24, 20)
    reading = transcriber.read(sheet.image, dpi=150, until=time.monotonic())
    assert reading.late + len(lines(reading.content)) == 20
    assert 0 < len(lines(reading.content)) <= 8  # those that told which way is up
    assert reading.unread == 0


@pytest.mark.slow
def test_a_panorama(transcriber: RapidOCRTranscriber) -> None:
    sheet = Sheet(9000, 1600).block(100, 100, 12, 5).block(4400, 700, 12, 5).block(8600, 1400, 12, 5)
    check(transcriber.read(sheet.image, dpi=300).content, sheet.lines)


@pytest.mark.slow
def test_a_long_line_is_neither_cut_nor_doubled(transcriber: RapidOCRTranscriber) -> None:
    sheet = Sheet(4700, 2400)
    text = " ".join(f"word{n}" for n in range(100, 140))
    draw = PIL.ImageDraw.Draw(sheet.image)
    for y in (200, 2000):
        draw.text((40, y), text, fill="black", font=PIL.ImageFont.load_default(14))
    read = lines(transcriber.read(sheet.image, dpi=300).content)
    assert len(read) == 2 and all(ratio(line, "".join(text.split())) > 98 for line in read)


@pytest.mark.slow
@pytest.mark.parametrize("turn", [90, 180])
def test_a_turned_sheet(transcriber: RapidOCRTranscriber, turn: int) -> None:
    sheet = Sheet(2400, 3400).block(60, 60, 10, 8)
    reading = transcriber.read(sheet.image.rotate(-turn, expand=True), dpi=600)
    assert reading.rotation == turn
    check(reading.content, sheet.lines)


@pytest.mark.slow
def test_letters_of_five_pixels(transcriber: RapidOCRTranscriber) -> None:
    sheet = Sheet(2000, 1000).block(100, 100, 20, 8)
    page = PIL.Image.new("RGB", (3000, 2400), "white")
    page.paste(sheet.image.resize((500, 250), PIL.Image.Resampling.LANCZOS), (200, 200))
    read = lines(transcriber.read(page, dpi=300).content)
    assert len(read) <= 9 and sum(map(len, read)) > 0.9 * sum(len(x.replace(" ", "")) for x in sheet.lines)


@pytest.mark.slow
def test_lines_that_are_seen_and_not_read_are_said(tmp_path: Path) -> None:
    sheet = Sheet(1000, 700).block(100, 100, 20, 12)
    path = tmp_path / "blurred.png"
    sheet.image.filter(PIL.ImageFilter.GaussianBlur(4)).save(path)
    (read,) = parse(path, ParseOptions(transcriber="rapidocr"))
    assert read.status == "fallback"
    assert re.search(r"\d+ lines of text on the page image could not be read", read.reason)


def test_dots_and_specks_are_no_print() -> None:
    chance = np.random.default_rng(1)
    dots = np.full((3000, 3000, 3), 255, np.uint8)
    for y in range(200, 2800, 60):
        for x in range(200, 2800, 14):
            dots[y : y + 5, x : x + 5] = 0
    specks = np.full((3000, 3000, 3), 255, np.uint8)
    for x, y in chance.integers(0, 2990, (4000, 2)):
        specks[y : y + 5, x : x + 4] = 0
    for page in (dots, specks, np.zeros_like(dots)):
        assert find_small_print(page, NOTHING, np.zeros(0), 0.4) is None
