"""What PDF pages hold, through PyMuPDF."""
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pymupdf
from pymupdf import mupdf

from internvl_llm.media import pymupdf as media
from internvl_loaders.content import Content, PageLink, Rect
from internvl_loaders.readers import pymupdf_attached as attached
from internvl_loaders.readers.comments import Comment
from internvl_loaders.readers.cover import Painted, hide_covered, may_cover
from internvl_loaders.readers.glyphs import Glyph, axis_of, is_pale, style_of
from internvl_loaders.readers.outline import Outline
from internvl_loaders.readers.pymupdf_fields import fields_of
from internvl_loaders.readers.shapes import Shapes
from internvl_loaders.readers.symbols import dingbat, has_codes, is_dingbats, unmapped
from internvl_loaders.readers.vector import MAX_DRAWINGS, Drawings, Point, figures_of
from internvl_loaders.readers.words import Words

if TYPE_CHECKING:
    from internvl_loaders.content import Span

_TEXT = pymupdf.TEXT_PRESERVE_WHITESPACE | pymupdf.TEXT_MEDIABOX_CLIP
"""No images: decoding them costs seconds."""
_CODES = _TEXT | pymupdf.TEXT_USE_CID_FOR_UNKNOWN_UNICODE
_GRAPHICS = pymupdf.TEXT_PRESERVE_IMAGES | pymupdf.TEXT_COLLECT_VECTORS
_UNSEEN = mupdf.PDF_ANNOT_IS_HIDDEN | mupdf.PDF_ANNOT_IS_NO_VIEW
MAX_LINKS = 5_000
_PAGE = re.compile(r"#page=\d+")
_PAINTED = mupdf.FZ_STEXT_FILLED | mupdf.FZ_STEXT_STROKED | mupdf.FZ_STEXT_CLIPPED


class PyMuPDFReader(media.PyMuPDFReader):
    def __init__(self, document: Any) -> None:
        super().__init__(document)
        self._outline = Outline(
            lambda: ((level, title, page - 1) for level, title, page, *_ in document.get_toc(simple=True))
        )

    def content_bytes(self, index: int, most: int) -> int:
        page = mupdf.pdf_page_from_fz_page(self._document[index].this)
        contents = mupdf.pdf_dict_gets(page.obj(), "Contents")
        if not mupdf.pdf_is_array(contents) and not mupdf.pdf_is_stream(contents):
            return 0
        pdf = mupdf.pdf_document_from_fz_document(self._document.this)
        return int(mupdf.fz_skip(mupdf.pdf_open_contents_stream(pdf, contents), most + 1))

    def attached(self) -> list[str]:
        return attached.names_of(self._document)

    def attached_file(self, index: int, most: int) -> bytes | None:
        return attached.file_of(self._document, index, most)

    def xfa(self, most: int) -> bytes | None:
        return attached.xfa_of(self._document, most)

    def comments(self, index: int) -> list[Comment]:
        return attached.comments_of(self._document[index])

    def content(self, index: int) -> Content:
        page = self._document[index]
        width, height = float(page.rect.width), float(page.rect.height)
        boxes, vectors = _graphics(page)
        drawings, shapes = Drawings(width, height), Shapes()
        drawings.count = vectors
        if 0 < vectors <= MAX_DRAWINGS:
            _draw(page, drawings, shapes)
        _strike_out(page, drawings)
        spans = _spans(page, width, height)
        if may_cover(boxes, spans):
            spans = hide_covered(spans, _painted(page))
        return Content(
            width=width,
            height=height,
            spans=spans,
            rulings=drawings.rulings(),
            figures=figures_of(boxes, width, height),
            drawings=drawings.count,
            fields=fields_of(page),
            links=_links(page),
            shapes=shapes.found(),
            fills=drawings.fills,
            outline=self._outline.of_page(index),
        )


def _links(page: Any) -> list[PageLink]:
    """In points of the upright page."""
    found: list[PageLink] = []
    link = mupdf.fz_load_links(page.this)
    while link.m_internal and len(found) < MAX_LINKS:
        box, target = link.rect(), link.uri()
        if target.startswith("#") and (of_page := _PAGE.match(target)):
            target = of_page[0]
        found.append(PageLink(Rect(box.x0, box.y0, box.x1, box.y1), target))
        link = link.next()
    return found


def _textpage(page: Any, flags: int) -> Any:
    """In points of the upright page, though PyMuPDF takes the rotation away to run it."""
    return page.get_textpage(clip=page.rect, flags=flags, matrix=page.rotation_matrix)


def _spans(page: Any, width: float, height: float) -> list[Span]:
    words = Words(width, height)
    lines = _lines(page, _TEXT)
    codes: dict[tuple[float, float], int] | None = None
    for line in lines:
        glyphs: list[Glyph] = []
        axis = axis_of(*line["dir"])
        for span in line["spans"]:
            flags = span["flags"]
            style = style_of(
                span["font"],
                span["size"],
                bold=bool(flags & pymupdf.TEXT_FONT_BOLD),
                italic=bool(flags & pymupdf.TEXT_FONT_ITALIC),
                mono=bool(flags & pymupdf.TEXT_FONT_MONOSPACED),
                hidden=not span["char_flags"] & _PAINTED or span["alpha"] == 0,
                pale=is_pale(*span["color"].to_bytes(3, "big")),
            )
            numbered = is_dingbats(style.font)
            for c in span["chars"]:
                char = c["c"]
                if c["synthetic"] and axis != "oblique" and char.isspace():
                    continue
                if char == "\ufffd" and has_codes(style.font):
                    if codes is None:
                        codes = _codes(page)
                    char = unmapped(style.font, codes.get(c["origin"], -1))
                elif numbered:
                    char = dingbat(char)
                glyphs.append((char, *c["bbox"], c["origin"][1], style))
        words.add_line(glyphs, axis)
    return words.finish()


