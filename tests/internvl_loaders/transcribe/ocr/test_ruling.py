from __future__ import annotations

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
import pytest

from internvl_loaders.transcribe.ocr.rapidocr import RapidOCRTranscriber
from internvl_loaders.transcribe.ocr.ruling import find_figures, find_rulings
from tests.kit.pages import page

NO_TEXT = np.zeros((0, 4))


def blank(width: int = 800, height: int = 600) -> tuple[PIL.Image.Image, PIL.ImageDraw.ImageDraw]:
    image = PIL.Image.new("RGB", (width, height), "white")
    return image, PIL.ImageDraw.Draw(image)


@pytest.mark.parametrize("light_on_dark", [False, True])
@pytest.mark.parametrize("width", [1, 3])
def test_the_lines_of_a_grid(width: int, light_on_dark: bool) -> None:
    image, draw = blank()
    for k in range(4):
        draw.line((100, 100 + 60 * k, 700, 100 + 60 * k), fill="black", width=width)
        draw.line((100 + 200 * k, 100, 100 + 200 * k, 280), fill="black", width=width)
    pixels = np.asarray(image)
    rulings = find_rulings(255 - pixels if light_on_dark else pixels, NO_TEXT, 30)
    across = sorted(r for r in rulings if r.y0 == r.y1)
    down = sorted(r for r in rulings if r.x0 == r.x1)
    assert [round(r.y0 / 60 - 100 / 60) for r in sorted(across, key=lambda r: r.y0)] == [0, 1, 2, 3]
    assert [round(r.x0 / 200 - 0.5) for r in down] == [0, 1, 2, 3]
    assert all(abs(r.x0 - 100) < 6 and abs(r.x1 - 700) < 6 for r in across)


def test_a_dotted_line_is_one_ruling() -> None:
    image, draw = blank()
    for x in range(100, 700, 6):
        draw.rectangle((x, 200, x + 3, 201), fill="black")
    (ruling,) = find_rulings(np.asarray(image), NO_TEXT, 30)
    assert ruling.x1 - ruling.x0 > 580


def test_letters_bars_noise_and_the_edge_are_no_rulings() -> None:
    assert (
        not RapidOCRTranscriber(1)
        .read(page(["ILLEGAL TITLE", "HELLO | WORLD -- TEE"], font=64, pitch=140), 144)
        .content.rulings
    )
    image, draw = blank()
    for k in range(40):
        draw.line((100 + 7 * k, 100, 100 + 7 * k, 300), fill="black", width=3)
    draw.rectangle((0, 0, 799, 599), outline="black", width=2)
    draw.rectangle((500, 320, 780, 420), fill="gray")
    assert not [r for r in find_rulings(np.asarray(image), NO_TEXT, 30) if r.x1 < 450]
    noise = np.random.default_rng(0).normal(190, 40, (600, 800, 3)).clip(0, 255).astype(np.uint8)
    assert not find_rulings(noise, NO_TEXT, 30)


def test_a_ruling_beside_text_survives() -> None:
    image = page(["Net", "Tax"], size=(500, 300))
    draw = PIL.ImageDraw.Draw(image)
    draw.line((60, 50, 60, 220), fill="black", width=2)
    draw.line((60, 120, 300, 120), fill="black", width=2)
    rulings = RapidOCRTranscriber(1).read(image, 72).content.rulings
    assert sorted((r.x0 == r.x1) for r in rulings) == [False, True]


def test_a_photograph_is_a_figure_and_text_is_none() -> None:
    assert not find_figures(np.asarray(page()), NO_TEXT)
    image = page()
    spots = np.random.default_rng(0).integers(30, 180, (8, 10, 3), dtype=np.uint8)
    image.paste(PIL.Image.fromarray(spots).resize((300, 200), PIL.Image.Resampling.BICUBIC), (560, 380))
    (figure,) = find_figures(np.asarray(image), NO_TEXT)
    assert figure == pytest.approx((560, 380, 860, 580), abs=6)
    covered = np.array([[550.0, 370.0, 870.0, 590.0]])
    assert not find_figures(np.asarray(image), covered)
