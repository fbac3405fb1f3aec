from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest

from internvl_loaders.cli.output import CsvWriter, HtmlWriter, JsonWriter, Names, TextWriter, replacing
from internvl_loaders.document import Block, Cell, Document, Page, Table


def page(number: int, *texts: str, **more: object) -> Page:
    blocks = tuple(Block(type="paragraph", text=text) for text in texts)
    return Page(source="a.pdf", document_id="id", number=number, status="ok", blocks=blocks, **more)


def test_replacing_is_all_or_nothing(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.md"
    with replacing(path) as file:
        file.write("first")
        assert not path.exists()
    assert path.read_text() == "first"
    with pytest.raises(RuntimeError), replacing(path) as file:
        file.write("second")
        raise RuntimeError
    assert path.read_text() == "first"
    assert os.listdir(path.parent) == ["a.md"]


def test_replacing_honours_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with replacing(tmp_path / "a") as file:
            file.write("x")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_lone_surrogates_do_not_stop_writing(tmp_path: Path) -> None:
    with replacing(tmp_path / "a") as file:
        file.write("a\udcffb")
    assert (tmp_path / "a").read_text() == "a\\udcffb"


@pytest.mark.parametrize(
    "hostile",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "a/../../b",
        "..",
        ".",
        "",
        "C:\\x\\..\\y.pdf",
        "a\x00b",
        "x/./y",
        "con|nul",
        "\ud800.pdf",
    ],
)
def test_names_never_leave_the_folder(tmp_path: Path, hostile: str) -> None:
    path = Names(tmp_path).claim(hostile)
    assert tmp_path in path.parents
    assert path.resolve().is_relative_to(tmp_path.resolve())
    with replacing(path.with_name(path.name + ".md")) as file:
        file.write("x")


def test_names_never_clash(tmp_path: Path) -> None:
    names = Names(tmp_path)
    claimed = [names.claim(n).name for n in ("a.pdf", "A.PDF", "a.pdf", "b.pdf")]
    assert claimed == ["a.pdf", "A~2.PDF", "a~3.pdf", "b.pdf"]


def test_long_names_stay_writable(tmp_path: Path) -> None:
    names = Names(tmp_path)
    first, second = names.claim("ü" * 400 + ".pdf"), names.claim("ü" * 400 + ".pdf")
    assert first != second
    for path in (first, second):
        with replacing(path.with_name(path.name + ".json")) as file:
            file.write("{}")


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
