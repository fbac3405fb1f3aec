"""Images and drawings of a page, by pdfium's page objects."""

from __future__ import annotations

from collections.abc import Iterator
from ctypes import c_float, c_int, string_at
from typing import Any

import pypdfium2.raw as c

from internvl_loaders.content import Rect
from internvl_loaders.readers.cover import Painted
from internvl_loaders.readers.shapes import Shapes
from internvl_loaders.readers.vector import MAX_DRAWINGS, Drawings, Point

Matrix = tuple[float, float, float, float, float, float]
"""a b c d e f as in PDF: x' = a x + c y + e, y' = b x + d y + f."""

_MAX_SEGMENTS = 50_000
_ONE_BOX = 5
"""Segments of a path that is at most one rectangle."""
_MAX_DEPTH = 8


def times(m: Matrix, n: Matrix) -> Matrix:
    """First `m`, then `n`."""
    return (
        m[0] * n[0] + m[1] * n[2],
        m[0] * n[1] + m[1] * n[3],
        m[2] * n[0] + m[3] * n[2],
        m[2] * n[1] + m[3] * n[3],
        m[4] * n[0] + m[5] * n[2] + n[4],
        m[4] * n[1] + m[5] * n[3] + n[5],
    )


def _matrix(raw: Any) -> Matrix:
    matrix = c.FS_MATRIX()
    c.FPDFPageObj_GetMatrix(raw, matrix)
    return (matrix.a, matrix.b, matrix.c, matrix.d, matrix.e, matrix.f)


def objects(page: Any, matrix: Matrix) -> Iterator[tuple[int, Any, Matrix]]:
    """Type and handle of the objects in the order of painting, those of forms included, each with
    the matrix that takes its coordinates to the upright page."""
    return _objects(page, c.FPDFPage_CountObjects, c.FPDFPage_GetObject, matrix, 0)


def _objects(
    parent: Any, count: Any, get: Any, matrix: Matrix, depth: int
) -> Iterator[tuple[int, Any, Matrix]]:
    for i in range(count(parent)):
        handle = get(parent, i)
        kind = c.FPDFPageObj_GetType(handle)
        if kind != c.FPDF_PAGEOBJ_FORM:
            yield kind, handle, matrix
        elif depth < _MAX_DEPTH:
            inner = times(_matrix(handle), matrix)
            yield from _objects(handle, c.FPDFFormObj_CountObjects, c.FPDFFormObj_GetObject, inner, depth + 1)


def painted(page: Any, matrix: Matrix) -> list[Painted]:
    """Text and opaque images in the order of painting."""
    result: list[Painted] = []
    for kind, handle, its_matrix in objects(page, matrix):
        if kind == c.FPDF_PAGEOBJ_TEXT:
            result.append(("text", Rect(*_bounds(handle, its_matrix))))
        elif kind == c.FPDF_PAGEOBJ_IMAGE and result and _opaque(page, handle):
            result.append(("image", Rect(*_bounds(handle, its_matrix))))
    return result


def _opaque(page: Any, handle: Any) -> bool:
    """By its alpha as drawn on the page; pdfium does not tell of masks otherwise."""
    bitmap = c.FPDFImageObj_GetRenderedBitmap(page.pdf, page, handle)
    if not bitmap:
        return False
    try:
        if c.FPDFBitmap_GetFormat(bitmap) != c.FPDFBitmap_BGRA:
            return True
        size = c.FPDFBitmap_GetStride(bitmap) * c.FPDFBitmap_GetHeight(bitmap)
        alpha = string_at(c.FPDFBitmap_GetBuffer(bitmap), size)[3::4]
        return alpha.count(255) > 0.9 * len(alpha)
    finally:
        c.FPDFBitmap_Destroy(bitmap)


