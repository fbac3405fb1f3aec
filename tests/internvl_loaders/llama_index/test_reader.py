"""The LlamaIndex adapter, on real documents, and on scripted pages where failures matter."""

from __future__ import annotations

import asyncio
import io
import json
import pickle
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

pytest.importorskip("llama_index.core")

import PIL.Image
from llama_index.core.readers.base import ReaderConfig
from llama_index.core.schema import Document, ImageDocument, MetadataMode, NodeRelationship

from internvl_loaders.document import Block, Page
from internvl_loaders.errors import DocumentNotFoundError, OptionError, PageError
from internvl_loaders.llama_index import InternVLReader
from internvl_loaders.options import ParseOptions
from internvl_loaders.records import loading
from tests.kit.marks import slow
from tests.kit.pdfs import pdf
from tests.kit.samples import report


@pytest.fixture(scope="module")
def report_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("documents") / "report.pdf"
    path.write_bytes(report())
    return path


def dumped(documents: list[Document]) -> list[dict[str, object]]:
    return [document.to_dict() for document in documents]


def test_pages_of_a_real_document(report_path: Path) -> None:
    first, second = InternVLReader().load_data(report_path)
    assert first.text.startswith("# Payment")
    assert "| Paper" in first.text
    assert first.metadata == {
        "source": str(report_path),
        "file_name": "report.pdf",
        "page": 1,
        "page_label": "1",
        "total_pages": 2,
        "mode": "page",
        "status": "ok",
        "method": "text-layer",
    }
    assert second.metadata["page"] == 2


def test_modes(report_path: Path) -> None:
    (whole,) = InternVLReader(mode="document").load_data(report_path)
    assert whole.text.index("Payment") < whole.text.index("Delivery of goods")
    assert len(InternVLReader(mode="table").load_data(report_path)) == 2
    elements = InternVLReader(mode="element", pages="2").load_data(report_path)
    assert [element.metadata["category"] for element in elements][:3] == ["heading", "paragraph", "table"]


@pytest.mark.parametrize(
    "mode",
    ["page", *slow("document", "element", "table")],
)
def test_two_runs_and_the_async_one_say_the_same(report_path: Path, mode: str) -> None:
    first, second = (InternVLReader(mode=mode).load_data(report_path) for _ in range(2))
    assert dumped(first) == dumped(second)
    assert dumped(first) == dumped(asyncio.run(InternVLReader(mode=mode).aload_data(report_path)))
    assert len({document.id_ for document in first}) == len(first)
    for document in first:
        assert all(type(value) in {str, int, float} for value in document.metadata.values())
        assert json.loads(json.dumps(document.metadata)) == document.metadata


def test_all_ways_to_load(report_path: Path) -> None:
    reader = InternVLReader()
    expected = [document.text for document in reader.load_data(report_path)]
    assert [document.text for document in reader.lazy_load_data(str(report_path))] == expected
    lazily = asyncio.run(reader.alazy_load_data(report_path))
    assert [document.text for document in lazily] == expected
    assert [document.text for document in reader.load_data(report_path.read_bytes())] == expected


def test_extra_info_is_added_and_wins(report_path: Path) -> None:
    extra = {"owner": "me", "file_name": "mine"}
    documents = InternVLReader().load_data(report_path, extra_info=extra)
    for document in documents:
        assert (document.metadata["owner"], document.metadata["file_name"]) == ("me", "mine")
    documents[0].metadata["owner"] = "you"
    assert documents[1].metadata["owner"] == "me"
    assert extra == {"owner": "me", "file_name": "mine"}


