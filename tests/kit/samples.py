"""Documents that the adapters' tests read: a report with headings, a table and a figure; a scan."""

from __future__ import annotations

import io

import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
import pytest

TITLES = ["Payment", "Delivery of goods", "Liability", "Law", "Place", "Form"]
ROWS = [("Item", "Net", "Gross"), ("Paper", "10.00", "11.90"), ("Ink | black", "20.00", "23.80")]


def report(pages: int = 2) -> bytes:
    """Born digital; a title, a paragraph and a ruled table on every page, a figure on the last."""
    pymupdf = pytest.importorskip("pymupdf")
    document = pymupdf.open()
    for number in range(1, pages + 1):
        page = document.new_page()
        page.insert_text((72, 130), TITLES[number - 1], fontsize=20, fontname="hebo")
        page.insert_textbox(
            (72, 150, 520, 210),
            f"Paragraph {number} says what the supplier owes to the buyer, in words enough to fill two "
            "lines of this page, so that nobody takes it for a caption or a heading.",
            fontsize=11,
        )
        for r, row in enumerate(ROWS):
            for c, text in enumerate(row):
                page.insert_text((80 + 120 * c, 236 + 24 * r), text, fontsize=11)
        for r in range(len(ROWS) + 1):
            page.draw_line((72, 220 + 24 * r), (432, 220 + 24 * r))
        for c in range(4):
            page.draw_line((72 + 120 * c, 220), (72 + 120 * c, 220 + 24 * len(ROWS)))
    page.insert_image((72, 400, 272, 500), stream=png("", size=(200, 100), colour="teal"))
    return bytes(document.tobytes(no_new_id=True))


def png(text: str, *, size: tuple[int, int] = (900, 200), colour: str = "white") -> bytes:
    """An image of one line of large text."""
    image = PIL.Image.new("RGB", size, colour)
    font = PIL.ImageFont.load_default(48)
    PIL.ImageDraw.Draw(image).text((40, 60), text, fill="black", font=font)
    out = io.BytesIO()
    image.save(out, "PNG", dpi=(150, 150))
    return out.getvalue()
