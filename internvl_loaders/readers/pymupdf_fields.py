"""The form fields of a page, through PyMuPDF."""
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from typing import Any

from pymupdf import mupdf

from internvl_loaders.content import Field, FieldKind, Rect

MOST_FIELDS = 5_000
LONGEST = 4_000
"""Characters of a field's value."""
HIDDEN = 2 | 32
"""Flags of annotations that are not shown on a screen (PDF 32000-1, table 165)."""

_KINDS: dict[int, FieldKind] = {
    mupdf.PDF_WIDGET_TYPE_CHECKBOX: "checkbox",
    mupdf.PDF_WIDGET_TYPE_RADIOBUTTON: "radio",
    mupdf.PDF_WIDGET_TYPE_TEXT: "text",
    mupdf.PDF_WIDGET_TYPE_COMBOBOX: "choice",
    mupdf.PDF_WIDGET_TYPE_LISTBOX: "choice",
    mupdf.PDF_WIDGET_TYPE_SIGNATURE: "signature",
}


def fields_of(page: Any) -> list[Field]:
    """In points of the upright page; push buttons are no fields."""
    found: list[Field] = []
    of_pdf = mupdf.pdf_page_from_fz_page(page.this)
    if not of_pdf.m_internal:
        return []
    widget = mupdf.pdf_first_widget(of_pdf)
    while widget.m_internal and len(found) < MOST_FIELDS:
        kind = _KINDS.get(mupdf.pdf_widget_type(widget))
        if kind is not None and not mupdf.pdf_annot_flags(widget) & HIDDEN:
            found.append(_field(widget, kind))
        widget = mupdf.pdf_next_widget(widget)
    return found


def _field(widget: Any, kind: FieldKind) -> Field:
    dictionary = mupdf.pdf_annot_obj(widget)
    box = mupdf.pdf_bound_widget(widget)
    checked = None
    value = str(mupdf.pdf_field_value(dictionary))
    if kind in ("checkbox", "radio"):
        state = str(mupdf.pdf_to_name(mupdf.pdf_dict_gets(dictionary, "AS")))
        checked = state not in ("", "Off")
        value = _export_value(dictionary, state if checked else "")
    label = mupdf.pdf_dict_get_inheritable(dictionary, mupdf.pdf_new_name("TU"))
    return Field(
        kind,
        Rect(box.x0, box.y0, box.x1, box.y1),
        str(mupdf.pdf_load_field_name(dictionary))[:LONGEST],
        value[:LONGEST],
        checked,
        str(mupdf.pdf_to_text_string(label))[:LONGEST] if label.m_internal else "",
    )


def _export_value(dictionary: Any, state: str) -> str:
    """The name of the state that is not Off; where it is a number of `Opt`, what that lists."""
    states = mupdf.pdf_dict_getl(dictionary, mupdf.pdf_new_name("AP"), mupdf.pdf_new_name("N"))
    if mupdf.pdf_is_dict(states) and not mupdf.pdf_is_stream(states):
        keys = (mupdf.pdf_dict_get_key(states, i) for i in range(min(mupdf.pdf_dict_len(states), 8)))
        names = (str(mupdf.pdf_to_name(key)) for key in keys)
        state = next((name for name in names if name != "Off"), state)
    options = mupdf.pdf_dict_get_inheritable(dictionary, mupdf.pdf_new_name("Opt"))
    if state.isdecimal() and len(state) < 6 and int(state) < mupdf.pdf_array_len(options):
        return str(mupdf.pdf_to_text_string(mupdf.pdf_array_get(options, int(state)))) or state
    return state
