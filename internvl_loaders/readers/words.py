"""Glyphs of a line to words: one rule for every reader, on geometry rather than on its guessed spaces."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from statistics import median

from internvl_loaders.content import Span
from internvl_loaders.readers.glyphs import SPACES, Axis, Glyph
from internvl_loaders.readers.overprint import Line, without_copies
from internvl_loaders.readers.spacing import gap_between, trackings, without_typed_spaces
from internvl_loaders.readers.symbols import mended

WORD_GAP = 0.15
"""Fraction of the font size from which a gap parts words: in typeset text gaps within a word stay
under 0.13, those between words are over 0.16."""
TOUCH = 0.05
_SHADOW = 0.35
"""Font sizes by which a word of three letters and more may be displaced and still lie on itself."""
LINE_GAP = 1.0
"""Fraction of the font size from which a gap without a space in it parts lines (columns, cells)."""

_ALEFS = frozenset("اأإآ")
_COMBINING = "\u02ff"
"""No combining mark stands before it."""

_SUPERSCRIPTS = dict(zip("0123456789+-−", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻", strict=True))
_REPAIRS: dict[int, str | None] = {
    **dict.fromkeys([*range(0x20), *range(0x7F, 0xA0), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF], "\ufffd"),
    **dict.fromkeys([0x200B, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2060, 0x206A), 0xFEFF]),
    **dict(zip(range(0xFB00, 0xFB07), ("ff", "fi", "fl", "ffi", "ffl", "st", "st"), strict=True)),
}
"""No control characters, no invisible marks (they could hide or turn text), ligatures as letters."""


class Words:
    """Collects the spans of a page of `width` x `height` points, line by line.

    Text outside the page is dropped, and so is text drawn twice to look bold (it becomes bold) or shaded.
    Superscript digits at the end of a word become Unicode's own, so that 10⁶ never reads 106;
    superscripts that start a word are spans of their own.
    """

    def __init__(self, width: float, height: float) -> None:
        self._spans: list[Span] = []
        self._width = width
        self._height = height
        self._line = -1
        self._seen: dict[str, list[int]] = {}
        self._lines: list[Line] = []
        self._pending: list[Glyph] = []
        self._axis: Axis = "x"

    def add_line(self, glyphs: list[Glyph], axis: Axis) -> None:
        """Glyphs in reading order; those whose text is in SPACES part words and have no other use."""
        if glyphs:
            self._lines.append((glyphs, axis))

    def finish(self) -> list[Span]:
        for glyphs, axis in without_copies(self._lines):
            self._put(glyphs, axis)
        self._flush()
        return self._spans

    def _put(self, glyphs: list[Glyph], axis: Axis) -> None:
        """A line that begins where the last one stopped goes on with it: readers break lines at
        superscripts, and where a ligature stands in Arabic.
        """
        if self._pending and axis == self._axis == "x" and _follows(self._pending[-1], glyphs[0]):
            self._pending += glyphs
            return
        self._flush()
        self._pending, self._axis = glyphs, axis

    def _flush(self) -> None:
        glyphs, self._pending = self._pending, []
        if not glyphs:
            return
        self._line += 1
        main = _main(glyphs) if self._axis == "x" else None
        for part, wide in _split(glyphs, self._axis):
            self._line += wide
            if main:
                lead = next((i for i, g in enumerate(part) if not _raised(g, *main)), len(part))
                if lead:
                    self._add(part[:lead], superscript=True)
                part = [
                    (_SUPERSCRIPTS.get(g[0], g[0]), *g[1:]) if _raised(g, *main) else g for g in part[lead:]
                ]
            if part:
                self._add(part)

    def _add(self, part: list[Glyph], superscript: bool = False) -> None:
        text = "".join([glyph[0] for glyph in part])
        if not (text.isascii() and text.isprintable()):
            text = mended(_in_order(part).translate(_REPAIRS), part[0][6].font)
        _, x0, y0, x1, y1, _, style = part[0]
        for _, a, b, c, d, _, _ in part:
            if a < x0:
                x0 = a
            if b < y0:
                y0 = b
            if c > x1:
                x1 = c
            if d > y1:
                y1 = d
        if not text or x0 >= self._width or y0 >= self._height or x1 <= 0 or y1 <= 0:
            return
        font, size, bold, italic, mono, hidden, pale = style
        twins = self._seen.setdefault(text, [])
        for i in twins[-50:] if len(text) > 2 else ():
            twin = self._spans[i]
            if abs(twin.x0 - x0) < _SHADOW * size > abs(twin.y0 - y0) and twin.hidden == hidden:
                if not twin.bold and (twin.x0, twin.y0) != (x0, y0):
                    self._spans[i] = replace(twin, bold=True)
                return
        twins.append(len(self._spans))
        line, upright = self._line, self._axis == "x"
        mono = mono and text.isascii()  # fonts of ideographs are all of one width
        self._spans.append(
            Span(
                text,
                x0,
                y0,
                x1,
                y1,
                size,
                line,
                font,
                bold,
                italic,
                mono,
                superscript,
                upright,
                hidden,
                pale=pale,
            )
        )


def _split(glyphs: list[Glyph], axis: Axis) -> Iterator[tuple[list[Glyph], bool]]:
    """Words, each with whether a gap as between columns stands before it."""
    tracking: list[float] = []
    if axis == "x":
        glyphs = without_typed_spaces(glyphs)
    part: list[Glyph] = []
    space = wide = False
    previous: Glyph | None = None
    for n, glyph in enumerate(glyphs):
        if glyph[0] in SPACES:
            space = True
            continue
        if previous is not None:
            style, last = glyph[6], previous[6]
            size = style.size if style is last else max(style.size, last.size)
            ends = space or (style is not last and style.hidden != last.hidden)
            column = False
            touches = axis == "x" and abs(glyph[1] - previous[3]) < TOUCH * size
            if not space and not touches and axis != "oblique":
                gap = gap_between(previous, glyph, axis)
                if gap > WORD_GAP * size:
                    tracking = tracking or trackings(glyphs, axis)
                    ends = ends or gap > (WORD_GAP + tracking[n]) * size
                    column = gap > LINE_GAP * size
            if ends and not (glyph[0] > _COMBINING and unicodedata.combining(glyph[0][0])):
                yield part, wide
                part = []
                wide = column
        part.append(glyph)
        previous = glyph
        space = False
    if part:
        yield part, wide


def _in_order(part: list[Glyph]) -> str:
    """Their text; letters of an Arabic ligature readers turn round with the rest of the line: those of
    lam-alef, and those without a width of their own before the one that has the ligature's."""
    letters = [glyph[0] for glyph in part]
    for i, glyph in enumerate(part):
        start = i
        while start and _is_second(part[start - 1], glyph):
            start -= 1
        letters[start : i + 1] = letters[start : i + 1][::-1] if start < i else letters[i : i + 1]
    for i, (a, b) in enumerate(pairwise(part)):
        if b[0] == "ل" and a[0] in _ALEFS and b[1] - 0.1 <= a[1] and a[3] <= b[3] + 0.1:
            letters[i : i + 2] = b[0], a[0]
    return "".join(letters)


