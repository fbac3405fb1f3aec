"""The LangChain adapter, on real documents, and on scripted pages where timing or failures matter."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import groupby
from pathlib import Path

import pytest

pytest.importorskip("langchain_core")

from langchain_core.document_loaders import BaseLoader
from langchain_core.documents.base import Blob

from internvl_loaders.document import Block, Page
from internvl_loaders.errors import (
    DocumentNotFoundError,
    OptionError,
    PageError,
    SourceError,
    UnsupportedDocumentError,
)
from internvl_loaders.langchain import InternVLBlobParser, InternVLLoader
from internvl_loaders.options import ParseOptions
from internvl_loaders.records import loading
from tests.kit.marks import slow
from tests.kit.pdfs import pdf
from tests.kit.samples import png, report


@pytest.fixture(scope="module")
def report_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("documents") / "report.pdf"
    path.write_bytes(report())
    return path


class Script:
    """Stands in for `parse` and `aparse`: pages 1 to 3, of which 2 may fail; keeps a log of what happened."""

    def __init__(self, fails: bool) -> None:
        self.fails = fails
        self.log: list[str] = []

    def _page(self, number: int, options: ParseOptions) -> Page:
        self.log.append(f"page {number}")
        about = {"source": "s.pdf", "document_id": "d", "number": number, "total_pages": 3}
        if number == 2 and self.fails:
            if options.on_error == "raise":
                raise PageError("broken", source="s.pdf", page=2)
            return Page(status="failed", reason="broken", **about)
        return Page(status="ok", blocks=(Block(type="paragraph", text=f"text {number}"),), **about)

    def parse(self, source: object, options: ParseOptions) -> Iterator[Page]:
        try:
            for number in (1, 2, 3):
                yield self._page(number, options)
        finally:
            self.log.append("closed")

    async def aparse(self, source: object, options: ParseOptions) -> AsyncIterator[Page]:
        try:
            for number in (1, 2, 3):
                await asyncio.sleep(0)
                yield self._page(number, options)
        finally:
            self.log.append("closed")


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Script]:
    def install(*, fails: bool = False) -> Script:
        scripted = Script(fails)
        monkeypatch.setattr(loading, "parse", scripted.parse)
        monkeypatch.setattr(loading, "aparse", scripted.aparse)
        return scripted

    return install


def test_pages_of_a_real_document(report_path: Path) -> None:
    documents = InternVLLoader(report_path).load()
    assert [document.metadata["page"] for document in documents] == [1, 2]
    first = documents[0]
    assert first.page_content.startswith("# Payment")
    assert "| Paper" in first.page_content
    assert first.metadata["source"] == str(report_path)
    assert first.metadata["file_name"] == "report.pdf"
    assert first.metadata["total_pages"] == 2
    assert first.metadata["status"] == "ok"
    assert first.metadata["method"] == "text-layer"


def test_modes_of_a_real_document(report_path: Path) -> None:
    (whole,) = InternVLLoader(report_path, mode="document").load()
    assert whole.page_content.index("Payment") < whole.page_content.index("Delivery of goods")
    tables = InternVLLoader(report_path, mode="table").load()
    assert [table.metadata["page"] for table in tables] == [1, 2]
    assert [table.metadata["section"] for table in tables] == ["Payment", "Delivery of goods"]
    assert "Paper,10.00,11.90" in str(tables[0].metadata["table_csv"])
    elements = InternVLLoader(report_path, mode="element", pages="2").load()
    assert [element.metadata["category"] for element in elements][:3] == ["heading", "paragraph", "table"]
    assert all(len(str(element.metadata["bbox"]).split(",")) == 4 for element in elements)


@pytest.mark.parametrize(
    "mode",
    ["page", *slow("document", "element", "table")],
)
def test_two_runs_say_the_same(report_path: Path, mode: str) -> None:
    first, second = (InternVLLoader(report_path, mode=mode).load() for _ in range(2))
    assert first == second
    assert [document.id for document in first] == [document.id for document in second]
    assert len({document.id for document in first}) == len(first)
    for document in first:
        assert all(type(value) in {str, int, float} for value in document.metadata.values())
        assert json.loads(json.dumps(document.metadata)) == document.metadata


async def test_async_says_the_same(report_path: Path) -> None:
    for mode in ("page", "element"):
        loader = InternVLLoader(report_path, mode=mode)
        assert await loader.aload() == loader.load()


def test_load_is_left_to_the_base_class() -> None:
    assert InternVLLoader.load is BaseLoader.load
    assert InternVLLoader.alazy_load is not BaseLoader.alazy_load


def test_documents_come_before_later_pages_are_read(script: Callable[..., Script]) -> None:
    scripted = script()
    documents = InternVLLoader("s.pdf").lazy_load()
    assert next(documents).page_content == "text 1"
    assert scripted.log == ["page 1"]
    documents.close()
    assert scripted.log == ["page 1", "closed"]


async def test_async_documents_come_before_later_pages_are_read(script: Callable[..., Script]) -> None:
    scripted = script()
    documents = InternVLLoader("s.pdf").alazy_load()
    assert (await anext(documents)).page_content == "text 1"
    await documents.aclose()
    assert scripted.log == ["page 1", "closed"]


def test_a_failed_page_raises_after_its_predecessors(script: Callable[..., Script]) -> None:
    scripted = script(fails=True)
    documents = InternVLLoader("s.pdf").lazy_load()
    assert next(documents).page_content == "text 1"
    with pytest.raises(PageError, match=r"s\.pdf, page 2: broken"):
        next(documents)
    assert scripted.log[-1] == "closed"


async def test_a_failed_page_raises_in_asyncio_too(script: Callable[..., Script]) -> None:
    script(fails=True)
    documents = InternVLLoader("s.pdf").alazy_load()
    assert (await anext(documents)).page_content == "text 1"
    with pytest.raises(PageError):
        await anext(documents)


def test_a_failed_page_skipped_or_a_placeholder(script: Callable[..., Script]) -> None:
    script(fails=True)
    skipping = InternVLLoader("s.pdf", on_error="skip").load()
    assert [document.page_content for document in skipping] == ["text 1", "text 3"]
    documents = InternVLLoader("s.pdf", on_error="placeholder").load()
    assert [document.page_content for document in documents] == ["text 1", "", "text 3"]
    assert documents[1].metadata["status"] == "failed"
    assert documents[1].metadata["reason"] == "broken"


def test_documents_that_do_not_open(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.7 and then nothing of use")
    (tmp_path / "b.pdf").write_bytes(pdf("This page is sound, and long enough to be read."))
    with pytest.raises(DocumentNotFoundError, match=r"missing\.pdf"):
        InternVLLoader(tmp_path / "missing.pdf").load()
    with pytest.raises(SourceError, match=r"a\.pdf"):
        InternVLLoader(tmp_path).load()
    with caplog.at_level(logging.WARNING, "internvl_loaders"):
        (document,) = InternVLLoader(tmp_path, on_error="skip").load()
    assert document.metadata["file_name"] == "b.pdf"
    assert "a.pdf" in caplog.text
    bad, good = InternVLLoader(tmp_path, on_error="placeholder").load()
    assert (bad.page_content, bad.metadata["status"]) == ("", "failed")
    assert bad.metadata["reason"]
    assert good == document


def test_wrong_options_are_told_at_once() -> None:
    for wrong in ({"mode": "single"}, {"pages": "9-1"}, {"colour": "red"}, {"images": "pages"}):
        with pytest.raises(OptionError):
            InternVLLoader("a.pdf", **wrong)
        with pytest.raises(OptionError):
            InternVLBlobParser(**wrong)


def test_options_to_start_from(report_path: Path) -> None:
    options = ParseOptions.of(pages="2")
    (document,) = InternVLLoader(report_path, options=options).load()
    assert document.metadata["page"] == 2


def test_images_are_kept_in_files(report_path: Path, tmp_path: Path) -> None:
    import PIL.Image

    folder = tmp_path / "images"
    kept = InternVLLoader(report_path, mode="element", images="figures", image_dir=folder).load()
    paths = [document.metadata["image_path"] for document in kept if "image_path" in document.metadata]
    assert len(paths) == 1
    assert PIL.Image.open(paths[0]).width > PIL.Image.open(paths[0]).height
    pages = InternVLLoader(report_path, images="pages", image_dir=folder, dpi=50).load()
    assert all(PIL.Image.open(page.metadata["image_path"]).height > 500 for page in pages)


def test_a_blob_is_read_from_path_or_memory(report_path: Path) -> None:
    parser = InternVLBlobParser()
    by_path = list(parser.lazy_parse(Blob.from_path(report_path, metadata={"owner": "me"})))
    assert [document.metadata["source"] for document in by_path] == [str(report_path)] * 2
    assert by_path[0].metadata["owner"] == "me"
    in_memory = Blob.from_data(report_path.read_bytes(), metadata={"source": "mail/7"})
    named = parser.parse(in_memory)
    assert [document.metadata["source"] for document in named] == ["mail/7"] * 2
    assert [document.page_content for document in named] == [document.page_content for document in by_path]
    nameless = parser.parse(Blob.from_data(report_path.read_bytes()))
    assert nameless[0].metadata["source"].startswith("sha256:")
    assert nameless == parser.parse(Blob.from_data(report_path.read_bytes()))


def test_a_blob_is_parsed_lazily(script: Callable[..., Script]) -> None:
    scripted = script()
    documents = InternVLBlobParser().lazy_parse(Blob.from_data(b"", path="s.pdf"))
    assert scripted.log == []
    next(documents)
    documents.close()
    assert scripted.log == ["page 1", "closed"]


def test_a_grey_image_array_is_read() -> None:
    import numpy
    import PIL.Image

    out = io.BytesIO()
    grey = PIL.Image.open(io.BytesIO(png("Invoice 4711"))).convert("L")
    numpy.save(out, numpy.asarray(grey)[:, :, None])
    blob = Blob.from_data(out.getvalue(), mime_type="application/x-npy", metadata={"source": "img"})
    (document,) = InternVLBlobParser().parse(blob)
    assert "4711" in document.page_content
    assert document.metadata["source"] == "img"
    assert document.metadata["method"] == "rapidocr"


def test_an_array_of_objects_is_not_unpickled() -> None:
    import numpy

    out = io.BytesIO()
    numpy.save(out, numpy.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(UnsupportedDocumentError):
        InternVLBlobParser().parse(Blob.from_data(out.getvalue(), mime_type="application/x-npy"))


async def test_the_event_loop_is_never_blocked(report_path: Path, tmp_path: Path) -> None:
    blockbuster = pytest.importorskip("blockbuster")
    loader = InternVLLoader(report_path, images="pages", image_dir=str(tmp_path), dpi=36)
    with blockbuster.blockbuster_ctx():
        documents = [document async for document in loader.alazy_load()]
    assert [document.metadata["page"] for document in documents] == [1, 2]


def test_interleaved_iterations_do_not_wait_for_each_other(report_path: Path) -> None:
    one, other = (InternVLLoader(report_path).lazy_load() for _ in range(2))
    pairs = list(zip(one, other, strict=True))
    assert len(pairs) == 2
    assert all(a == b for a, b in pairs)


async def test_iterations_side_by_side_in_asyncio_and_threads(report_path: Path) -> None:
    loaders = [InternVLLoader(report_path) for _ in range(3)]
    waiting = [loader.aload() for loader in loaders]
    waiting += [asyncio.to_thread(loader.load) for loader in loaders]
    results = await asyncio.wait_for(asyncio.gather(*waiting), 60)
    assert [key for key, _ in groupby(results)] == [results[0]]


def test_a_missing_framework_is_named_with_its_extra() -> None:
    code = """
import sys
sys.modules["langchain_core"] = None
from internvl_loaders.errors import MissingDependencyError
try:
    import internvl_loaders.langchain
except MissingDependencyError as error:
    print(isinstance(error, ImportError), error)
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.startswith("True")
    assert "pip install 'internvl-documents[langchain]'" in said


def test_importing_brings_no_other_framework_no_torch_and_no_reader() -> None:
    """Nor what its framework does not bring itself: older ones import transformers where it is installed."""
    code = (
        "import sys; from langchain_core.document_loaders import BaseBlobParser, BaseLoader; "
        "framework = set(sys.modules); "
        "import internvl_loaders.langchain; print(*(set(sys.modules) - framework))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    roots = {name.partition(".")[0] for name in said.split()}
    assert not roots & {
        "llama_index",
        "torch",
        "pymupdf",
        "pypdfium2",
        "rapidocr",
        "onnxruntime",
        "PIL",
        "cv2",
    }
