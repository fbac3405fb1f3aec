"""Letters set apart on purpose: the gap that then parts no words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import median

from internvl_loaders.readers.glyphs import SPACES, Axis, Glyph

_LEAST, _MOST = 0.06, 1.0
"""Font sizes of such gaps; wider ones are between columns."""
_EVEN = 0.05
"""Font sizes by which gaps, or steps, of one setting differ."""
_FEW_LETTERS, _FEW_DIGITS = 4, 6


def trackings(glyphs: Sequence[Glyph], axis: Axis) -> list[float]:
    """Of every glyph the widest gap before it within a word, as a fraction of the font size, where its line,
    or its stretch between spaces, is letter-spaced or set in cells of one width as in a comb; else 0."""
    if whole := _tracking(glyphs, axis):
        return [whole] * len(glyphs)
    found: list[float] = []
    for stretch in _stretches(glyphs, axis):
        found += [_tracking(stretch, axis)] * len(stretch)
    return found


def _stretches(glyphs: Sequence[Glyph], axis: Axis) -> Iterator[Sequence[Glyph]]:
    start = 0
    for n, (a, b) in enumerate(pairwise(glyphs), start=1):
        if b[0] in SPACES or gap_between(a, b, axis) > _MOST * b[6].size:
            yield glyphs[start:n]
            start = n
    yield glyphs[start:]


def _tracking(glyphs: Sequence[Glyph], axis: Axis) -> float:
    pairs = [(a, b) for a, b in pairwise(glyphs) if a[0] not in SPACES and b[0] not in SPACES]
    if len(pairs) < _FEW_LETTERS - 1 or not _means_it(pairs):
        return 0.0
    gaps = sorted(_gaps(pairs, axis))
    middle = gaps[len(gaps) // 2]
    if _LEAST < middle < _MOST and _are_even(gaps):
        return middle
    return _of_cells(pairs, axis) if middle > _LEAST else 0.0


def gap_between(a: Glyph, b: Glyph, axis: Axis) -> float:
    """Between two boxes along the line, whichever comes first; negative where they overlap."""
    if axis == "y":
        return max(b[2] - a[4], a[2] - b[4])
    return max(b[1] - a[3], a[1] - b[3])


def _are_even(gaps: Sequence[float]) -> bool:
    """The most of them, sorted: kerning makes some smaller, spaces without a glyph some wider."""
    if len(gaps) < 5:
        return gaps[-1] - gaps[0] < _EVEN
    return gaps[len(gaps) * 2 // 3] - gaps[len(gaps) // 4] < _EVEN


def _means_it(pairs: Sequence[tuple[Glyph, Glyph]]) -> bool:
    """Letters, or more digits, that do not count up: labels of an axis stand evenly, too."""
    chars = [pairs[0][0][0], *(b[0] for _, b in pairs)]
    if 2 * sum(map(str.isalnum, chars)) < len(chars):  # a leader
        return False
    few = _FEW_LETTERS if 2 * sum(map(str.isalpha, chars)) >= len(chars) else _FEW_DIGITS
    return len(chars) >= few and not _counts(chars)


def _counts(chars: Sequence[str]) -> bool:
    """`1 2 3`, `2 4 6`, `A B C`."""
    steps = {ord(b[0]) - ord(a[0]) for a, b in pairwise(chars)}
    return len(steps) == 1 or (len(steps) <= 2 and max(map(abs, steps)) <= 2 and 0 not in steps)


def _of_cells(pairs: Sequence[tuple[Glyph, Glyph]], axis: Axis) -> float:
    """Where letters of different widths step on evenly, by where they begin or by their middles."""
    if len(pairs) < _FEW_DIGITS - 1:
        return 0.0
    low, high = (2, 4) if axis == "y" else (1, 3)
    size = median(b[6].size for _, b in pairs) or 1.0
    for share in (0.0, 0.5):
        steps = [abs(_at(b, low, high, share) - _at(a, low, high, share)) / size for a, b in pairs]
        step = median(steps)
        even = sum(abs(s - step) < _EVEN for s in steps)
        if step < 2.0 and even >= 0.8 * len(steps):
            return max(gap for gap, s in zip(_gaps(pairs, axis), steps, strict=True) if s < 1.5 * step)
    return 0.0


def _at(glyph: Glyph, low: int, high: int, share: float) -> float:
    start, end = float(glyph[low]), float(glyph[high])  # type: ignore[arg-type]
    return start + share * (end - start)


def _gaps(pairs: Sequence[tuple[Glyph, Glyph]], axis: Axis) -> list[float]:
    return [gap_between(a, b, axis) / (b[6].size or 1.0) for a, b in pairs]


def without_typed_spaces(glyphs: list[Glyph]) -> list[Glyph]:
    """`I N V O I C E`, with a space typed between any two capitals, without it: wider gaps part words."""
    letters = [g for g in glyphs if g[0] not in SPACES]
    chars = [g[0] for g in letters]
    if len(chars) < _FEW_LETTERS or 2 * len(chars) - 1 > len(glyphs) or _counts(chars):
        return glyphs
    if not all(map(str.isupper, chars)) or any(
        a[0] not in SPACES and b[0] not in SPACES for a, b in pairwise(glyphs)
    ):
        return glyphs
    gaps = [gap_between(a, b, "x") for a, b in pairwise(letters)]
    widest = 1.5 * median(gaps)
    spaces = iter(g for g in glyphs if g[0] in SPACES)
    kept = letters[:1]
    for gap, letter in zip(gaps, letters[1:], strict=True):
        kept += [next(spaces), letter] if gap > widest else [letter]
    return kept
