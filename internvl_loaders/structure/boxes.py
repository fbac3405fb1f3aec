"""Printed characters that are boxes to tick, told from bullets, and what they say: ☐ or ☒.

☐ ☑ ☒ always are. Squares, circles and brackets are where empty and filled ones stand beside or below one
another, or empty ones are spread over a line; as a list's markers they stay what they are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from internvl_loaders.content import Span

EMPTY, TICKED = "☐", "☒"

Family = str
"""sure, square, circle, [] or (): what may be each other's empty and ticked ones."""

_EMPTY: dict[str, Family] = (
    dict.fromkeys("☐", "sure") | dict.fromkeys("□◻▢⬜❑❒❏", "square") | dict.fromkeys("○◯❍⚪", "circle")
)
_TICKED: dict[str, Family] = (
    dict.fromkeys("☑☒🗹🗷🗵⮽", "sure") | dict.fromkeys("■◼⬛▣", "square") | dict.fromkeys("●◉⦿⬤⚫🔘", "circle")
)
_TICKS = frozenset("✓✔✗✘")
"""Ticked boxes where empty ones stand in their column."""
_IN_BRACKETS: dict[str, Family] = {f"{a}{tick}{b}": f"{a}{b}" for a, b in ("[]", "()") for tick in "xX✓✔✗✘"}
_BESIDE = 2.5
"""Font sizes between a box and its label."""
_BELOW = 4.0
"""Font sizes between two rows of one group."""


@dataclass(slots=True)
class _Sign:
    """What may be a box: the spans `first` to `last` (included), or the first character of one."""

    first: int
    last: int
    family: Family
    ticked: bool
    leads: bool
    """Nothing stands before it on its line."""
    x0: float
    y: float
    size: float
    sure: bool = False


def told(spans: Sequence[Span]) -> list[Span]:
    """The spans with every printed box as a span of its own, ☐ or ☒."""
    signs = list(_signs(spans))
    if not signs:
        return list(spans)
    _decide(signs)
    result: list[Span] = []
    done = 0
    for sign in (s for s in signs if s.sure):
        result += spans[done : sign.first]
        result += _as_box(spans[sign.first : sign.last + 1], TICKED if sign.ticked else EMPTY)
        done = sign.last + 1
    return result + list(spans[done:])


def _as_box(spans: Sequence[Span], text: str) -> Iterator[Span]:
    first, last = spans[0], spans[-1]
    if len(spans) > 1 or len(first.text) == 1 or first.text in _IN_BRACKETS:
        yield replace(first, text=text, x1=last.x1)
        return
    middle = first.x0 + (first.x1 - first.x0) / len(first.text)
    yield replace(first, text=text, x1=middle)
    yield replace(first, text=first.text[1:], x0=middle)


def _signs(spans: Sequence[Span]) -> Iterator[_Sign]:
    for n, span in enumerate(spans):
        char = span.text[:1]
        if not span.upright or not char:
            continue
        last, ticked = n, False
        if span.text in _IN_BRACKETS:
            family, ticked = _IN_BRACKETS[span.text], True
        elif char in _EMPTY:
            family = _EMPTY[char]
        elif char in _TICKED:
            family, ticked = _TICKED[char], True
        elif span.text in _TICKS:
            family, ticked = "square", True
        elif span.text in ("[", "(") and _closes(spans, n):
            family, last = ("[]" if char == "[" else "()"), n + 1
        else:
            continue
        if len(span.text) > 1 and span.text not in _IN_BRACKETS and not span.text[1:2].isalnum():
            continue
        if family != "sure" and not _has_label(spans, last):
            continue
        size = span.size or span.y1 - span.y0
        before = spans[n - 1] if n else None
        leads = before is None or not _beside(before, span, 1.0)
        yield _Sign(n, last, family, ticked, leads, span.x0, (span.y0 + span.y1) / 2, size, family == "sure")


def _closes(spans: Sequence[Span], n: int) -> bool:
    """Whether a bracket has nothing in it but some white."""
    if n + 1 >= len(spans) or spans[n + 1].text != {"[": "]", "(": ")"}[spans[n].text]:
        return False
    return _beside(spans[n], spans[n + 1], 1.2) and not spans[n].mono


def _has_label(spans: Sequence[Span], n: int) -> bool:
    if len(spans[n].text) > 1 and spans[n].text not in _IN_BRACKETS:
        return True
    if n + 1 >= len(spans) or not any(map(str.isalnum, spans[n + 1].text)):
        return False
    return _beside(spans[n], spans[n + 1], _BESIDE)


def _beside(before: Span, span: Span, most: float) -> bool:
    """On one line, `before` to the left, and no further apart than `most` font sizes."""
    size = max(span.size, before.size) or span.y1 - span.y0
    overlap = min(before.y1, span.y1) - max(before.y0, span.y0)
    return overlap > 0 and -0.3 * size < span.x0 - before.x1 <= most * size


def _decide(signs: Sequence[_Sign]) -> None:
    """Which signs are boxes, by those of their rows and of their columns."""
    for group in (*_rows(signs), *_columns(signs)):
        if any(not s.ticked for s in group) and (group[0].y == group[-1].y or any(s.ticked for s in group)):
            for sign in group:
                sign.sure = True
    for sign in signs:
        if sign.family == "[]" and sign.leads:
            sign.sure = True
    proven = {s.family for s in signs if s.sure and s.family != "sure"}
    for sign in signs:  # the same sign alone, where others of its kind are boxes
        if sign.family in proven and not sign.ticked:
            sign.sure = True


def _rows(signs: Sequence[_Sign]) -> Iterator[list[_Sign]]:
    """Two and more of a family on one line, as if on one level."""
    by_family: defaultdict[Family, list[_Sign]] = defaultdict(list)
    for sign in signs:
        by_family["square" if sign.family == "sure" else sign.family].append(sign)
    for members in by_family.values():
        members = sorted(members, key=lambda s: (s.y, s.x0))
        run = [members[0]]
        for a, b in pairwise(members):
            if b.y - a.y > 0.5 * b.size:
                yield from _row(run)
                run = []
            run.append(b)
        yield from _row(run)


def _row(run: list[_Sign]) -> Iterator[list[_Sign]]:
    if len(run) > 1:
        for sign in run:
            sign.y = run[0].y
        yield run


def _columns(signs: Sequence[_Sign]) -> Iterator[list[_Sign]]:
    """Signs that lead their lines, one below the other."""
    leading = sorted((s for s in signs if s.leads), key=lambda s: (round(s.x0 / 4), s.y))
    ticked = any(s.family == "sure" and s.ticked for s in signs)
    run: list[_Sign] = []
    for sign in leading:
        last = run[-1] if run else None
        if last is not None and not (
            _are_alike(last, sign, ticked)
            and abs(last.x0 - sign.x0) < 0.5 * sign.size
            and 0 < sign.y - last.y < _BELOW * sign.size
        ):
            if len(run) > 1:
                yield run
            run = []
        run.append(sign)
    if len(run) > 1:
        yield run


def _are_alike(a: _Sign, b: _Sign, ticked: bool) -> bool:
    """Of one family. Filled squares are none with ☐ where ticked ones are ☒ (`ticked`), but bullets."""
    if a.family == b.family:
        return True
    other = {a.family: a, b.family: b}.get("square")
    return "sure" in (a.family, b.family) and other is not None and not (other.ticked and ticked)
