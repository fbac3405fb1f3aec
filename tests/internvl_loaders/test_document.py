from __future__ import annotations

import base64
import json
import pickle
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from internvl_loaders.document import MAX_PLACES, Block, Box, Cell, Document, Image, Page, Table, Word
from tests.kit import documents
from tests.kit.documents import table


@given(documents.documents)
def test_json_round_trip(document: Document) -> None:
    assert Document.from_json(document.to_json()) == document
    assert Document.model_validate(document.to_dict()) == document
    assert json.loads(document.to_json()) == document.to_dict()


@given(documents.documents)
def test_pickle(document: Document) -> None:
    assert pickle.loads(pickle.dumps(document)) == document


def test_json_names_its_schema() -> None:
    assert Document(source="a", pages=()).to_dict() == {
        "schema": "internvl-document/1",
        "source": "a",
        "document_id": "",
        "pages": [],
        "running_tables": [],
    }


@pytest.mark.parametrize("schema", ["internvl-document/2", "internvl-document/10", "", None, 1])
def test_another_schema_is_refused(schema: object) -> None:
    with pytest.raises(ValidationError, match="schema"):
        Document.from_json(json.dumps({"schema": schema, "source": "a", "pages": []}))


@pytest.mark.parametrize("place", ["document", "page", "block", "table", "cell", "box"])
def test_unknown_fields_are_refused(place: str) -> None:
    box = Box(x0=0, y0=0, x1=1, y1=1)
    page = Page(source="a", number=1, status="ok", blocks=(Block(type="table", box=box, table=table(["a"])),))
    data = Document.of([page]).to_dict()
    block = data["pages"][0]["blocks"][0]
    {
        "document": data,
        "page": data["pages"][0],
        "block": block,
        "table": block["table"],
        "cell": block["table"]["cells"][0],
        "box": block["box"],
    }[place]["new"] = 1
    with pytest.raises(ValidationError, match="new"):
        Document.from_json(json.dumps(data))


def test_values_are_frozen() -> None:
    block = Block(type="paragraph", text="a")
    with pytest.raises(ValidationError, match="frozen"):
        block.text = "b"


def test_a_lone_surrogate_does_not_keep_a_document_from_being_written() -> None:
    page = Page(source="caf\udce9.pdf", number=1, status="failed", reason="\ud800")
    document = Document.of([page])
    assert document.source == "caf\ufffd.pdf"
    assert Document.from_json(document.to_json()) == document
    assert Block(type="paragraph", text="\ud83d\ude00 ok").text == "😀 ok"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_are_finite(value: float) -> None:
    with pytest.raises(ValidationError):
        Page(source="a", number=1, status="ok", width=value)
    with pytest.raises(ValidationError):
        Box(x0=0, y0=0, x1=value, y1=1)


def test_images_are_base64_in_json_and_bytes_here() -> None:
    image = Image(data=b"\x89PNG\xff", width=1, height=1)
    dumped = json.loads(image.model_dump_json())
    assert base64.b64decode(dumped["data"]) == b"\x89PNG\xff"
    assert Image.model_validate(dumped) == image
    assert image.model_dump()["data"] == b"\x89PNG\xff"
    assert "PNG" not in repr(image)


@pytest.mark.parametrize("mime_type", ["text/html", "image/svg+xml", 'image/png" onerror="x', "image/../x"])
def test_other_image_types_are_refused(mime_type: str) -> None:
    with pytest.raises(ValidationError, match="mime_type"):
        Image.model_validate({"data": b"", "mime_type": mime_type, "width": 1, "height": 1})


@pytest.mark.parametrize("data", ["not base64!", 5, None, "ab"])
def test_other_image_data_is_refused(data: object) -> None:
    with pytest.raises(ValidationError):
        Image.model_validate({"data": data, "width": 1, "height": 1})


class TestBox:
    def test_of_clips_orders_and_rounds(self) -> None:
        assert Box.of(300, -5, 100, 900, 600, 800) == Box(x0=0.16667, y0=0, x1=0.5, y1=1)

    @given(*[st.floats(-1e6, 1e6)] * 4, st.floats(0.1, 1e5), st.floats(0.1, 1e5))
    def test_of_is_always_a_box(
        self, x0: float, y0: float, x1: float, y1: float, width: float, height: float
    ) -> None:
        box = Box.of(x0, y0, x1, y1, width, height)
        assert 0 <= box.x0 <= box.x1 <= 1
        assert 0 <= box.y0 <= box.y1 <= 1

    @pytest.mark.parametrize("place", [(0.5, 0, 0.4, 1), (-0.1, 0, 1, 1), (0, 0, 1, 1.1)])
    def test_others_are_refused(self, place: tuple[float, float, float, float]) -> None:
        with pytest.raises(ValidationError, match="not a box"):
            Box(x0=place[0], y0=place[1], x1=place[2], y1=place[3])

    def test_around(self) -> None:
        boxes = [Box(x0=0.1, y0=0.2, x1=0.3, y1=0.4), Box(x0=0.2, y0=0.1, x1=0.25, y1=0.9)]
        assert Box.around(boxes) == Box(x0=0.1, y0=0.1, x1=0.3, y1=0.9)
        assert Box.around([]) is None

    def test_as_text(self) -> None:
        assert str(Box(x0=0, y0=0.25, x1=0.33333, y1=1)) == "0,0.25,0.33333,1"


