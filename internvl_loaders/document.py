"""The document model: frozen values, JSON round trip, boxes as fractions of the upright page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import ConfigDict, Field, model_validator

from internvl_loaders import running, running_lines
from internvl_loaders.render import html, markdown, table, text
from internvl_loaders.values import (
    AttemptRecord,
    Box,
    Cell,
    Dispute,
    Finding,
    FormField,
    Image,
    Link,
    Text,
    TextSpan,
    Value,
    Word,
)

if TYPE_CHECKING:
    import pandas
    from docling_core.types.doc import DoclingDocument

__all__ = [
    "MAX_PLACES",
    "AttemptRecord",
    "Block",
    "BlockType",
    "Box",
    "Cell",
    "Dispute",
    "Document",
    "Finding",
    "FormField",
    "Image",
    "Link",
    "Page",
    "RunningTable",
    "Status",
    "Table",
    "TablePart",
    "TextSpan",
    "Word",
]

SCHEMA: Final = "internvl-document/1"
MAX_PLACES: Final = 1_000_000
"""Grid places of one table: what a hostile row or column count may make us allocate."""

Status = Literal["ok", "retried", "fallback", "failed", "empty"]
BlockType = Literal[
    "heading",
    "paragraph",
    "list_item",
    "table",
    "figure",
    "caption",
    "header",
    "footer",
    "footnote",
    "formula",
    "code",
]


class Table(Value):
    """A grid of `rows` x `cols` places; cells never overlap nor leave it; a place no cell covers is empty.

    A grid has at most `MAX_PLACES` places.
    """

    rows: int = Field(ge=1)
    cols: int = Field(ge=1)
    cells: tuple[Cell, ...]

    @model_validator(mode="after")
    def _consistent(self) -> Table:
        if self.rows * self.cols > MAX_PLACES:
            raise ValueError(f"{self.rows} x {self.cols} is more than {MAX_PLACES} places")
        taken: set[tuple[int, int]] = set()
        for cell in self.cells:
            if cell.row + cell.row_span > self.rows or cell.col + cell.col_span > self.cols:
                raise ValueError(f"cell leaves the {self.rows} x {self.cols} grid: {cell}")
            for place in cell.places:
                if place in taken:
                    raise ValueError(f"two cells at row {place[0]}, column {place[1]}")
                taken.add(place)
        return self

    @property
    def has_spans(self) -> bool:
        return any(c.row_span > 1 or c.col_span > 1 for c in self.cells)

    @property
    def header_rows(self) -> int:
        """How many leading rows consist of header cells."""
        header = {r for c in self.cells if c.header for r in range(c.row, c.row + c.row_span)}
        body = {c.row for c in self.cells if not c.header and c.text.strip()}
        count = 0
        while count < self.rows and count in header and count not in body:
            count += 1
        return count

    def grid(self) -> list[list[str]]:
        """`rows` lists of `cols` texts; a spanning cell's text is repeated in each of its places."""
        texts = [[""] * self.cols for _ in range(self.rows)]
        for cell in self.cells:
            for r, c in cell.places:
                texts[r][c] = cell.text
        return texts

    def to_gfm(self) -> str:
        """GitHub-flavoured markdown: one header row, `|` as `&#124;`, spans repeated, no line breaks.

        Several header rows are joined by ` / `, equal headers are told apart as `A`, `A (2)`; a
        table without header cells gets a blank header row.
        """
        return table.gfm(self)

    def to_html(self) -> str:
        """A bare `<table>` with spans; every text escaped."""
        return table.html(self)

    def to_csv(self) -> str:
        """RFC 4180 (lines end in CR LF), spans repeated.

        A text that a spreadsheet would take for a formula gets a leading apostrophe; numbers,
        signed ones too, stay as they are.
        """
        return table.csv(self)

    def to_records(self) -> list[dict[str, str]]:
        """One dict a body row, keyed by the headers of `to_gfm`; a blank one is `column 1` or so."""
        return table.records(self)

    def to_pandas(self) -> pandas.DataFrame:
        """`to_records` as a DataFrame of strings: `007` stays `007`. Needs the extra `pandas`."""
        return table.dataframe(self)


class Block(Value):
    """One element of a page; blocks of a page stand in reading order.

    `text` is plain (no markup); a formula's is LaTeX, a list item's lacks its `marker`, a table's
    is its cells row by row. `spans` are the stretches of it that are struck through. `level`: depth of a
    heading (1 to 6) or of list nesting (from 0).
    """

    type: BlockType
    text: Text = ""
    box: Box | None = None
    level: int | None = None
    marker: Text | None = None
    confidence: float | None = None
    table: Table | None = None
    image: Image | None = None
    words: tuple[Word, ...] = ()
    spans: tuple[TextSpan, ...] = ()
    links: tuple[Link, ...] = ()


