"""Which of a page's marks are boxes to tick and signs of a grid: not frames, letters or parts of drawings."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from internvl_loaders.content import Content, Mark, Rect, Span
from internvl_loaders.structure.boxes import EMPTY, TICKED

_TICKING = frozenset("xXvV✓✔✕✖✗✘☓×●•■◉+*/\\☑☒")
"""What may stand in a box to tick it; a box with anything else in it is a frame."""
TAKEN_FOR = _TICKING | frozenset("□☐○◎⊙⊗口回囗区冈因囚凶図Oo0DU—-")
"""The same of OCR, which reads the box itself."""
_LABEL, _PAD = 1.8, 4.0
"""Sides of a box, and points more, between it and its label."""
_BESIDE = 0.4
"""Sides within which another drawing makes it a part of a word or of a comb."""
_TOUCH = 1.2
_ALIKE = 0.25
_NEXT = 6.0
"""Sides of a box between it and the next one below."""
_ALIGNED = 3.0
_MOST = 400
"""Marks; a page with more is a drawing."""


def believed(content: Content) -> list[Mark]:
    """Boxes with a label, or one of several in a column of a grid; ticks, crosses and dots of a grid."""
    if not content.marks or len(content.marks) > _MOST:
        return []
    page = _Page(content)
    marks = [m for m in content.marks if page.is_apart(m) and page.holds_a_tick_at_most(m.rect)]
    boxes = [m for m in marks if m.text in (EMPTY, TICKED)]
    boxes += [Mark(m.rect, TICKED) for m in marks if m.text in "■●" and _has_empty_mate(m, boxes)]
    taken = {m.rect for m in boxes}
    boxes = [m for m in boxes if page.has_label(m.rect) or page.is_one_of(m, boxes)]
    signs = [m for m in marks if m.rect not in taken]
    return boxes + [
        m for m in signs if page.is_one_of(m, signs) and (m.text in "✓✗" or not page.has_label(m.rect))
    ]


def _has_empty_mate(mark: Mark, boxes: Sequence[Mark]) -> bool:
    """A box of its size next above, below or beside it is empty; and none there is ticked otherwise."""
    near = [box for box in boxes if _is_next(mark.rect, box.rect)]
    empty = [box for box in near if box.text == EMPTY]
    in_rows = [box for box in boxes if any(_is_level(box.rect, other.rect) for other in empty)]
    otherwise = any(box.text == TICKED and _are_alike(mark.rect, box.rect) for box in (*near, *in_rows))
    return bool(empty) and not (otherwise and not any(_is_level(mark.rect, e.rect) for e in empty))


def _is_next(a: Rect, b: Rect) -> bool:
    beneath = abs(b.x0 - a.x0) < 2 and abs(b.y0 - a.y0) < _NEXT * (a.x1 - a.x0)
    return _are_alike(a, b) and (beneath or _is_level(a, b))


def _is_level(a: Rect, b: Rect) -> bool:
    return abs(b.y0 - a.y0) < 2


def _are_alike(a: Rect, b: Rect) -> bool:
    width, other = a.x1 - a.x0, b.x1 - b.x0
    return abs(width - other) < _ALIKE * max(width, other)


class _Page:
    def __init__(self, content: Content) -> None:
        self._spans = sorted((s for s in content.spans if s.upright), key=_middle)
        shapes = content.shapes or [m.rect for m in content.marks]
        self._shapes = sorted(shapes, key=lambda r: r.y0)
        self._fields = [f.rect for f in content.fields]

    def is_apart(self, mark: Mark) -> bool:
        """No form field's own, and not beside other drawings as letters and the cells of combs are."""
        rect = mark.rect
        if any(_holds(field, rect) for field in self._fields):
            return False
        side = rect.x1 - rect.x0
        first = bisect_left(self._shapes, rect.y0 - 30, key=lambda r: r.y0)
        last = bisect_right(self._shapes, rect.y1 + _TOUCH, key=lambda r: r.y0)
        for other in self._shapes[first:last]:
            if _holds(rect, other) or _holds(other, rect):
                continue
            across = max(other.x0 - rect.x1, rect.x0 - other.x1)
            down = max(other.y0 - rect.y1, rect.y0 - other.y1)
            if (down < 0 and across < _BESIDE * side) or (across < 0 and down < _TOUCH):
                return False
        return True

    def holds_a_tick_at_most(self, rect: Rect) -> bool:
        inside = [s for s in self._near(rect) if rect.x0 < (s.x0 + s.x1) / 2 < rect.x1]
        return all(s.text in (_TICKING if s.confidence is None else TAKEN_FOR) for s in inside)

    def has_label(self, rect: Rect) -> bool:
        side = rect.x1 - rect.x0
        return any(
            -0.35 * side <= s.x0 - rect.x1 <= _LABEL * side + _PAD
            or -0.35 * side <= rect.x0 - s.x1 <= side + _PAD
            for s in self._near(rect)
            if any(map(str.isalnum, s.text))
        )

    def is_one_of(self, mark: Mark, marks: Sequence[Mark]) -> bool:
        """Beside text of its row, and above, below or beside another of its size."""
        rect = mark.rect
        x, y = rect.x0 + rect.x1, rect.y0 + rect.y1
        mates = (m.rect for m in marks if m.rect != rect and _are_alike(m.rect, rect))
        most = 2 * _ALIGNED
        aligned = any(abs(r.x0 + r.x1 - x) < most or abs(r.y0 + r.y1 - y) < most for r in mates)
        return aligned and any(any(map(str.isalpha, s.text)) for s in self._near(rect))

    def _near(self, rect: Rect) -> Sequence[Span]:
        """Spans as high as the mark."""
        slack = 0.3 * (rect.y1 - rect.y0)
        first = bisect_left(self._spans, rect.y0 - slack, key=_middle)
        return self._spans[first : bisect_right(self._spans, rect.y1 + slack, key=_middle)]


def _middle(span: Span) -> float:
    return (span.y0 + span.y1) / 2


def _holds(outer: Rect, inner: Rect) -> bool:
    x, y = (inner.x0 + inner.x1) / 2, (inner.y0 + inner.y1) / 2
    return outer.x0 <= x <= outer.x1 and outer.y0 <= y <= outer.y1
