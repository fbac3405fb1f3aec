"""Words of a page, by pdfium's text page."""

from __future__ import annotations

from ctypes import CFUNCTYPE, byref, c_int, c_uint, c_void_p, cast, create_string_buffer
from math import hypot
from typing import Any, NamedTuple

import pypdfium2.raw as c

from internvl_loaders.content import Span
from internvl_loaders.readers.glyphs import SPACES, Axis, Glyph, Style, axis_of, is_pale, style_of
from internvl_loaders.readers.pdfium_graphics import Matrix, times
from internvl_loaders.readers.symbols import unmapped
from internvl_loaders.readers.words import Words

_text_object = CFUNCTYPE(c_void_p, c_void_p, c_int)(cast(c.FPDFText_GetTextObject, c_void_p).value or 0)
"""The same function giving a bare address: it is asked for every character."""


_LINE_END_HYPHEN = 2
"""What pdfium gives for a hyphen that ends a line."""


class _Run(NamedTuple):
    """What the characters of one text object share; `base` is the y of its baseline."""

    style: Style
    axis: Axis
    base: float


def spans_of(page: Any, matrix: Matrix, width: float, height: float) -> list[Span]:
    """The words of a page; `matrix` turns its coordinates upright. One loop: it runs for every character."""
    words = Words(width, height)
    textpage = page.get_textpage()
    text = textpage.raw
    a, b, cc, d, e, f = matrix
    box = c.FS_RECTF()
    box_at = byref(box)
    runs: dict[int, _Run] = {}
    fonts: dict[int, tuple[str, int]] = {}
    run: _Run | None = None
    last: _Run | None = None
    glyphs: list[Glyph] = []
    broken = False
    for i in range(c.FPDFText_CountChars(text)):
        code = c.FPDFText_GetUnicode(text, i)
        if code in (10, 13):
            broken = True
            continue
        char = chr(code)
        if char in SPACES and c.FPDFText_IsGenerated(text, i):
            if run and run.axis == "oblique":
                glyphs.append((char, 0, 0, 0, 0, 0, run.style))
            continue
        address = _text_object(text, i)
        if address not in runs:
            if address is None:
                continue
            runs[address] = _run(text, i, cast(address, c.FPDF_PAGEOBJECT), matrix, fonts)
        last, run = run, runs[address]
        c.FPDFText_GetLooseCharBox(text, i, box_at)
        left, top, right, bottom = box.left, box.top, box.right, box.bottom
        x0, y0 = a * left + cc * top + e, b * left + d * top + f
        x1, y1 = a * right + cc * bottom + e, b * right + d * bottom + f
        if x0 > x1:
            x0, x1 = x1, x0
        if y0 > y1:
            y0, y1 = y1, y0
        if code == _LINE_END_HYPHEN:
            char = "-"
        elif c.FPDFText_HasUnicodeMapError(text, i) == 1:
            char = unmapped(run.style.font, code)
        glyph = (char, x0, y0, x1, y1, run.base, run.style)
        if glyphs and last and (broken or run.axis != last.axis):
            words.add_line(glyphs, last.axis)
            glyphs = []
        broken = False
        glyphs.append(glyph)
    if glyphs and run:
        words.add_line(glyphs, run.axis)
    textpage.close()
    return words.finish()


def _run(text: Any, i: int, handle: Any, page_matrix: Matrix, fonts: dict[int, tuple[str, int]]) -> _Run:
    """Of the text object `handle` that the character at `i` belongs to."""
    m = c.FS_MATRIX()
    c.FPDFText_GetMatrix(text, i, m)
    turned = times((m.a, m.b, m.c, m.d, m.e, m.f), page_matrix)
    font = c.FPDFTextObj_GetFont(handle)
    address = cast(font, c_void_p).value or 0
    if address not in fonts:
        fonts[address] = _font(font)
    name, flags = fonts[address]
    mode = c.FPDFTextObj_GetTextRenderMode(handle)
    red, green, blue, alpha = c_uint(), c_uint(), c_uint(), c_uint(255)
    c.FPDFPageObj_GetFillColor(handle, red, green, blue, alpha)
    style = style_of(
        name,
        round(c.FPDFText_GetFontSize(text, i) * hypot(turned[2], turned[3]), 3),
        bold=bool(flags & 1 << 18),
        italic=bool(flags & 1 << 6),
        mono=bool(flags & 1),
        hidden=mode == c.FPDF_TEXTRENDERMODE_INVISIBLE
        or (mode == c.FPDF_TEXTRENDERMODE_FILL and alpha.value == 0),
        pale=is_pale(red.value, green.value, blue.value),
    )
    return _Run(style, axis_of(turned[0], turned[1]), turned[5])


def _font(handle: Any) -> tuple[str, int]:
    """Name and flags (PDF 32000-1, table 123)."""
    length = c.FPDFFont_GetBaseFontName(handle, None, 0)
    name = create_string_buffer(max(length, 1))
    c.FPDFFont_GetBaseFontName(handle, name, length)
    return name.value.decode("utf-8", "replace"), max(c.FPDFFont_GetFlags(handle), 0)
