"""Numbers that geometry can work with, whatever a broken or hostile document states."""

from __future__ import annotations

import math
from dataclasses import replace

from internvl_loaders.content import Content, Rect, Ruling, Span

_LEAST, _FAR = 0.01, 20
"""The least extent and size of a word in points; how many pages away from the page it may lie."""


def sane(content: Content) -> Content:
    """The same texts in the same order: all finite, ordered, near the page, and of some extent.

    Rulings and figures that are nowhere (NaN) are left out. Sound content comes back as it is.
    """
    width, height = _side(content.width, 595.0), _side(content.height, 842.0)
    reach = _FAR * max(width, height)
    spans = [s if _is_sane(s, reach) else _mended(s, reach) for s in content.spans]
    rulings = [Ruling(*_ordered(r, reach)) for r in content.rulings if not any(map(math.isnan, r))]
    figures = [Rect(*_ordered(f, reach)) for f in content.figures if not any(map(math.isnan, f))]
    fields = [f._replace(rect=Rect(*_ordered(f.rect, reach))) for f in content.fields]
    shapes = [Rect(*_ordered(r, reach)) for r in content.shapes if not any(map(math.isnan, r))]
    marks = [m._replace(rect=Rect(*_ordered(m.rect, reach))) for m in content.marks]
    links = [k._replace(rect=Rect(*_ordered(k.rect, reach))) for k in content.links]
    fills = [Rect(*_ordered(r, reach)) for r in content.fills if not any(map(math.isnan, r))]
    drawings = content.drawings
    found = Content(
        width, height, spans, rulings, figures, drawings, fields, shapes, marks, links, fills, content.outline
    )
    return content if found == content else found


def _side(side: float, usual: float) -> float:
    return side if 1e-3 <= side <= 1e6 else usual


def _is_sane(span: Span, reach: float) -> bool:
    """False for NaN, too, which is less than nothing and more than nothing."""
    return (
        -reach <= span.x0
        and span.x0 + _LEAST <= span.x1 <= reach
        and -reach <= span.y0
        and span.y0 + _LEAST <= span.y1 <= reach
        and (span.size == 0 or _LEAST <= span.size <= reach)
    )


def _mended(span: Span, reach: float) -> Span:
    x0, y0, x1, y1 = _ordered(span.rect, reach)
    size = span.size if _LEAST <= span.size <= reach else 0.0
    return replace(span, x0=x0, y0=y0, x1=max(x1, x0 + 2 * _LEAST), y1=max(y1, y0 + 2 * _LEAST), size=size)


def _ordered(rect: Rect | Ruling, reach: float) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = (0.0 if math.isnan(v) else min(max(v, -reach), reach) for v in rect)
    return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)
