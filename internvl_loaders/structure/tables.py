"""Finds the tables of a page and lays out their cells; one way for text layers and OCR."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

from internvl_loaders.content import Content, Rect, Rule, Span
from internvl_loaders.document import Box, Cell, Table
from internvl_loaders.structure.lines import join_spans
from internvl_loaders.structure.script import join_lines
from internvl_loaders.structure.table_checks import plausibility
from internvl_loaders.structure.table_grid import Grid, trimmed
from internvl_loaders.structure.table_open import open_grid
from internvl_loaders.structure.table_regions import Region, run_regions, stacked_regions
from internvl_loaders.structure.table_ruled import lattice_grid
from internvl_loaders.structure.table_rules import join_rules, lattices
from internvl_loaders.structure.table_text import Word, bounds, words_of

MAX_SPANS = 8_000
"""A page with more words is left without tables, to stay within a second."""
PLAUSIBLE = 0.5
PLAUSIBLE_BETWEEN_RULES = 0.3
"""Asked of what is left when all better tables are taken."""
RULES_COUNT = 0.15
"""How much more plausible the same words are as a table between rules than without."""


@dataclass(frozen=True)
class FoundTable:
    """A table on a page; `spans` are the indexes into `Content.spans` of the words in its cells."""

    rect: Rect
    table: Table
    spans: frozenset[int]
    confidence: float


def find_tables(content: Content) -> list[FoundTable]:
    """The page's tables from top to bottom. Captions and notes are left to the page."""
    if len(content.spans) > MAX_SPANS:
        return []
    page = _Page(content)
    across, down = join_rules(content.rules)
    used: set[Rule] = set()
    for lattice in sorted(lattices(across, down), key=lambda g: _area(g.rect)):
        if page.take(_judged(lattice_grid(lattice, page.free)), PLAUSIBLE):
            used.update(lattice.across)
    loose = [r for r in across if r not in used]
    stacked = [_judged(_open(region), RULES_COUNT) for region in stacked_regions(page.free, loose)]
    runs = [_judged(_open(region)) for region in run_regions(page.free, loose)]
    before = len(page.found)
    for judged in sorted([*stacked, *runs], key=lambda j: j.rank, reverse=True):
        page.take(judged, PLAUSIBLE)
    if len(page.found) > before:  # where a part of a run is taken, the rest may be a table
        for region in run_regions(page.free, loose):
            page.take(_judged(_open(region)), PLAUSIBLE)
    for judged in stacked:
        page.take(judged, PLAUSIBLE_BETWEEN_RULES)
    return sorted(page.found, key=lambda t: (t.rect.y0, t.rect.x0))


@dataclass(frozen=True)
class _Judged:
    grid: Grid | None
    score: float
    rank: float


def _judged(grid: Grid | None, bonus: float = 0.0) -> _Judged:
    if grid is None:
        return _Judged(None, 0.0, 0.0)
    grid = trimmed(grid)
    score = plausibility(grid)
    return _Judged(grid, score, score + bonus)


class _Page:
    """The tables found so far and the words they leave free."""

    def __init__(self, content: Content) -> None:
        self.content = content
        self.found: list[FoundTable] = []
        self.free = words_of(content)
        self._taken: set[int] = set()

    def take(self, judged: _Judged, least: float) -> bool:
        grid = judged.grid
        if grid is None or judged.score < least:
            return False
        table = _found(grid, self.content, judged.score)
        if not self._taken.isdisjoint(table.spans):
            return False
        self.found.append(table)
        self._taken |= table.spans
        self.free = [w for w in self.free if w.span not in table.spans]
        return True


def _open(region: Region) -> Grid | None:
    return open_grid(region.words, region.rect, region.across)


def _area(rect: Rect) -> float:
    return (rect.x1 - rect.x0) * (rect.y1 - rect.y0)


def _found(grid: Grid, content: Content, score: float) -> FoundTable:
    cells = []
    spans: set[int] = set(grid.leaders)
    for place in sorted(grid.filled(), key=lambda p: (p.row, p.col)):
        r = bounds(place.words)
        spans |= {w.span for w in place.words}
        cells.append(
            Cell(
                row=place.row,
                col=place.col,
                row_span=place.row_span,
                col_span=place.col_span,
                text=_text(place.words, content),
                header=place.row < grid.header,
                box=Box.of(*r, width=content.width, height=content.height),
            )
        )
    return FoundTable(
        rect=bounds(grid.words()),
        table=Table(rows=grid.rows, cols=grid.cols, cells=tuple(cells)),
        spans=frozenset(spans),
        confidence=round(score, 3),
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
    return reduce(join_lines, map(join_spans, lines))
