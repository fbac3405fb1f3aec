"""The command with a real, if tiny and random, checkpoint: what it says is nonsense, its statuses are not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.internvl_loaders.transcribe.model.test_transcriber import scan
from tests.kit.paths import EXAMPLE

pytest.importorskip("torch")
pytest.importorskip("transformers")


@pytest.mark.slow
def test_parse_with_a_checkpoint(tmp_path: Path) -> None:
    from tests.kit.checkpoints import built

    (tmp_path / "scan.tiff").write_bytes(scan(400))
    command = [sys.executable, "-c", "from internvl_loaders.cli.app import app; app()", "parse", "scan.tiff"]
    command += [str(EXAMPLE), "-o", "out", "--no-cache"]
    command += ["--transcriber", "internvl", "--model", str(built("tiny")), "--report", "report.json"]
    command += ["--max-tokens", "8", "--max-tiles", "2", "--format", "md,json"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    pages = [page for document in report["documents"] for page in document["pages"]]
    assert len(pages) == 3
    for page in pages:
        assert page["status"] in {"ok", "retried", "fallback"}
        assert page["method"] in {"internvl", "rapidocr"}
        assert page["reason"] or page["status"] == "ok"
    assert (tmp_path / "out" / "scan.tiff.md").exists()
