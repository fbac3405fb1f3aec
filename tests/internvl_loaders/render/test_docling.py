"""docling-core's own chunkers and serializers take our documents."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given, settings

from internvl_loaders.document import Block, Box, Document, Image, Page
from internvl_loaders.errors import MissingDependencyError
from tests.kit import documents
from tests.kit.documents import flat, table

types = pytest.importorskip("docling_core.types.doc")

PNG = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x00\x00\x00\x00:~\x9bU"
    b"\x00\x00\x00\nIDATx\x9cc`\x00\x00\x00\x02\x00\x01H\xaf\xa4q\x00\x00\x00\x00IEND\xaeB`\x82"
)
BOX = Box(x0=0.1, y0=0.2, x1=0.5, y1=0.25)
BLOCKS = (
    Block(type="header", text="Acme"),
    Block(type="heading", text="Scope", level=1, box=BOX),
    Block(type="paragraph", text="Who owes what."),
    Block(type="list_item", text="one", marker="1."),
    Block(type="list_item", text="under", marker="•", level=1),
    Block(type="list_item", text="two", marker="2."),
    Block(type="heading", text="Prices", level=2),
    Block(type="caption", text="Table 1: prices"),
    Block(type="table", table=table(["Item", ("Net", 1, 2), None], ["Paper", "10.00", "007"])),
    Block(type="figure", box=BOX, image=Image(data=PNG, width=240, height=1), text="inside"),
    Block(type="caption", text="Fig. 1: logo"),
    Block(type="code", text="x = 1\n"),
    Block(type="formula", text="E = mc^2"),
    Block(type="footnote", text="1 a note"),
    Block(type="footer", text="Page 1"),
)


@pytest.fixture
def exported() -> Any:
    pages = [
        Page(
            source="in/a.pdf",
            document_id="f" * 64,
            number=1,
            width=600,
            height=800,
            status="ok",
            blocks=BLOCKS,
        ),
        Page(source="in/a.pdf", number=2, width=600, height=800, status="failed", reason="timed out"),
    ]
    return Document.of(pages).to_docling()


def test_items_and_their_labels(exported: Any) -> None:
    labels = [(item.label.value, level) for item, level in exported.iterate_items(with_groups=True)][1:]
    assert labels == [
        ("section_header", 1),
        ("text", 1),
        ("list", 1),
        ("list_item", 2),
        ("list", 3),
        ("list_item", 4),
        ("list_item", 2),
        ("section_header", 1),
        ("table", 1),
        ("caption", 2),
        ("picture", 1),
        ("caption", 2),
        ("text", 1),
        ("code", 1),
        ("formula", 1),
        ("footnote", 1),
    ]
    assert [item.level for item in exported.texts if item.label == "section_header"] == [1, 2]
    assert exported.tables[0].caption_text(exported) == "Table 1: prices"
    assert exported.pictures[0].caption_text(exported) == "Fig. 1: logo"
    assert exported.origin.filename == "a.pdf"
    assert exported.origin.mimetype == "application/pdf"
    assert exported.origin.binary_hash == 2**64 - 1


def test_furniture_holds_headers_footers_and_failures(exported: Any) -> None:
    furniture = [i.text for i in exported.texts if i.content_layer == types.ContentLayer.FURNITURE]
    assert furniture == ["Acme", "Page 1", "Page 2 could not be read: timed out"]


def test_places_are_points_from_the_top_left(exported: Any) -> None:
    assert exported.pages[1].size.as_tuple() == (600, 800)
    (place,) = exported.texts[1].prov
    assert place.page_no == 1
    assert place.charspan == (0, len("Scope"))
    assert place.bbox.as_tuple() == pytest.approx((60, 160, 300, 200))
    assert place.bbox.coord_origin == types.CoordOrigin.TOPLEFT
    assert exported.texts[2].prov[0].bbox.as_tuple() == (0, 0, 600, 800)


def test_tables_keep_spans_and_headers(exported: Any) -> None:
    data = exported.tables[0].data
    assert (data.num_rows, data.num_cols) == (2, 3)
    assert [(c.text, c.col_span, c.column_header) for c in data.table_cells] == [
        ("Item", 1, True),
        ("Net", 2, True),
        ("Paper", 1, False),
        ("10.00", 1, False),
        ("007", 1, False),
    ]
    assert exported.tables[0].export_to_dataframe(exported).iloc[0].tolist() == ["Paper", "10.00", "007"]


def test_a_picture_has_its_image(exported: Any) -> None:
    reference = exported.pictures[0].image
    assert reference.pil_image.size == (1, 1)
    assert reference.dpi == 72


def test_markdown_and_json_of_docling(exported: Any) -> None:
    markdown = exported.export_to_markdown()
    for text in (
        "## Scope",
        "1. one\n    - under\n2. two",
        "Table 1: prices",
        "inside",
        "$$E = mc^2$$",
        "x = 1",
    ):
        assert text in markdown
    assert "Acme" not in markdown
    assert types.DoclingDocument.model_validate_json(exported.model_dump_json()) == exported


def test_hierarchical_chunker(exported: Any) -> None:
    from docling_core.transforms.chunker.hierarchical_chunker import HierarchicalChunker

    chunks = list(HierarchicalChunker().chunk(exported))
    assert [chunk.text for chunk in chunks] == [
        "Who owes what.",
        "1. one\n    - under\n2. two",
        "Table 1: prices\n\nPaper, Net = 10.00. Paper, Net = 007",
        "Fig. 1: logo",
        "inside",
        "```\nx = 1\n```",
        "$$E = mc^2$$",
        "1 a note",
    ]
    assert chunks[0].meta.headings == ["Scope"]
    assert chunks[2].meta.headings == ["Scope", "Prices"]
    assert all(item.prov[0].page_no == 1 for chunk in chunks for item in chunk.meta.doc_items)


def test_page_chunker(exported: Any) -> None:
    from docling_core.transforms.chunker.page_chunker import PageChunker

    (chunk,) = PageChunker().chunk(exported)
    assert "Who owes what." in chunk.text


def test_hybrid_chunker(exported: Any) -> None:
    pytest.importorskip("semchunk")
    from docling_core.transforms.chunker.hybrid_chunker import HybridChunker
    from docling_core.transforms.chunker.tokenizer.base import BaseTokenizer

    class Words(BaseTokenizer):
        def count_tokens(self, text: str) -> int:
            return len(text.split())

        def get_max_tokens(self) -> int:
            return 12

        def get_tokenizer(self) -> Any:
            return self.count_tokens

    chunker = HybridChunker(tokenizer=Words())
    chunks = [chunker.contextualize(chunk) for chunk in chunker.chunk(exported)]
    assert all(len(chunk.split()) <= 12 for chunk in chunks)
    assert chunks[0].startswith("Scope\nWho owes what.")
    assert any("Paper, Net = 10.00" in chunk for chunk in chunks)


@settings(max_examples=50)
@given(documents.documents)
def test_any_document_exports(document: Document) -> None:
    exported = document.to_docling()
    texts = flat("".join(item.text for item in exported.texts))
    for page in document.pages:
        for block in page.blocks:
            if block.table is None:
                assert flat(block.text) in texts
    again = types.DoclingDocument.model_validate_json(exported.model_dump_json())
    assert again.export_to_dict() == exported.export_to_dict()
    exported.export_to_markdown()


def test_missing_docling_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "internvl_loaders.render.docling", raising=False)
    monkeypatch.setitem(sys.modules, "docling_core.types.doc", None)
    with pytest.raises(MissingDependencyError, match=r"internvl-documents\[docling\]"):
        Document(source="a", pages=()).to_docling()
