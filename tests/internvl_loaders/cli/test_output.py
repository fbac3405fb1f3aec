from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest

from internvl_loaders.cli.output import CsvWriter, HtmlWriter, JsonWriter, TextWriter
from internvl_loaders.document import Block, Cell, Document, Page, Table


def page(number: int, *texts: str, **more: object) -> Page:
    blocks = tuple(Block(type="paragraph", text=text) for text in texts)
    return Page(source="a.pdf", document_id="id", number=number, status="ok", blocks=blocks, **more)


def written(writer_of: object, *pages: Page) -> str:
    out = io.StringIO()
    writer = writer_of(out)  # type: ignore[operator]
    for p in pages:
        writer.add(p)
    writer.end()
    return out.getvalue()


def test_text_pages() -> None:
    def writer(breaks: bool) -> object:
        return lambda out: TextWriter(out, "text", page_breaks=breaks, headers_footers=True)

    pages = (page(1, "one"), page(2), page(3, "three"))
    assert written(writer(False), *pages) == "one\n\nthree\n"
    assert written(writer(True), *pages) == "one\n\f\n\n\f\nthree\n"
    assert written(writer(False)) == ""


def test_a_failed_page_is_visible_in_markdown_and_text() -> None:
    failed = Page(source="a.pdf", number=2, status="failed", reason="it broke")
    for form in ("md", "text"):
        text = written(
            lambda out, form=form: TextWriter(out, form, page_breaks=False, headers_footers=True), failed
        )
        assert "2" in text
        assert "it broke" in text


def test_json_page_by_page_is_the_document() -> None:
    pages = [page(1, "one"), page(2, "two")]
    text = written(JsonWriter, *pages)
    assert Document.from_json(text) == Document.of(pages)
    assert "timings" not in text
    assert json.loads(text)["schema"] == "internvl-document/1"
    assert len(json.loads(written(JsonWriter, page(1, "one")))["pages"]) == 1


def test_html_is_one_document() -> None:
    text = written(lambda out: HtmlWriter(out, headers_footers=True), page(1, "one"), page(2, "two"))
    assert text.count("<html") == 1
    assert text.index("one") < text.index("two")


def test_csv_is_a_file_a_table(tmp_path: Path) -> None:
    def table(text: str) -> Block:
        return Block(type="table", table=Table(rows=1, cols=1, cells=(Cell(row=0, col=0, text=text),)))

    writer = CsvWriter(tmp_path / "b.pdf")
    writer.add(page(1).model_copy(update={"blocks": (table("x"), table("y"))}))
    writer.add(page(2).model_copy(update={"blocks": (table("z"),)}))
    writer.end()
    assert sorted(os.listdir(tmp_path)) == ["b.pdf.1.csv", "b.pdf.2.csv", "b.pdf.3.csv"]
    assert "z" in (tmp_path / "b.pdf.3.csv").read_text()


CONTROLS = "".join(
    map(chr, (*range(9), *range(11, 32), *range(0x7F, 0xA0), *range(0x202A, 0x202F), 0x2066, 0x2069))
)


def test_no_text_of_a_document_is_obeyed_by_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hostile = f"one{CONTROLS}two"
    cells = (Cell(row=0, col=0, text=hostile), Cell(row=0, col=1, text="\x80\u2066=1+1"))
    blocks = (
        Block(type="paragraph", text=hostile),
        Block(type="table", table=Table(rows=1, cols=2, cells=cells)),
    )
    shown = Page(source=f"{hostile}.pdf", number=1, status="ok", blocks=blocks, label=hostile)
    failed = Page(source=f"{hostile}.pdf", number=2, status="failed", reason=hostile)
    for form in ("md", "text"):
        text = written(
            lambda out, form=form: TextWriter(out, form, page_breaks=False, headers_footers=True),
            shown,
            failed,
        )
        assert not set(text) & set(CONTROLS)
        assert "onetwo" in text or "one two" in text
    as_json = written(JsonWriter, shown, failed)
    assert not set(as_json) & set(CONTROLS)
    assert Document.from_json(as_json).pages[0].blocks == shown.blocks
    CsvWriter(None).add(shown)
    CsvWriter(tmp_path / "a", tmp_path).add(shown)
    for table in (capsys.readouterr().out, (tmp_path / "a.1.csv").read_text()):
        assert not set(table) & (set(CONTROLS) - {"\r"})
        assert "'=1+1" in table
