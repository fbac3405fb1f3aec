"""Whether a grid is a table: rules that rule one out, then terms that add up to how plausible it is."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from functools import cached_property
from statistics import median

from internvl_loaders.structure.tables.grid import Grid, GridCell
from internvl_loaders.structure.tables.lookalikes import (
    is_formula,
    is_headed_in_bold,
    is_lookalike,
    is_plot,
    is_text,
)
from internvl_loaders.structure.tables.words import is_value

LEAST_DENSITY, LEAST_ALIGNED, LEAST_ROWS_WITH_CELLS = 0.45, 0.6, 0.4
"""Shares below which words only happen to stand in columns: see the properties of `_Measured`."""
LEAST_DENSITY_RULED = 0.4
"""Drawn cells may be left empty more often: forms and calendars are."""
DOUBT = 0.1
"""What a grid has for being none of these; 0.5 is a table."""
COMFORTABLE_WORDS = 4
"""Words a cell beyond which each one more speaks for running text."""

SINGLE_WORDS = 1.5
"""Words a cell up to which there is no running text."""


class _Measured:
    """A grid and what is measured of it, each when a rule first asks."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid

    @cached_property
    def filled(self) -> list[GridCell]:
        return self.grid.filled()

    @cached_property
    def body(self) -> list[GridCell]:
        return self.grid.body()

    @cached_property
    def density(self) -> float:
        """How much is filled of the rows that have more than a label."""
        by_row: defaultdict[int, list[int]] = defaultdict(list)
        for p in self.filled:
            for r in range(p.row, p.row + p.row_span):
                by_row[r].append(p.col_span)
        rows = [sum(spans) for spans in by_row.values() if len(spans) > 1]
        return sum(rows) / (len(rows) * self.grid.cols) if rows else 0.0

    @cached_property
    def beside_labels(self) -> list[GridCell]:
        """The cells of the body right of the first column."""
        return [p for p in self.body if p.col > 0]

    @cached_property
    def body_rows(self) -> Counter[int]:
        """How many cells begin in each row of the body."""
        return Counter(p.row for p in self.body)

    @cached_property
    def rows_with_cells(self) -> float:
        """The share of the body's rows that have more than one cell."""
        return sum(n > 1 for n in self.body_rows.values()) / len(self.body_rows)

    @cached_property
    def aligned(self) -> float:
        """The share of cells that stand in line with others of their column."""
        return _alignment(self.body if len(self.body_rows) > 1 else self.filled)

    @cached_property
    def values(self) -> float:
        """The share of values among the cells beside the labels."""
        return sum(is_value(p.text) for p in self.beside_labels) / len(self.beside_labels)

    @cached_property
    def words(self) -> float:
        """Words a cell of the body."""
        return sum(len(p.words) for p in self.body) / len(self.body)


def plausibility(grid: Grid) -> float:
    """0 where the grid is no table, else up to 1."""
    it = _Measured(grid)
    if any(rule(it) for rule in _NO_TABLE):
        return 0.0
    if grid.ruled:
        return 0.0 if any(rule(it) for rule in _NO_RULED_TABLE) else min(0.6 + 0.4 * it.density, 1.0)
    if any(rule(it) for rule in _NO_OPEN_TABLE):
        return 0.0
    score = DOUBT
    for term in _TERMS:
        score += term(it)
    lone_labels = 0.5 + 0.5 * min(it.rows_with_cells * 1.25, 1)
    return max(min(score * lone_labels, 1.0), 0.0)


def _is_too_small(it: _Measured) -> bool:
    grid = it.grid
    return grid.rows < 2 or grid.cols < 2 or grid.rows * grid.cols < 6 or len(it.filled) < 4 or not it.body


def _has_one_row_of_cells(it: _Measured) -> bool:
    return sum(n > 1 for n in Counter(p.row for p in it.filled).values()) < 2


def _is_plot(it: _Measured) -> bool:
    return is_plot(it.grid, it.density)


def _is_frame(it: _Measured) -> bool:
    """A diagram's or a form's: hardly filled, or made of cells that span others."""
    plain = sum(p.row_span == p.col_span == 1 for p in it.filled)
    return it.density < LEAST_DENSITY_RULED or plain < 4 or plain * 2 < len(it.filled)


def _is_framed_formula(it: _Measured) -> bool:
    return it.density < 0.9 and len(it.filled) < 12 and is_formula(it.grid)


