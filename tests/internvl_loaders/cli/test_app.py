"""The command as a user runs it: a process, its output, its exit status."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import psutil
import pytest

from internvl_loaders.cli.app import app
from tests.kit.command import internvl
from tests.kit.paths import EXAMPLE, ROOT
from tests.kit.pdfs import pdf


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    scans = tmp_path / "scans"
    (scans / "a").mkdir(parents=True)
    (scans / "a" / "b.pdf").write_bytes(pdf("The first page\nof a letter.", "The second page."))
    (scans / "c.pdf").write_bytes(pdf("Another letter."))
    (scans / "empty.pdf").write_bytes(b"")
    (scans / "readme.txt").write_text("not a document")
    return scans


def test_markdown_on_standard_output() -> None:
    run = internvl("parse", EXAMPLE, "--pages", 1)
    assert run.returncode == 0
    assert "Invoice 2026-0417" in run.stdout
    assert "356.65" in run.stdout
    assert "1 ok" in run.stderr


def test_a_scan_is_read_upright_with_its_table() -> None:
    run = internvl("parse", EXAMPLE, "--pages", 2, "--format", "json", "-q")
    assert (run.returncode, run.stderr) == (0, "")
    (page,) = json.loads(run.stdout)["pages"]
    assert (page["method"], page["number"], page["status"]) == ("rapidocr", 2, "ok")
    assert -2.0 < page["skew"] < -0.6
    (table,) = [b["table"] for b in page["blocks"] if b["table"]]
    assert (table["rows"], table["cols"]) == (5, 5)
    cells = {(c["row"], c["col"]): c["text"] for c in table["cells"]}
    assert [cells[row, 4] for row in range(1, 5)] == ["0", "2", "0", "5"]


def test_one_file_a_document_and_format(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run = internvl("parse", folder, "-o", out, "--format", "md,json", "--format", "text")
    assert run.returncode == 1
    files = sorted(str(p.relative_to(out)) for p in out.rglob("*") if p.is_file())
    assert files == ["a/b.pdf.json", "a/b.pdf.md", "a/b.pdf.text", "c.pdf.json", "c.pdf.md", "c.pdf.text"]
    assert "empty.pdf" in run.stderr
    assert run.stdout == ""
    assert len(json.loads((out / "a" / "b.pdf.json").read_text())["pages"]) == 2


def test_the_report_accounts_for_everything(folder: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    internvl("parse", folder, "-o", tmp_path / "out", "--report", report)
    told = json.loads(report.read_text())
    assert told["schema"] == "internvl-report/1"
    assert [(Path(d["source"]).name, d["status"], len(d["pages"])) for d in told["documents"]] == [
        ("b.pdf", "ok", 2),
        ("c.pdf", "ok", 1),
        ("empty.pdf", "failed", 0),
    ]
    assert told["documents"][2]["reason"]
    assert told["totals"]["pages"] == 3


def test_page_breaks(folder: Path) -> None:
    plain = internvl("parse", folder / "a" / "b.pdf", "-q").stdout
    broken = internvl("parse", folder / "a" / "b.pdf", "-q", "--page-breaks").stdout
    assert "\f" not in plain
    assert broken.count("\f") == 1
    assert broken.replace("\f", "").split() == plain.split()


def test_csv_is_a_file_a_table(tmp_path: Path) -> None:
    run = internvl("parse", EXAMPLE, "-o", tmp_path, "-f", "csv", "--pages", 1)
    assert run.returncode == 0
    assert os.listdir(tmp_path) == ["invoice.pdf.1.csv"]
    assert "166.00" in (tmp_path / "invoice.pdf.1.csv").read_text()


def test_standard_input(folder: Path) -> None:
    run = internvl("parse", "-", "-q", stdin=(folder / "c.pdf").read_bytes())
    assert (run.returncode, run.stdout.strip()) == (0, "Another letter.")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["x.pdf", "--format", "docx"], "no such format"),
        (["x.pdf", "--pages", "5-2"], "page range"),
        (["x.pdf", "--transcriber", "magic"], "transcriber"),
        (["x.pdf", "--transcriber", "internvl"], "--model"),
        (["x.pdf", "--max-bytes", "0"], "max_bytes"),
        (["x.pdf", "--dpi", "1"], "dpi"),
        (["x.pdf", "y.pdf"], "-o"),
        (["x.pdf", "-f", "md,json"], "-o"),
        ([".", ], "-o"),
        (["x.pdf", "--nonsense"], "nonsense"),
        ([], "argument"),
    ],
)  # fmt: skip
def test_wrong_use_is_status_2(arguments: list[str], said: str, tmp_path: Path) -> None:
    (tmp_path / "z.pdf").write_bytes(pdf("z"))
    run = internvl("parse", *arguments, cwd=tmp_path)
    assert run.returncode == 2
    assert said in run.stderr
    assert run.stdout == ""


def test_bad_input_is_status_1_and_names_file_and_remedy(tmp_path: Path) -> None:
    run = internvl("parse", tmp_path / "gone.pdf")
    assert run.returncode == 1
    assert f"{tmp_path}/gone.pdf: no such file. Check the path" in run.stderr
    encrypted = tmp_path / "page.html"
    encrypted.write_text("<html>")
    run = internvl("parse", encrypted)
    assert run.returncode == 1
    assert "page.html" in run.stderr


def test_pages_outside(folder: Path) -> None:
    run = internvl("parse", folder / "c.pdf", "--pages", "7-")
    assert run.returncode == 1
    assert "has 1 page, none of them in 7-" in run.stderr


def test_on_error_raise_stops_and_leaves_nothing_half_written(folder: Path, tmp_path: Path) -> None:
    run = internvl(
        "parse", folder / "empty.pdf", folder / "c.pdf", "-o", tmp_path / "out", "--on-error", "raise"
    )
    assert run.returncode == 1
    assert "empty.pdf" in run.stderr
    assert not (tmp_path / "out").exists()


def test_a_name_that_a_terminal_would_obey(tmp_path: Path) -> None:
    path = tmp_path / "a\x1b[31mb[bold].pdf"
    path.write_bytes(b"")
    run = internvl("parse", path)
    assert "\x1b" not in run.stderr
    assert "[bold]" in run.stderr


def test_interrupting_leaves_nothing_behind(tmp_path: Path) -> None:
    source = tmp_path / "long.pdf"
    source.write_bytes(pdf(*["A page of some text."] * 400))
    out = tmp_path / "out"
    command = [
        sys.executable,
        "-c",
        "from internvl_loaders.cli.app import app; app()",
        "parse",
        str(source),
        "-o",
        str(out),
    ]
    process = subprocess.Popen(
        [*command, "--transcriber", "rapidocr"],
        stderr=subprocess.PIPE,
        # What runs in the background of a script is started with interrupts ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 60
    while not out.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    children = psutil.Process(process.pid).children(recursive=True)
    assert children
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode != 0
    assert b"Traceback" not in said
    assert os.listdir(out) == []
    assert not psutil.wait_procs(children, timeout=5)[1]


def test_the_installed_command_is_this_app() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert EntryPoint("internvl", scripts["internvl"], "console_scripts").load() is app


def test_check() -> None:
    run = internvl("check")
    assert run.returncode == 0
    for part in ("PyMuPDF", "pdfium", "RapidOCR", "LangChain", "LlamaIndex", "InternVL engine"):
        assert part in run.stdout


def test_version() -> None:
    from internvl_loaders import __version__

    assert __version__ in internvl("--version").stdout