class TestTable:
    @pytest.mark.parametrize(
        ("cells", "message"),
        [
            ([Cell(row=2, col=0)], "leaves"),
            ([Cell(row=0, col=1, col_span=2)], "leaves"),
            ([Cell(row=0, col=0, row_span=3)], "leaves"),
            ([Cell(row=0, col=0), Cell(row=0, col=0)], "two cells at row 0, column 0"),
            (
                [Cell(row=0, col=0, row_span=2, col_span=2), Cell(row=1, col=1)],
                "two cells at row 1, column 1",
            ),
        ],
    )
    def test_cells_that_leave_or_overlap_are_refused(self, cells: list[Cell], message: str) -> None:
        with pytest.raises(ValidationError, match=message):
            Table(rows=2, cols=2, cells=tuple(cells))

    def test_a_grid_beyond_memory_is_refused(self) -> None:
        for rows, cols in ((MAX_PLACES + 1, 1), (10**9, 10**9)):
            whole = Cell(row=0, col=0, row_span=rows, col_span=cols)
            with pytest.raises(ValidationError, match="more than"):
                Table(rows=rows, cols=cols, cells=(whole,))

    def test_grid_repeats_spans_and_leaves_gaps_empty(self) -> None:
        cells = (Cell(row=0, col=0, col_span=2, text="a"), Cell(row=1, col=1, text="b"))
        spanned = Table(rows=2, cols=2, cells=cells)
        assert spanned.grid() == [["a", "a"], ["", "b"]]
        assert spanned.has_spans
        assert not table(["a"]).has_spans

    @given(documents.tables())
    def test_grid_is_full(self, any_table: Table) -> None:
        assert [len(row) for row in any_table.grid()] == [any_table.cols] * any_table.rows
        assert 0 <= any_table.header_rows <= any_table.rows

    def test_header_rows(self) -> None:
        assert table(["a", "b"], ["c", "d"], header_rows=0).header_rows == 0
        assert table(["a", "b"], ["c", "d"]).header_rows == 1
        assert table([("a", 2, 1), "b"], [None, "c"], ["d", "e"], header_rows=2).header_rows == 2
        side = (Cell(row=0, col=0, text="a", header=True), Cell(row=0, col=1, text="1"))
        assert Table(rows=1, cols=2, cells=side).header_rows == 0


def test_tables_of_a_page() -> None:
    grid = table(["a"])
    page = Page(
        source="a", number=1, status="ok", blocks=(Block(type="paragraph"), Block(type="table", table=grid))
    )
    assert page.tables == [grid]
    assert page.markdown == page.to_markdown() == grid.to_gfm()
    assert page.html == page.to_html() == grid.to_html()
    assert page.text == page.to_text() == "a"


def test_notice() -> None:
    assert Page(source="a", number=3, status="failed", reason="why").notice == "Page 3 could not be read: why"
    assert (
        Page(source="a", number=0, status="failed", reason="why").notice
        == "The document could not be read: why"
    )
    for status in ("ok", "retried", "fallback", "empty"):
        assert Page(source="a", number=3, status=status, reason="why").notice == ""


def test_words_keep_their_places() -> None:
    word = Word(text="a", box=Box(x0=0, y0=0, x1=1, y1=1), confidence=0.5)
    page = Page(source="a", number=1, status="ok", blocks=(Block(type="paragraph", text="a", words=(word,)),))
    assert Document.from_json(Document.of([page]).to_json()).pages[0].blocks[0].words == (word,)


def test_the_model_needs_nothing_heavy() -> None:
    code = (
        "import sys; from internvl_loaders.document import Table as T; T(rows=1, cols=1, cells=()).to_gfm()"
    )
    run = [sys.executable, "-c", f"{code}; print(*sys.modules)"]
    loaded = subprocess.run(run, capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "pandas", "PIL", "docling_core", "pymupdf", "onnxruntime"} & set(loaded)
