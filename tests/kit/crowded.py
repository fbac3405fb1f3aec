"""Pages within the limits that hold very much: each kind by an amount, the same for the same amount."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable

from internvl_loaders.content import Content, Rect, Ruling, Span

Kind = Callable[[int], Content]


def scattered(amount: int) -> Content:
    """Words at random places."""
    chance = random.Random(3)
    spans = []
    for n in range(amount):
        x, y = chance.uniform(0, 1980), chance.uniform(0, 1990)
        spans.append(Span(f"w{n}", x, y, x + chance.choice([8, 17]), y + 7, 7, n))
    return Content(2000, 2000, spans)


def at_one_point(amount: int) -> Content:
    return Content(600, 800, [Span(f"w{n}", 100, 100, 112, 108, 8, n) for n in range(amount)])


def at_one_point_alone(amount: int) -> Content:
    """As OCR gives lines: each a fragment of its own."""
    return Content(600, 800, [Span(f"w{n}", 100, 100, 112, 108, 8, n, confidence=0.9) for n in range(amount)])


def staircase(amount: int) -> Content:
    """Tall words, each a little lower than the one before and right below it."""
    return Content(
        600,
        900,
        [Span(f"w{n}", 10, n * 800 / amount, 60, n * 800 / amount + 90, 9, n) for n in range(amount)],
    )


def bullets(amount: int) -> Content:
    """List items one below the other, each a bullet and two words."""
    spans = []
    for n in range(amount):
        y = 10 + n * 12.0
        spans.append(Span("•", 20, y, 24, y + 10, 10, n))
        spans.append(Span(f"item{n}", 34, y, 70, y + 10, 10, n))
        spans.append(Span("goes", 73, y, 95, y + 10, 10, n))
    return Content(600, amount * 12 + 20, spans)


def bullets_on_a_sheet(amount: int) -> Content:
    """The same on one sheet, lying over one another."""
    spans = []
    for n in range(amount):
        y = 20 + n * 800 / amount
        for text, x0, x1 in (("•", 20, 24), (f"item{n}", 34, 70), ("goes", 73, 95)):
            spans.append(Span(text, x0, y, x1, y + 10, 10, n))
    return Content(600, 850, spans)


def numbered_items(amount: int) -> Content:
    spans = []
    for n in range(amount):
        y = 10 + n * 12.0
        spans.append(Span(f"{n % 900 + 1}.", 20, y, 34, y + 10, 10, n))
        spans.append(Span(f"Item{n}", 38, y, 70, y + 10, 10, n))
    return Content(600, amount * 12 + 20, spans)


def one_line(amount: int) -> Content:
    """One-letter words side by side, each a line of its reader's."""
    return Content(
        amount * 6 + 20,
        800,
        [Span("abc1"[n % 4], 10 + n * 6, 100, 14 + n * 6, 110, 10) for n in range(amount)],
    )


def one_line_apart(amount: int) -> Content:
    """The same too far apart to be one text, from right to left and sinking."""
    spans = [
        Span(
            "abc1"[n % 4],
            20 * (amount - n),
            100 + n * 4 / amount,
            20 * (amount - n) + 5,
            110 + n * 4 / amount,
            10,
            n,
        )
        for n in range(amount)
    ]
    return Content(amount * 20 + 30, 800, spans)


