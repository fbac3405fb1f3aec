"""Both frameworks' loaders with an engine that is open already."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from internvl_llm.errors import EngineError
from internvl_loaders.document import Page
from internvl_loaders.records.options import LoaderOptions
from internvl_loaders.records.recorder import record_id
from tests.internvl_loaders.transcribe.model.test_transcriber import by_width, scan
from tests.kit.scripted import ScriptedEngine

ANSWER = "# Invoice 42\n\n<table><tr><th>a</th><th>b</th></tr><tr><td colspan=2>1</td></tr></table>"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    document = tmp_path / "scan.tiff"
    document.write_bytes(scan(400, 410))
    return document


def test_langchain(path: Path) -> None:
    pytest.importorskip("langchain_core")
    from internvl_loaders import langchain as loaders

    engine = ScriptedEngine(by_width({400: ANSWER, 410: "second page"}))
    loader = loaders.InternVLLoader(path, transcriber="internvl", engine=engine)
    first, second = loader.load()
    assert first.page_content.startswith("# Invoice 42") and 'colspan="2"' in first.page_content
    assert second.page_content == "second page"
    assert (first.metadata["method"], first.metadata["status"]) == ("internvl", "ok")

    async def load() -> list[str]:
        return [document.id async for document in loader.alazy_load()]

    assert asyncio.run(load()) == [first.id, second.id]
    assert len(engine.requests) == 4
    (table,) = loaders.InternVLLoader(path, engine=engine, transcriber="internvl", mode="table").load()
    assert table.metadata["category"] == "table"


def test_langchain_failures(path: Path) -> None:
    pytest.importorskip("langchain_core")
    from internvl_loaders import langchain as loaders

    said = {400: EngineError("out of memory"), 410: "second page"}
    engine = ScriptedEngine(by_width(said))
    with pytest.raises(EngineError, match="page 1: out of memory"):
        loaders.InternVLLoader(path, transcriber="internvl", engine=engine).load()
    (kept,) = loaders.InternVLLoader(path, transcriber="internvl", engine=engine, on_error="skip").load()
    assert kept.page_content == "second page"


def test_llama_index(path: Path) -> None:
    pytest.importorskip("llama_index.core")
    from internvl_loaders import llama_index as readers

    engine = ScriptedEngine(by_width({400: ANSWER, 410: "second page"}))
    reader = readers.InternVLReader(transcriber="internvl", engine=engine)
    first, second = reader.load_data(path)
    assert first.text.startswith("# Invoice 42")
    assert second.text == "second page"
    assert [d.id_ for d in asyncio.run(reader.aload_data(path))] == [first.id_, second.id_]
    assert reader.to_dict()["options"]["engine"] is None  # an open engine is no option to write down


def test_ids_tell_models_apart_and_not_instances() -> None:
    page = Page(source="a.pdf", document_id="1", number=1, status="ok")

    def identity(engine: ScriptedEngine | None) -> str:
        return record_id(LoaderOptions.of(engine=engine), page, 1)

    other = ScriptedEngine("")
    other.capabilities = type(other.capabilities)("another", 100)
    assert identity(ScriptedEngine("x")) == identity(ScriptedEngine("y"))
    assert len({identity(None), identity(ScriptedEngine("")), identity(other)}) == 3
