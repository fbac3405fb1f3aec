"""Boxes on scanned pages, drawn here beside what OCR would have read."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import PIL.Image
import PIL.ImageDraw
import pytest

from internvl_loaders.content import Content, Span
from internvl_loaders.structure import structure
from internvl_loaders.structure.forms import filled_in
from internvl_loaders.transcribe.ocr.boxes import with_boxes

Draw = Callable[[PIL.ImageDraw.ImageDraw, int, int], None]
SIDE = 26


def frame(draw: PIL.ImageDraw.ImageDraw, x: int, y: int) -> None:
    draw.rectangle((x, y, x + SIDE, y + SIDE), outline=(60, 60, 60), width=2)


def ring(draw: PIL.ImageDraw.ImageDraw, x: int, y: int) -> None:
    draw.ellipse((x, y, x + SIDE, y + SIDE), outline="black", width=2)


def cross(draw: PIL.ImageDraw.ImageDraw, x: int, y: int) -> None:
    draw.line((x + 5, y + 5, x + 21, y + 21), fill="black", width=3)
    draw.line((x + 5, y + 21, x + 21, y + 5), fill="black", width=3)


def tick(draw: PIL.ImageDraw.ImageDraw, x: int, y: int) -> None:
    """Reaches out of its box, as by hand."""
    draw.line([(x + 4, y + 12), (x + 11, y + 21), (x + 32, y - 8)], fill=(20, 40, 160), width=3)


def fill(draw: PIL.ImageDraw.ImageDraw, x: int, y: int) -> None:
    draw.rectangle((x + 6, y + 6, x + 20, y + 20), fill="black")


def dot(draw: PIL.ImageDraw.ImageDraw, x: int, y: int) -> None:
    draw.ellipse((x + 7, y + 7, x + 19, y + 19), fill="black")


def scan(*shapes: tuple[Draw, int, int]) -> PIL.Image.Image:
    image = PIL.Image.new("RGB", (1000, 400), (250, 248, 240))
    draw = PIL.ImageDraw.Draw(image)
    for shape, x, y in shapes:
        shape(draw, x, y)
    return image


def content(*words: tuple[str, int, int]) -> Content:
    """Words of 16 pixels a letter, at their left edge and top; a pixel is 0.36 points."""
    spans = [
        Span(t, 0.36 * x, 0.36 * y, 0.36 * (x + 16 * len(t)), 0.36 * (y + 34), 12, line=n, confidence=0.9)
        for n, (t, x, y) in enumerate(words)
    ]
    return Content(360, 144, spans)


def texts(image: PIL.Image.Image, read: Content) -> list[str]:
    found, _ = filled_in(with_boxes(image, read))
    return [f"{block.marker or ''} {block.text}".strip() for block in structure(found)]


@pytest.mark.parametrize(("outline", "ticking"), [(frame, cross), (frame, tick), (frame, fill), (ring, dot)])
def test_states_of_drawn_boxes(outline: Draw, ticking: Draw) -> None:
    image = scan((outline, 200, 100), (ticking, 200, 100), (outline, 420, 100))
    read = content(("Sex:", 60, 96), ("female", 240, 96), ("male", 460, 96))
    assert texts(image, read) == ["Sex: [x] female [ ] male"]


@pytest.mark.parametrize("taken_for", ["□", "O", "口"])
def test_what_a_box_is_taken_for_goes(taken_for: str) -> None:
    image = scan((frame, 60, 100), (frame, 60, 160), (cross, 60, 160))
    read = content((taken_for, 62, 96), ("single", 110, 96), ("married", 110, 156))
    assert texts(image, read) == ["[ ] single", "[x] married"]


def test_a_box_within_a_words_own_box() -> None:
    image = scan((frame, 62, 100), (frame, 62, 160), (cross, 62, 160))
    read = content(("singles", 60, 96), ("married", 60, 156))
    assert texts(image, read) == ["[ ] singles", "[x] married"]


def test_letters_and_frames_of_text_are_none() -> None:
    image = scan((ring, 60, 100), (frame, 60, 200), (frame, 400, 200))
    read = content(("O", 62, 96), ("livro", 100, 96), ("7", 66, 196), ("Open", 100, 196))
    assert not any("[" in text for text in texts(image, read))


def test_a_tick_that_runs_into_its_label() -> None:
    image = scan((frame, 200, 100), (tick, 200, 100), (frame, 420, 100))
    PIL.ImageDraw.Draw(image).line((231, 92, 250, 120), fill="black", width=4)  # a stroke of the label
    read = content(("Sex:", 60, 96), ("female", 240, 96), ("male", 460, 96))
    assert texts(image, read) == ["Sex: [x] female [ ] male"]


@pytest.mark.parametrize("edge", ["I", "]", "1"])
def test_an_edge_taken_for_a_letter_goes(edge: str) -> None:
    image = scan((frame, 60, 100), (frame, 60, 160), (cross, 60, 160))
    read = content((edge, 78, 96), ("single", 110, 96), ("married", 110, 156))
    assert texts(image, read) == ["[ ] single", "[x] married"]


@pytest.mark.parametrize("scale", [0.5, 0.75, 1.5])
@pytest.mark.parametrize("noise", [0, 12])
def test_resolutions_and_noise(scale: float, noise: int) -> None:
    image = scan((frame, 60, 100), (frame, 60, 160), (cross, 60, 160), (frame, 60, 220), (tick, 60, 220))
    size = (round(image.width * scale), round(image.height * scale))
    pixels = np.asarray(image.resize(size, PIL.Image.Resampling.LANCZOS)).astype(float)
    pixels += np.random.default_rng(1).normal(0, noise, pixels.shape[:2])[..., None]
    read = content(("single", 110, 96), ("married", 110, 156), ("widowed", 110, 216))
    noisy = PIL.Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    assert texts(noisy, read) == ["[ ] single", "[x] married", "[x] widowed"]


def test_keys_of_a_chart_are_none() -> None:
    image = scan((frame, 60, 100), (frame, 60, 160), (frame, 60, 220))
    draw = PIL.ImageDraw.Draw(image)
    draw.rectangle((62, 162, 84, 184), fill=(90, 140, 200))
    for x in range(64, 86, 5):  # hatched both ways
        draw.line((x, 220, x, 246), fill="black")
        draw.line((60, 160 + x, 86, 160 + x), fill="black")
    read = content(("lifetime", 110, 96), ("year", 110, 156), ("month", 110, 216))
    assert not any("[" in text for text in texts(image, read))


def test_a_field_of_colour_is_none() -> None:
    image = scan()
    draw = PIL.ImageDraw.Draw(image)
    for y, colour in ((100, (118, 118, 118)), (160, (190, 190, 190))):
        draw.rectangle((60, y, 86, y + 26), fill=colour)
    assert not any("[" in text for text in texts(image, content(("Issuers", 110, 96), ("Banks", 110, 156))))


@pytest.mark.parametrize("inner", ["玉", "古"])
def test_square_characters_are_none(inner: str) -> None:
    """Beside Chinese text a frame with strokes in it may be a character that was not read."""
    image = scan((frame, 60, 100), (cross, 60, 100))
    assert not any("[" in text for text in texts(image, content((inner, 110, 96), (inner, 150, 96))))
