"""Tables as rows of cells, read from the HTML of a truth or of a tool."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from lxml import etree, html

from internvl_loaders.evaluate.markup import parse_html
from internvl_loaders.evaluate.metrics import normalise, words

MAX_SPAN = 1000
"""As in HTML, where a larger colspan is clipped."""


@dataclass(frozen=True, slots=True)
class TableCell:
    """A cell as it stands in the HTML."""

    text: str
    col_span: int = 1
    row_span: int = 1


Row = tuple[TableCell, ...]


@dataclass(frozen=True, slots=True)
class TableTree:
    """A table's rows of cells; `page` is 1-based, or None where unknown."""

    rows: tuple[Row, ...]
    page: int | None = None

    @property
    def nodes(self) -> int:
        """Rows and cells; the root does not count, as in PubTabNet's own scorer."""
        return size(self.rows)

    @property
    def words(self) -> Counter[str]:
        return Counter(w for row in self.rows for cell in row for w in words(cell.text))

    def grid(self) -> list[list[str]]:
        """Texts by row and column, a spanning cell's text in each of its places; rows may be ragged."""
        taken: dict[tuple[int, int], str] = {}
        for r, row in enumerate(self.rows):
            c = 0
            for cell in row:
                while (r, c) in taken:
                    c += 1
                for place in _places(r, c, cell, len(self.rows)):
                    taken.setdefault(place, cell.text)
                c += cell.col_span
        width = [max((c for r2, c in taken if r2 == r), default=-1) + 1 for r in range(len(self.rows))]
        return [[taken.get((r, c), "") for c in range(width[r])] for r in range(len(self.rows))]


def size(rows: Iterable[Row]) -> int:
    """Rows and cells."""
    return sum(1 + len(row) for row in rows)


def _places(r: int, c: int, cell: TableCell, rows: int) -> Iterable[tuple[int, int]]:
    return ((y, x) for y in range(r, min(r + cell.row_span, rows)) for x in range(c, c + cell.col_span))


def read_tables(markup: str, page: int | None = None) -> list[TableTree]:
    """Every outermost table of an HTML text; `data-page` of the table goes before `page`."""
    root = parse_html(markup)
    if root is None:
        return []
    tables = [t for t in root.iter("table") if next(t.iterancestors("table"), None) is None]
    return [_read_table(table, page) for table in tables]


def _read_table(table: html.HtmlElement, page: int | None) -> TableTree:
    rows = (tr for tr in table.iter("tr") if next(tr.iterancestors("table"), None) is table)
    number = table.get("data-page", "")
    return TableTree(
        tuple(tuple(_read_cell(td) for td in tr.iterchildren("td", "th")) for tr in rows),
        int(number) if number.isdecimal() else page,
    )


def _read_cell(td: html.HtmlElement) -> TableCell:
    # Text around a <br> or a nested block does not run together.
    breaks = {"br", "p", "div", "li", "tr", "td", "th"}
    parts: list[str] = []
    for event, element in etree.iterwalk(td, events=("start", "end")):
        if event == "start":
            parts.append((" " if element.tag in breaks else "") + (element.text or ""))
        elif element is not td:
            parts.append((" " if element.tag in breaks else "") + (element.tail or ""))
    return TableCell(normalise("".join(parts)), _span(td, "colspan"), _span(td, "rowspan"))


def _span(td: html.HtmlElement, name: str) -> int:
    text = td.get(name, "").strip()
    return min(max(int(text), 1), MAX_SPAN) if text.isdecimal() else 1
