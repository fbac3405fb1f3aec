from __future__ import annotations

import multiprocessing
import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from internvl_llm.media.limits import Limits
from internvl_loaders.pipeline.cache import PageCache, default_folder, page_key
from tests.internvl_loaders.pipeline.test_faults import scripted, text  # noqa: F401  (a fixture)
from tests.kit import faults


def test_what_is_put_is_got(tmp_path: Path) -> None:
    cache = PageCache(tmp_path / "new" / "folder")
    assert cache.get("k") is None
    cache.put("k", b"page")
    cache.put("k", b"page, again")
    assert cache.get("k") == b"page, again"
    again = PageCache(tmp_path / "new" / "folder")
    assert again.get("k") == b"page, again"
    assert again.info().pages == 1
    assert again.clear() == 1
    assert cache.get("k") is None


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    cache = PageCache(tmp_path / "c")
    cache.put("k", b"private")
    assert stat.S_IMODE(cache.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(cache.path.parent.stat().st_mode) == 0o700


def test_keys_differ_by_content_page_and_settings() -> None:
    keys = {page_key(sha, n, {"dpi": dpi}) for sha in "ab" for n in (1, 2) for dpi in (100, 200)}
    assert len(keys) == 8
    assert page_key("a", 1, {"x": 1, "y": 2}) == page_key("a", 1, {"y": 2, "x": 1})


def test_the_least_recently_used_is_dropped(tmp_path: Path) -> None:
    cache = PageCache(tmp_path, max_bytes=100_000)
    for n in range(300):
        cache.put(f"{n}", os.urandom(1000))
    held = cache.info()
    assert held.bytes <= 100_000 + 50 * 1100
    assert cache.get("0") is None
    assert cache.get("299") is not None


@pytest.mark.parametrize("damage", [b"", b"not a database at all" * 500, None])
def test_a_damaged_file_is_set_aside(
    tmp_path: Path, damage: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    cache = PageCache(tmp_path)
    for n in range(50):
        cache.put(f"{n}", os.urandom(3000))
    cache.close()
    content = cache.path.read_bytes()
    if damage is None:  # a hole in the middle
        damage = content[:8192] + b"\xff" * (len(content) - 12288) + content[-4096:]
    cache.path.write_bytes(damage)
    again = PageCache(tmp_path)
    for n in range(50):
        again.get(f"{n}")
        again.put(f"new{n}", b"x" * 100)
    assert all(again.get(f"new{n}") == b"x" * 100 for n in range(50))
    if damage:
        assert "set aside" in caplog.text
        assert any("damaged" in name for name in os.listdir(tmp_path))


def test_a_full_disk_ends_caching_and_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache = PageCache(tmp_path)
    cache.put("k", b"x")
    assert cache._connection is not None
    cache._connection.execute("PRAGMA max_page_count = 20")
    for n in range(20):
        cache.put(f"{n}", os.urandom(10_000))
    assert "not cached from here on" in caplog.text
    assert caplog.text.count("not cached") == 1
    assert cache.get("k") is None


def test_a_folder_that_cannot_be(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("x")
    cache = PageCache(tmp_path / "file")
    cache.put("k", b"x")
    assert cache.get("k") is None
    assert "not cached from here on" in caplog.text


def write_many(folder: str, start: int) -> None:
    cache = PageCache(Path(folder))
    for n in range(start, start + 100):
        cache.put(f"{n}", f"page {n}".encode())


def test_many_processes_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_many, args=(str(tmp_path), start)) for start in (0, 50, 100)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [w.exitcode for w in writers] == [0, 0, 0]
    cache = PageCache(tmp_path)
    assert all(cache.get(f"{n}") == f"page {n}".encode() for n in range(200))


def test_a_killed_writer_harms_nothing(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from internvl_loaders.pipeline.cache import PageCache\n"
        "cache = PageCache(Path(sys.argv[1]))\n"
        "n = 0\n"
        "while True:\n"
        "    cache.put(str(n), b'x' * 5000); n += 1\n"
        "    if n == 20: print('ready', flush=True)\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    writer.stdout.readline()
    writer.kill()
    writer.wait()
    writer.stdout.close()
    cache = PageCache(tmp_path)
    assert cache.get("19") == b"x" * 5000
    with sqlite3.connect(cache.path) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_default_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("INTERNVL_CACHE_DIR", str(tmp_path))
    assert default_folder() == tmp_path
    monkeypatch.delenv("INTERNVL_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    if sys.platform == "linux":
        assert default_folder() == Path("/somewhere/internvl-documents")


def read(source: object, folder: Path, **more: object) -> list[str]:
    from internvl_loaders import parse

    return [p.blocks[0].text if p.blocks else p.status for p in parse(source, cache_dir=folder, **more)]


@pytest.mark.usefixtures("scripted")
def test_only_what_is_new_is_read(tmp_path: Path) -> None:
    """Over scripted workers, whose pages tell the process that read them."""
    document = b"text a\ntext b\nraise\ntext d"
    first = read(document, tmp_path)
    again = read(document, tmp_path)
    assert [t for t in first if t != "failed"] == [t for t in again if t != "failed"]
    assert first[2] == again[2] == "failed"
    assert PageCache(tmp_path).info().pages == 3
    read(document, tmp_path, dpi=99)
    assert PageCache(tmp_path).info().pages == 6
    read(document + b"\n", tmp_path)
    assert PageCache(tmp_path).info().pages == 9


@pytest.mark.usefixtures("scripted")
def test_a_cached_page_is_told_of_its_present_source(tmp_path: Path) -> None:
    from internvl_loaders import Named, parse

    (one,) = parse(Named(b"text a", "one"), cache_dir=tmp_path)
    (two,) = parse(Named(b"text a", "two"), cache_dir=tmp_path)
    assert (one.source, two.source) == ("one", "two")
    assert one.blocks == two.blocks


RESUMED = f"""
import sys
from internvl_llm.media.workers import process
process.BOOTSTRAP = {faults.BOOTSTRAP!r}
from internvl_loaders import Named, parse
for page in parse(Named("\\n".join(["sleep 0.03"] * 100).encode(), "s"), cache_dir=sys.argv[1], jobs=2):
    print(page.number, flush=True)
"""


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    root = str(Path(__file__).parents[3])
    command = [sys.executable, "-c", RESUMED, str(tmp_path)]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": root})
    assert run.stdout is not None
    for line in run.stdout:
        if line == b"40\n":
            run.kill()
            break
    run.wait()
    run.stdout.close()
    held = PageCache(tmp_path).info().pages
    assert 40 <= held < 70
    again = subprocess.run(command, capture_output=True, env=os.environ | {"PYTHONPATH": root}, check=True)
    assert len(again.stdout.splitlines()) == 100
    assert PageCache(tmp_path).info().pages == 100


def test_the_limit_is_an_option() -> None:
    assert Limits(max_cache_bytes=5).max_cache_bytes == 5
