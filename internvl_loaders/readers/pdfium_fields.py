"""The form fields and links of a page, through pypdfium2."""

from __future__ import annotations

from collections.abc import Callable
from ctypes import byref, c_int, c_ushort, create_string_buffer
from typing import Any

import pypdfium2.raw as c

from internvl_loaders.content import Field, FieldKind, PageLink, Rect
from internvl_loaders.readers.pdfium_graphics import Matrix

MAX_LINKS = 5_000
_MOST_FIELDS = 5_000
_LONGEST = 4_000
"""Characters of a field's value."""
_HIDDEN = 2 | 32
"""Flags of annotations that are not shown on a screen (PDF 32000-1, table 165)."""

_KINDS: dict[int, FieldKind] = {
    c.FPDF_FORMFIELD_CHECKBOX: "checkbox",
    c.FPDF_FORMFIELD_RADIOBUTTON: "radio",
    c.FPDF_FORMFIELD_TEXTFIELD: "text",
    c.FPDF_FORMFIELD_COMBOBOX: "choice",
    c.FPDF_FORMFIELD_LISTBOX: "choice",
    c.FPDF_FORMFIELD_SIGNATURE: "signature",
}


def fields_of(document: Any, index: int, upright: Callable[[Any], Matrix]) -> list[Field]:
    """In points of the upright page; push buttons are no fields. Asked before the page is flattened."""
    forms = document.formenv
    if forms is None:
        return []
    found: list[Field] = []
    page = document[index]
    try:
        matrix = upright(page)
        for i in range(min(c.FPDFPage_GetAnnotCount(page), 4 * _MOST_FIELDS)):
            annotation = c.FPDFPage_GetAnnot(page, i)
            try:
                field = _field(forms, annotation, matrix)
            finally:
                c.FPDFPage_CloseAnnot(annotation)
            if field is not None and len(found) < _MOST_FIELDS:
                found.append(field)
    finally:
        page.close()
    return found


def links_of(document: Any, page: Any, matrix: Matrix) -> list[PageLink]:
    """In points of the upright page."""
    found: list[PageLink] = []
    at, link, box = c_int(0), c.FPDF_LINK(), c.FS_RECTF()
    while len(found) < MAX_LINKS and c.FPDFLink_Enumerate(page, at, link):
        target = _target(document, link)
        if target and c.FPDFLink_GetAnnotRect(link, box):
            found.append(PageLink(_turned(box, matrix), target))
    return found


def _target(document: Any, link: Any) -> str:
    """An address, or `#page=` and a number from 1."""
    action = c.FPDFLink_GetAction(link)
    if action and c.FPDFAction_GetType(action) == c.PDFACTION_URI:
        size = c.FPDFAction_GetURIPath(document, action, None, 0)
        if not 1 < size <= _LONGEST:
            return ""
        text = create_string_buffer(size)
        c.FPDFAction_GetURIPath(document, action, text, size)
        return text.value.decode("utf-8", "replace")
    goes = c.FPDFLink_GetDest(document, link) or (action and c.FPDFAction_GetDest(document, action))
    page = c.FPDFDest_GetDestPageIndex(document, goes) if goes else -1
    return f"#page={page + 1}" if page >= 0 else ""


def _field(forms: Any, annotation: Any, matrix: Matrix) -> Field | None:
    kind = _KINDS.get(c.FPDFAnnot_GetFormFieldType(forms, annotation))
    if kind is None or c.FPDFAnnot_GetFlags(annotation) & _HIDDEN:
        return None
    box = c.FS_RECTF()
    c.FPDFAnnot_GetRect(annotation, box)
    checked, tells = None, c.FPDFAnnot_GetFormFieldValue
    if kind in ("checkbox", "radio"):
        checked, tells = bool(c.FPDFAnnot_IsChecked(forms, annotation)), c.FPDFAnnot_GetFormFieldExportValue
    return Field(
        kind,
        _turned(box, matrix),
        _text(c.FPDFAnnot_GetFormFieldName, forms, annotation),
        _text(tells, forms, annotation),
        checked,
        _text(c.FPDFAnnot_GetFormFieldAlternateName, forms, annotation),
    )


def _turned(box: Any, matrix: Matrix) -> Rect:
    a, b, cc, d, e, f = matrix
    corners = [(x, y) for x in (box.left, box.right) for y in (box.bottom, box.top)]
    xs = [a * x + cc * y + e for x, y in corners]
    ys = [b * x + d * y + f for x, y in corners]
    return Rect(min(xs), min(ys), max(xs), max(ys))


def _text(tells: Any, forms: Any, annotation: Any) -> str:
    """UTF-16 with a zero behind it."""
    size = min(tells(forms, annotation, None, 0), 2 * _LONGEST)
    if size < 2:
        return ""
    text = create_string_buffer(size)
    tells(forms, annotation, _shorts(text), size)
    return text.raw[: size - size % 2].decode("utf-16-le", "replace").rstrip("\0")


def _shorts(text: Any) -> Any:
    return byref(c_ushort.from_buffer(text))
