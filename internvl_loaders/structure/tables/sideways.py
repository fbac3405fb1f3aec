"""Text that runs up or down in the cells of an upright table: column heads, labels of groups of rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from internvl_loaders.content import Content, Span
from internvl_loaders.structure.tables.grid import GridCell
from internvl_loaders.structure.tables.rulings import Axis
from internvl_loaders.structure.tables.words import Word, bounds
from internvl_loaders.structure.turned import direction_of

Numbered = tuple[int, Span]
"""A span with its index in `Content.spans`."""


def sideways_of(content: Content) -> list[Numbered]:
    return [
        (i, s)
        for i, s in enumerate(content.spans)
        if not s.upright and s.text.strip() and s.x1 > s.x0 and s.y1 > s.y0
    ]


def put_into(cells: Sequence[GridCell], xs: Axis, ys: Axis, sideways: Iterable[Numbered]) -> list[Word]:
    """Gives each cell without upright words the text that runs up or down in it, as one word; the other
    words it was put together from are returned: they are consumed."""
    slots = {
        (r, c): cell
        for cell in cells
        for r in range(cell.row, cell.row + cell.row_span)
        for c in range(cell.col, cell.col + cell.col_span)
    }
    found: dict[int, tuple[GridCell, list[Numbered]]] = {}
    for i, s in sideways:
        x, y = (s.x0 + s.x1) / 2, (s.y0 + s.y1) / 2
        if xs.at[0] <= x <= xs.at[-1] and ys.at[0] <= y <= ys.at[-1]:
            cell = slots[ys.index_at(y), xs.index_at(x)]
            found.setdefault(id(cell), (cell, []))[1].append((i, s))
    rest: list[Word] = []
    for cell, spans in found.values():
        if not cell.words:
            whole, others = _whole(spans)
            cell.words = [whole]
            rest += others
    return rest


def _whole(spans: Sequence[Numbered]) -> tuple[Word, list[Word]]:
    """Line after line as they are read, the text of all as that of the first, and the other words."""
    upward = direction_of([s for _, s in spans]) == "up"
    across = median(s.x1 - s.x0 for _, s in spans)

    def place(numbered: Numbered) -> tuple[int, float]:
        s = numbered[1]
        line, along = round((s.x0 + s.x1) / 2 / across / 0.8), (s.y0 + s.y1) / 2
        return (line, -along) if upward else (-line, along)

    words = [_word(i, s) for i, s in sorted(spans, key=place)]
    text = " ".join(w.text for w in words)
    return Word(*bounds(words), text, words[0].span, words[0].em, all(w.bold for w in words)), words[1:]


def _word(index: int, span: Span) -> Word:
    return Word(*span.rect, span.text.strip(), index, span.size or span.x1 - span.x0, span.bold)
