"""Tables as GitHub-flavoured markdown, HTML, CSV, records and pandas."""

from __future__ import annotations

import csv as _csv
import io
import re
from collections import Counter
from html import escape
from typing import TYPE_CHECKING

from internvl_loaders.errors import MissingDependencyError
from internvl_loaders.render.escape import clean, inline, one_line
from internvl_loaders.render.links import in_html, in_markdown
from internvl_loaders.render.shapes import Table
from internvl_loaders.render.spans import marked, tagged, typed
from internvl_loaders.values import Cell

if TYPE_CHECKING:
    import pandas

# https://owasp.org/www-community/attacks/CSV_Injection; what is not seen may stand before the sign.
_FORMULA = re.compile(
    r"[\t\r]|[\s\x00-\x1f\x7f-\x9f\xad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]*[=+\-@＝＋－＠]"
)
_SPACE = r"[ \u00a0\u2009\u202f]"
_NUMBER = re.compile(
    rf"\s*[+\-＋－]?{_SPACE}?[$€£¥]?{_SPACE}?(\d(\d|[.,'’](?=\d)|{_SPACE}(?=\d))*[.,]?|[.,]\d+)([eE][+-]?\d+)?"
    rf"{_SPACE}?([%‰$€£¥]|[A-Z]{{3}})?\s*|\s*[+\-]+\s*"
)


def headers(table: Table) -> list[str]:
    """One unique text a column, blank where the table has none; header rows joined by ` / `."""
    rows = _grid(table)[: table.header_rows]
    names = [
        " / ".join(dict.fromkeys(text for row in rows if (text := one_line(row[col]))))
        for col in range(table.cols)
    ]
    return _unique(names)


def _unique(names: list[str]) -> list[str]:
    unique: list[str] = []
    taken = set(names)
    counts: Counter[str] = Counter()
    for name in names:
        candidate = name
        counts[name] += 1
        if name and counts[name] > 1:
            while (candidate := f"{name} ({counts[name]})") in taken:
                counts[name] += 1
            taken.add(candidate)
        unique.append(candidate)
    return unique


def _grid(table: Table) -> list[list[str]]:
    """The table's grid, its texts marked."""
    texts = [[""] * table.cols for _ in range(table.rows)]
    for cell in table.cells:
        for row, col in cell.places:
            texts[row][col] = marked(cell)
    return texts


def _typed_grid(table: Table) -> list[list[str]]:
    return [[typed(text) for text in row] for row in _grid(table)]


def gfm(table: Table) -> str:
    """GitHub-flavoured markdown; see `Table.to_gfm`.

    Readers that take the rows apart at every `|` (LlamaIndex's MarkdownElementNodeParser) find the
    header texts without padding, each other than the rest, blank ones too; a body cell is padded,
    so that pandas does not take `N/A` or nothing for NaN.
    """
    names = [_cell(name) or " " * min(turn, 99) for turn, name in enumerate(headers(table), 1)]
    lines = [f"|{'|'.join(names)}|", "|" + "---|" * table.cols]
    linked = {place: cell for cell in table.cells if cell.links for place in cell.places}
    for number, row in enumerate(_grid(table)[table.header_rows :], table.header_rows):
        cells = [_cell(text, linked.get((number, col))) for col, text in enumerate(row)]
        lines.append(f"| {' | '.join(cells)} |")
    return typed("\n".join(lines))


def _cell(text: str, linked: Cell | None = None) -> str:
    markdown = inline(one_line(text)).replace("|", "&#124;")
    # parsers differ on whether `\\|` ends the cell
    markdown = re.sub(r"(\\\\)$", "&#92;", markdown)
    return markdown if linked is None else in_markdown(markdown, linked)


def html(table: Table) -> str:
    """A bare `<table>`, one row a line and no blank line; see `Table.to_html`."""
    starting: dict[tuple[int, int], Cell] = {}
    covered: set[tuple[int, int]] = set()
    for cell in table.cells:
        starting[cell.row, cell.col] = cell
        covered.update(cell.places)
    rows = []
    for row in range(table.rows):
        cells = [
            _html_cell(starting.get((row, col)))
            for col in range(table.cols)
            if (row, col) in starting or (row, col) not in covered
        ]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    head = _head_rows(table)
    parts = ["<table>"]
    if head:
        parts += ["<thead>", *rows[:head], "</thead>"]
    if head < table.rows:
        parts += ["<tbody>", *rows[head:], "</tbody>"]
    return tagged("\n".join([*parts, "</table>"]))


def _head_rows(table: Table) -> int:
    """The header rows, less those from which a span reaches into the body: `thead` would cut it."""
    head = table.header_rows
    while any(cell.row < head < cell.row + cell.row_span for cell in table.cells):
        head -= 1
    return head


def _html_cell(cell: Cell | None) -> str:
    if cell is None:
        return "<td></td>"
    tag = "th" if cell.header else "td"
    spans = "".join(
        f' {name}="{span}"'
        for name, span in (("rowspan", cell.row_span), ("colspan", cell.col_span))
        if span > 1
    )
    text = escape(clean(marked(cell)).strip(), quote=False).replace("\n", "<br>")
    return f"<{tag}{spans}>{in_html(text, cell)}</{tag}>"


def csv(table: Table) -> str:
    """See `Table.to_csv`. Write it with `newline=""`."""
    out = io.StringIO()
    rows = ([defuse(text) for text in row] for row in _typed_grid(table))
    _csv.writer(out, lineterminator="\r\n").writerows(rows)
    return out.getvalue()


def defuse(text: str) -> str:
    """The text, with an apostrophe before it where a spreadsheet would take it for a formula."""
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def records(table: Table) -> list[dict[str, str]]:
    """See `Table.to_records`."""
    names = _columns(table)
    return [dict(zip(names, row, strict=True)) for row in _typed_grid(table)[table.header_rows :]]


def _columns(table: Table) -> list[str]:
    return _unique([typed(name) or f"column {turn}" for turn, name in enumerate(headers(table), 1)])


def dataframe(table: Table) -> pandas.DataFrame:
    """See `Table.to_pandas`."""
    try:
        import pandas
    except ImportError as error:
        raise MissingDependencyError(
            "pandas is not installed", remedy='Run pip install "internvl-documents[pandas]"'
        ) from error
    return pandas.DataFrame(_typed_grid(table)[table.header_rows :], columns=_columns(table), dtype="str")
