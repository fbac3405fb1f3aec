"""The documents that the notebooks read: `python notebooks/make_data.py` writes them into notebooks/data.

A lease of two pages and a manual with a table are born digital; the receipt is drawn, tilted and blurred
as scans are. All of it is made up, and licensed as this project is.
"""

from __future__ import annotations

import io
from pathlib import Path

import PIL.Image
import PIL.ImageFilter
import pymupdf

HERE = Path(__file__).parent / "data"

LEASE = """
<h1>Lease of a flat</h1>
<p>Between Ada Miller, the landlord, and Ben Carter, the tenant, for the flat at 12 Mill Lane.</p>
<h2>Rent and deposit</h2>
<p>The rent is 940 euros a month, due on the third working day. It may be raised once a year.</p>
<p>The deposit is 1,880 euros. It is paid back within six weeks after the keys are returned.</p>
<h2>Heating</h2>
<p>Heating costs are shared among the flats by floor area and billed once a year in March.</p>
<div style="page-break-before: always"></div>
<h1>End of the lease</h1>
<h2>Notice</h2>
<p>The notice period is three months for the tenant and six months for the landlord, in writing.</p>
<h2>Pets</h2>
<p>Cats and small animals are welcome. Dogs need the written consent of the landlord.</p>
<h2>Repairs</h2>
<p>Repairs below 80 euros are paid by the tenant, all others by the landlord.</p>
"""

MANUAL = """
<h1>Kettle K 200</h1>
<p>Fill the kettle with cold water up to the mark and press the switch. It turns itself off.</p>
<h2>Cleaning</h2>
<p>Descale the kettle every two months with 30 grams of citric acid in one litre of water.</p>
<h2>Warranty</h2>
<p>The warranty lasts 24 months from the day of purchase and does not cover lime scale.</p>
"""
LIGHTS = [
    ("Light", "Meaning", "What to do"),
    ("green", "ready", "nothing"),
    ("yellow", "lime scale", "descale"),
    ("red", "no water", "refill"),
]

RECEIPT = [
    ("BAKERY NORTH", "", 26),
    ("4 Harbour Street", "", 15),
    ("", "", 10),
    ("Rye bread", "4.20", 15),
    ("Apple cake", "3.50", 15),
    ("Coffee", "2.80", 15),
    ("", "", 6),
    ("TOTAL", "10.50", 18),
    ("VAT 7 %", "0.69", 15),
    ("Paid by card", "", 15),
]

CSS = "* {font-family: sans-serif; font-size: 12px} h1 {font-size: 22px} h2 {font-size: 15px}"


def born_digital(html: str) -> pymupdf.Document:
    story = pymupdf.Story(html, user_css=CSS)
    paper = pymupdf.paper_rect("a5")
    out = io.BytesIO()
    writer = pymupdf.DocumentWriter(out)
    more = 1
    while more:
        device = writer.begin_page(paper)
        more, _ = story.place(pymupdf.Rect(40, 40, paper.width - 40, paper.height - 40))
        story.draw(device)
        writer.end_page()
    writer.close()
    return pymupdf.open("pdf", out.getvalue())


def ruled(page: pymupdf.Page, rows: list[tuple[str, ...]], left: int, top: int) -> None:
    """A table of columns 100 wide and rows 20 high."""
    for r, row in enumerate(rows):
        for c, text in enumerate(row):
            font = "helv" if r else "hebo"
            page.insert_text((left + 6 + 100 * c, top + 14 + 20 * r), text, fontsize=10, fontname=font)
    for r in range(len(rows) + 1):
        page.draw_line((left, top + 20 * r), (left + 100 * len(rows[0]), top + 20 * r))
    for c in range(len(rows[0]) + 1):
        page.draw_line((left + 100 * c, top), (left + 100 * c, top + 20 * len(rows)))


def receipt() -> PIL.Image.Image:
    document = pymupdf.open()
    page = document.new_page(width=260, height=270)
    y = 14.0
    for what, price, size in RECEIPT:
        y += size + 6
        page.insert_text((22, y), what, fontsize=size)
        page.insert_text((185, y), price, fontsize=size)
    drawn = page.get_pixmap(dpi=150, colorspace="gray")
    image = PIL.Image.frombytes("L", (drawn.width, drawn.height), drawn.samples)
    tilted = image.rotate(2, PIL.Image.Resampling.BICUBIC, expand=True, fillcolor=236)
    return tilted.filter(PIL.ImageFilter.GaussianBlur(0.8)).point(lambda grey: 24 + grey * 9 // 10)


def main() -> None:
    manual = born_digital(MANUAL)
    ruled(manual[0], LIGHTS, 40, 270)
    for name, document in (("lease.pdf", born_digital(LEASE)), ("kettle.pdf", manual)):
        document.set_metadata({})
        document.subset_fonts()
        document.save(HERE / name, garbage=4, deflate=True, no_new_id=True)
    receipt().save(HERE / "receipt.jpg", quality=60, dpi=(150, 150))


if __name__ == "__main__":
    main()
