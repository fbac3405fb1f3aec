"""Whether a grid is a table: prose, lists, forms, contents, formulas and plots also stand in columns."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from itertools import pairwise
from statistics import median

from internvl_loaders.structure.tables.columns import CURRENCY
from internvl_loaders.structure.tables.grid import Grid, Place
from internvl_loaders.structure.tables.words import is_value

_MARKER = re.compile(
    r"[•◦▪‣·○●■□–—*-]|\(?(?:\d{1,3}|[a-zA-Z]|[ivxlc]{1,6})[.)]|\[\w{1,12}\]|\d+(?:\.\d+)+\.?"
)
_LABELLED = re.compile(r"[^\W\d][^:：]*[:：]\s*\S")
_PAGE = re.compile(r"\d{1,4}|[ivxlc]+")
_EQUATION = re.compile(r"\((?:[A-Z]\.)?\d+(?:[.\-]\d+)*[a-z]?\)")
_MATH = re.compile(r"[=∈⊆⊂∪∩∀∃⇒⇔→↦∑∏∫√∂∞≅≃≠⊕⊗∘�\ue000-\uf8ffα-ωΑ-Ω]|^[a-zA-Z][₀-₉⁰-⁹\d′']?,?$")


def plausibility(grid: Grid) -> float:
    """0 where the grid is no table, else up to 1."""
    filled = grid.filled()
    body = grid.body()
    if grid.rows < 2 or grid.cols < 2 or grid.rows * grid.cols < 6 or len(filled) < 4 or not body:
        return 0.0
    density = _density(grid)
    rows: Counter[int] = Counter(p.row for p in filled)
    if sum(n > 1 for n in rows.values()) < 2 or _is_plot(grid, density):
        return 0.0
    if grid.ruled:
        return _ruled(grid, density)
    if _is_list(grid) or _is_contents(grid) or _is_form(grid) or _is_formula(grid):
        return 0.0
    if not grid.framed and (_is_text(grid) or (grid.rows == 2 and not grid.header)):
        return 0.0
    right = [p for p in body if p.col > 0]
    lines = Counter(p.row for p in body)
    several = sum(n > 1 for n in lines.values()) / len(lines)
    aligned = _alignment(body if len(lines) > 1 else filled)
    if not right or several < 0.4 or density < 0.45 or aligned < 0.6:
        return 0.0
    values = sum(is_value(p.text) for p in right) / len(right)
    words = sum(len(p.words) for p in body) / len(body)
    score = 0.1 + 0.45 * values + 0.1 * min(grid.cols - 2, 2) + 0.04 * min(len(lines), 6)
    score -= 0.06 * max(words - 4, 0)
    score -= (0.2 + 0.5 * (1 - values)) * (1 - aligned) + (0.1 + 0.3 * (1 - values)) * (1 - density)
    if grid.framed:
        score += 0.3
    elif grid.cols == 2:
        score -= 0.4 * (1 - values) + 0.3 * (1 - aligned)
    if grid.header and sum(p.row < grid.header and p.col > 0 for p in filled):
        score += 0.05
    return max(min(score * (0.5 + 0.5 * min(several * 1.25, 1)), 1.0), 0.0)


def _density(grid: Grid) -> float:
    """How much is filled of the rows that have more than a label."""
    filled: defaultdict[int, list[int]] = defaultdict(list)
    for p in grid.filled():
        for r in range(p.row, p.row + p.row_span):
            filled[r].append(p.col_span)
    rows = [sum(spans) for spans in filled.values() if len(spans) > 1]
    return sum(rows) / (len(rows) * grid.cols) if rows else 0.0


def _alignment(body: list[Place]) -> float:
    """The share of cells that stand in line with others of their column: left, right or centred."""
    columns: defaultdict[int, list[Place]] = defaultdict(list)
    for p in body:
        if p.col_span == 1:
            columns[p.col].append(p)
    inline = total = 0
    for places in columns.values():
        if len(places) < 2:
            continue
        em = places[0].words[0].em
        sides = [(p.words[0].x0, max(w.x1 for w in p.words)) for p in places]
        best = 0
        for xs in ([a for a, _ in sides], [b for _, b in sides], [(a + b) / 2 for a, b in sides]):
            middle = median(xs)
            best = max(best, sum(abs(x - middle) < 0.5 * em for x in xs))
        inline += best
        total += len(places)
    return inline / total if total else 0.0


def _ruled(grid: Grid, density: float) -> float:
    """Drawn cells are a table unless the drawing is a plot, a diagram or a form's frame."""
    filled = grid.filled()
    plain = sum(p.row_span == p.col_span == 1 for p in filled)
    if density < 0.4 or plain < 4 or plain * 2 < len(filled):
        return 0.0
    if density < 0.9 and len(filled) < 12 and _is_formula(grid):
        return 0.0
    return min(0.6 + 0.4 * density, 1.0)


def _column(grid: Grid, col: int) -> list[Place]:
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


def _is_text(grid: Grid) -> bool:
    """Blocks of text side by side, as addresses and bank details are set: no column of numbers."""
    columns = [[p for p in _column(grid, c) if p.row >= grid.header] for c in range(1, grid.cols)]
    if any(sum(_is_figure(p) for p in places) * 2 >= len(places) > 0 for places in columns):
        return False
    body = grid.body()
    return sum(len(p.words) for p in body) >= 1.5 * len(body)


def _is_figure(place: Place) -> bool:
    """A value that does not begin with a word, unless that is a currency."""
    first = place.words[0].text
    return is_value(place.text) and (not first.isalpha() or first in CURRENCY)


def _is_formula(grid: Grid) -> bool:
    """Displayed mathematics: numbered equations, or hardly anything but symbols."""
    last = _column(grid, grid.cols - 1)
    if last and sum(bool(_EQUATION.fullmatch(p.text)) for p in last) * 2 > len(last):
        return True
    words = [w.text for w in grid.words()]
    symbols = sum(bool(_MATH.search(t)) for t in words)
    return symbols * 10 > len(words) * 3


def _is_plot(grid: Grid, density: float) -> bool:
    """Ticks of an axis at equal steps beside or below an area that is mostly empty."""
    filled = grid.filled()
    rows: defaultdict[int, list[Place]] = defaultdict(list)
    for p in filled:
        rows[p.row].append(p)
    fullest = max(rows.values(), key=len)
    if 5 * len(fullest) > 3 * len(filled) and _ticks(fullest):
        return True
    return density <= 0.7 and (_ticks(_column(grid, 0)) or _ticks(_column(grid, grid.cols - 1)))


def _ticks(places: list[Place]) -> bool:
    numbers = [n for p in places for n in [_number(p.text)] if n is not None]
    steps = Counter(round(b - a, 6) for a, b in pairwise(numbers))
    step, count = max(steps.items(), key=lambda s: s[1], default=(0.0, 0))
    return step != 0 and count >= 2 and count * 5 >= steps.total() * 3


def _number(text: str) -> float | None:
    text = text.replace(",", "").replace("−", "-").rstrip("%")
    return float(text) if re.fullmatch(r"-?\d+(\.\d+)?", text) else None
