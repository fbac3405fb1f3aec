"""Targets over what becomes of text: tables, markdown, HTML, metadata, JSON."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from typing import Any

import html5lib
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from internvl_llm.names import printable
from internvl_loaders.cli.output import HtmlWriter, JsonWriter, TextWriter
from internvl_loaders.cli.report import Report
from internvl_loaders.document import Block, Cell, Document, Page, Table
from internvl_loaders.records import metadata
from internvl_loaders.records.recorder import LoaderOptions, Record, Recorder
from internvl_loaders.render.table import defuse
from tests.fuzz.target import target
from tests.internvl_loaders.render import test_html, test_markdown
from tests.kit import documents
from tests.kit.documents import flat

READER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
TEXTS = (
    documents.texts
    | st.text(st.characters(), max_size=200)
    | st.lists(documents.texts, max_size=30).map("".join)
)


@st.composite
def tables(draw: st.DrawFn, *, spans: bool = True) -> Table:
    """Any grid up to 12 x 12, with spans of any shape that fits."""
    rows, cols = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    headers = draw(st.sets(st.integers(0, rows), max_size=3))
    taken: set[tuple[int, int]] = set()
    cells = []
    for row, col in draw(
        st.lists(st.tuples(st.integers(0, rows - 1), st.integers(0, cols - 1)), max_size=40)
    ):
        height = draw(st.integers(1, rows - row)) if spans else 1
        width = draw(st.integers(1, cols - col)) if spans else 1
        places = {(r, c) for r in range(row, row + height) for c in range(col, col + width)}
        if places & taken:
            continue
        taken |= places
        text, header = draw(TEXTS), row in headers
        cells.append(Cell(row=row, col=col, row_span=height, col_span=width, text=text, header=header))
    return Table(rows=rows, cols=cols, cells=tuple(cells))


LARGE_BLOCKS = (
    st.builds(Block, type=st.sampled_from(["paragraph", "caption", "footnote", "header"]), text=TEXTS)
    | st.builds(Block, type=st.just("heading"), text=TEXTS, level=st.none() | st.integers(-3, 99))
    | st.builds(Block, type=st.just("code"), text=TEXTS)
    | st.builds(
        Block,
        type=st.just("list_item"),
        text=TEXTS,
        level=st.none() | st.integers(0, 8),
        marker=st.sampled_from(documents.MARKERS) | TEXTS,
    )
    | st.builds(Block, type=st.just("table"), table=tables())
)


@target(tables())
def html_tables_are_valid_and_whole(table: Table) -> None:
    parser = html5lib.HTMLParser(strict=True)
    root = parser.parseFragment(table.to_html(), container="div")
    names = {str(element.tag).rpartition("}")[2] for element in root.iter()} - {"DOCUMENT_FRAGMENT"}
    assert names <= {"table", "thead", "tbody", "tr", "th", "td", "br"}, names
    attributes = {name for element in root.iter() for name in element.attrib}
    assert attributes <= {"rowspan", "colspan"}, attributes
    assert flat("".join(root.itertext())) == "".join(
        flat(cell.text) for cell in sorted(table.cells, key=lambda cell: (cell.row, cell.col))
    )


@target(tables())
def gfm_tables_have_their_columns(table: Table) -> None:
    source = table.to_gfm()
    lines = source.split("\n")
    assert len(lines) == 2 + table.rows - table.header_rows
    tokens = READER.parse(source)
    assert [t.type for t in tokens[:2]] == ["table_open", "thead_open"], source
    assert tokens[-1].type == "table_close"
    cells = sum(t.type in {"th_open", "td_open"} for t in tokens)
    assert cells == table.cols * (len(lines) - 1)
    assert not any(t.type in {"html_block", "html_inline"} for t in tokens)
    for line in lines:
        assert line.count("|") == table.cols + 1, line
    got = [flat("".join(test_markdown.literal(t))) for t in tokens if t.type == "inline"]
    body = [flat(text) for row in table.grid()[table.header_rows :] for text in row]
    assert got[table.cols :] == body


@target(tables())
def csv_holds_no_formula_and_everything_else(table: Table) -> None:
    rows = list(csv.reader(io.StringIO(table.to_csv(), newline="")))
    grid = table.grid()
    assert [len(row) for row in rows] == [table.cols] * table.rows
    for given, row in zip(grid, rows, strict=True):
        for text, cell in zip(given, row, strict=True):
            assert cell in {text, f"'{text}"}
            assert not re.match(r"[\s\x00-\x20]*[=@]", cell), cell
            if re.match(r"\s*[+-]", cell):
                assert re.fullmatch(r"[\d\s.,'’eE+\-$€£¥%‰A-Z  ]*", cell), cell
            assert defuse(cell) == cell or cell == text


@target(tables())
def records_lose_no_column(table: Table) -> None:
    records = table.to_records()
    assert len(records) == table.rows - table.header_rows
    assert all(len(record) == table.cols for record in records)


@target(st.lists(LARGE_BLOCKS, max_size=12))
def markdown_reads_back_as_its_text(blocks: list[Block]) -> None:
    source = Page(source="", number=1, status="ok", blocks=tuple(blocks)).to_markdown()
    assert test_markdown.read(source) == test_markdown.expected(blocks)


@target(st.lists(LARGE_BLOCKS, max_size=12))
def html_is_never_markup_of_the_text(blocks: list[Block]) -> None:
    test_html.test_text_is_never_markup.hypothesis.inner_test(blocks)


@target(documents.documents)
def documents_survive_json(document: Document) -> None:
    text = document.to_json()
    assert Document.from_json(text) == document
    assert json.loads(text, parse_constant=lambda name: 1 / 0)["schema"] == "internvl-document/1"
    for page in document.pages:
        assert Page.model_validate_json(page.model_dump_json()) == page


@target(st.text(max_size=300) | st.binary(max_size=300) | st.just('{"pages":' * 5000))
def what_is_no_document_is_refused(text: Any) -> None:
    try:
        Document.from_json(text)
    except ValueError:
        return
    raise AssertionError("taken for a document")


@target(st.lists(documents.pages, min_size=1, max_size=4), documents.texts)
def metadata_are_scalars(pages: list[Page], section: str) -> None:
    found = [metadata.document_metadata(pages)]
    for page in pages:
        found.append(metadata.page_metadata(page))
        found += [metadata.element_metadata(page, n, section, block) for n, block in enumerate(page.blocks)]
    for entry in found:
        for name, value in entry.items():
            assert type(value) in {str, int, float}, (name, value)
            assert not isinstance(value, float) or math.isfinite(value)
        text = json.dumps(entry, allow_nan=False)
        assert json.loads(text) == entry
        text.encode()
        assert all(value != "" for value in entry.values())
        assert len(entry.get("reason", "")) <= metadata.REASON_CHARS  # type: ignore[arg-type]


@target(
    documents.documents,
    st.sampled_from(["page", "document", "element", "table"]),
    st.sampled_from(["auto", "markdown", "html"]),
)
def records_are_told_apart(document: Document, mode: str, table_format: str) -> None:
    pages = [page.model_copy(update={"source": document.source}) for page in document.pages]
    options = LoaderOptions.of(mode=mode, table_format=table_format, on_error="placeholder")

    def records() -> list[Record]:
        recorder = Recorder(options)
        return [record for page in pages for record in recorder.add(page)] + recorder.finish()

    found = records()
    assert found == records()
    assert len({record.id for record in found}) == len(found)
    for record in found:
        record.text.encode()
        assert all(type(value) in {str, int, float} for value in record.metadata.values())
    if mode in {"page", "document"}:
        texts = [record for record in found if record.metadata.get("category") is None]
        assert len(texts) >= (len(pages) if mode == "page" else 1)


@target(documents.documents, st.booleans(), st.booleans())
def files_hold_what_the_document_does(document: Document, page_breaks: bool, headers_footers: bool) -> None:
    shown = {"headers_footers": headers_footers}
    expected = {
        "md": document.to_markdown(page_breaks=page_breaks, **shown),
        "text": document.to_text(page_breaks=page_breaks, **shown),
        "html": document.to_html(**shown),
    }
    for form, whole in expected.items():
        file = io.StringIO()
        text = TextWriter(file, form, page_breaks=page_breaks, **shown)  # type: ignore[arg-type]
        writer = HtmlWriter(file, **shown) if form == "html" else text
        for page in document.pages:
            writer.add(page)
        writer.end()
        assert file.getvalue().strip() == whole.strip()
    file = io.StringIO()
    writer = JsonWriter(file)
    for page in document.pages:
        writer.add(page)
    writer.end()
    timeless = [page.model_copy(update={"timings": {}}) for page in document.pages]
    assert Document.from_json(file.getvalue()) == document.model_copy(update={"pages": tuple(timeless)})


@target(st.lists(st.tuples(TEXTS, st.lists(documents.pages, max_size=3)), max_size=3))
def reports_account_for_every_page(found: list[tuple[str, list[Page]]]) -> None:
    report = Report()
    for source, pages in found:
        report.begin(source)
        for number, page in enumerate(pages, 1):
            report.add(page.model_copy(update={"number": number, "source": source}))
    told = json.loads(report.to_json())
    assert told["schema"] == "internvl-report/1"
    assert told["totals"]["pages"] == sum(len(pages) for _, pages in found)


@target(TEXTS)
def nothing_on_the_terminal_is_a_command(text: str) -> None:
    shown = printable(text)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", shown), shown


@target(documents.documents)
def docling_takes_any_document(document: Document) -> None:
    exported = document.to_docling()
    assert type(exported).model_validate_json(exported.model_dump_json()) == exported
    assert len(exported.pages) == sum(page.number > 0 for page in document.pages)
