"""Finds the tables of a page and lays out their cells; one way for text layers and OCR."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from internvl_loaders.content import Content, Rect, Ruling, Span
from internvl_loaders.document import Box, Cell, Table
from internvl_loaders.structure.lines import join_spans
from internvl_loaders.structure.links import links_of
from internvl_loaders.structure.script import joined_lines
from internvl_loaders.structure.tables.checks import plausibility
from internvl_loaders.structure.tables.grid import Grid, trimmed
from internvl_loaders.structure.tables.open import open_grid
from internvl_loaders.structure.tables.partial import with_labels
from internvl_loaders.structure.tables.regions import Region, run_regions, stacked_regions
from internvl_loaders.structure.tables.ruled import lattice_grid
from internvl_loaders.structure.tables.rulings import join_rulings, lattices
from internvl_loaders.structure.tables.sideways import Numbered, sideways_of
from internvl_loaders.structure.tables.words import Word, bounds, words_of

MAX_SPANS = 8_000
"""A page with more words is left without tables, to stay within a second."""
MAX_WORDS = 4 * MAX_SPANS
"""The same where spans hold several words each."""
PLAUSIBLE = 0.5
PLAUSIBLE_BETWEEN_RULINGS = 0.3
"""Asked of what is left when all better tables are taken."""
RULING_BONUS = 0.15
"""How much more plausible the same words are as a table between rulings than without."""

MOST_AROUND = 10
"""How many lattices there may be around a word, on average over the page; with more it is a drawing."""
ONE_ROW = 0.25
"""How much less plausible a table of one row is than what else the same words may be."""


@dataclass(frozen=True)
class FoundTable:
    """A table on a page; `spans` are the indexes into `Content.spans` of what its cells hold.

    No two tables share a span. `confidence` is 0 to 1.
    """

    rect: Rect
    table: Table
    spans: frozenset[int]
    confidence: float


def find_tables(content: Content) -> list[FoundTable]:
    """The page's tables from top to bottom. Captions and notes are left to the page."""
    if len(content.spans) > MAX_SPANS:
        return []
    page = _Page(words_of(content))
    if len(page.words) > MAX_WORDS:
        return []
    across, down = join_rulings(content.rulings)
    sideways = sideways_of(content)
    used: set[Ruling] = set()
    left = MOST_AROUND * len(page.words) + 10_000
    for lattice in sorted(lattices(across, down), key=lambda g: _area(g.rect)):
        inside = page.within(lattice.rect, 2)
        beside = page.within(Rect(0, lattice.rect.y0, lattice.rect.x0, lattice.rect.y1), 0)
        left -= len(inside) + len(beside)
        if left > 0 and (wider := with_labels(lattice, inside, beside)) is not lattice:
            lattice, inside = wider, page.within(wider.rect, 2)
        aside = _within(sideways, lattice.rect) if left > 0 else []
        left -= len(sideways)
        if left > 0 and page.take(_candidate(lattice_grid(lattice, inside, aside)), PLAUSIBLE):
            used.update(lattice.across)
    loose = [r for r in across if r not in used]
    stacked = [
        _candidate(_grid_of(region), RULING_BONUS if region.whole else 0.0)
        for region in stacked_regions(page.free, loose)
    ]
    runs = [_candidate(_grid_of(region)) for region in run_regions(page.free, loose)]
    before = len(page.taken)
    for candidate in sorted((j for j in (*stacked, *runs) if j), key=lambda j: j.rank, reverse=True):
        page.take(candidate, PLAUSIBLE)
    if len(page.taken) > before:  # where a part of a run is taken, the rest may be a table
        for region in run_regions(page.free, loose):
            page.take(_candidate(_grid_of(region)), PLAUSIBLE)
    for between in stacked:
        page.take(between, PLAUSIBLE_BETWEEN_RULINGS)
    partial = page.partial()
    found = [_found_table(candidate, content, partial) for candidate in page.taken]
    return sorted((t for t in found if t is not None), key=lambda t: (t.rect.y0, t.rect.x0))


@dataclass(frozen=True)
class _Candidate:
    grid: Grid
    score: float
    rank: float