def _is_second(glyph: Glyph, ligature: Glyph) -> bool:
    char, x0, _, x1, *_ = glyph
    arabic = "\u0620" <= char <= "\u06d3" and not unicodedata.combining(char)
    width = ligature[3] - ligature[1]
    return arabic and x1 - x0 < 0.01 < width and ligature[1] - 0.1 <= x0 <= ligature[3] + 0.1


def _follows(before: Glyph, after: Glyph) -> bool:
    """Whether two characters stand beside each other on one line."""
    height = min(before[4] - before[2], after[4] - after[2])
    size = max(before[6].size, after[6].size)
    beside = abs(gap_between(before, after, "x")) < 0.5 * size
    return beside and min(before[4], after[4]) - max(before[2], after[2]) > 0.5 * height


def _main(glyphs: list[Glyph]) -> tuple[float, float] | None:
    """Font size and baseline of most of the line; None where all of it has one size and baseline."""
    sizes = Counter([g[6].size for g in glyphs if g[0] not in SPACES])
    if not sizes or (len(sizes) == 1 and len({g[5] for g in glyphs}) == 1):
        return None
    size = sizes.most_common(1)[0][0]
    return size, median(g[5] for g in glyphs if g[6].size == size)


def _raised(glyph: Glyph, size: float, base: float) -> bool:
    rise = base - glyph[5]
    if glyph[6].size >= 0.85 * size:  # but for exponents that are raised alone
        return glyph[0] in _SUPERSCRIPTS and glyph[0].isdecimal() and 0.2 * size < rise < 0.6 * size
    return 0.15 * size < rise < 0.8 * size
