"""Spans to fragments (no column gap inside) to printed lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import pairwise
from statistics import median

from internvl_loaders.content import Rect, Span
from internvl_loaders.structure.script import has_cjk, has_rtl, is_cjk, is_rtl

GAP = 0.9
"""Words further apart than this many font sizes are separate fragments."""


class Line:
    """Spans on one baseline in reading order; never empty. Distances in points.

    `order` counts the fragments of a page as its reader gave them. `start` and `end` are x0 and
    x1 along the direction of reading: negated and exchanged once the line is `mirrored`.
    """

    def __init__(self, spans: list[Span], order: int = 0) -> None:
        self.spans: list[Span] = []
        self.order = order
        first = spans[0]
        self.x0, self.y0, self.x1, self.y1 = first.x0, first.y0, first.x1, first.y1
        self._largest = first.size
        self.chars = 0
        self.extend(spans)

    def extend(self, spans: list[Span]) -> None:
        """Spans that go on with the line, before anything is asked of its text."""
        x0, y0, x1, y1 = self.x0, self.y0, self.x1, self.y1
        size, chars = self._largest, self.chars
        for span in spans:
            chars += len(span.text)
            if span.x0 < x0:
                x0 = span.x0
            if span.x1 > x1:
                x1 = span.x1
            if span.y0 < y0:
                y0 = span.y0
            if span.y1 > y1:
                y1 = span.y1
            if span.size > size:
                size = span.size
        self.spans += spans
        self.x0, self.y0, self.x1, self.y1 = x0, y0, x1, y1
        self.start, self.end = x0, x1
        self._largest, self.chars = size, chars
        self.size = size if size > 0 else y1 - y0

    def mirrored(self) -> Line:
        """As part of a column that is read from right to left."""
        self.start, self.end = -self.x1, -self.x0
        return self

    @property
    def rect(self) -> Rect:
        return Rect(self.x0, self.y0, self.x1, self.y1)

    @property
    def middle(self) -> float:
        return (self.y0 + self.y1) / 2

    @property
    def height(self) -> float:
        return self.y1 - self.y0

    @property
    def width(self) -> float:
        return self.x1 - self.x0

    @cached_property
    def text(self) -> str:
        return join_spans(self.spans)

    @cached_property
    def bold(self) -> bool:
        return all(s.bold or not any(map(str.isalnum, s.text)) for s in self.spans) and self.spans[0].bold

    @property
    def font(self) -> str:
        return max(self.spans, key=lambda s: len(s.text)).font

    @cached_property
    def mono(self) -> bool:
        return all(s.mono for s in self.spans)

    @cached_property
    def font_size(self) -> float:
        """The size of most of its characters."""
        sizes: dict[float, int] = {}
        for span in self.spans:
            size = round(span.size, 1)
            sizes[size] = sizes.get(size, 0) + len(span.text)
        return max(sizes, key=lambda s: (sizes[s], s)) or self.height

    @property
    def first_width(self) -> float:
        """The width of its first word; of an OCR line in one span, its share by characters."""
        first = self.spans[0]
        word = first.text.split(None, 1)[0] if first.text.strip() else first.text
        return (first.x1 - first.x0) * len(word) / max(len(first.text), 1)

    def __repr__(self) -> str:
        return f"Line({self.text!r} at {self.x0:.0f},{self.y0:.0f})"


def fragments(spans: Iterable[Span]) -> list[Line]:
    """Runs of spans without wide gaps, in the order of the reader.

    Pieces that the reader lists one after another on one baseline, or stacked as in a fraction,
    are one run: what writes a page sets a formula in its logical order.
    """
    found: list[Line] = []
    for run in _runs(spans):
        if run[0].confidence is not None:
            found += (Line(part, len(found)) for part in _cut_at_gutters(run))
            continue
        piece = Line(run, len(found))
        if found and _continues(found[-1], piece):
            found[-1].extend(run)
        else:
            found.append(piece)
    return found


def _runs(spans: Iterable[Span]) -> Iterator[list[Span]]:
    """The reader's own lines, cut at wide gaps."""
    run: list[Span] = []
    last: Span | None = None
    for span in spans:
        if last is not None:
            gap = span.x0 - last.x1 if span.x0 >= last.x0 else last.x0 - span.x1
            size = span.size if span.size > last.size else last.size
            if (
                span.line != last.line
                or span.line < 0
                or (gap > GAP * (size or span.y1 - span.y0) and not span.tied)
                or span.y0 > last.y1
                or span.y1 < last.y0
            ):
                yield run
                run = []
        run.append(span)
        last = span
    if run:
        yield run


