"""Tables that go on over page breaks: their pages keep their parts, the document has the whole."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Protocol

from internvl_loaders.values import Cell

_AROUND = frozenset(("header", "footer", "footnote"))
"""Blocks that may stand between the parts of a table."""
_CONTINUED = re.compile(
    r"\b(?:cont(?:inued|['’.]?d)?|fortsetzung|suite|vervolg|continua\w*)\b|续|續|続", re.IGNORECASE
)


class _Table(Protocol):
    @property
    def rows(self) -> int: ...
    @property
    def cols(self) -> int: ...
    @property
    def cells(self) -> Sequence[Cell]: ...
    @property
    def header_rows(self) -> int: ...
    def grid(self) -> list[list[str]]: ...


class _Block(Protocol):
    @property
    def type(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def table(self) -> _Table | None: ...


class _Page(Protocol):
    @property
    def number(self) -> int: ...
    @property
    def blocks(self) -> Sequence[_Block]: ...


Place = tuple[int, int]
"""Page number, and index of the block on it."""


def runs(pages: Sequence[_Page]) -> Iterator[list[tuple[Place, _Table]]]:
    """The parts of every table that ends a page and begins the next one under the same head."""
    run: list[tuple[Place, _Table]] = []
    last: _Page | None = None
    for page in pages:
        first = _first(page)
        follows = last is not None and page.number == last.number + 1
        if run and not (follows and first is not None and _same_head(run[0][1], first[1])):
            yield from [run] if len(run) > 1 else []
            run = []
        if run and first is not None:
            run.append(first)
        final = _last(page)
        if final is not None and not (run and run[-1][0] == final[0]):
            yield from [run] if len(run) > 1 else []
            run = [final]
        elif final is None:
            yield from [run] if len(run) > 1 else []
            run = []
        last = page
    yield from [run] if len(run) > 1 else []


def may_run(page: _Page) -> bool:
    """Whether the page begins or ends with a table: no other counts."""
    return _first(page) is not None or _last(page) is not None


def _first(page: _Page) -> tuple[Place, _Table] | None:
    """The table that the page begins with, a line that says it goes on aside."""
    for index, block in enumerate(page.blocks):
        if block.table is not None:
            return (page.number, index), block.table
        if block.type not in _AROUND and not _CONTINUED.search(block.text[:200]):
            return None
    return None


def _last(page: _Page) -> tuple[Place, _Table] | None:
    for index in range(len(page.blocks) - 1, -1, -1):
        block = page.blocks[index]
        if block.table is not None:
            return (page.number, index), block.table
        if block.type not in _AROUND and not (len(block.text) < 80 and _CONTINUED.search(block.text)):
            return None
    return None


def _same_head(table: _Table, other: _Table) -> bool:
    count = table.header_rows
    if not 0 < count < other.rows or table.cols != other.cols:
        return False
    return _plain(table.grid()[:count]) == _plain(other.grid()[:count])


def _plain(rows: Sequence[Sequence[str]]) -> list[str]:
    return ["".join(text.split()).casefold() for row in rows for text in row]


def joined(tables: Sequence[_Table]) -> tuple[int, list[Cell], list[int]]:
    """Rows and cells of the whole, whose head stands once, and the row at which each part begins."""
    head = tables[0].header_rows
    cells = list(tables[0].cells)
    rows, starts = tables[0].rows, [0]
    for table in tables[1:]:
        starts.append(rows)
        moved = (c for c in table.cells if c.row >= head)
        cells += [c.model_copy(update={"row": c.row - head + rows, "header": False}) for c in moved]
        rows += table.rows - head
    return rows, cells, starts
