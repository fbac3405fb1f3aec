from __future__ import annotations

from pathlib import Path

import pytest

from internvl_loaders.records.loading import load
from internvl_loaders.records.options import LoaderOptions
from tests.kit.pdfs import pdf


def test_pages_that_are_not_there_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "a.pdf").write_bytes(pdf("one", "two"))
    for pages, absent in (("1,50", "50"), ("1,7-", "7-"), ("2-9", "3-9")):
        caplog.clear()
        (record,) = load(tmp_path / "a.pdf", LoaderOptions.of(pages=pages, mode="document"))
        assert (record.metadata["status"], record.metadata["reason"]) == ("ok", f"has 2 pages, not {absent}")
        assert [r.getMessage() for r in caplog.records] == [f"{tmp_path}/a.pdf: has 2 pages, not {absent}"]
    caplog.clear()
    (record,) = load(tmp_path / "a.pdf", LoaderOptions.of(pages="2-", mode="document"))
    assert "reason" not in record.metadata
    assert not caplog.records


def test_what_a_folder_holds_besides_documents_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.pdf").write_bytes(pdf("one"))
    for name in ("b.psd", "c.docx", "d.docx", ".DS_Store"):
        (tmp_path / name).touch()
    assert len(list(load(tmp_path, LoaderOptions.of()))) == 1
    assert [r.getMessage() for r in caplog.records] == ["3 files skipped: 1 .psd, 2 .docx"]
