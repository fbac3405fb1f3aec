"""What PDF pages hold, through pypdfium2."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from internvl_llm.media import pdfium as media
from internvl_loaders.content import Content, Field, Rect
from internvl_loaders.readers import pdfium_attached as attached
from internvl_loaders.readers.comments import Comment, told
from internvl_loaders.readers.cover import hide_covered, may_cover
from internvl_loaders.readers.outline import Outline
from internvl_loaders.readers.pdfium_fields import fields_of, links_of
from internvl_loaders.readers.pdfium_graphics import Graphics, Matrix, painted, quads
from internvl_loaders.readers.pdfium_text import spans_of
from internvl_loaders.readers.vector import MAX_DRAWINGS, Point, figures_of


class PdfiumReader(media.PdfiumReader):
    def __init__(self, document: Any) -> None:
        super().__init__(document)
        self._fields: dict[int, list[Field]] = {}
        self._comments: dict[int, list[Comment]] = {}
        self._outline = Outline(lambda: _entries(document))

    def _page(self, index: int, look: Callable[[Any], None] | None = None) -> Any:
        """Made part of the page's content, form fields and comments are none any more."""
        if index not in self._fields:
            self._fields[index] = fields_of(self._document, index, _upright)
            self._comments[index] = self._noted(index)
        return super()._page(index, look)

    def _noted(self, index: int) -> list[Comment]:
        page = self._document[index]
        try:
            found, matrix = attached.comments_of(page), _upright(page)
        finally:
            page.close()
        return told(comment._replace(rect=_box(comment.rect, matrix)) for comment in found)

    def content_bytes(self, index: int, most: int) -> int:
        return 0  # pdfium does not tell

    def attached(self) -> list[str]:
        return attached.names_of(self._document)

    def attached_file(self, index: int, most: int) -> bytes | None:
        return attached.file_of(self._document, index, most)

    def xfa(self, most: int) -> bytes | None:
        return attached.xfa_of(self._document, most)

    def comments(self, index: int) -> list[Comment]:
        if index not in self._comments:
            self._page(index).close()
        return self._comments[index]

    def content(self, index: int) -> Content:
        struck_out: list[list[Point]] = []
        page = self._page(index, lambda page: struck_out.extend(quads(page)))
        try:
            width, height = page.get_size()
            matrix = _upright(page)
            graphics = Graphics(width, height)
            graphics.walk(page, matrix)
            drawings = graphics.drawings
            for corners in struck_out:
                drawings.strike_out([_moved(corner, matrix) for corner in corners])
            spans = spans_of(page, matrix, width, height)
            if may_cover(graphics.images, spans):
                spans = hide_covered(spans, painted(page, matrix))
            return Content(
                width=width,
                height=height,
                spans=spans,
                rulings=drawings.rulings() if drawings.count <= MAX_DRAWINGS else [],
                figures=figures_of(graphics.images, width, height),
                drawings=drawings.count,
                fields=self._fields.get(index, []),
                links=links_of(self._document, page, matrix),
                shapes=graphics.shapes.found(),
                fills=drawings.fills,
                outline=self._outline.of_page(index),
            )
        finally:
            page.close()


def _entries(document: Any) -> Iterator[tuple[int, str, int]]:
    for entry in document.get_toc():
        target = entry.get_dest()
        page = target.get_index() if target else None
        if page is not None:
            yield entry.level + 1, entry.get_title(), page


def _box(rect: Rect, matrix: Matrix) -> Rect:
    (x0, y0), (x1, y1) = _moved((rect.x0, rect.y0), matrix), _moved((rect.x1, rect.y1), matrix)
    return Rect(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))


def _moved(point: Point, matrix: Matrix) -> Point:
    (x, y), (a, b, cc, d, e, f) = point, matrix
    return a * x + cc * y + e, b * x + d * y + f


def _upright(page: Any) -> Matrix:
    """From PDF coordinates to points of the upright page, origin top left."""
    left, bottom, right, top = page.get_bbox()
    turns: dict[int, Matrix] = {
        0: (1, 0, 0, -1, -left, top),
        90: (0, 1, 1, 0, -bottom, -left),
        180: (-1, 0, 0, 1, right, -bottom),
        270: (0, -1, -1, 0, top, right),
    }
    return turns[page.get_rotation()]


def open_pdf(document: Path | bytes, password: str | None) -> PdfiumReader:
    """Raises PasswordError, or whatever pypdfium2 says of a document it cannot open."""
    return PdfiumReader(media.opened(document, password))