def _lines(page: Any, flags: int) -> list[dict[str, Any]]:
    blocks = _textpage(page, flags).extractRAWDICT()["blocks"]
    return [line for block in blocks for line in block.get("lines", ())]


def _codes(page: Any) -> dict[tuple[float, float], int]:
    """The fonts' own codes of the characters, by origin; right only where a character is not in Unicode.

    MuPDF gives them in a run of its own, in which it does not tell one from the other.
    """
    codes: dict[tuple[float, float], int] = {}
    for line in _lines(page, _CODES):
        for span in line["spans"]:
            for c in span["chars"]:
                if not c["synthetic"]:
                    codes.setdefault(c["origin"], ord(c["c"]))  # TeX's arrows start where their tails do
    return codes


def _graphics(page: Any) -> tuple[list[Rect], int]:
    """Boxes of the images, and how many vector drawings there are (counted to MAX_DRAWINGS and one)."""
    images, vectors = [], 0
    textpage = _textpage(page, _GRAPHICS)  # owns its blocks: keep it while they are walked
    block = textpage.this.m_internal.first_block
    while block and vectors <= MAX_DRAWINGS:
        if block.type == mupdf.FZ_STEXT_BLOCK_IMAGE:
            box = block.bbox
            images.append(Rect(box.x0, box.y0, box.x1, box.y1))
        elif block.type == mupdf.FZ_STEXT_BLOCK_VECTOR:
            vectors += 1
        block = block.next
    return images, vectors


def _painted(page: Any) -> list[Painted]:
    """Text and opaque images in the order of painting."""
    opaque = {_rounded(image["bbox"]) for image in page.get_image_info() if not image["has-mask"]}
    painted: list[Painted] = []
    for kind, box in page.get_bboxlog():
        if kind in ("fill-text", "stroke-text"):
            painted.append(("text", Rect(*(pymupdf.Rect(box) * page.rotation_matrix))))
        elif kind == "fill-image" and _rounded(box) in opaque:
            painted.append(("image", Rect(*(pymupdf.Rect(box) * page.rotation_matrix))))
    return painted


def _rounded(box: tuple[float, float, float, float]) -> tuple[int, ...]:
    return tuple(round(v) for v in box)


def _draw(page: Any, drawings: Drawings, shapes: Shapes) -> None:
    """Paths come in points of the page before /Rotate."""
    a, b, c, d, e, f = page.rotation_matrix

    def upright(*points: Point) -> list[Point]:
        if not page.rotation:
            return list(points)
        return [(a * x + c * y + e, b * x + d * y + f) for x, y in points]

    for drawing in page.get_cdrawings():
        stroked = drawing["type"] != "f"
        items = drawing["items"]
        x0, y0, x1, y1 = drawing["rect"]
        corner, opposite = upright((x0, y0), (x1, y1))
        shapes.add(corner, opposite)
        if "f" in drawing["type"]:
            drawings.fill(*corner, *opposite)
        if not stroked and len(outlines := _outlines(items)) > 1:
            drawings.filled([upright(*corners) for corners in outlines])
            continue
        for kind, *points in items:
            if kind == "re":
                x0, y0, x1, y1 = points[0]
                start, end = upright((x0, y0), (x1, y1))
                drawings.box(*start, *end, stroked)
            elif kind == "l" and stroked:
                start, end = upright(*points)
                drawings.line(*start, *end)
            elif kind == "qu" and stroked:
                upper_left, upper_right, lower_left, lower_right = points[0]
                corners = upright(upper_left, upper_right, lower_right, lower_left, upper_left)
                for start, end in pairwise(corners):
                    drawings.line(*start, *end)
        if not stroked and items[0][0] == "l":
            x0, y0, x1, y1 = drawing["rect"]
            start, end = upright((x0, y0), (x1, y1))
            drawings.box(*start, *end, stroked)


def _outlines(items: Sequence[tuple[Any, ...]]) -> list[list[Point]]:
    """The corners of each outline of a path; no item says where one begins."""
    outlines: list[list[Point]] = []
    is_open = False
    for kind, *points in items:
        if kind == "re":
            x0, y0, x1, y1 = points[0]
            outlines.append([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
        elif kind == "qu":
            upper_left, upper_right, lower_left, lower_right = points[0]
            outlines.append([upper_left, upper_right, lower_right, lower_left])
        elif is_open and outlines[-1][-1] == points[0]:
            outlines[-1] += points[1:]
        elif points[0] != points[-1]:
            outlines.append(list(points))
        is_open = kind in "lc" and bool(outlines) and outlines[-1][0] != outlines[-1][-1]
    return outlines


def _strike_out(page: Any, drawings: Drawings) -> None:
    for annotation in page.annots(types=(mupdf.PDF_ANNOT_STRIKE_OUT,)):
        corners = () if annotation.flags & _UNSEEN else annotation.vertices or ()
        for n in range(0, len(corners) - 3, 4):
            turned = [pymupdf.Point(corner) * page.rotation_matrix for corner in corners[n : n + 4]]
            drawings.strike_out([(point.x, point.y) for point in turned])


def open_pdf(document: Path | bytes, password: str | None) -> PyMuPDFReader:
    """Raises PasswordError, or whatever PyMuPDF says of a document it cannot open."""
    return PyMuPDFReader(media.opened(document, password))
