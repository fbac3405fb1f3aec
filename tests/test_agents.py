from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from internvl_loaders.agents import DocumentTools
from internvl_loaders.errors import DocumentNotFoundError, OptionError, PageRangeError, SourceError
from tests.pdfs import pdf


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "allowed"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.pdf").write_bytes(
        pdf("Invoice 4711\nTotal due: 356.65 EUR", "Delivery note 88213", "Terms and conditions")
    )
    (folder / "sub" / "b.PDF").write_bytes(pdf("Another document"))
    (folder / "notes.txt").write_text("not a document")
    (tmp_path / "secret.pdf").write_bytes(pdf("Secret"))
    return folder


def test_what_there_is(folder: Path) -> None:
    assert DocumentTools(folder).list_documents().splitlines() == ["a.pdf", "sub/b.PDF"]
    (folder / "empty").mkdir()
    assert DocumentTools(folder / "empty").list_documents() == "There are no documents."


def test_reading(folder: Path) -> None:
    tools = DocumentTools(str(folder))
    whole = tools.parse_document("a.pdf")
    assert whole.index("## Page 1 of 3") < whole.index("356.65") < whole.index("88213") < whole.index("Terms")
    assert tools.parse_document("a.pdf", "2") == "## Page 2 of 3\n\nDelivery note 88213"
    assert tools.read_page("a.pdf", 2) == "Delivery note 88213"
    assert "Another" in tools.read_page(str(folder / "sub" / "b.PDF"), 1)
    with pytest.raises(PageRangeError):
        tools.read_page("a.pdf", 4)
    with pytest.raises(PageRangeError, match="count from 1"):
        tools.read_page("a.pdf", 0)


def test_long_documents_are_cut_and_say_how_to_go_on(folder: Path) -> None:
    tools = DocumentTools(folder, max_chars=80)
    cut = tools.parse_document("a.pdf")
    assert "[cut here; ask for pages 2-3, or read_page 2]" in cut
    assert "Terms" not in cut
    assert "Terms" in tools.parse_document("a.pdf", "3")


def test_searching(folder: Path) -> None:
    tools = DocumentTools(folder)
    (line,) = tools.search_in_document("a.pdf", "delivery NOTE 88213").splitlines()
    assert line.startswith("page 2 at (0.")
    assert line.endswith(": Delivery note 88213")
    assert "page 1" in tools.search_in_document("a.pdf", "lnvoice 47l1")  # as OCR might have it
    assert "Nothing" in tools.search_in_document("a.pdf", "helicopter")
    with pytest.raises(OptionError):
        tools.search_in_document("a.pdf", "  ")


@pytest.mark.parametrize(
    "path",
    [
        "../secret.pdf",
        "sub/../../secret.pdf",
        "/etc/passwd",
        "link.pdf",
        "linked/secret.pdf",
        "file:///etc/passwd",
        "http://127.0.0.1/a.pdf",
        "a.pdf\x00.png",
        "~/a.pdf",
        "",
        ".",
        "sub",
    ],
)
def test_nothing_else_is_reached(folder: Path, path: str) -> None:
    os.symlink(folder.parent / "secret.pdf", folder / "link.pdf")
    os.symlink(folder.parent, folder / "linked")
    tools = DocumentTools(folder)
    for ask in (tools.parse_document, lambda p: tools.read_page(p, 1)):
        with pytest.raises(SourceError):
            ask(path)
    assert "secret" not in tools.list_documents()
    assert "link" not in tools.list_documents()


def test_no_such_document_or_folder(folder: Path) -> None:
    with pytest.raises(DocumentNotFoundError, match="list_documents"):
        DocumentTools(folder).read_page("c.pdf", 1)
    with pytest.raises(OptionError, match="no such folder"):
        DocumentTools(folder / "nowhere")
    with pytest.raises(OptionError):
        DocumentTools([])


def test_what_was_read_is_kept_until_the_file_changes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = DocumentTools(folder)
    tools.parse_document("a.pdf")
    monkeypatch.setattr("internvl_loaders.agents.parse", None)
    assert "356.65" in tools.parse_document("a.pdf")
    monkeypatch.undo()
    time.sleep(0.01)
    (folder / "a.pdf").write_bytes(pdf("Changed"))
    assert "Changed" in tools.parse_document("a.pdf")


class Echo:
    """A scripted engine that says what it is asked."""

    def generate(self, requests: Any) -> list[Any]:
        (request,) = requests
        image, text = request.messages[0].parts
        assert image.source[:4] == b"\x89PNG"
        assert request.page
        return [type("Result", (), {"text": f"seen: {text.text}"})]


def test_asking_a_page(folder: Path) -> None:
    with pytest.raises(OptionError, match="no model"):
        DocumentTools(folder).ask_page("a.pdf", 1, "What is due?")
    asking = DocumentTools(folder, engine=Echo())  # type: ignore[arg-type]
    assert asking.ask_page("a.pdf", 1, "What is due?") == "seen: What is due?"
    names = [function.__name__ for function in asking.functions()]
    assert names == ["list_documents", "parse_document", "read_page", "search_in_document", "ask_page"]
    assert "ask_page" not in [function.__name__ for function in DocumentTools(folder).functions()]
