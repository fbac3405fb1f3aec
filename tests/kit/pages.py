"""Page images drawn for the tests of OCR."""

from __future__ import annotations

import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

LINES = [
    "Invoice 20417 of 3 March 2024",
    "Deliver the goods to the north gate",
    "before noon and ask for Mrs Palmer",
    "Total amount due 1,284.50",
    "Payment within thirty days",
]


def page(
    lines: list[str] = LINES, *, size: tuple[int, int] = (900, 600), font: int = 32, pitch: int = 70
) -> PIL.Image.Image:
    image = PIL.Image.new("RGB", size, "white")
    draw = PIL.ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        draw.text((80, 60 + number * pitch), line, fill="black", font=PIL.ImageFont.load_default(font))
    return image