def test_a_filesystem(report_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    memory.pipe("/store/in/report.pdf", report_path.read_bytes())
    documents = InternVLReader().load_data("/store/in/report.pdf", fs=memory)
    assert [document.metadata["page"] for document in documents] == [1, 2]
    assert documents[0].metadata["file_name"] == "report.pdf"
    assert documents[0].text == InternVLReader().load_data(report_path)[0].text


def test_neighbours_are_linked(report_path: Path) -> None:
    reader = InternVLReader()
    first, second = reader.load_data(report_path)
    assert first.next_node is not None
    assert first.next_node.node_id == second.id_
    assert second.prev_node is not None
    assert second.prev_node.node_id == first.id_
    assert first.prev_node is None
    assert second.next_node is None
    both = reader.load_data([report_path, report_path.read_bytes()])
    assert [document.prev_node is None for document in both] == [True, False, True, False]
    lazy = list(reader.lazy_load_data(report_path))
    assert lazy[1].prev_node == second.prev_node


def test_little_metadata_goes_into_embeddings_and_prompts(tmp_path: Path) -> None:
    path = tmp_path / f"{'long ' * 40}.pdf"
    path.write_bytes(report())
    for document in InternVLReader(mode="element").load_data(path):
        for mode in (MetadataMode.EMBED, MetadataMode.LLM):
            told = document.get_metadata_str(mode)
            assert "file_name" in told
            assert "table_html" not in told
            assert "bbox" not in told
            assert len(told) < 600
        assert "page: " in document.get_metadata_str(MetadataMode.LLM)


def test_a_reader_is_its_options(report_path: Path) -> None:
    reader = InternVLReader(mode="table", pages="2", password="secret")
    assert InternVLReader.class_name() == "InternVLReader"
    assert reader.is_remote is False
    assert pickle.loads(pickle.dumps(reader)) == reader
    as_dict = reader.to_dict()
    assert "secret" not in json.dumps(as_dict)
    assert InternVLReader.from_dict(as_dict).options == InternVLReader(mode="table", pages="2").options
    config = ReaderConfig(reader=reader, reader_args=[str(report_path)])
    assert len(config.read()) == 1
    assert json.dumps(config.to_dict())
    assert InternVLReader(options=ParseOptions.of(dpi=99)).options.dpi == 99
    for wrong in ({"mode": "single"}, {"pages": "9-1"}, {"colour": "red"}):
        with pytest.raises(OptionError):
            InternVLReader(**wrong)


def _stored(image: Document) -> Document:
    from llama_index.core.storage.docstore.utils import doc_to_json, json_to_doc

    stored = json_to_doc(json.loads(json.dumps(doc_to_json(image))))
    assert isinstance(stored, ImageDocument)
    return stored


def _size(image: Document) -> tuple[int, int]:
    assert isinstance(image, ImageDocument)
    return PIL.Image.open(io.BytesIO(image.resolve_image().read())).size


@pytest.mark.parametrize("in_files", [False, True])
def test_images_survive_storing_and_splitting(report_path: Path, tmp_path: Path, in_files: bool) -> None:
    from llama_index.core.node_parser import SentenceSplitter
    from llama_index.core.schema import ImageNode

    place = {"image_dir": tmp_path / "images"} if in_files else {}
    documents = InternVLReader(images="figures", dpi=72, **place).load_data(report_path)
    assert [type(document) for document in documents[:2]] == [Document, Document]
    (figure,) = documents[2:]
    assert isinstance(figure, ImageDocument)
    assert (figure.image_path is not None) == in_files
    assert figure.metadata["category"] == "figure"
    assert figure.image_mimetype == "image/png"
    width, height = _size(figure)
    assert width > height
    assert figure.relationships[NodeRelationship.PARENT].node_id == documents[1].id_
    assert documents[1].next_node is None

    assert _size(_stored(figure)) == (width, height)
    assert _stored(figure).hash == figure.hash
    assert _size(pickle.loads(pickle.dumps(figure))) == (width, height)
    (node,) = SentenceSplitter()([figure])
    assert isinstance(node, ImageNode)
    assert PIL.Image.open(node.resolve_image()).size == (width, height)


def test_page_images_come_with_their_page(report_path: Path) -> None:
    pages = InternVLReader(images="pages", dpi=36).load_data(report_path)
    assert all(0.7 < width / height < 0.72 for width, height in map(_size, pages))
    assert pages[0].text.startswith("# Payment")
    elements = InternVLReader(mode="element", images="all", dpi=36).load_data(report_path, None)
    kinds = [element.metadata["category"] for element in elements if isinstance(element, ImageDocument)]
    assert kinds == ["page_image", "figure", "page_image"]


def test_failed_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    def page(number: int, options: ParseOptions) -> Page:
        about = {"source": "s.pdf", "document_id": "d", "number": number, "total_pages": 3}
        if number != 2:
            return Page(status="ok", blocks=(Block(type="paragraph", text=f"text {number}"),), **about)
        if options.on_error == "raise":
            raise PageError("broken", source="s.pdf", page=2)
        return Page(status="failed", reason="broken", **about)

    def parse(source: object, options: ParseOptions) -> Iterator[Page]:
        for number in (1, 2, 3):
            yield page(number, options)

    async def aparse(source: object, options: ParseOptions) -> AsyncIterator[Page]:
        for number in (1, 2, 3):
            yield page(number, options)

    monkeypatch.setattr(loading, "parse", parse)
    monkeypatch.setattr(loading, "aparse", aparse)
    documents = InternVLReader().lazy_load_data("s.pdf")
    assert next(documents).text == "text 1"
    with pytest.raises(PageError, match=r"s\.pdf, page 2: broken"):
        next(documents)
    with pytest.raises(PageError):
        asyncio.run(InternVLReader().aload_data("s.pdf"))
    skipping = InternVLReader(on_error="skip").load_data("s.pdf")
    assert [document.text for document in skipping] == ["text 1", "text 3"]
    assert skipping[0].next_node is not None
    assert skipping[0].next_node.node_id == skipping[1].id_
    documents = InternVLReader(on_error="placeholder").load_data("s.pdf")
    assert [document.text for document in documents] == ["text 1", "", "text 3"]
    assert documents[1].metadata["status"] == "failed"


def test_a_missing_file_is_named() -> None:
    with pytest.raises(DocumentNotFoundError, match=r"missing\.pdf"):
        InternVLReader().load_data("missing.pdf")


def test_an_empty_page_is_a_document(tmp_path: Path) -> None:
    path = tmp_path / "blank.pdf"
    path.write_bytes(pdf("", "Some text on the second page of this document."))
    blank, _ = InternVLReader().load_data(path)
    assert (blank.text, blank.metadata["status"]) == ("", "empty")


async def test_the_event_loop_is_never_blocked(report_path: Path, tmp_path: Path) -> None:
    blockbuster = pytest.importorskip("blockbuster")
    reader = InternVLReader(images="all", image_dir=str(tmp_path), dpi=36)
    with blockbuster.blockbuster_ctx():
        documents = await reader.aload_data(report_path)
    assert len(documents) == 3


def test_a_missing_framework_is_named_with_its_extra() -> None:
    code = """
import sys
sys.modules["llama_index.core"] = None
from internvl_loaders.errors import MissingDependencyError
try:
    import internvl_loaders.llama_index
except MissingDependencyError as error:
    print(isinstance(error, ImportError), error)
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.startswith("True")
    assert "pip install 'internvl-documents[llama-index]'" in said


def test_importing_brings_no_other_framework_no_torch_and_no_reader() -> None:
    code = "import sys, internvl_loaders.llama_index; print(*sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    roots = {name.partition(".")[0] for name in said.split()}
    assert not roots & {"langchain_core", "torch", "pymupdf", "pypdfium2", "rapidocr", "onnxruntime", "cv2"}
