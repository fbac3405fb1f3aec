"""Whole pages through RapidOCRTranscriber."""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict

import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
import PIL.ImageOps
import pytest

from internvl_loaders.content import Content
from internvl_loaders.errors import MissingDependencyError
from internvl_loaders.transcribe.ocr import ppocr
from internvl_loaders.transcribe.ocr.rapidocr import RapidOCRTranscriber
from tests.kit.pages import LINES, page


@pytest.fixture(scope="module")
def transcriber() -> RapidOCRTranscriber:
    return RapidOCRTranscriber(threads=1)


def lines(content: Content) -> list[str]:
    found: dict[int, list[str]] = defaultdict(list)
    for span in content.spans:
        found[span.line].append(span.text)
    return [" ".join(words) for _, words in sorted(found.items())]


def test_words_in_points_with_confidence(transcriber: RapidOCRTranscriber) -> None:
    reading = transcriber.read(page(), dpi=144)
    assert lines(reading.content) == LINES
    assert (reading.content.width, reading.content.height) == (450, 300)
    assert reading.confidence is not None and reading.confidence > 0.95
    assert reading.rotation == 0 and reading.skew == 0
    assert {"detect", "recognise", "orient", "rules"} <= reading.timings.keys()
    first, second = reading.content.spans[:2]
    assert first.text == "Invoice" and first.x0 == pytest.approx(40, abs=2)
    font = PIL.ImageFont.load_default(32)
    assert second.x0 == pytest.approx((80 + font.getlength("Invoice ")) / 2, abs=3)
    assert first.size == pytest.approx(16, rel=0.15)
    assert all(s.upright and s.y0 < s.y1 for s in reading.content.spans)


def test_the_image_is_left_alone(transcriber: RapidOCRTranscriber) -> None:
    image = page()
    before = image.tobytes()
    reading = transcriber.read(image, dpi=144)
    assert image.tobytes() == before and reading.image is image


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_turned_page_reads_as_the_upright_one(transcriber: RapidOCRTranscriber, turn: int) -> None:
    upright = page()
    reading = transcriber.read(upright.rotate(-turn, expand=True), dpi=144)
    assert reading.rotation == turn
    assert lines(reading.content) == LINES
    assert reading.image is not None and reading.image.tobytes() == upright.tobytes()


@pytest.mark.parametrize(("tilt", "turn"), [(7, 0), (-14, 0), (4, 180)])
def test_a_tilted_page_is_straightened(transcriber: RapidOCRTranscriber, tilt: float, turn: int) -> None:
    image = page().rotate(-tilt - turn, expand=True, fillcolor="white", resample=PIL.Image.Resampling.BICUBIC)
    reading = transcriber.read(image, dpi=144)
    assert reading.rotation == turn
    assert reading.skew == pytest.approx(tilt, abs=0.5)
    assert lines(reading.content) == LINES
    rows = defaultdict(list)
    for span in reading.content.spans:
        rows[span.line].append((span.y0 + span.y1) / 2)
    assert max(max(r) - min(r) for r in rows.values()) < 3
    assert reading.image is not None
    shown = (reading.content.width * 2, reading.content.height * 2)
    assert reading.image.size == pytest.approx(shown)


def test_a_tilt_loses_no_text_at_the_border(transcriber: RapidOCRTranscriber) -> None:
    length = int(PIL.ImageFont.load_default(36).getlength("The widest line reaches to both borders"))
    image = page(["The widest line reaches to both borders"], size=(length + 100, 130), font=36)
    image = image.crop((74, 45, 86 + length, 120))
    tilted = image.rotate(-10, expand=True, fillcolor="white", resample=PIL.Image.Resampling.BICUBIC)
    reading = transcriber.read(tilted, dpi=144)
    assert lines(reading.content) == ["The widest line reaches to both borders"]
    content = reading.content
    assert all(
        0 <= s.x0 < s.x1 <= content.width and 0 <= s.y0 < s.y1 <= content.height for s in content.spans
    )


@pytest.mark.slow
def test_a_long_strip_keeps_every_line(transcriber: RapidOCRTranscriber) -> None:
    wanted = [f"Item {n} costs {n * 7}.50" for n in range(101, 151)]
    strip = page(wanted, size=(460, 4200), pitch=80)
    assert lines(transcriber.read(strip, dpi=200).content) == wanted


def test_small_text_is_looked_for_enlarged(transcriber: RapidOCRTranscriber) -> None:
    wanted = ["Antwerp 12.5 7.1", "Utrecht 11.0 6.4", "Leuven 10.2 5.9"]
    small = page(wanted, size=(720, 320), pitch=60).resize((240, 107), PIL.Image.Resampling.LANCZOS)
    assert lines(transcriber.read(small, dpi=72).content) == wanted


def test_light_text_on_dark_and_faint_text(transcriber: RapidOCRTranscriber) -> None:
    inverted = PIL.ImageOps.invert(page())
    faint = page().point(lambda v: 150 + v // 10)
    assert lines(transcriber.read(inverted, dpi=144).content) == LINES
    assert lines(transcriber.read(faint, dpi=144).content) == LINES


def test_a_lone_digit_is_not_lost(transcriber: RapidOCRTranscriber) -> None:
    image = page(["Bread rolls 3.10", "Apple juice 2.40"], font=40, size=(700, 260), pitch=90)
    draw = PIL.ImageDraw.Draw(image)
    for number in range(2):
        draw.text((24, 60 + number * 90), "1", fill="black", font=PIL.ImageFont.load_default(40))
    found = [s.text for s in transcriber.read(image, dpi=200).content.spans]
    assert found.count("1") == 2


@pytest.mark.parametrize("colour", ["white", "black"])
@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (40, 40), (300, 400)])
def test_nothing_to_read(transcriber: RapidOCRTranscriber, size: tuple[int, int], colour: str) -> None:
    reading = transcriber.read(PIL.Image.new("RGB", size, colour), dpi=200)
    assert not reading.content.spans and not reading.content.rulings and not reading.content.figures
    assert reading.confidence is None and reading.rotation == 0


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK"])
def test_any_mode(transcriber: RapidOCRTranscriber, mode: str) -> None:
    assert lines(transcriber.read(page().convert(mode), dpi=144).content) == LINES


def test_silent_and_offline() -> None:
    code = """
import socket, sys
def refuse(*a, **k): raise AssertionError("network")
socket.socket.connect = socket.getaddrinfo = refuse
import PIL.Image
from internvl_loaders.transcribe.ocr.rapidocr import RapidOCRTranscriber
from tests.kit.pages import page
assert RapidOCRTranscriber(1).read(page(), 144).content.spans
assert "rapidocr" not in sys.modules and "requests" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == done.stderr == ""


def test_missing_weights_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ppocr, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="pip install 'rapidocr"):
        RapidOCRTranscriber(1).read(page(), 144)
    monkeypatch.undo()
    monkeypatch.setattr(ppocr, "DETECTOR", "no-such.onnx")
    with pytest.raises(MissingDependencyError, match="no-such.onnx"):
        RapidOCRTranscriber(1).read(page(), 144)