def _candidate(grid: Grid | None, bonus: float = 0.0) -> _Candidate | None:
    if grid is None:
        return None
    grid = trimmed(grid)
    score = plausibility(grid)
    if grid.rows - grid.header < 2:
        bonus -= ONE_ROW
    return _Candidate(grid, score, score + bonus)


class _Page:
    """The tables found so far and the words they leave free."""

    def __init__(self, words: list[Word]) -> None:
        self.words = words
        self.taken: list[_Candidate] = []
        self._left = Counter(w.span for w in words)
        self._keys: set[tuple[int, float]] = set()
        self._by_height = sorted(range(len(words)), key=lambda n: words[n].middle)

    @property
    def free(self) -> list[Word]:
        return [w for w in self.words if (w.span, w.x0) not in self._keys]

    def within(self, rect: Rect, margin: float) -> list[Word]:
        """The free words whose middle is in the rectangle or so close to it."""
        words = self.words
        first = bisect_left(self._by_height, rect.y0 - margin, key=lambda n: words[n].middle)
        last = bisect_right(self._by_height, rect.y1 + margin, key=lambda n: words[n].middle)
        inside = [
            n
            for n in self._by_height[first:last]
            if rect.x0 - margin <= (words[n].x0 + words[n].x1) / 2 <= rect.x1 + margin
        ]
        return [words[n] for n in sorted(inside) if (words[n].span, words[n].x0) not in self._keys]

    def take(self, candidate: _Candidate | None, least: float) -> bool:
        if candidate is None or candidate.score < least:
            return False
        keys = {(w.span, w.x0) for w in (*candidate.grid.words(), *candidate.grid.leaders)}
        if not self._keys.isdisjoint(keys):
            return False
        self.taken.append(candidate)
        self._keys |= keys
        self._left.subtract(span for span, _ in keys)
        return True

    def partial(self) -> set[int]:
        """Spans of which a part is in no table: as a whole they stay outside."""
        return {span for span, _ in self._keys if self._left[span] > 0}


def _grid_of(region: Region) -> Grid | None:
    return open_grid(region.words, region.rect, region.across)


def _within(sideways: Sequence[Numbered], rect: Rect) -> list[Numbered]:
    return [
        (i, s)
        for i, s in sideways
        if rect.x0 <= (s.x0 + s.x1) / 2 <= rect.x1 and rect.y0 <= (s.y0 + s.y1) / 2 <= rect.y1
    ]


def _area(rect: Rect) -> float:
    return (rect.x1 - rect.x0) * (rect.y1 - rect.y0)


def _found_table(candidate: _Candidate, content: Content, partial: set[int]) -> FoundTable | None:
    grid = candidate.grid
    for cell in grid.cells:
        cell.words = [w for w in cell.words if w.span not in partial]
    words = grid.words()
    if not words:
        return None
    cells = []
    for cell in sorted(grid.filled(), key=lambda p: (p.row, p.col)):
        r = bounds(cell.words)
        text = _text(cell.words, content)
        cells.append(
            Cell(
                row=cell.row,
                col=cell.col,
                row_span=cell.row_span,
                col_span=cell.col_span,
                text=text,
                links=links_of(text, list(dict.fromkeys(content.spans[w.span] for w in cell.words))),
                header=cell.row < grid.header,
                box=Box.of(*r, content.width or 1.0, content.height or 1.0),
            )
        )
    return FoundTable(
        rect=bounds(words),
        table=Table(rows=grid.rows, cols=grid.cols, cells=tuple(cells)),
        spans=frozenset(w.span for w in words) | {w.span for w in grid.leaders if w.span not in partial},
        confidence=round(candidate.score, 3),
    )


def _text(words: Sequence[Word], content: Content) -> str:
    """The words of a cell, line by line, as running text."""
    lines: list[list[Span]] = []
    last = None
    for w in words:
        span = Span(w.text, w.x0, w.y0, w.x1, w.y1, w.em, content.spans[w.span].line)
        if last is None or w.middle > last.middle + 0.5 * last.em or w.x0 < last.x0 - 0.2 * last.em:
            lines.append([])
        lines[-1].append(span)
        last = w
    return joined_lines([join_spans(line) for line in lines])
