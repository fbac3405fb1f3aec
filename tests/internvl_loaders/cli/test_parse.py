"""Runs that strangers, full disks and impatient people spoil: nothing is lost unsaid."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.internvl_loaders.transcribe.model.test_transcriber import scan
from tests.kit.command import internvl, internvl_process
from tests.kit.marks import slow
from tests.kit.names import HOSTILE
from tests.kit.paths import EXAMPLE
from tests.kit.pdfs import pdf

MAIN = "from internvl_loaders.cli.app import app; app()"


def shell(line: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """`line` of a shell, in which internvl is the command."""
    command = f'internvl() {{ "{sys.executable}" -c "{MAIN}" "$@"; }}; {line}'
    return subprocess.run(
        ["bash", "-c", command, "bash", *map(str, arguments)], capture_output=True, text=True, timeout=60
    )


def told(report: Path) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(report.read_bytes().decode())
    return body


@pytest.fixture
def letters(tmp_path: Path) -> Path:
    folder = tmp_path / "letters"
    folder.mkdir()
    for name in "abcde":
        (folder / f"{name}.pdf").write_bytes(pdf(f"Letter {name}"))
    return folder


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_says_what_it_did_not_come_to(
    tmp_path: Path, number: signal.Signals, status: int
) -> None:
    scans, out, report = tmp_path / "scans", tmp_path / "out", tmp_path / "report.json"
    scans.mkdir()
    (scans / "x.docx").touch()
    names = [f"{n:02}.tif" for n in range(30)]
    for name in names:
        (scans / name).write_bytes(scan(400))
    command = [sys.executable, "-c", MAIN, "parse", scans, "-o", out, "--report", report, "--no-cache"]
    process = subprocess.Popen(
        [*command, "--jobs", "1"],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 60
    while not out.exists() or not any(out.iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert process.returncode == status
    assert "Traceback" not in said
    run = told(report)
    complete = [Path(d["source"]).name for d in run["documents"] if d["status"] == "ok"]
    assert sorted(path.name for path in out.iterdir()) == [f"{name}.md" for name in complete]
    assert [Path(d["source"]).name for d in run["documents"]] + [
        Path(source).name for source in run["not_reached"]
    ] == names
    assert run["not_reached"]
    assert (run["interrupted"], run["error"], run["skipped"]) == (True, None, {".docx": 1})
    assert run["totals"]["ok"] == len(complete)
    assert f"interrupted: {len(complete)} document" in said
    assert f"{len(run['not_reached'])} not reached" in said
    assert "To go on, run it again" in said


def test_an_engine_that_cannot_be_opened_is_told_before_anything_is_read(
    letters: Path, tmp_path: Path
) -> None:
    (letters / "f.tif").write_bytes(scan(400))
    out, report = tmp_path / "out", tmp_path / "report.json"
    code = f"import sys; sys.modules['torch'] = None\n{MAIN}"
    arguments = ["parse", letters, "-o", out, "--report", report, "--model", "1B", "--no-cache"]
    run = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True)
    assert run.returncode == 1
    assert "internvl-documents[transformers]" in run.stderr
    assert "0 documents complete, 6 not reached" in run.stderr
    body = told(report)
    assert (body["documents"], body["interrupted"], len(body["not_reached"])) == ([], False, 6)
    assert "internvl-documents[transformers]" in body["error"]
    assert not out.exists()


def test_an_error_that_ends_the_run_is_reported(letters: Path, tmp_path: Path) -> None:
    (letters / "c.pdf").write_bytes(b"")
    report = tmp_path / "report.json"
    run = internvl("parse", letters, "-o", tmp_path / "out", "--report", report, "--on-error", "raise")
    assert run.returncode == 1
    body = told(report)
    assert [d["status"] for d in body["documents"]] == ["ok", "ok", "failed"]
    assert [Path(source).name for source in body["not_reached"]] == ["d.pdf", "e.pdf"]
    assert "c.pdf" in body["error"]
    assert sorted(os.listdir(tmp_path / "out")) == ["a.pdf.md", "b.pdf.md"]
    assert "2 documents complete, 2 not reached" in run.stderr


def test_a_full_disk_costs_the_documents_that_did_not_fit(letters: Path, tmp_path: Path) -> None:
    (letters / "c.pdf").write_bytes(pdf(*["A page of some text.\n" * 40] * 60))
    out, report = tmp_path / "out", tmp_path / "report.json"
    arguments = ["parse", letters, "-o", out, "-f", "md,json", "--report", report, "--no-cache"]
    run = subprocess.run(
        [sys.executable, "-c", MAIN, *map(str, arguments)],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000)),
    )
    assert run.returncode == 1
    assert "Traceback" not in run.stderr
    body = told(report)
    assert [d["status"] for d in body["documents"]] == ["ok", "ok", "failed", "ok", "ok"]
    assert {page["status"] for page in body["documents"][2]["pages"]} == {"failed"}
    assert "its output could not be written: File too large" in body["documents"][2]["reason"]
    assert body["totals"]["ok"] == 4
    assert "c.pdf: its output could not be written" in run.stderr
    expected = {f"{name}.pdf.{form}" for name in "abde" for form in ("md", "json")}
    assert set(os.listdir(out)) == expected


def test_a_report_that_cannot_be_written_is_said(letters: Path, tmp_path: Path) -> None:
    run = internvl("parse", letters / "a.pdf", "--report", "/dev/full", "-q")
    assert (run.returncode, run.stdout.strip()) == (1, "Letter a")
    assert "the report could not be written: No space left on device" in run.stderr
    run = internvl("parse", letters / "a.pdf", "--report", tmp_path)
    assert run.returncode == 2
    run = shell(
        'internvl parse "$1" -q -o "$2" --report /dev/stdout | cat', letters / "a.pdf", tmp_path / "out"
    )
    assert json.loads(run.stdout)["totals"]["ok"] == 1


def test_a_hundred_names_of_strangers(tmp_path: Path) -> None:
    """Each once as a letter, once as a file that cannot be opened, in folders of such names."""
    scans, out, report = tmp_path / "scans", tmp_path / "out", tmp_path / "report.json"
    for number, name in enumerate(HOSTILE):
        folder = scans / HOSTILE[number // 10 * 10]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.pdf").write_bytes(pdf("x"))
        (folder / f"{name}.broken.pdf").touch()
    run = internvl("parse", scans, "-o", out, "-f", "md,json", "--report", report, "--no-cache")
    assert run.returncode == 1
    body = told(report)
    assert [d["status"] for d in body["documents"]].count("ok") == len(HOSTILE)
    assert len(body["documents"]) == 2 * len(HOSTILE)
    *lines, summary = run.stderr.split("\n")[:-1]
    assert len(lines) == len(HOSTILE)
    assert all(line.startswith("failed ") for line in lines)
    assert summary.startswith(f"{len(HOSTILE)} pages of {2 * len(HOSTILE)} documents")
    assert not [char for char in run.stderr if not char.isprintable() and char not in "\n\u200c\u200d"]
    written = [path for path in out.rglob("*") if path.is_file()]
    assert len(written) == 2 * len(HOSTILE)
    assert all(path.resolve().is_relative_to(out.resolve()) for path in written)
    sources = [json.loads(path.read_bytes())["source"] for path in written if path.suffix == ".json"]
    assert len(set(sources)) == len(HOSTILE)


def test_a_file_beside_a_folder_of_its_outputs_name(tmp_path: Path) -> None:
    scans, out = tmp_path / "scans", tmp_path / "out"
    (scans / "a.md").mkdir(parents=True)
    for name in ("a", "a.md/z.pdf", "b.pdf"):
        (scans / name).write_bytes(pdf(name))
    assert internvl("parse", scans, "-o", out).returncode == 0
    assert {str(p.relative_to(out)): p.read_text().strip() for p in out.rglob("*") if p.is_file()} == {
        "a.md": "a", "a.md~2/z.pdf.md": "a.md/z.pdf", "b.pdf.md": "b.pdf"
    }  # fmt: skip


def test_links_in_the_output_folder_lead_nowhere(tmp_path: Path) -> None:
    scans, out, outside = tmp_path / "scans", tmp_path / "out", tmp_path / "outside"
    for folder in (scans / "sub", out, outside):
        folder.mkdir(parents=True)
    for name in ("sub/a.pdf", "b.pdf", "c.pdf"):
        (scans / name).write_bytes(pdf(name))
    (out / "sub").symlink_to(outside)
    (outside / "precious").write_text("precious")
    (out / "b.pdf.md").symlink_to(outside / "precious")
    (out / "c.pdf.md").mkdir()
    report = tmp_path / "report.json"
    run = internvl("parse", scans, "-o", out, "--report", report)
    assert run.returncode == 1
    assert [(Path(d["source"]).name, d["status"]) for d in told(report)["documents"]] == [
        ("b.pdf", "ok"), ("c.pdf", "failed"), ("a.pdf", "failed")
    ]  # fmt: skip
    assert "is a link, and would lead out of the folder" in run.stderr
    assert [(path.name, path.read_text()) for path in outside.iterdir()] == [("precious", "precious")]
    assert (out / "b.pdf.md").read_text().strip() == "b.pdf"


def test_what_cannot_be_a_folder_is_wrong_use(letters: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to(tmp_path / "gone")
    for out in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / "dangling"):
        run = internvl("parse", letters, "-o", out)
        assert (run.returncode, len(run.stderr.splitlines())) == (2, 1)
        assert "is not a folder" in run.stderr


def test_what_is_no_document_is_said(letters: Path, tmp_path: Path) -> None:
    for name in ("1.psd", "2.PSD", "3.psd", *(f"{n}.docx" for n in range(9)), ".DS_Store", "._a.pdf"):
        (letters / name).write_bytes(pdf("never read") if name == "._a.pdf" else b"")
    report = tmp_path / "report.json"
    run = internvl("parse", letters, "-o", tmp_path / "out", "--report", report)
    assert run.returncode == 0
    assert "12 files skipped: 3 .psd, 9 .docx\n" in run.stderr
    assert told(report)["skipped"] == {".psd": 3, ".docx": 9}
    assert len(told(report)["documents"]) == 5
    run = internvl("parse", f"{letters}/*.docx", "-o", tmp_path / "out", "--report", report)
    assert run.returncode == 1
    assert "no documents match this pattern, only 9 .docx" in run.stderr
    assert told(report)["documents"][0]["status"] == "failed"
    run = internvl("parse", f"{letters}/*.docx")  # without -o as well
    assert (run.returncode, run.stdout) == (1, "")
    assert "only 9 .docx" in run.stderr and "9 files skipped: 9 .docx" in run.stderr
    run = internvl("parse", f"{letters}/*.pdf")
    assert run.returncode == 2 and "Give a folder with -o" in run.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes there")
def test_pipes_sockets_and_devices_are_not_waited_for(letters: Path, tmp_path: Path) -> None:
    os.mkfifo(letters / "f.pdf")
    (letters / "g.pdf").symlink_to("/dev/zero")
    (letters / "h.pdf").symlink_to("h.pdf")
    run = internvl("parse", letters, "-o", tmp_path / "out")
    assert run.returncode == 1 and "5 ok" in run.stderr
    for name in "fg":
        assert f"{name}.pdf: this is a pipe, a socket or a device" in run.stderr
    assert "h.pdf: the file cannot be read (Too many levels of symbolic links)" in run.stderr


@pytest.mark.parametrize("how", ["another", *slow("moved", "removed")])
def test_an_output_folder_that_goes_away_meanwhile(how: str, tmp_path: Path) -> None:
    """Results that are apart from the others, or gone with them, are not told as complete."""
    scans, out, aside, report = (tmp_path / name for name in ("scans", "out", "aside", "report.json"))
    scans.mkdir()
    for number in range(12):
        (scans / f"{number:02}.tif").write_bytes(scan(400))
    command = [sys.executable, "-c", MAIN, "parse", scans, "-o", out, "--report", report, "--no-cache"]
    process = subprocess.Popen([*command, "--jobs", "1"], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not out.exists() or not any(out.iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    out.rename(aside)
    if how == "another":
        out.mkdir()
    if how == "removed":
        shutil.rmtree(aside)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, "Traceback" in said) == (1, False)
    complete = [Path(d["source"]).name for d in told(report)["documents"] if d["status"] == "ok"]
    assert len(complete) < 12
    assert f"{out} was moved, removed or replaced while it was written to" in said
    if how != "removed":
        assert {f"{name}.md" for name in complete} <= set(os.listdir(aside))


def test_pages_that_are_not_there_are_said(letters: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    run = internvl_process(
        "parse", EXAMPLE, letters / "a.pdf", "--pages", "1,50-", "-o", tmp_path, "--report", report
    )
    assert run.returncode == 0
    lines = [line for line in run.stderr.splitlines() if ", not 50-" in line]
    assert len(lines) == 2 and "has 2 pages, not 50-" in lines[0] and "has 1 page, not 50-" in lines[1]
    assert [(d["status"], d["reason"]) for d in told(report)["documents"]] == [
        ("ok", "has 2 pages, not 50-"), ("ok", "has 1 page, not 50-")
    ]  # fmt: skip
    assert internvl("parse", EXAMPLE, "--pages", "50", "--report", report, "-q").returncode == 1
    [document] = told(report)["documents"]
    assert document["reason"] == "has 2 pages, none of them in 50. Give pages it has."


@pytest.mark.slow
def test_no_bars_of_libraries_are_written_into_what_is_told(tmp_path: Path) -> None:
    pytest.importorskip("accelerate")
    from tests.kit.checkpoints import built

    (tmp_path / "a.pdf").write_bytes(pdf("Total 12.00"))
    run = internvl_process("parse", tmp_path / "a.pdf", "--transcriber", "internvl", "--model", built("tiny"),
                           "--max-tiles", 1, "-q")  # fmt: skip
    assert run.returncode == 0
    assert "weights" not in run.stderr