class Page(Value):
    """One page, always with a status; `number` is 1-based.

    `number` 0 stands for a whole document that could not be opened: status `failed` and a reason.
    `width` and `height` are points (1/72 inch) of the upright page; `rotation` is the clockwise
    turn in degrees, beyond what the file itself asks for, and `skew` the clockwise tilt in degrees
    that reading undid. `unseen` are lines that its text layer has and the page does not show: in no block
    and in no format but JSON, and so are the printed `line_numbers` of transcripts and bills.
    `disputes` are tokens that two readings of the page differ in, `findings` what checks of its figures came
    to, `history` how a model was asked. `timings` are seconds by stage, `confidence` is 0 to 1.
    """

    source: Text
    document_id: str = ""
    number: int = Field(ge=0)
    label: Text = ""
    total_pages: int = Field(default=0, ge=0)
    width: float = 0.0
    height: float = 0.0
    rotation: int = 0
    skew: float = 0.0
    status: Status
    reason: Text = ""
    method: str = ""
    attempts: int = 1
    confidence: float | None = None
    disputes: tuple[Dispute, ...] = ()
    findings: tuple[Finding, ...] = ()
    history: tuple[AttemptRecord, ...] = ()
    timings: Mapping[str, float] = Field(default_factory=dict)
    blocks: tuple[Block, ...] = ()
    fields: tuple[FormField, ...] = ()
    unseen: tuple[Word, ...] = ()
    line_numbers: tuple[Word, ...] = ()
    image: Image | None = None

    @property
    def tables(self) -> list[Table]:
        return [b.table for b in self.blocks if b.table is not None]

    @property
    def notice(self) -> str:
        """One sentence saying that the page failed and why; nothing for any other page."""
        if self.status != "failed":
            return ""
        what = f"Page {self.number}" if self.number else "The document"
        return f"{what} could not be read: {self.reason or 'no reason given'}"

    @property
    def markdown(self) -> str:
        return self.to_markdown()

    @property
    def html(self) -> str:
        return self.to_html()

    @property
    def text(self) -> str:
        return self.to_text()

    def to_markdown(self, *, headers_footers: bool = True, footnotes: bool = False) -> str:
        """Markdown in which text of the document can never become markup. `footnotes` say what is in
        dispute."""
        if footnotes and self.status != "failed":
            return markdown.page(self, headers_footers=headers_footers, footnotes=True)
        return markdown.markdown(self.blocks, headers_footers=headers_footers)

    def to_html(self, *, headers_footers: bool = True) -> str:
        """An HTML fragment in which text of the document can never become markup or script."""
        return html.html(self.blocks, headers_footers=headers_footers)

    def to_text(self, *, headers_footers: bool = True) -> str:
        """Plain text: blocks apart by a blank line, table cells by tabs."""
        return text.text(self.blocks, headers_footers=headers_footers)


class TablePart(Value):
    """Where a part of a running table is: block `block` (from 0) of page `page` (from 1).

    Its rows are those of the whole from `row` on, its head left out where that is repeated.
    """

    page: int
    block: int = Field(ge=0)
    row: int = Field(ge=0)


class RunningTable(Value):
    """A table over page breaks as one, its head once; cells' boxes are of their own pages."""

    table: Table
    parts: tuple[TablePart, ...]


class Document(Value):
    """A document's pages and what becomes of them together."""

    schema_version: Literal["internvl-document/1"] = Field(default=SCHEMA, alias="schema")
    source: Text
    document_id: str = ""
    pages: tuple[Page, ...]
    running_tables: tuple[RunningTable, ...] = ()

    model_config = ConfigDict(populate_by_name=True)

    @classmethod
    def of(cls, pages: list[Page]) -> Document:
        """From the pages of one document, in order."""
        first, pages = pages[0], running_lines.all_marked(pages)
        return cls(
            source=first.source,
            document_id=first.document_id,
            pages=tuple(pages),
            running_tables=tuple(running_tables(pages)),
        )

    def to_json(self) -> str:
        return self.model_dump_json(by_alias=True, exclude_defaults=False, indent=1)

    @classmethod
    def from_json(cls, text: str | bytes) -> Document:
        return cls.model_validate_json(text)

    def to_markdown(
        self, *, page_breaks: bool = False, headers_footers: bool = True, footnotes: bool = False
    ) -> str:
        """Pages apart by a blank line or, with `page_breaks`, a form feed; a failed one is a warning.
        `footnotes` say what is in dispute."""
        return markdown.document(
            self, page_breaks=page_breaks, headers_footers=headers_footers, footnotes=footnotes
        )

    def to_text(self, *, page_breaks: bool = False, headers_footers: bool = True) -> str:
        """Like `to_markdown`, as plain text."""
        return text.document(self, page_breaks=page_breaks, headers_footers=headers_footers)

    def to_html(self, *, headers_footers: bool = True) -> str:
        """A complete HTML document, one `<section>` a page, with a policy that forbids scripts."""
        return html.document(self, headers_footers=headers_footers)

    def to_docling(self) -> DoclingDocument:
        """As docling-core's document, for its chunkers and serializers. Needs the extra `docling`."""
        from internvl_loaders.render.docling import docling

        return docling(self)

    def to_dict(self) -> dict[str, Any]:
        return self.model_dump(mode="json", by_alias=True)


def running_tables(pages: Sequence[Page]) -> Iterator[RunningTable]:
    """The tables that run over the breaks of these pages, which stand in order."""
    for run in running.runs(running_lines.all_marked(pages)):
        cols = run[0].table.cols
        rows, cells, starts = running.joined(run)
        if rows * cols <= MAX_PLACES:
            places = zip((part.place for part in run), starts, strict=True)
            parts = tuple(TablePart(page=page, block=block, row=row) for (page, block), row in places)
            yield RunningTable(table=Table(rows=rows, cols=cols, cells=tuple(cells)), parts=parts)