def quads(page: Any) -> Iterator[list[Point]]:
    """The corners of what StrikeOut annotations strike, in PDF coordinates."""
    for i in range(c.FPDFPage_GetAnnotCount(page)):
        annotation = c.FPDFPage_GetAnnot(page, i)
        if not annotation:
            continue
        unseen = c.FPDFAnnot_GetFlags(annotation) & (c.FPDF_ANNOT_FLAG_HIDDEN | c.FPDF_ANNOT_FLAG_NOVIEW)
        if c.FPDFAnnot_GetSubtype(annotation) == c.FPDF_ANNOT_STRIKEOUT and not unseen:
            quad = c.FS_QUADPOINTSF()
            for n in range(c.FPDFAnnot_CountAttachmentPoints(annotation)):
                if c.FPDFAnnot_GetAttachmentPoints(annotation, n, quad):
                    yield [(quad.x1, quad.y1), (quad.x2, quad.y2), (quad.x3, quad.y3), (quad.x4, quad.y4)]
        c.FPDFPage_CloseAnnot(annotation)


class Graphics:
    """Images and drawings of a page, forms included."""

    def __init__(self, width: float, height: float) -> None:
        self.images: list[Rect] = []
        self.drawings = Drawings(width, height)
        self.shapes = Shapes()
        self._segments = 0

    def walk(self, page: Any, matrix: Matrix) -> None:
        for kind, handle, its_matrix in objects(page, matrix):
            if kind == c.FPDF_PAGEOBJ_PATH:
                self.drawings.count += 1
                if self.drawings.count <= MAX_DRAWINGS:
                    x0, y0, x1, y1 = _bounds(handle, its_matrix)
                    self.shapes.add((x0, y0), (x1, y1))
                    self._path(handle, its_matrix)
            elif kind == c.FPDF_PAGEOBJ_IMAGE:
                self.images.append(Rect(*_bounds(handle, its_matrix)))

    def _path(self, handle: Any, matrix: Matrix) -> None:
        fill, stroke = c_int(), c_int()
        c.FPDFPath_GetDrawMode(handle, fill, stroke)
        if fill.value:
            self.drawings.fill(*_bounds(handle, matrix))
        count = c.FPDFPath_CountSegments(handle)
        if not stroke.value and (not fill.value or count <= _ONE_BOX):
            if fill.value:
                self.drawings.box(*_bounds(handle, matrix), stroked=False)
            return
        self._segments += count
        if self._segments > _MAX_SEGMENTS:
            return
        if not stroke.value:
            self.drawings.filled(_outlines(handle, times(_matrix(handle), matrix), count))
            return
        start = last = (0.0, 0.0)
        for kind, point, closed in _segments(handle, times(_matrix(handle), matrix), count):
            if kind == c.FPDF_SEGMENT_MOVETO:
                start = point
            elif kind == c.FPDF_SEGMENT_LINETO:
                self.drawings.line(*last, *point)
            last = point
            if closed:
                self.drawings.line(*last, *start)


def _segments(handle: Any, matrix: Matrix, count: int) -> Iterator[tuple[int, Point, bool]]:
    """Type, end and whether it closes the outline, of a path's segments."""
    a, b, cc, d, e, f = matrix
    x, y = c_float(), c_float()
    for i in range(count):
        segment = c.FPDFPath_GetPathSegment(handle, i)
        c.FPDFPathSegment_GetPoint(segment, x, y)
        point = (a * x.value + cc * y.value + e, b * x.value + d * y.value + f)
        yield c.FPDFPathSegment_GetType(segment), point, bool(c.FPDFPathSegment_GetClose(segment))


def _outlines(handle: Any, matrix: Matrix, count: int) -> list[list[Point]]:
    """The corners of each of a path's outlines."""
    outlines: list[list[Point]] = []
    for kind, point, _ in _segments(handle, matrix, count):
        if kind == c.FPDF_SEGMENT_MOVETO or not outlines:
            outlines.append([])
        outlines[-1].append(point)
    return [corners for corners in outlines if len(corners) > 1]


def _bounds(handle: Any, matrix: Matrix) -> tuple[float, float, float, float]:
    """The object's box on the upright page, x0 <= x1 and y0 <= y1."""
    left, bottom, right, top = c_float(), c_float(), c_float(), c_float()
    c.FPDFPageObj_GetBounds(handle, left, bottom, right, top)
    a, b, cc, d, e, f = matrix
    corners = [(x, y) for x in (left.value, right.value) for y in (bottom.value, top.value)]
    xs = [a * x + cc * y + e for x, y in corners]
    ys = [b * x + d * y + f for x, y in corners]
    return min(xs), min(ys), max(xs), max(ys)
