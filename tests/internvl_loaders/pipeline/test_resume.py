"""The command is killed, run twice at once, or has no room: its result is the undisturbed one."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from internvl_loaders.pipeline.cache import PageCache
from tests.kit import faults
from tests.kit.pdfs import pdf

ROOT = Path(__file__).parents[3]
COMMAND = f"""
from internvl_llm.media.workers import process
process.BOOTSTRAP = {faults.SABOTAGED!r}
from internvl_loaders.cli.app import app
app()
"""
PAGES = 60


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("long") / "long.pdf"
    path.write_bytes(pdf(*(f"Page {n} says that it is page {n}." for n in range(1, PAGES + 1))))
    return path


def start(document: Path, out: Path, cache: Path, marks: Path) -> subprocess.Popen[bytes]:
    """`internvl parse`, its pages noted in `marks` as they are read."""
    command = [sys.executable, "-c", COMMAND, "parse", str(document), "-o", str(out)]
    command += ["--format", "json,md", "--jobs", "2", "--cache-dir", str(cache)]
    env = os.environ | {"PYTHONPATH": str(ROOT), faults.READ: str(marks)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)


def run(document: Path, out: Path, cache: Path, marks: Path) -> bytes:
    process = start(document, out, cache, marks)
    _, told = process.communicate(timeout=120)
    assert process.returncode == 0, told
    return told


def read(marks: Path) -> list[int]:
    return [int(line) for line in marks.read_text().split()] if marks.exists() else []


def results(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.iterdir()}


@pytest.fixture(scope="module")
def undisturbed(document: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    root = tmp_path_factory.mktemp("undisturbed")
    run(document, root / "out", root / "cache", root / "marks")
    assert sorted(read(root / "marks")) == list(range(1, PAGES + 1))
    found = results(root / "out")
    assert sorted(found) == ["long.pdf.json", "long.pdf.md"]
    assert len(json.loads(found["long.pdf.json"])["pages"]) == PAGES
    return found


def test_a_killed_run_is_taken_up_again(
    document: Path, tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    out, cache, marks = tmp_path / "out", tmp_path / "cache", tmp_path / "marks"
    process = start(document, out, cache, marks)
    while len(read(marks)) < PAGES // 3:
        assert process.poll() is None
        time.sleep(0.01)
    children = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.communicate()
    assert not psutil.wait_procs(children, timeout=5)[1]
    assert list(out.iterdir()) == []

    kept = PageCache(cache).info().pages
    assert PAGES // 3 - 8 <= kept < PAGES
    marks.unlink()
    run(document, out, cache, marks)
    assert len(read(marks)) == len(set(read(marks))) == PAGES - kept
    assert results(out) == undisturbed


def test_two_runs_on_one_cache(document: Path, tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    cache = tmp_path / "cache"
    both = [start(document, tmp_path / f"out{n}", cache, tmp_path / f"marks{n}") for n in (1, 2)]
    assert [process.communicate(timeout=120) and process.returncode for process in both] == [0, 0]
    for n in (1, 2):
        assert results(tmp_path / f"out{n}") == undisturbed
        assert len(read(tmp_path / f"marks{n}")) == len(set(read(tmp_path / f"marks{n}")))
    assert PageCache(cache).info().pages == PAGES


@pytest.mark.slow
def test_a_damaged_cache_is_rebuilt(document: Path, tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    cache, marks = tmp_path / "cache", tmp_path / "marks"
    run(document, tmp_path / "first", cache, tmp_path / "first-marks")
    for file in cache.iterdir():
        file.write_bytes(b"\0" * 4096 + file.read_bytes()[4096:])
    told = run(document, tmp_path / "second", cache, marks)
    assert b"set aside" in told
    assert results(tmp_path / "second") == undisturbed
    assert sorted(read(marks)) == list(range(1, PAGES + 1))
    again = tmp_path / "again"
    run(document, tmp_path / "third", cache, again)
    assert read(again) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=96k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("may not mount a small file system here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_no_room_for_the_cache(
    document: Path, tmp_path: Path, small_disk: Path, undisturbed: dict[str, bytes]
) -> None:
    told = run(document, tmp_path / "out", small_disk / "cache", tmp_path / "marks")
    assert b"not cached from here on" in told
    assert results(tmp_path / "out") == undisturbed


def test_no_room_for_the_result(document: Path, tmp_path: Path, small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(b"x" * 80 * 1024)
    process = start(document, small_disk / "out", tmp_path / "cache", tmp_path / "marks")
    _, told = process.communicate(timeout=120)
    assert process.returncode == 1
    assert re.search(rb"[Nn]o space left", told) and b"Traceback" not in told
    assert list((small_disk / "out").iterdir()) == []
