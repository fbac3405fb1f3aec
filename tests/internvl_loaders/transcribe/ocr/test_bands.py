"""Tables whose headings stand on a filled band, as pictures."""

from __future__ import annotations

import io

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFilter
import PIL.ImageFont
import pytest

from internvl_loaders.content import Ruling
from internvl_loaders.structure.page import structure
from internvl_loaders.transcribe.ocr.rapidocr import RapidOCRTranscriber
from internvl_loaders.transcribe.ocr.ruling import find_rulings

ROWS = [
    ["Category", "Visitors", "Rate"],
    ["Blind", "51", "34.5%"],
    ["Low vision", "45", "98.3%"],
    ["Mobility", "33", "95.4%"],
]
XS, YS = (40, 270, 458, 645), (60, 122, 184, 246, 308)


def drawn(
    fill: str, *, line: str = "black", inner: str = "", zebra: str = "", text: bool = True
) -> PIL.Image.Image:
    """A grid whose first row is filled; its lines are of colour `line`, and `inner` within the fill."""
    image = PIL.Image.new("RGB", (690, 360), "white")
    draw = PIL.ImageDraw.Draw(image)
    draw.rectangle((XS[0], YS[0], XS[-1], YS[1]), fill=fill)
    if zebra:
        draw.rectangle((XS[0], YS[2], XS[-1], YS[3]), fill=zebra)
    for y in YS:
        draw.line((XS[0], y, XS[-1], y), fill=line, width=2)
    for x in XS:
        draw.line((x, YS[1], x, YS[-1]), fill=line, width=2)
        draw.line((x, YS[0], x, YS[1]), fill=inner or line, width=2)
    dark = sum(draw.im.getpixel((XS[0] + 9, YS[0] + 9))) < 330
    for y, row in zip(YS, ROWS, strict=False):
        for x, word in zip(XS, row, strict=False):
            colour = "white" if dark and y == YS[0] else "black"
            if text:
                draw.text((x + 11, y + 18), word, fill=colour, font=PIL.ImageFont.load_default(22))
    return image


def jpeg(image: PIL.Image.Image, quality: int) -> PIL.Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return PIL.Image.open(buffer).convert("RGB")


def noisy(image: PIL.Image.Image) -> PIL.Image.Image:
    noise = np.random.default_rng(0).normal(0, 8, np.asarray(image).shape)
    return PIL.Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))


def scaled(image: PIL.Image.Image, by: float) -> PIL.Image.Image:
    return image.resize((int(image.width * by), int(image.height * by)), PIL.Image.Resampling.BICUBIC)


KINDS = {
    "mid grey": lambda: drawn("#808080"),
    "black, no lines in it": lambda: drawn("black", line="#787878", inner="black"),
    "white lines in it": lambda: drawn("#1e468c", line="#a0a0a0", inner="white"),
    "striped": lambda: drawn("#4472c4", zebra="#c8d7f0"),
    "JPEG": lambda: jpeg(drawn("#3c64a0"), 40),
}
MORE = {
    "light blue": lambda: drawn("#8eb2e2"),
    "navy": lambda: drawn("#192666"),
    "green": lambda: drawn("#3c8c46"),
    "red": lambda: drawn("#c82828"),
    "yellow": lambda: drawn("#fadc3c"),
    "noise": lambda: noisy(drawn("#6e96c8")),
    "small": lambda: scaled(drawn("#5a78b4"), 0.6),
    "large": lambda: scaled(drawn("#5a78b4"), 2),
    "tilted": lambda: drawn("#5a78b4").rotate(0.7, PIL.Image.Resampling.BICUBIC, fillcolor="white"),
    "blurred": lambda: drawn("#5a78b4").filter(PIL.ImageFilter.GaussianBlur(1.2)),
}


def edges(image: PIL.Image.Image) -> tuple[list[Ruling], list[Ruling]]:
    rulings = find_rulings(np.asarray(image), np.zeros((0, 4)), 30)
    return [r for r in rulings if r.y0 == r.y1], [r for r in rulings if r.x0 == r.x1]


@pytest.mark.parametrize("kind", [*KINDS, *(pytest.param(k, marks=pytest.mark.slow) for k in MORE)])
def test_the_head_and_the_first_row_are_two(kind: str) -> None:
    image = {**KINDS, **MORE}[kind]()
    (table,) = [b.table for b in structure(RapidOCRTranscriber(1).read(image, 144).content) if b.table]
    assert table.grid() == ROWS
    assert {c.row for c in table.cells if c.header} == {0}


@pytest.mark.parametrize("fill", ["#808080", "#192666", "#c8c8c8", "black"])
def test_the_lower_edge_of_a_band_is_a_ruling(fill: str) -> None:
    across, down = edges(drawn(fill, text=False))
    assert all(any(abs(r.y0 - y) < 4 for r in across) for y in YS)
    assert all(any(abs(r.x0 - x) < 4 and abs(r.y0 - YS[0]) < 6 for r in down) for x in XS)


def test_a_shaded_note_a_picture_and_bars_have_no_rulings() -> None:
    image = PIL.Image.new("RGB", (800, 600), "white")
    draw = PIL.ImageDraw.Draw(image)
    draw.rectangle((60, 60, 740, 160), fill="#dde6f4")
    draw.rectangle((60, 200, 300, 400), fill="#406090")
    draw.rectangle((60, 250, 300, 300), fill="#d0a040")
    for n, tall in enumerate((90, 150, 60, 120)):
        draw.rectangle((420 + 80 * n, 420 - tall, 460 + 80 * n, 420), fill="#4472c4")
    assert edges(image) == ([], [])


def test_a_heading_over_two_columns_of_a_band_stays_one() -> None:
    image = drawn("#404040", line="#787878", inner="#404040", text=False)
    boxes = np.array([[XS[1] + 60, YS[0] + 18, XS[3] - 60, YS[1] - 18]])
    rulings = find_rulings(np.asarray(image), boxes, 26)
    through = sorted(r.x0 for r in rulings if r.x0 == r.x1 and r.y0 < YS[0] + 8 < YS[1] - 8 < r.y1)
    assert not [x for x in through if abs(x - XS[2]) < 4]
    assert [x for x in through if abs(x - XS[1]) < 4]


@pytest.mark.parametrize("fill", ["#b0b0b0", "#d8d8f0", "#203060"])
def test_a_line_over_the_table_is_none_of_it(fill: str) -> None:
    """As that below a running head: between both is paper."""
    page = PIL.Image.new("RGB", (690, 460), "white")
    page.paste(drawn(fill, text=False), (0, 100))
    PIL.ImageDraw.Draw(page).line((44, 110, 641, 110), fill="black", width=2)
    found = find_rulings(np.asarray(page), np.zeros((0, 4)), 26)
    assert [r for r in found if r.x0 == r.x1 and r.y0 < 150] == []
