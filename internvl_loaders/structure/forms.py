"""What is filled in on a page: boxes and their states as characters, values beside their labels.

Fields of a PDF's form, drawn boxes and printed ones come down to the same: a span ☐ or ☒ before its label.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

from internvl_loaders.content import Content, Field, Rect, Span
from internvl_loaders.document import Box, FormField
from internvl_loaders.structure.boxes import EMPTY, TICKED, told
from internvl_loaders.structure.lines import GAP, join_spans
from internvl_loaders.structure.marks import believed

_GAP, _PAD = 1.8, 4.0
"""Sides of a box, and points more, between it and its label."""
_LABEL_GAP = 14.0
"""Font sizes between a label and the field beside it."""
_ABOVE = 1.6
"""Font sizes between a label and the field below it."""
_MOST_WORDS = 60
"""Of a label."""
_MOST_FIELDS = 2_000


def filled_in(content: Content) -> tuple[Content, list[FormField]]:
    """The page with its boxes as spans ☐ and ☒ and its fields' values as text; and all of these."""
    page = _Page(content)
    known: dict[tuple[float, float], Field] = {}
    found: list[FormField] = []
    for field in content.fields[:_MOST_FIELDS]:
        if field.checked is None:
            found.append(page.put_value(field))
        elif page.put_box(field.rect, TICKED if field.checked else EMPTY):
            known[field.rect[:2]] = field
        else:
            found.append(_as_found(field, "", content))
    for mark in believed(content):
        page.put_box(*mark)
    spans = told(page.spans())
    found += _boxes(spans, known, content)
    return replace(content, spans=spans), found


