"""The measures of a page and of a column: body font, margins, line pitch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from internvl_loaders.content import Span
from internvl_loaders.structure.classify import has_leader
from internvl_loaders.structure.lines import Line
from internvl_loaders.structure.script import is_cjk


@dataclass(slots=True, frozen=True)
class Style:
    """What is usual on the page: `size` and name of the body font; `noisy` sizes and boxes (OCR, whose
    lines are a third higher than their font); `typed` if the body itself is monospaced."""

    size: float
    font: str = ""
    noisy: bool = False
    typed: bool = False

    @property
    def em(self) -> float:
        return self.size * (0.75 if self.noisy else 1.0)


def style_of(spans: Iterable[Span]) -> Style:
    """The body font is the largest of those that fill much of the page: notes may outnumber it."""
    sizes: Counter[float] = Counter()
    fonts: Counter[str] = Counter()
    mono = 0
    noisy = False
    for span in spans:
        chars = len(span.text)
        fonts[span.font] += chars
        sizes[round(2 * (span.size or span.y1 - span.y0)) / 2] += chars
        mono += chars if span.mono else 0
        noisy = noisy or span.confidence is not None
    most = max(sizes.values(), default=0)
    return Style(
        size=max((s for s in sizes if 2 * sizes[s] >= most), default=0.0) or 1.0,
        font=max(fonts, key=lambda f: fonts[f], default=""),
        noisy=noisy,
        typed=mono > 0.6 * sum(sizes.values()),
    )


_SINGLE, _DOUBLE = 2.2, 3.2
"""Font sizes up to which lines of a paragraph stand apart, usually and in double-spaced text."""


class Column:
    """The measures of a column: margins and pitch in points, along the direction of its lines."""

    def __init__(self, lines: Sequence[Line], style: Style) -> None:
        self.style = style
        size = style.size
        starts = Counter(round(2 * line.start / size) for line in lines)
        bins = {b: starts[b] + starts.get(b + 1, 0) for b in starts}
        best = max(bins, key=lambda b: (bins[b], -b))
        self.left = min(line.start for line in lines if 0 <= round(2 * line.start / size) - best <= 1)
        ends = sorted(line.end for line in lines)
        self.right = ends[-1 - len(ends) // 50]
        most = _DOUBLE if _is_double_spaced(lines, size) else _SINGLE
        steps = [
            b.middle - a.middle
            for a, b in pairwise(lines)
            if b.x0 < a.x1 and a.x0 < b.x1 and 0.5 * size < b.middle - a.middle < most * max(size, a.size)
        ]
        steps.sort()
        self.pitch = steps[len(steps) // 3] if len(steps) > 1 else min([*steps, 1.3 * size])

    def fits(self, upper: Line, lower: Line, right: float | None = None) -> bool:
        """Whether the first word of `lower` would have had room on `upper`: a break on purpose."""
        right = self.right if right is None else right
        first = lower.size if is_cjk(lower.text[:1]) else lower.first_width
        space = 0.0 if is_cjk(lower.text[:1]) else 0.3 * upper.size
        slack = 0.5 if not self.style.noisy else 1.0
        return upper.end + space + first + slack * upper.size < right


def _is_double_spaced(lines: Sequence[Line], size: float) -> bool:
    """Sentences run on over lines that stand far apart, as in drafts, pleadings and bills."""
    if len(lines) < 4:
        return False
    steps = [b.middle - a.middle for a, b in pairwise(lines)]
    if 2 * sum(_SINGLE * size <= step < _DOUBLE * size for step in steps) < len(steps):
        return False
    goes_on = sum(line.text[:1].islower() for line in lines[1:])
    return 4 * goes_on >= len(lines) and median(line.chars for line in lines) >= 25


def is_row(line: Line) -> bool:
    """Has a wide gap or a leader inside: a printed row rather than running text."""
    size = 2 * line.size
    spans = line.spans
    return any(max(b.x0 - a.x1, a.x0 - b.x1) > size for a, b in pairwise(spans)) or has_leader(line.text)


def are_centred(upper: Line, lower: Line) -> bool:
    size = max(upper.font_size, lower.font_size)
    shift = abs((upper.x0 + upper.x1) - (lower.x0 + lower.x1)) / 2
    return shift < 0.6 * size and min(abs(upper.x0 - lower.x0), abs(upper.x1 - lower.x1)) > 0.6 * size