def _cut_at_gutters(run: list[Span]) -> Iterator[list[Span]]:
    """An OCR line cut where a gap is twice its usual one: it may run across two columns."""
    gaps = [b.x0 - a.x1 for a, b in pairwise(run)]
    size = run[0].size or run[0].y1 - run[0].y0
    least = max(0.55 * size, 2 * median(gaps)) if len(gaps) > 2 else GAP * size
    start = 0
    for n, gap in enumerate(gaps, start=1):
        if gap > least:
            yield run[start:n]
            start = n
    yield run[start:]


def join_initials(parts: list[Line], size: float) -> list[Line]:
    """Drop capitals put before the line they begin, whose height they then no longer exceed."""
    initials = [p for p in parts if p.chars <= 2 and p.height > 1.8 * size and p.text[:1].isalpha()]
    all_initials = set(initials)
    for initial in initials[:20]:
        line = min(
            (
                p
                for p in parts
                if p not in all_initials
                and -0.3 * size < p.x0 - initial.x1 < size
                and initial.y0 - size < p.y0 < initial.middle
            ),
            key=lambda p: p.y0,
            default=None,
        )
        if line is not None:
            parts = [p for p in parts if p is not initial]
            line.spans = initial.spans + line.spans
    return parts


def _continues(line: Line, piece: Line) -> bool:
    """Whether `piece` stands right after the end of `line`, or above or below that end."""
    size = max(line.size, piece.size)
    last = line.spans[-1]
    if line.chars <= 2 and line.height > 1.8 * piece.height:
        return False
    if not -0.1 * size <= piece.x0 - last.x0 or piece.x0 - line.x1 > GAP * size:
        back = last.x0 - piece.x0
        if back < 0 or back > 2 * size or piece.x0 < line.x0 or piece.width > 6 * size:
            return False
    overlap = min(line.y1, piece.y1) - max(line.y0, piece.y0)
    return overlap > 0.4 * min(line.height, piece.height)


def joined(row: Sequence[Line]) -> Line:
    """One line of the fragments of a row, in the direction of its script."""
    spans = [s for part in row for s in part.spans]
    if any(has_rtl(s.text) for s in spans):
        spans = _right_to_left(spans)
    return row[0] if len(row) == 1 and spans == row[0].spans else Line(spans)


def _right_to_left(spans: list[Span]) -> list[Span]:
    """Logical order of a row with right-to-left words, whichever way the reader ordered them."""
    if not is_rtl("".join(s.text for s in spans)):
        return spans
    ordered: list[Span] = []
    run: list[Span] = []
    for span in sorted(spans, key=lambda s: -s.x1):
        if has_rtl(span.text) or (not run and not span.text.isalnum()):
            ordered += reversed(run)
            run = []
            ordered.append(span)
        else:
            run.append(span)
    return ordered + run[::-1]


def join_spans(spans: Sequence[Span]) -> str:
    """The spans' texts with the spaces the page shows."""
    parts = [spans[0].text]
    last = spans[0]
    cjk = any(has_cjk(s.text) for s in spans)
    for span in spans[1:]:
        if _apart(last, span, cjk):
            parts.append(" ")
        parts.append(span.text)
        last = span
    return "".join(parts).strip()


def _apart(last: Span, span: Span, cjk: bool) -> bool:
    """Whether a space stands between two neighbours; readers cut words at white space."""
    if span.line == last.line >= 0 and not cjk and span.superscript == last.superscript:
        return True
    gap = max(span.x0 - last.x1, last.x0 - span.x1)
    if last.size > 1.8 * span.size > 0 and len(last.text) == 1 and last.text.isalpha():
        return gap > 0.6 * span.size
    size = min(span.size or span.y1 - span.y0, last.size or last.y1 - last.y0)
    if cjk and last.text and span.text and is_cjk(last.text[-1]) and is_cjk(span.text[0]):
        return gap > GAP * size
    return gap > 0.15 * size
