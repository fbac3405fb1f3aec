"""LlamaIndex's own consumers of readers, run for real."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("llama_index.core")

from llama_index.core import Document, MockEmbedding, SimpleDirectoryReader, VectorStoreIndex
from llama_index.core.ingestion import DocstoreStrategy, IngestionCache, IngestionPipeline
from llama_index.core.llms import MockLLM
from llama_index.core.node_parser import MarkdownElementNodeParser, SentenceSplitter
from llama_index.core.readers.base import ReaderConfig
from llama_index.core.schema import ImageDocument, ImageNode, IndexNode
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.vector_stores import MetadataFilter, MetadataFilters, SimpleVectorStore

from internvl_loaders.llama_index import InternVLReader
from tests.kit.pdfs import pdf
from tests.kit.samples import report


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "in"
    (root / "copy").mkdir(parents=True)
    (root / "report.pdf").write_bytes(report())
    (root / "copy" / "report.pdf").write_bytes(report())
    (root / "letter.pdf").write_bytes(pdf("Dear Sir or Madam, this page has text of its own."))
    return root


def _seen(documents: list[Document]) -> set[tuple[str, int]]:
    return {(document.metadata["source"], document.metadata["page"]) for document in documents}


@pytest.mark.parametrize("workers", [None, pytest.param(2, marks=pytest.mark.slow)])
def test_directory_reader(folder: Path, workers: int | None) -> None:
    directory = SimpleDirectoryReader(
        folder, recursive=True, file_extractor={".pdf": InternVLReader()}, raise_on_error=True
    )
    documents = directory.load_data(num_workers=workers)
    assert _seen(documents) == {
        (str(folder / "letter.pdf"), 1),
        *((str(folder / name), page) for name in ("report.pdf", "copy/report.pdf") for page in (1, 2)),
    }
    assert all(document.metadata["file_type"] == "application/pdf" for document in documents)


async def test_directory_reader_in_asyncio(folder: Path) -> None:
    directory = SimpleDirectoryReader(folder, recursive=True, file_extractor={".pdf": InternVLReader()})
    assert len(await directory.aload_data()) == 5


def test_directory_reader_on_a_memory_filesystem(folder: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    memory.pipe("/inbox/report.pdf", (folder / "report.pdf").read_bytes())
    directory = SimpleDirectoryReader(
        "/inbox", fs=memory, file_extractor={".pdf": InternVLReader()}, raise_on_error=True
    )
    documents = directory.load_data()
    assert [document.metadata["page"] for document in documents] == [1, 2]
    assert all(document.metadata["file_name"] == "report.pdf" for document in documents)


def _pipeline(reader: InternVLReader, folder: Path, **changes: Any) -> IngestionPipeline:
    return IngestionPipeline(
        readers=[ReaderConfig(reader=reader, reader_args=[str(folder)])],
        transformations=[SentenceSplitter(chunk_size=256, chunk_overlap=0), MockEmbedding(8)],
        **changes,
    )


@pytest.mark.parametrize("mode", ["page", "element", "document", "table"])
def test_upserts_ingest_nothing_twice(folder: Path, mode: Any) -> None:
    pipeline = _pipeline(
        InternVLReader(mode=mode, images="figures", dpi=36),
        folder,
        docstore=SimpleDocumentStore(),
        vector_store=SimpleVectorStore(),
    )
    nodes = pipeline.run()
    assert nodes
    assert pipeline.run() == []
    assert pipeline.docstore is not None
    assert {node.ref_doc_id for node in nodes} <= set(pipeline.docstore.docs)


def test_upserts_and_delete_follow_a_change(folder: Path) -> None:
    pipeline = _pipeline(
        InternVLReader(),
        folder,
        docstore=SimpleDocumentStore(),
        docstore_strategy=DocstoreStrategy.UPSERTS_AND_DELETE,
        vector_store=SimpleVectorStore(),
    )
    pipeline.run()
    (folder / "letter.pdf").write_bytes(pdf("Dear Sir or Madam, this page has been written anew."))
    (node,) = pipeline.run()
    assert "anew" in node.get_content()
    assert pipeline.docstore is not None
    assert len(pipeline.docstore.docs) == 5


def test_the_cache_is_hit(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = _pipeline(InternVLReader(), folder, cache=IngestionCache())
    nodes = first.run()
    first.persist(str(tmp_path / "storage"))
    second = _pipeline(InternVLReader(), folder)
    second.load(str(tmp_path / "storage"))
    monkeypatch.setattr(MockEmbedding, "_get_text_embeddings", None)
    assert [node.id_ for node in second.run()] == [node.id_ for node in nodes]


def test_metadata_fits_small_chunks(folder: Path) -> None:
    documents = InternVLReader(mode="element").load_data(folder)
    assert SentenceSplitter(chunk_size=128, chunk_overlap=0).get_nodes_from_documents(documents)


@pytest.mark.parametrize("in_files", [False, True])
def test_images_survive_a_persisted_docstore(folder: Path, tmp_path: Path, in_files: bool) -> None:
    place = {"image_dir": tmp_path / "images"} if in_files else {}
    documents = InternVLReader(images="all", dpi=36, **place).load_data(folder / "report.pdf")
    store = SimpleDocumentStore()
    store.add_documents(documents)
    store.persist(str(tmp_path / "docstore.json"))
    loaded = SimpleDocumentStore.from_persist_path(str(tmp_path / "docstore.json"))
    assert len(documents) == 3
    for document in documents:
        again = loaded.get_document(document.id_)
        assert isinstance(again, ImageDocument)
        assert isinstance(document, ImageDocument)
        assert again.resolve_image().read() == document.resolve_image().read()
        assert again.relationships == document.relationships


def test_an_index_holds_text_and_images(folder: Path, tmp_path: Path) -> None:
    documents = InternVLReader(images="figures", dpi=36).load_data(folder / "report.pdf")
    index = VectorStoreIndex.from_documents(documents, embed_model=MockEmbedding(8))
    index.storage_context.persist(str(tmp_path / "index"))
    nodes = SimpleDocumentStore.from_persist_dir(str(tmp_path / "index")).docs.values()
    (image,) = (node for node in nodes if isinstance(node, ImageNode))
    assert image.resolve_image()
    assert image.metadata["category"] == "figure"


def test_chroma_takes_and_filters_the_metadata(folder: Path) -> None:
    chromadb = pytest.importorskip("chromadb")
    vector_stores = pytest.importorskip("llama_index.vector_stores.chroma")
    client = chromadb.EphemeralClient(chromadb.config.Settings(anonymized_telemetry=False))
    collection = client.create_collection("reader")
    try:
        store = vector_stores.ChromaVectorStore(chroma_collection=collection)
        nodes = _pipeline(InternVLReader(mode="element"), folder, vector_store=store).run()
        index = VectorStoreIndex.from_vector_store(store, embed_model=MockEmbedding(8))
        filters = MetadataFilters(
            filters=[MetadataFilter(key="category", value="table"), MetadataFilter(key="page", value=2)]
        )
        found = index.as_retriever(similarity_top_k=10, filters=filters).retrieve("net")
        assert collection.count() == len(nodes)
        assert len(found) == 2
        assert all("Paper" in node.text for node in found)
    finally:
        client.delete_collection("reader")


def test_markdown_element_parser_finds_our_tables(folder: Path) -> None:
    pytest.importorskip("pandas")
    documents = InternVLReader().load_data(folder / "report.pdf")
    nodes = MarkdownElementNodeParser(llm=MockLLM(), num_workers=1).get_nodes_from_documents(documents)
    assert [node.metadata["page"] for node in nodes if isinstance(node, IndexNode)] == [1, 2]
    frames = [ast.literal_eval(node.metadata["table_df"]) for node in nodes if "table_df" in node.metadata]
    assert len(frames) == 2
    for frame in frames:
        assert list(frame) == ["Item", "Net", "Gross"]
        assert frame["Gross"] == {0: 11.9, 1: 23.8}
        assert "Ink" in frame["Item"][1]


def test_a_broken_file_leaves_its_neighbours(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(folder / "report.pdf", folder / "zz.pdf")
    (folder / "zz.pdf").write_bytes(b"%PDF-1.7 of no use")
    directory = SimpleDirectoryReader(folder, file_extractor={".pdf": InternVLReader()})
    assert len(directory.load_data()) == 3
    assert "zz.pdf" in capsys.readouterr().out
    skipping = SimpleDirectoryReader(
        folder, file_extractor={".pdf": InternVLReader(on_error="skip")}, raise_on_error=True
    )
    assert len(skipping.load_data()) == 3