class _Page:
    """The page's spans and what is put among them."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self._spans = content.spans
        self._by_height = sorted(range(len(content.spans)), key=self._middle)
        self._before: defaultdict[int, list[Span]] = defaultdict(list)
        self._after: defaultdict[int, list[Span]] = defaultdict(list)
        self._alone: list[Span] = []
        self._gone: set[int] = set()
        self._line = max((s.line for s in content.spans), default=0) + 1
        self._fields = sorted((f.rect for f in content.fields), key=lambda r: r.x0)

    def spans(self) -> list[Span]:
        """Those that were there and those that were put, in the order of reading on every line."""
        result: list[Span] = []
        for n, span in enumerate(self._spans):
            result += sorted(self._before.get(n, ()), key=lambda s: s.x0)
            if n not in self._gone:
                result.append(span)
            result += sorted(self._after.get(n, ()), key=lambda s: s.x0)
        return result + self._alone

    def put_box(self, rect: Rect, text: str) -> bool:
        """Before the label to its right, else after that to its left, else into the row of a grid.

        What ticks it goes. False where nothing tells what the box is of: then it is no text.
        """
        self._gone.update(self._inside(rect))
        side = max(rect.x1 - rect.x0, rect.y1 - rect.y0)
        near = [n for n in self._near(rect, 0.3 * side) if n not in self._gone]
        right = [n for n in near if -0.35 * side <= self._spans[n].x0 - rect.x1 <= _GAP * side + _PAD]
        left = [n for n in near if -0.35 * side <= rect.x0 - self._spans[n].x1 <= side + _PAD]
        if right:
            anchor = min(right, key=lambda n: self._spans[n].x0)
            label = self._spans[anchor]
            end = min(max(rect.x1, label.x0 - 0.4 * label.size), max(label.x0, rect.x0 + 1))
            self._before[anchor].append(replace(_bare(label), text=text, x0=rect.x0, x1=end))
        elif left:
            anchor = max(left, key=lambda n: self._spans[n].x1)
            label = self._spans[anchor]
            start = max(min(rect.x0, label.x1 + 0.4 * label.size), min(label.x1, rect.x1 - 1))
            self._after[anchor].append(replace(_bare(label), text=text, x0=start, x1=rect.x1))
        elif not any(
            self._spans[n].x1 < rect.x0 and any(map(str.isalpha, self._spans[n].text)) for n in near
        ):
            return False
        else:
            noisy = any(s.confidence is not None for s in self._spans[:1])
            size = round(0.9 * (rect.y1 - rect.y0), 2)
            self._alone.append(
                Span(text, *rect, size=size, line=self._line, confidence=1.0 if noisy else None)
            )
            self._line += 1
        return True

    def put_value(self, field: Field) -> FormField:
        """The value tied to the label to its left; it is written where the page does not show it."""
        rect = field.rect
        inside = self._inside(rect)
        label, beside = self._label(rect)
        value = [self._spans[n] for n in inside]
        if not value and field.value.strip():
            value = list(self._written(field.value, rect))
        if beside is not None and value:
            tied = self._spans[beside]
            first = [s for s in value if s.y0 < tied.y1 and tied.y0 < s.y1]
            self._after[beside] += [
                replace(s, line=tied.line, tied=k == 0)
                for k, s in enumerate(sorted(first, key=lambda s: s.x0))
            ]
            if inside:
                self._gone.update(n for n in inside if self._spans[n] in first)
            else:
                self._alone += [s for s in value if s not in first]
        elif not inside:
            self._alone += value
        return _as_found(field, label, self._content)

    def _label(self, rect: Rect) -> tuple[str, int | None]:
        """What the field beside or below it is called, and its last word where it is beside."""
        height = rect.y1 - rect.y0
        left = [n for n in self._near(rect, 0.1 * height) if self._spans[n].x1 <= rect.x0 + 2]
        if left:
            last = max(left, key=lambda n: self._spans[n].x1)
            span = self._spans[last]
            gap = rect.x0 - span.x1
            first = bisect_left(self._fields, span.x1 - 1, key=lambda r: r.x0)
            between = self._fields[first : bisect_left(self._fields, rect.x0 - 1, key=lambda r: r.x0)]
            within = any(r.x0 <= (span.x0 + span.x1) / 2 <= r.x1 for r in self._fields if _overlap(r, rect))
            if gap < _LABEL_GAP * span.size and not within and not any(_overlap(r, rect) for r in between):
                return join_spans(_run(self._spans, last, -1)), last
        above = Rect(rect.x0, rect.y0 - 1.5 * height, rect.x1, rect.y0)
        over = [
            n
            for n in self._near(above, 0.0)
            if rect.x0 - 4 <= self._spans[n].x0 < rect.x1
            and -2 <= rect.y0 - self._spans[n].y1 < _ABOVE * self._spans[n].size
        ]
        if over:
            first = min(over, key=lambda n: (-round(self._spans[n].y1), self._spans[n].x0))
            return join_spans(_run(self._spans, first, 1)), None
        return "", None

    def _written(self, value: str, rect: Rect) -> Iterator[Span]:
        lines = [line.split() for line in value.splitlines() if line.strip()][:50]
        height = (rect.y1 - rect.y0) / len(lines)
        size = min(10.0, 0.8 * height)
        for n, words in enumerate(lines):
            x, y = rect.x0 + 2, rect.y0 + n * height
            for word in words[:500]:
                end = x + 0.5 * size * len(word)
                yield Span(word, x, y, end, y + height, size=size, line=self._line)
                x = end + 0.3 * size
            self._line += 1

    def _middle(self, n: int) -> float:
        return (self._spans[n].y0 + self._spans[n].y1) / 2

    def _near(self, rect: Rect, slack: float) -> list[int]:
        """Upright spans whose middle is as high as the rectangle."""
        first = bisect_left(self._by_height, rect.y0 - slack, key=self._middle)
        last = bisect_right(self._by_height, rect.y1 + slack, key=self._middle)
        return [n for n in self._by_height[first:last] if self._spans[n].upright]

    def _inside(self, rect: Rect) -> list[int]:
        return sorted(
            n
            for n in self._near(rect, 0.0)
            if rect.x0 <= (self._spans[n].x0 + self._spans[n].x1) / 2 <= rect.x1 and n not in self._gone
        )


def _bare(span: Span) -> Span:
    return replace(span, font="", bold=False, italic=False, mono=False, superscript=False, tied=False)


def _overlap(a: Rect, b: Rect) -> bool:
    return min(a.y1, b.y1) - max(a.y0, b.y0) > 0.5 * min(a.y1 - a.y0, b.y1 - b.y0)


def _run(spans: Sequence[Span], start: int, step: int) -> list[Span]:
    """The words of one line from `start` on, until a wide gap or another box."""
    run = [spans[start]]
    n = start + step
    while 0 <= n < len(spans) and len(run) < _MOST_WORDS:
        last, span = run[-1], spans[n]
        gap = span.x0 - last.x1 if step > 0 else last.x0 - span.x1
        size = max(span.size, last.size)
        if span.line != last.line or span.text in (EMPTY, TICKED) or gap > GAP * size:
            break
        run.append(span)
        n += step
    return run[::step]


def _boxes(
    spans: Sequence[Span], known: dict[tuple[float, float], Field], content: Content
) -> Iterator[FormField]:
    for n, span in enumerate(spans):
        if span.text not in (EMPTY, TICKED):
            continue
        field = known.get((span.x0, span.y0)) or next(
            (f for (x, y), f in known.items() if x == span.x0 and abs(y - span.y0) < span.size), None
        )
        words = _run(spans, n, 1)[1:] or _run(spans, n, -1)[:-1]
        label = join_spans(words) if words else ""
        drawn = Field("checkbox", span.rect, checked=span.text == TICKED)
        yield _as_found(field or drawn, label, content)


def _as_found(field: Field, label: str, content: Content) -> FormField:
    """A field of the form as it is, with the label that the page shows; else with its own."""
    return FormField(
        kind=field.kind,
        name=field.name,
        label=label or field.label,
        value=field.value,
        checked=field.checked,
        box=_box(field.rect, content),
    )


def _box(rect: Rect, content: Content) -> Box:
    return Box.of(*rect, content.width or 1.0, content.height or 1.0)
