"""LangChain's own consumers of loaders and blob parsers, run for real."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("langchain_core")

from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.indexing import InMemoryRecordManager, aindex, index

from internvl_loaders.langchain import InternVLBlobParser, InternVLLoader
from tests.kit.marks import slow
from tests.kit.pdfs import pdf
from tests.kit.samples import png, report


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "report.pdf").write_bytes(report())
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "report.pdf").write_bytes(report())
    (tmp_path / "letter.pdf").write_bytes(pdf("Dear Sir or Madam, this page has text of its own.", ""))
    return tmp_path


@pytest.fixture
def chroma() -> Iterator[Any]:
    pytest.importorskip("chromadb")
    langchain_chroma = pytest.importorskip("langchain_chroma")
    from chromadb import EphemeralClient
    from chromadb.config import Settings

    client = EphemeralClient(Settings(anonymized_telemetry=False))
    yield langchain_chroma.Chroma("documents", DeterministicFakeEmbedding(size=8), client=client)
    client.delete_collection("documents")


@pytest.fixture
def records() -> InMemoryRecordManager:
    manager = InMemoryRecordManager("documents")
    manager.create_schema()
    return manager


@pytest.mark.parametrize(
    ("mode", "count"),
    [("page", 6), *slow(("element", 13), ("document", 3), ("table", 4))],
)
def test_indexing_again_skips_everything(
    folder: Path, chroma: Any, records: InMemoryRecordManager, mode: Any, count: int
) -> None:
    def run() -> dict[str, int]:
        loader = InternVLLoader(folder, mode=mode)
        return dict(
            index(loader, records, chroma, cleanup="full", source_id_key="source", key_encoder="sha256")
        )

    assert run() == {"num_added": count, "num_updated": 0, "num_skipped": 0, "num_deleted": 0}
    assert run() == {"num_added": 0, "num_updated": 0, "num_skipped": count, "num_deleted": 0}


async def test_indexing_again_skips_everything_in_asyncio(
    folder: Path, chroma: Any, records: InMemoryRecordManager
) -> None:
    for added in (6, 0):
        loader = InternVLLoader(folder)
        done = await aindex(
            loader, records, chroma, cleanup="incremental", source_id_key="source", key_encoder="sha256"
        )
        assert (done["num_added"], done["num_skipped"]) == (added, 6 - added)


def test_a_changed_document_replaces_itself_alone(
    folder: Path, chroma: Any, records: InMemoryRecordManager
) -> None:
    def run() -> dict[str, int]:
        loader = InternVLLoader(folder)
        return dict(
            index(
                loader, records, chroma, cleanup="incremental", source_id_key="source", key_encoder="sha256"
            )
        )

    run()
    (folder / "letter.pdf").write_bytes(pdf("Dear Sir or Madam, this page has been written anew.", ""))
    assert run() == {"num_added": 1, "num_updated": 0, "num_skipped": 5, "num_deleted": 1}


def test_metadata_filters(folder: Path, chroma: Any) -> None:
    chroma.add_documents(InternVLLoader(folder, mode="element").load())
    tables = chroma.similarity_search(
        "net", k=20, filter={"$and": [{"category": "table"}, {"page": {"$gte": 2}}]}
    )
    assert {document.metadata["source"] for document in tables} == {
        str(folder / "report.pdf"),
        str(folder / "copy" / "report.pdf"),
    }
    assert all(document.metadata["page"] == 2 for document in tables)
    assert all("Paper" in document.page_content for document in tables)


def test_generic_loader(folder: Path) -> None:
    pytest.importorskip("langchain_community")
    from langchain_community.document_loaders.generic import GenericLoader

    loader = GenericLoader.from_filesystem(
        folder, glob="**/*", suffixes=[".pdf"], parser=InternVLBlobParser()
    )
    found = {(document.metadata["file_name"], document.metadata["page"]) for document in loader.lazy_load()}
    assert found == {("letter.pdf", 1), ("letter.pdf", 2), ("report.pdf", 1), ("report.pdf", 2)}


def test_parser_by_mime_type(folder: Path) -> None:
    pytest.importorskip("langchain_community")
    from langchain_community.document_loaders.blob_loaders import FileSystemBlobLoader
    from langchain_community.document_loaders.parsers.generic import MimeTypeBasedParser

    parser = MimeTypeBasedParser({"application/pdf": InternVLBlobParser(mode="document")})
    blobs = FileSystemBlobLoader(folder, glob="**/*.pdf").yield_blobs()
    assert sum(len(list(parser.lazy_parse(blob))) for blob in blobs) == 3


def test_parser_of_the_images_in_a_pdf(tmp_path: Path) -> None:
    pymupdf = pytest.importorskip("pymupdf")
    pytest.importorskip("langchain_community")
    from langchain_community.document_loaders import PyMuPDFLoader

    document = pymupdf.open()
    page = document.new_page()
    page.insert_text((72, 72), "Text of the page itself")
    page.insert_image((72, 100, 522, 200), stream=png("Invoice 4711"))
    page.insert_image((72, 300, 172, 350), stream=png("", size=(100, 50), colour="teal"))
    document.save(tmp_path / "with_images.pdf")
    loader = PyMuPDFLoader(
        str(tmp_path / "with_images.pdf"), extract_images=True, images_parser=InternVLBlobParser()
    )
    (found,) = loader.load()
    assert "Text of the page itself" in found.page_content
    assert "4711" in found.page_content


def test_splitters(folder: Path) -> None:
    splitters = pytest.importorskip("langchain_text_splitters")
    loader = InternVLLoader(folder / "report.pdf")
    chunks = loader.load_and_split(splitters.RecursiveCharacterTextSplitter(chunk_size=120, chunk_overlap=0))
    assert len(chunks) > 4
    assert {chunk.metadata["page"] for chunk in chunks} == {1, 2}
    (whole,) = InternVLLoader(folder / "report.pdf", mode="document").load()
    by_heading = splitters.MarkdownHeaderTextSplitter([("#", "chapter")]).split_text(whole.page_content)
    assert [chunk.metadata["chapter"] for chunk in by_heading] == ["Payment", "Delivery of goods"]
    assert all("| Paper" in chunk.page_content for chunk in by_heading)
