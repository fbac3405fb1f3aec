"""Glyphs drawn again at nearly the same place (bold type faked, shadows, repairs), once only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise, product

from internvl_loaders.readers.glyphs import SPACES, Axis, Glyph, Style

_NEAR = 0.15
"""Font sizes by which a copy is displaced at most; a letter that repeats is a fifth away even in `ill`."""
_OF_ITSELF = 0.5
"""Share of its own extent by which a copy is displaced at most."""
_OUT_OF_PLACE = 0.2
"""Font sizes by which glyphs side by side do not step back, though boxes of slanted ones are wide."""
_BACK = 0.5
"""Font sizes by which a line steps back where it begins again."""
_SET_BACK = 12
"""Glyphs after a space among which one is looked for that belongs in its place."""
_REPEATED = "\u0640"
"""Lengthens the letters of Arabic, piece upon piece."""
_CELL = 4.0
"""Points; no copy is displaced by more."""
_MOST = 50
"""Glyphs of one cell, and lines of one height, that are held against each other."""

Line = tuple[list[Glyph], Axis]


def without_copies(lines: list[Line]) -> list[Line]:
    """The lines less the copies; what was drawn twice, a little displaced, is bold.

    Where a line holds copies, its other glyphs go to the line that they were copied from, each behind the
    one that it was drawn behind: copies may be cut at other places and have what the first lacks.
    """
    suspects = _suspects(lines)
    if not suspects:
        return lines
    kept = _Kept()
    chains = {number: kept.chain(*lines[number]) for number in sorted(suspects)}
    whole = [(chains[n].glyphs(), line[1]) if n in chains else line for n, line in enumerate(lines)]
    return [line for line in whole if line[0]]


def _suspects(lines: Sequence[Line]) -> set[int]:
    """Numbers of the lines that lie on others, or in which glyphs do not stand side by side."""
    found: set[int] = set()
    boxes = []
    for number, (glyphs, axis) in enumerate(lines):
        if axis == "oblique" or _doubles_back(glyphs, axis):
            found.add(number)
        _, x0s, y0s, x1s, y1s, *_ = zip(*glyphs, strict=True)
        boxes.append((min(y0s), min(x0s), max(x1s), max(y1s), number))
    boxes.sort()
    above: list[tuple[float, float, float, float, int]] = []
    for box in boxes:
        y0, x0, x1, y1, number = box
        above = [other for other in above if other[3] > y0]
        for a0, b0, b1, a1, other in above[-_MOST:]:
            height = min(y1 - y0, a1 - a0)
            if min(y1, a1) - max(y0, a0) > 0.5 * height and min(x1, b1) - max(x0, b0) > _NEAR * height:
                found |= {number, other}
        above.append(box)
    return found


def _doubles_back(glyphs: Sequence[Glyph], axis: Axis) -> bool:
    starts = [g[1] for g in glyphs] if axis == "x" else [g[2] for g in glyphs]
    size = glyphs[0][6].size
    steps = [b - a for a, b in pairwise(starts)]
    if min(steps, default=size) < -_OUT_OF_PLACE * size:
        return True
    near = _NEAR * size
    return any(step < near and glyphs[n][0] == glyphs[n + 1][0] for n, step in enumerate(steps))


class _Link:
    """A glyph of a line, the one after it, and the run that it was drawn in."""

    __slots__ = ("after", "glyph", "run")

    def __init__(self, glyph: Glyph | None, run: int) -> None:
        self.glyph = glyph
        self.run = run
        self.after: _Link | None = None

    def put(self, link: _Link) -> None:
        link.after, self.after = self.after, link

    def glyphs(self) -> list[Glyph]:
        """All behind it, without the spaces on which one of a copy came to stand."""
        found: list[Glyph] = []
        before, link = self, self.after
        while link is not None:
            glyph = link.glyph
            assert glyph is not None
            met = before.glyph is not None and before.run != link.run
            before, link = link, link.after
            if glyph[0] in SPACES:
                if not (met and _covers(found[-1], glyph)):
                    found.append(glyph)
            elif met and found[-1][0] in SPACES and _covers(glyph, found[-1]):
                found[-1] = glyph
            elif (place := _skipped(glyph, found)) is not None:
                found[place] = glyph
            else:
                found.append(glyph)
        return found


def _skipped(glyph: Glyph, found: Sequence[Glyph]) -> int | None:
    """The place of a space among the last but one that the glyph is set back to: pdfium itself leaves
    out copies, and puts what only they have at the end."""
    if len(found) < 2:
        return None
    before, last = found[-2:]
    back = (glyph[1] - last[1]) * (last[1] - before[1]) + (glyph[2] - last[2]) * (last[2] - before[2]) < 0
    if back:
        for place in range(len(found) - 2, max(len(found) - _SET_BACK, 0) - 1, -1):
            if found[place][0] in SPACES and _covers(glyph, found[place]):
                beside = (*found[max(place - 1, 0) : place], found[place + 1])
                return None if any(_covers(glyph, g) or _covers(g, glyph) for g in beside) else place
    return None


class _Kept:
    """The glyphs that are no copies, by place."""

    def __init__(self) -> None:
        self._cells: dict[tuple[Axis, int, int], list[_Link]] = {}
        self._bold: dict[Style, Style] = {}
        self._runs = 0

    def chain(self, glyphs: Sequence[Glyph], axis: Axis) -> _Link:
        """A link before the first of those that stay in this line."""
        head = last = _Link(None, 0)
        for run in _runs(glyphs, axis):
            last = self._draw(run, axis, last)
        return head

    def _draw(self, run: Sequence[Glyph], axis: Axis, last: _Link) -> _Link:
        """Puts a run behind `last`, and what follows its copies behind what was copied; returns its end."""
        self._runs += 1
        drawn: list[tuple[Glyph, _Link]] = []
        previous: _Link | None = None
        differs = False
        for glyph in run:
            original: _Link | None = None
            for link in self._near(glyph, axis):
                other = link.glyph
                assert other is not None
                if _is_copy(glyph, other):
                    if link is not previous or glyph[1:5] != other[1:5]:  # else two letters of a ligature
                        original = link
                        break
                elif link.run != self._runs and other[0] not in SPACES and glyph[0] not in SPACES:
                    differs = True
            if original is None:
                original = _Link(glyph, self._runs)
                self._keep(original, axis)
            drawn.append((glyph, original))
            previous = original
        if differs:
            return self._as_it_is(drawn, axis, last)
        for glyph, link in drawn:
            if link.glyph is glyph:
                last.put(link)
            elif link.glyph and glyph[1:3] != link.glyph[1:3]:
                link.glyph = (*link.glyph[:6], self._bolder(link.glyph[6]))
            last = link
        return last

    def _as_it_is(self, drawn: list[tuple[Glyph, _Link]], axis: Axis, last: _Link) -> _Link:
        """Another text over what was there: letters that both happen to have are no copies."""
        for glyph, link in drawn:
            if link.glyph is not glyph:
                link = _Link(glyph, self._runs)
                self._keep(link, axis)
            last.put(link)
            last = link
        return last

    def _keep(self, link: _Link, axis: Axis) -> None:
        assert link.glyph is not None
        _, x0, y0, *_ = link.glyph
        self._cells.setdefault((axis, int(x0 // _CELL), int(y0 // _CELL)), []).append(link)

    def _near(self, glyph: Glyph, axis: Axis) -> Iterator[_Link]:
        _, x0, y0, *_, style = glyph
        reach = min(_NEAR * style.size, _CELL)
        across = range(int((x0 - reach) // _CELL), int((x0 + reach) // _CELL) + 1)
        down = range(int((y0 - reach) // _CELL), int((y0 + reach) // _CELL) + 1)
        for x, y in product(across, down):
            for link in self._cells.get((axis, x, y), ())[-_MOST:]:
                assert link.glyph is not None
                if abs(link.glyph[1] - x0) <= reach and abs(link.glyph[2] - y0) <= reach:
                    yield link

    def _bolder(self, style: Style) -> Style:
        return style if style.bold else self._bold.setdefault(style, style._replace(bold=True))


def _runs(glyphs: Sequence[Glyph], axis: Axis) -> Iterator[Sequence[Glyph]]:
    """A reader's line, cut where it steps back against its own direction."""
    if axis == "oblique":
        yield glyphs
        return
    starts = [g[1] for g in glyphs] if axis == "x" else [g[2] for g in glyphs]
    steps = [b - a for a, b in pairwise(starts)]
    way = 1 if 2 * sum(step > 0 for step in steps) >= len(steps) else -1
    begin = 0
    for n, step in enumerate(steps, start=1):
        if way * step < -_BACK * glyphs[n][6].size:
            yield glyphs[begin:n]
            begin = n
    yield glyphs[begin:]


def _is_copy(glyph: Glyph, other: Glyph) -> bool:
    """Of two glyphs that begin near each other."""
    char, x0, y0, x1, y1, _, style = glyph
    its_char, a0, b0, _, _, _, its_style = other
    return (
        char == its_char != _REPEATED
        and style.hidden == its_style.hidden
        and abs(a0 - x0) <= _OF_ITSELF * (x1 - x0)
        and abs(b0 - y0) <= _OF_ITSELF * (y1 - y0)
        and abs(style.size - its_style.size) <= _NEAR * style.size
    )


def _covers(glyph: Glyph, space: Glyph) -> bool:
    """Whether one stands on most of another, which is a space or might be one."""
    across = min(glyph[3], space[3]) - max(glyph[1], space[1])
    down = min(glyph[4], space[4]) - max(glyph[2], space[2])
    return across > 0.5 * (space[3] - space[1]) >= 0 and down > 0.5 * (space[4] - space[2]) >= 0