def digits(amount: int) -> Content:
    """Two columns of long rows of digits that end in a sign."""
    spans = []
    for column in range(2):
        for row in range(4):
            x, y = 10 + column * 700, 100 + row * 13
            spans.append(Span("1" * (amount // 8) + "!", x, y, x + 600, y + 10, 10, 4 * column + row))
    return Content(1400, 800, spans)


def broken_words(amount: int) -> Content:
    """A paragraph whose lines all end in a hyphen."""
    spans = [
        Span(f"ab{'cdefgh'[n % 6]}ij-", 20, 10 + n * 12.0, 560, 20 + n * 12.0, 10, n) for n in range(amount)
    ]
    return Content(600, amount * 12 + 20, spans)


def ideographs(amount: int) -> Content:
    spans = [Span("漢字" * 12, 20, 10 + n * 12.0, 560, 20 + n * 12.0, 10, n) for n in range(amount)]
    return Content(600, amount * 12 + 20, spans)


def gaps(amount: int) -> Content:
    """A line in very many pieces, and as many lines of one piece below it."""
    spans = [Span("a", 10 + n * 20, 10, 15 + n * 20, 20, 10, n) for n in range(amount)]
    spans += [Span("b", 12, 30 + n * 12.0, 13, 40 + n * 12.0, 10, amount + n) for n in range(amount)]
    return Content(amount * 20 + 30, amount * 12 + 60, spans)


def notes(amount: int) -> Content:
    """Marked lines of small print at the foot, with as many short rulings beside them."""
    spans = [Span("Body", 20, 10, 60, 22, 12, 0)]
    spans += [Span("word" * 20, 20, 24 + n * 14.0, 500, 36 + n * 14.0, 12, 1 + n) for n in range(40)]
    rulings = []
    for n in range(amount):
        y = 40_000 + n * 3.0
        spans.append(Span(f"note{n}", 300, y, 330, y + 2, 2, 100 + n))
        rulings.append(Ruling(20, y, 200, y))
    return Content(600, 40_010 + amount * 3, spans, rulings)


def captions(amount: int) -> Content:
    spans, figures = [], []
    for n in range(amount):
        y = 10 + n * 40.0
        spans.append(Span("Figure", 20, y, 60, y + 10, 10, n))
        spans.append(Span(f"{n}", 63, y, 80, y + 10, 10, n))
        spans.append(Span("shows", 83, y, 120, y + 10, 10, n))
        figures.append(Rect(300, y, 330, y + 30))
    return Content(600, amount * 40 + 20, spans, [], figures)


def ruled_lines(amount: int) -> Content:
    """Rulings at random, and a page of prose."""
    chance = random.Random(5)
    rulings = []
    for n in range(amount):
        x, y, d = chance.uniform(0, 500), chance.uniform(0, 800), chance.uniform(5, 500)
        rulings.append(Ruling(x, y, x + d, y) if n % 2 else Ruling(x, y, x, y + d))
    return Content(600, 850, _prose(400, 840), rulings)


def lines_in_margins(amount: int) -> Content:
    """Rows and rulings of no height in the upper margin."""
    spans = [
        Span(f"p{n}", 20, 10 + n * 80 / amount, 500, 10 + (n + 0.9) * 80 / amount, 8, n)
        for n in range(amount)
    ]
    rulings = [Ruling(20, 10 + n * 80 / amount, 580, 10 + n * 80 / amount) for n in range(amount)]
    return Content(600, 800, spans + _prose(200, 800, 300), rulings)


def nested_boxes(amount: int) -> Content:
    """Boxes inside one another around a page of prose."""
    rulings = []
    for n in range(amount):
        x0, y0, x1, y1 = n * 290 / amount, n * 390 / amount, 600 - n * 290 / amount, 850 - n * 390 / amount
        rulings += [
            Ruling(x0, y0, x1, y0),
            Ruling(x0, y1, x1, y1),
            Ruling(x0, y0, x0, y1),
            Ruling(x1, y0, x1, y1),
        ]
    return Content(600, 850, _prose(800, 840), rulings)


def wide_boxes(amount: int) -> Content:
    """Boxes inside one another, no two of which touch, around rows of values."""
    side = amount * 8.0 + 700
    rulings = []
    for n in range(amount):
        a, b = n * 4.0, side - n * 4.0
        rulings += [Ruling(a, a, b, a), Ruling(a, b, b, b), Ruling(a, a, a, b), Ruling(b, a, b, b)]
    at = amount * 4.0 + 20
    spans = [
        Span("12.50", at + c * 60, at + r * 12, at + c * 60 + 25, at + r * 12 + 9, 9, 10 * r + c)
        for r in range(40)
        for c in range(10)
    ]
    return Content(side, side, spans, rulings)


def table(rows: int, columns: int, *, words: int = 0) -> Content:
    """Values in columns under headings; `words` columns hold words."""
    spans = []
    for r in range(rows):
        for c in range(columns):
            text = f"head{c}" if r == 0 else f"name{c}" if c < words else f"{r}.{c}"
            x, y = 20 + c * 50, 20 + r * 14
            spans.append(Span(text, x, y, x + 4 * len(text), y + 10, 9, r * columns + c))
    return Content(columns * 50 + 40, rows * 14 + 60, spans)


def wide_table(amount: int) -> Content:
    """8,000 words at most: a page with more is left without tables."""
    return table(max(2, min(26, 8000 // amount)), amount)


def table_on_a_sheet(amount: int) -> Content:
    """Columns so narrow that their values lie over one another, and drawn lines between them."""
    rows = max(2, min(26, 8000 // amount))
    step = 560 / amount
    spans = [
        Span(f"{r}.{c}", 20 + c * step, 20 + r * 20, 36 + c * step, 30 + r * 20, 9, r * amount + c)
        for r in range(rows)
        for c in range(amount)
    ]
    rulings = [Ruling(18, 16 + r * 20, 590, 16 + r * 20) for r in range(rows + 1)]
    rulings += [Ruling(18 + c * step, 16, 18 + c * step, 16 + rows * 20) for c in range(amount + 1)]
    return Content(600, 850, spans, rulings)


def ruled_table(amount: int) -> Content:
    content = wide_table(amount)
    rows = max(2, min(26, 8000 // amount))
    content.rulings += [Ruling(15, 17 + r * 14, 15 + 50 * amount, 17 + r * 14) for r in range(rows + 1)]
    content.rulings += [Ruling(15 + c * 50, 17, 15 + c * 50, 17 + rows * 14) for c in range(amount + 1)]
    return content


def wide_table_of_words(amount: int) -> Content:
    rows = max(2, min(26, 8000 // amount))
    return table(rows, amount, words=amount)


def wide_row_over_narrow_ones(amount: int) -> Content:
    """A row in very many columns, and rows of two."""
    content = table(1, amount)
    for r in range(1, min(amount, (8000 - amount) // 2)):
        for c in range(2):
            x, y = 20 + c * 50, 20 + r * 14
            content.spans.append(Span(f"{r}.{c}", x, y, x + 20, y + 10, 9, amount + 2 * r + c))
    return Content(content.width, 8000 * 14, content.spans)


def straddling_headings(amount: int) -> Content:
    """A heading whose words lie over the gutters of the values below it."""
    content = table(3, amount)
    spans = [Span(f"h{c}", 35 + c * 50, 6, 80 + c * 50, 16, 9, 10**6) for c in range(amount)]
    return Content(content.width, content.height, spans + content.spans)


def small_tables(amount: int) -> Content:
    """Ruled tables of two by three, each of six words."""
    spans, rulings = [], []
    across = 20
    for n in range(amount):
        x, y = 20 + n % across * 150.0, 20 + n // across * 60.0
        for r in range(2):
            for c in range(3):
                left, top = x + c * 40, y + r * 15
                spans.append(Span(f"{n}.{c}", left + 4, top + 3, left + 24, top + 12, 9, len(spans)))
        rulings += [Ruling(x, y + r * 15, x + 120, y + r * 15) for r in range(3)]
        rulings += [Ruling(x + c * 40, y, x + c * 40, y + 30) for c in range(4)]
    return Content(across * 150 + 40, amount // across * 60 + 100, spans, rulings)


def one_long_cell(amount: int) -> Content:
    """A table whose text column goes on over very many lines."""
    spans = []
    for n in range(amount):
        y = 20 + n * 12
        spans.append(Span(f"text{n}", 120, y, 160, y + 10, 10, 3 * n))
        spans.append(Span("goes", 163, y, 190, y + 10, 10, 3 * n))
        if n % (amount // 2) == 0:
            spans.append(Span("Label", 20, y, 50, y + 10, 10, 3 * n + 1))
            spans.append(Span("12.50", 300, y, 330, y + 10, 10, 3 * n + 2))
    return Content(400, amount * 12 + 60, spans)


def rulings_around_lines(amount: int) -> Content:
    """Pairs of rulings around a row of values, with lines of text between the pairs."""
    spans, rulings = [], []
    for n in range(amount):
        y = 10 + n * 9.0
        for c in range(3):
            spans.append(Span(f"{n}.{c}", 20 + c * 100, y + 1, 40 + c * 100, y + 2.5, 1.5, 7 * n + c))
        for c in range(6):
            spans.append(Span("text", 20 + c * 45, y + 5, 60 + c * 45, y + 6.5, 1.5, 7 * n + 3))
        rulings += [Ruling(15, y + m, 320, y + m) for m in (0.0, 3.5)]
    return Content(340, amount * 9 + 30, spans, rulings)


def pictures(amount: int) -> Content:
    """Pictures in a grid with a word on each."""
    across = 100
    spans, figures = [], []
    for n in range(amount):
        x, y = n % across * 30.0, n // across * 30.0
        figures.append(Rect(x, y, x + 25, y + 26))
        spans.append(Span(f"w{n}", x + 2, y + 2, x + 12, y + 10, 8, n))
    return Content(across * 30, amount // across * 30 + 40, spans, [], figures)


def _prose(amount: int, bottom: float, top: float = 20) -> list[Span]:
    across = 12
    pitch = (bottom - top) / (amount / across + 1)
    return [
        Span(
            f"word{n}",
            20 + n % across * 46,
            top + n // across * pitch,
            62 + n % across * 46,
            top + (n // across + 0.8) * pitch,
            9,
            n // across,
        )
        for n in range(amount)
    ]


KINDS: dict[str, tuple[Kind, int]] = {
    "words at random places": (scattered, 100_000),
    "words at one point": (at_one_point, 100_000),
    "OCR lines at one point": (at_one_point_alone, 100_000),
    "tall words as a staircase": (staircase, 100_000),
    "bullet lines": (bullets, 20_000),
    "bullet lines on one sheet": (bullets_on_a_sheet, 20_000),
    "numbered items": (numbered_items, 20_000),
    "letters in one line": (one_line, 100_000),
    "letters in one line, apart": (one_line_apart, 100_000),
    "rows of digits": (digits, 1_000_000),
    "lines that end in a hyphen": (broken_words, 100_000),
    "lines of ideographs": (ideographs, 20_000),
    "a line of gaps over lines": (gaps, 20_000),
    "notes and rulings": (notes, 10_000),
    "captions and pictures": (captions, 10_000),
    "rulings": (ruled_lines, 100_000),
    "rows and rulings in a margin": (lines_in_margins, 10_000),
    "nested boxes": (nested_boxes, 10_000),
    "nested boxes apart": (wide_boxes, 700),
    "columns of values": (wide_table, 300),
    "columns of values on one sheet": (table_on_a_sheet, 300),
    "columns of values, ruled": (ruled_table, 300),
    "columns of values, wide": (wide_table, 4_000),
    "columns of words": (wide_table_of_words, 300),
    "a wide row over narrow ones": (wide_row_over_narrow_ones, 4_000),
    "straddling headings": (straddling_headings, 2_000),
    "small ruled tables": (small_tables, 1_300),
    "a long cell": (one_long_cell, 3_900),
    "rulings around lines": (rulings_around_lines, 880),
    "pictures": (pictures, 20_000),
}
"""Each with the amount that a page within the limits may well have."""


def pdf_of(content: Content) -> bytes:
    """A PDF of one page that shows these words, rulings and boxes; the words in Courier."""
    out = []
    height = content.height
    for r in content.rulings:
        out.append(f"{r.x0:.2f} {height - r.y0:.2f} m {r.x1:.2f} {height - r.y1:.2f} l S")
    out.append("BT")
    for s in content.spans:
        text = s.text.replace("•", "*").encode("ascii", "replace").decode()
        out.append(f"/F1 {s.size:g} Tf 1 0 0 1 {s.x0:.2f} {height - s.y0 - 0.8 * s.size:.2f} Tm ({text}) Tj")
    out.append("ET")
    return pdf_with("\n".join(out), content.width, content.height)


def pdf_with(operators: str, width: float, height: float) -> bytes:
    stream = zlib.compress(operators.encode("ascii"))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [4 0 R] /Count 1 >>",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Courier /Encoding /WinAnsiEncoding >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {width:g} {height:g}] /Contents 5 0 R"
        " /Resources << /Font << /F1 3 0 R >> >> >>".encode(),
        b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (len(stream), stream),
    ]
    out = bytearray(b"%PDF-1.7\n")
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    xref = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, xref)
    return bytes(out)