def _is_lookalike(it: _Measured) -> bool:
    return is_lookalike(it.grid)


def _is_unframed_text(it: _Measured) -> bool:
    return not it.grid.framed and is_text(it.grid)


def _is_pair_of_lines(it: _Measured) -> bool:
    """Two lines, neither of headings, and no rulings around them."""
    return not it.grid.framed and it.grid.rows == 2 and not it.grid.header


def _has_labels_only(it: _Measured) -> bool:
    return not it.beside_labels


def _has_lone_labels(it: _Measured) -> bool:
    return it.rows_with_cells < LEAST_ROWS_WITH_CELLS


def _is_sparse(it: _Measured) -> bool:
    return it.density < LEAST_DENSITY


def _is_ragged(it: _Measured) -> bool:
    return it.aligned < LEAST_ALIGNED


Rule = Callable[[_Measured], bool]

_NO_TABLE: tuple[Rule, ...] = (_is_too_small, _has_one_row_of_cells, _is_plot)
_NO_RULED_TABLE: tuple[Rule, ...] = (_is_frame, _is_framed_formula)
_NO_OPEN_TABLE: tuple[Rule, ...] = (
    _is_lookalike,
    _is_unframed_text,
    _is_pair_of_lines,
    _has_labels_only,
    _has_lone_labels,
    _is_sparse,
    _is_ragged,
)


def _columns_of_values(it: _Measured) -> float:
    """What tells a table best."""
    return 0.45 * it.values


def _several_columns(it: _Measured) -> float:
    """Two columns may stand side by side by chance; four do not."""
    return 0.1 * min(it.grid.cols - 2, 2)


def _several_rows(it: _Measured) -> float:
    return 0.04 * min(len(it.body_rows), 6)


def _running_text(it: _Measured) -> float:
    return -0.06 * max(it.words - COMFORTABLE_WORDS, 0)


def _gaps_and_ragged_edges(it: _Measured) -> float:
    """Both are forgiven where values stand in the columns."""
    ragged = (0.2 + 0.5 * (1 - it.values)) * (1 - it.aligned)
    return -(ragged + (0.1 + 0.3 * (1 - it.values)) * (1 - it.density))


def _rulings_around(it: _Measured) -> float:
    """Rulings above, below the headings and at the end speak for a table; two columns without, against."""
    if it.grid.framed:
        return 0.3
    return -(0.4 * (1 - it.values) + 0.3 * (1 - it.aligned)) if it.grid.cols == 2 else 0.0


def _headed_columns(it: _Measured) -> float:
    header = it.grid.header
    return 0.05 if header and any(p.row < header and p.col > 0 for p in it.filled) else 0.0


def _columns_of_words(it: _Measured) -> float:
    """Single words in line over every row, or under headings in bold, are no text."""
    grid = it.grid
    if it.words > SINGLE_WORDS or it.aligned < 0.95 or len(it.body_rows) < 3:
        return 0.0
    bold = is_headed_in_bold(grid)
    if grid.cols == 2:
        return 0.6 if bold and it.density == 1 and len(it.beside_labels) == len(it.body_rows) else 0.0
    return 0.15 if bold or it.density >= 0.95 else 0.0


_TERMS: tuple[Callable[[_Measured], float], ...] = (
    _columns_of_values,
    _several_columns,
    _several_rows,
    _running_text,
    _gaps_and_ragged_edges,
    _rulings_around,
    _headed_columns,
    _columns_of_words,
)


def _alignment(body: list[GridCell]) -> float:
    """The share of cells that stand in line with others of their column: left, right or centred."""
    columns: defaultdict[int, list[GridCell]] = defaultdict(list)
    for p in body:
        if p.col_span == 1:
            columns[p.col].append(p)
    inline = total = 0
    for cells in columns.values():
        if len(cells) < 2:
            continue
        em = cells[0].words[0].em
        sides = [(p.words[0].x0, max(w.x1 for w in p.words)) for p in cells]
        best = 0
        for xs in ([a for a, _ in sides], [b for _, b in sides], [(a + b) / 2 for a, b in sides]):
            middle = median(xs)
            best = max(best, sum(abs(x - middle) < 0.5 * em for x in xs))
        inline += best
        total += len(cells)
    return inline / total if total else 0.0
