"""Pages to records: modes, metadata, ids, failed pages."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import UUID

import pytest

from internvl_loaders.document import Block, Box, Cell, Image, Page, Table
from internvl_loaders.errors import OptionError, PageError, SourceError
from internvl_loaders.options import ParseOptions
from internvl_loaders.records.loading import store_image
from internvl_loaders.records.metadata import clip, source_metadata
from internvl_loaders.records.options import LoaderOptions
from internvl_loaders.records.recorder import Record, Recorder

TABLE = Table(
    rows=2,
    cols=2,
    cells=(
        Cell(row=0, col=0, col_span=2, text="Total", header=True),
        Cell(row=1, col=0, text="net"),
        Cell(row=1, col=1, text="3.50"),
    ),
)
PICTURE = Image(data=b"not decoded here", width=1, height=1)
BLOCKS = (
    Block(type="header", text="ACME"),
    Block(type="heading", text="Terms", level=1),
    Block(type="heading", text="Payment", level=2),
    Block(type="caption", text="Table 1: Sums"),
    Block(
        type="table",
        text="net 3.50",
        table=TABLE,
        box=Box(x0=0.1, y0=0.2, x1=0.5, y1=0.3),
        confidence=0.91234,
    ),
    Block(type="heading", text="Scope", level=1),
    Block(type="paragraph", text="All of it."),
)


def page(number: int = 1, **changes: object) -> Page:
    fields = {"source": "a/b.pdf", "document_id": "d1", "number": number, "label": str(number)}
    fields |= {"total_pages": 3, "status": "ok", "method": "text-layer", "blocks": BLOCKS}
    return Page.model_validate(fields | changes)


def failed(number: int = 2, **changes: object) -> Page:
    return page(number, status="failed", reason="broken stream", blocks=(), **changes)


def records(*pages: Page, **changes: object) -> list[Record]:
    recorder = Recorder(LoaderOptions.of(**changes))
    done = [record for one in pages for record in recorder.add(one)]
    return done + recorder.finish()


def test_a_page_is_a_record_with_its_markdown() -> None:
    (record,) = records(page(2, label="ii", confidence=0.98765))
    assert record.text == page().to_markdown()
    assert record.metadata == {
        "source": "a/b.pdf",
        "file_name": "b.pdf",
        "page": 2,
        "page_label": "ii",
        "total_pages": 3,
        "mode": "page",
        "status": "ok",
        "method": "text-layer",
        "confidence": 0.988,
    }


def test_an_empty_page_is_a_record_too() -> None:
    (record,) = records(page(status="empty", reason="nothing on it", blocks=()))
    assert (record.text, record.metadata["status"], record.metadata["reason"]) == (
        "",
        "empty",
        "nothing on it",
    )
    assert records(page(status="empty", blocks=()), mode="element") == []


def test_tables_stand_in_the_text_as_asked() -> None:
    def text(table: Table, table_format: str, mode: str) -> str:
        blocks = tuple(
            block.model_copy(update={"table": table}) if block.table else block for block in BLOCKS
        )
        found = records(page(blocks=blocks), mode=mode, table_format=table_format)
        return found[4 if mode == "element" else 0].text

    plain = Table(rows=1, cols=2, cells=(Cell(row=0, col=0, text="net"), Cell(row=0, col=1, text="3.50")))
    for mode in ("page", "document", "element", "table"):
        for table in (plain, TABLE):
            assert table.to_gfm() in text(table, "markdown", mode)
            assert table.to_html() in text(table, "html", mode)
        assert plain.to_gfm() in text(plain, "auto", mode)
        assert TABLE.to_html() in text(TABLE, "auto", mode)
    html = text(TABLE, "html", "page")
    assert html.index("## Payment\n\n") < html.index("<table") < html.index("\n\n# Scope\n\nAll of it.")


def test_headers_and_footers_can_be_left_out() -> None:
    for mode in ("page", "document", "element"):
        assert any("ACME" in record.text for record in records(page(), mode=mode))
        for table_format in ("auto", "html"):
            rest = records(page(), mode=mode, headers_footers=False, table_format=table_format)
            assert not any("ACME" in record.text for record in rest)
            assert any("Payment" in record.text for record in rest)


def test_elements_carry_type_place_and_section() -> None:
    found = records(page(), mode="element")
    assert [record.metadata["element_index"] for record in found] == list(range(len(BLOCKS)))
    assert [record.metadata["category"] for record in found] == [block.type for block in BLOCKS]
    assert [record.metadata.get("section") for record in found] == [
        None, None, "Terms", "Terms > Payment", "Terms > Payment", None, "Scope",
    ]  # fmt: skip
    table = found[4]
    assert table.metadata["bbox"] == "0.1,0.2,0.5,0.3"
    assert table.metadata["confidence"] == 0.912
    assert table.metadata["caption"] == "Table 1: Sums"
    assert table.metadata["table_html"] == TABLE.to_html()
    assert table.metadata["table_csv"] == TABLE.to_csv()


def test_a_caption_belongs_to_one_table() -> None:
    grid = Block(type="table", table=TABLE)
    blocks = (grid, Block(type="caption", text="Table 2: More"), grid)
    captions = [record.metadata.get("caption") for record in records(page(blocks=blocks), mode="table")]
    assert captions == [None, "Table 2: More"]


def test_sections_go_on_over_pages_but_not_over_documents() -> None:
    text = (Block(type="paragraph", text="more"),)
    following, other = records(
        page(1), page(2, blocks=text), page(1, blocks=text, source="c.pdf"), mode="element"
    )[-2:]
    assert following.metadata["section"] == "Scope"
    assert "section" not in other.metadata


def test_tables_alone() -> None:
    (record,) = records(page(), mode="table")
    assert record.text == TABLE.to_html()
    assert record.metadata["section"] == "Terms > Payment"
    assert record.metadata["element_index"] == 4


def test_a_document_is_one_record_due_when_the_next_begins() -> None:
    recorder = Recorder(LoaderOptions.of(mode="document", page_separator="\n***\n"))
    text = page().to_markdown()
    assert recorder.add(page(1, confidence=0.9)) == []
    assert recorder.add(page(2, method="rapidocr", confidence=0.7)) == []
    assert recorder.add(page(3, status="empty", blocks=())) == []
    (first,) = recorder.add(page(1, source="c.pdf"))
    (second,) = recorder.finish()
    assert first.text == f"{text}\n***\n{text}"
    assert first.metadata == {
        "source": "a/b.pdf",
        "file_name": "b.pdf",
        "total_pages": 3,
        "mode": "document",
        "status": "ok",
        "method": "rapidocr, text-layer",
        "confidence": 0.7,
    }
    assert second.metadata["source"] == "c.pdf"


def test_the_same_document_twice_in_a_row_is_two_documents() -> None:
    assert len(records(page(1), page(2), page(1), page(2), mode="document")) == 2


@pytest.mark.parametrize("mode", ["page", "document", "element", "table"])
def test_a_failed_page_is_raised(mode: str) -> None:
    recorder = Recorder(LoaderOptions.of(mode=mode))
    recorder.add(page(1))
    with pytest.raises(PageError, match=r"a/b\.pdf, page 2: broken stream"):
        recorder.add(failed(2))
    with pytest.raises(SourceError, match="broken stream"):
        recorder.add(failed(0))


@pytest.mark.parametrize("mode", ["page", "element", "table"])
def test_a_failed_page_is_skipped_or_a_placeholder(mode: str, caplog: pytest.LogCaptureFixture) -> None:
    pages = page(1), failed(2), page(3)
    skipping = records(*pages, mode=mode, on_error="skip")
    assert "left out: a/b.pdf, page 2: broken stream" in caplog.text
    assert {record.metadata["page"] for record in skipping} == {1, 3}
    (extra,) = (
        record for record in records(*pages, mode=mode, on_error="placeholder") if record not in skipping
    )
    assert extra.text == ""
    assert (extra.metadata["page"], extra.metadata["status"]) == (2, "failed")
    assert extra.metadata["reason"] == "broken stream"


def test_a_document_says_which_pages_it_lacks() -> None:
    for policy in ("skip", "placeholder"):
        (record,) = records(page(1), failed(2), mode="document", on_error=policy)
        assert record.text == page().to_markdown()
        assert (record.metadata["status"], record.metadata["reason"]) == ("partial", "page 2: broken stream")
    assert records(failed(0), mode="document", on_error="skip") == []
    (record,) = records(failed(0), mode="document", on_error="placeholder")
    assert (record.text, record.metadata["status"]) == ("", "failed")


def test_a_document_that_does_not_open_has_no_page_number() -> None:
    (record,) = records(failed(0, total_pages=0), on_error="placeholder")
    assert not {"page", "total_pages"} & set(record.metadata)


def test_ids_are_uuids_that_depend_on_content_place_and_settings_alone() -> None:
    def ids(*pages: Page, **changes: object) -> list[str]:
        return [record.id for record in records(*pages, **changes)]

    base = ids(page(1), page(2))
    assert all(UUID(one).version == 8 and UUID(one).variant == "specified in RFC 4122" for one in base)
    assert base == ids(page(1, timings={"ocr": 1.0}), page(2, confidence=0.1), jobs=1, on_error="skip")
    different = [
        base,
        ids(page(1, document_id="d2"), page(2, document_id="d2")),
        ids(page(1, source="copy.pdf"), page(2, source="copy.pdf")),
        ids(page(1), page(2), dpi=300),
        ids(page(1), page(2), transcriber="rapidocr"),
        ids(page(1), page(2), table_format="html"),
        ids(page(1), page(2), mode="element"),
        ids(page(1), page(2), mode="table"),
        ids(page(1), page(2), mode="document"),
        ids(page(1), page(2), mode="document", pages="1-2"),
    ]
    flat = [one for group in different for one in group]
    assert len(set(flat)) == len(flat)
    assert ids(failed(2), on_error="placeholder") == ids(page(2))


def test_metadata_is_scalar_json_and_bounded() -> None:
    long = "長い \n title " * 500
    blocks = (
        Block(type="heading", text=long),
        Block(type="caption", text=long),
        Block(type="figure", box=Box(x0=0, y0=0, x1=1, y1=1)),
    )
    hostile = page(label=long, blocks=blocks, status="fallback", reason=long, source="x/\udcff.pdf")
    for mode in ("page", "element", "document"):
        for record in records(hostile, mode=mode):
            assert all(type(value) in {str, int, float} for value in record.metadata.values())
            assert all(len(str(value)) <= 300 for value in record.metadata.values())
            json.dumps(record.metadata, ensure_ascii=False).encode()


def test_pictures_are_records_of_their_own_or_of_their_element() -> None:
    blocks = (
        Block(type="paragraph", text="before"),
        Block(type="figure", image=PICTURE),
        Block(type="caption", text="Figure 1: It"),
    )
    with_pictures = page(blocks=blocks, image=PICTURE)
    whole, figure = records(with_pictures)
    assert whole.image is PICTURE
    assert (figure.image, figure.parent, figure.text) == (PICTURE, whole.id, "Figure 1: It")
    assert (figure.metadata["category"], figure.metadata["element_index"]) == ("figure", 1)

    elements = records(with_pictures, mode="element")
    assert [record.metadata["category"] for record in elements] == [
        "paragraph", "figure", "caption", "page_image",
    ]  # fmt: skip
    assert [record.image for record in elements] == [None, PICTURE, None, PICTURE]

    *pictures, document = records(with_pictures, mode="document")
    assert [record.parent for record in pictures] == [document.id, document.id]
    assert len({record.id for record in (whole, figure, *elements, *pictures, document)}) == 9


def test_a_figure_that_says_nothing_is_an_element_if_its_image_is_kept() -> None:
    silent, told = Block(type="figure"), Block(type="figure", text="50 kN")
    blocks = (silent, told, Block(type="paragraph", text="and"), silent.model_copy(update={"image": PICTURE}))
    found = records(page(blocks=blocks), mode="element")
    assert [(record.metadata["element_index"], record.text) for record in found] == [
        (1, "50 kN"),
        (2, "and"),
        (3, ""),
    ]


def test_file_names() -> None:
    names = {
        "a/b.pdf": "b.pdf",
        "C:\\scans\\b.pdf": "b.pdf",
        "https://x.org/a/b.pdf?sig=1#2": "b.pdf",
        "why?.pdf": "why?.pdf",
        "sha256:00ff": "sha256:00ff",
    }
    assert {name: source_metadata(name)["file_name"] for name in names} == names


def test_clip() -> None:
    assert clip(" a \n b ", 9) == "a b"
    assert clip("abcdef", 4) == "abc…"


def test_options() -> None:
    given = ParseOptions.of(dpi=100, password="secret")
    options = LoaderOptions.of(given, mode="table")
    assert (options.dpi, options.mode, options.on_error) == (100, "table", "raise")
    assert options.parsing() == ParseOptions.of(given, on_error="raise")
    assert LoaderOptions.of(on_error="skip").parsing().on_error == "placeholder"
    assert "secret" not in repr(options)
    with pytest.raises(OptionError, match="option mode"):
        LoaderOptions.of(mode="pages")
    with pytest.raises(OptionError, match="option colour"):
        LoaderOptions.of(colour="red")


def test_an_image_is_stored_once_under_a_name_of_its_content(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    path = store_image(PICTURE, folder)
    assert path == store_image(PICTURE, folder)
    assert [file.read_bytes() for file in folder.iterdir()] == [PICTURE.data]
    assert store_image(PICTURE.model_copy(update={"data": b"other"}), folder) != path
