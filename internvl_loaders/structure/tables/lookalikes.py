"""What also stands in columns and is no table: lists, contents, forms, texts, formulas and plots."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from itertools import pairwise

from internvl_loaders.structure.tables.grid import Grid, GridCell
from internvl_loaders.structure.tables.gutters import CURRENCY
from internvl_loaders.structure.tables.words import is_value

_MARKER = re.compile(
    r"[•◦▪‣·○●■□–—*-]|\(?(?:\d{1,3}|[a-zA-Z]|[ivxlc]{1,6})[.)]|\[\w{1,12}\]|\d+(?:\.\d+)+\.?"
)
_LABELLED = re.compile(r"[^\W\d][^:：]*[:：]\s*\S")
_PAGE = re.compile(r"\d{1,4}|[ivxlc]+")
_EQUATION = re.compile(r"\((?:[A-Z]\.)?\d+(?:[.\-]\d+)*[a-z]?\)")
_MATH = re.compile(r"[=∈⊆⊂∪∩∀∃⇒⇔→↦∑∏∫√∂∞≅≃≠⊕⊗∘�\ue000-\uf8ffα-ωΑ-Ω]|^[a-zA-Z][₀-₉⁰-⁹\d′']?,?$")


def is_lookalike(grid: Grid) -> bool:
    """A list, a table of contents, a form or displayed mathematics."""
    return _is_list(grid) or _is_contents(grid) or _is_form(grid) or is_formula(grid)


def _column(grid: Grid, col: int) -> list[GridCell]:
    return sorted((p for p in grid.filled() if p.col == col), key=lambda p: p.row)


def _is_list(grid: Grid) -> bool:
    """Markers in the first column, running text in the other."""
    first, rest = _column(grid, 0), [p for p in grid.filled() if p.col > 0]
    marked = sum(bool(_MARKER.fullmatch(p.text)) for p in first)
    if not first or marked * 10 < len(first) * 7:
        return False
    return grid.cols == 2 and sum(is_value(p.text) for p in rest) * 2 < len(rest)


def _is_contents(grid: Grid) -> bool:
    """Titles and ascending page numbers."""
    last = sorted((p for p in grid.filled() if p.col + p.col_span == grid.cols), key=lambda p: p.row)
    pages = [p.text for p in last if _PAGE.fullmatch(p.text)]
    if len(pages) < 3 or len(pages) * 10 < len(last) * 8 or grid.cols > 4:
        return False
    numbers = [int(t) for t in pages if t.isdigit()]
    if len(numbers) < 3 or numbers != sorted(numbers):
        return False
    return bool(grid.leaders) or (numbers[0] < numbers[-1] and _PAGE.fullmatch(last[0].text) is not None)


def _is_form(grid: Grid) -> bool:
    """Labels that end in a colon, each beside its value."""
    filled = grid.filled()
    labels = [p for p in filled if p.text.endswith((":", "：")) or p.text.startswith((":", "："))]
    both = sum(bool(_LABELLED.match(p.text)) for p in filled)
    if (both + len(labels)) * 2 >= len(filled):
        return True
    return len(labels) * 4 >= len(filled) or (
        grid.cols == 2 and len({p.row for p in labels}) * 2 >= grid.rows
    )


def is_text(grid: Grid) -> bool:
    """Blocks of text side by side, as addresses and bank details are set: no column of numbers."""
    by_column: defaultdict[int, list[GridCell]] = defaultdict(list)
    for p in grid.body():
        by_column[p.col].append(p)
    columns = [by_column[c] for c in range(1, grid.cols)]
    if any(sum(_is_figure(p) for p in cells) * 2 >= len(cells) > 0 for cells in columns):
        return False
    body = grid.body()
    return sum(len(p.words) for p in body) >= 1.5 * len(body)


def _is_figure(cell: GridCell) -> bool:
    """A value that does not begin with a word, unless that is a currency."""
    first = cell.words[0].text
    return is_value(cell.text) and (not first.isalpha() or first in CURRENCY)


def is_formula(grid: Grid) -> bool:
    """Displayed mathematics: numbered equations, or hardly anything but symbols."""
    last = _column(grid, grid.cols - 1)
    if last and sum(bool(_EQUATION.fullmatch(p.text)) for p in last) * 2 > len(last):
        return True
    if is_headed_in_bold(grid):
        return False
    words = [w.text for w in grid.words()]
    symbols = sum(bool(_MATH.search(t)) for t in words)
    return symbols * 10 > len(words) * 3


def is_headed_in_bold(grid: Grid) -> bool:
    """Whether headings in bold stand above two and more columns of cells that are not."""
    heads = [p for p in grid.filled() if p.row < grid.header]
    body = [p for p in grid.body() if p.col > 0] or grid.body()
    bold = sum(all(w.bold for w in p.words) for p in body)
    return len(heads) > 1 and all(w.bold for p in heads for w in p.words) and bold * 4 <= len(body)


def is_plot(grid: Grid, density: float) -> bool:
    """Ticks of an axis at equal steps beside or below an area that is mostly empty."""
    filled = grid.filled()
    rows: defaultdict[int, list[GridCell]] = defaultdict(list)
    for p in filled:
        rows[p.row].append(p)
    fullest = max(rows.values(), key=len)
    if 5 * len(fullest) > 3 * len(filled) and _ticks(fullest):
        return True
    return density <= 0.7 and (_ticks(_column(grid, 0)) or _ticks(_column(grid, grid.cols - 1)))


def _ticks(cells: list[GridCell]) -> bool:
    numbers = [n for p in cells for n in [_number(p.text)] if n is not None]
    steps = Counter(round(b - a, 6) for a, b in pairwise(numbers))
    step, count = max(steps.items(), key=lambda s: s[1], default=(0.0, 0))
    return step != 0 and count >= 2 and count * 5 >= steps.total() * 3


def _number(text: str) -> float | None:
    text = text.replace(",", "").replace("−", "-").rstrip("%")
    return float(text) if re.fullmatch(r"-?\d+(\.\d+)?", text) else None
