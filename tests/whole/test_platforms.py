"""What other systems lack or do otherwise, as far as it can be had here."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from internvl_loaders import parse
from tests.kit.pdfs import pdf

ROOT = str(Path(__file__).parents[2])
COMMAND = "from internvl_loaders.cli.app import app; app()"
LOCALES = {
    "cp1252": {"PYTHONIOENCODING": "cp1252"},
    "C": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}


def ran(code: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[bytes]:
    known = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "LC_"))}
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=known | {"PYTHONPATH": ROOT} | environment,
        capture_output=True,
        timeout=100,
        check=False,
    )


@pytest.mark.parametrize("locale", ["cp1252", pytest.param("C", marks=pytest.mark.slow)])
def test_what_is_written_is_utf_8_whatever_the_locale(locale: str, tmp_path: Path) -> None:
    file, broken = tmp_path / "中é.pdf", tmp_path / "破.pdf"
    file.write_bytes(pdf("Café for 3 €"))
    broken.write_bytes(b"%PDF-1.4")
    done = ran(COMMAND, "parse", file, "--no-cache", **LOCALES[locale])
    assert "Café for 3 €" in done.stdout.decode()
    done = ran(COMMAND, "parse", broken, "--no-cache", **LOCALES[locale])
    # A locale that knows no such letters makes others of a name before we see it.
    assert ("破.pdf" if locale == "cp1252" else ".pdf") in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()
    assert done.returncode == 1
    for arguments in (["--help"], ["check"]):
        done = ran(COMMAND, *arguments, **LOCALES[locale])
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout.decode()


def test_a_search_path_that_the_locale_cannot_say(tmp_path: Path) -> None:
    """Workers are given it."""
    (tmp_path / "é中").mkdir()
    (tmp_path / "a.pdf").write_bytes(pdf("A letter."))
    told = LOCALES["C"] | {"PYTHONPATH": os.pathsep.join([str(tmp_path / "é中"), ROOT])}
    done = ran(COMMAND, "parse", tmp_path / "a.pdf", "--no-cache", **told)
    assert (done.returncode, b"A letter." in done.stdout) == (0, True), done.stderr


LAUNCHER = """#!{python}
import subprocess, sys
sys.exit(subprocess.call([{python!r}, *sys.argv[1:]]))
"""
WAITING = """
import sys
sys.executable = sys.argv[1]
from internvl_llm.media.workers import process
from tests.kit import faults
process.BOOTSTRAP = faults.BOOTSTRAP
from internvl_loaders import Named, parse
pages = parse(Named(b"text a\\nhang\\nsleep 60", "s"), jobs=2)
print(next(pages).status, flush=True)
next(pages)
"""


@pytest.fixture
def launcher(tmp_path: Path) -> str:
    """What starts Python as another process and waits for it, as that of a virtual environment on Windows."""
    path = tmp_path / "python"
    path.write_text(LAUNCHER.format(python=sys.executable))
    path.chmod(0o755)
    return str(path)


@pytest.mark.skipif(os.name != "posix", reason="scripts that start themselves")
def test_a_process_between_worker_and_owner(
    launcher: str, monkeypatch: pytest.MonkeyPatch, own_pools: None
) -> None:
    monkeypatch.setattr(sys, "executable", launcher)
    others = set(psutil.Process().children(recursive=True))  # an earlier test's pool, say
    pages = list(parse(pdf("Page one.", "Page two."), jobs=1))
    assert [page.status for page in pages] == ["ok", "ok"]
    ended([child for child in psutil.Process().children(recursive=True) if child not in others])


@pytest.mark.skipif(os.name != "posix", reason="scripts that start themselves")
def test_workers_behind_a_launcher_see_their_owners_end(launcher: str) -> None:
    """By the pipe: their parent is another."""
    owner = subprocess.Popen(
        [sys.executable, "-c", WAITING, launcher],
        env=os.environ | {"PYTHONPATH": ROOT},
        stdout=subprocess.PIPE,
    )
    assert owner.stdout is not None
    assert owner.stdout.readline() == b"ok\n"
    left = psutil.Process(owner.pid).children(recursive=True)
    assert len(left) >= 2
    owner.kill()
    owner.wait()
    owner.stdout.close()
    ended(left)


def ended(processes: list[psutil.Process]) -> None:
    deadline = time.monotonic() + 10
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                assert time.monotonic() < deadline, process
                time.sleep(0.05)


WITHOUT = """
import builtins, os, sys
for name in ("resource", "fcntl"):
    sys.modules[name] = None
for name in ("O_TMPFILE", "sched_getaffinity", "geteuid", "getuid", "memfd_create"):
    if hasattr(os, name):
        delattr(os, name)
is_dir, opened, system_open = os.path.isdir, builtins.open, os.open
def refused(path):
    return isinstance(path, (str, os.PathLike)) and os.fspath(path).startswith("/proc")
def open_(path, *a, **k):
    if refused(path):
        raise FileNotFoundError(2, "no /proc", path)
    return opened(path, *a, **k)
def os_open(path, *a, **k):
    if refused(path):
        raise FileNotFoundError(2, "no /proc", path)
    return system_open(path, *a, **k)
builtins.open, os.open = open_, os_open
os.path.isdir = lambda path: not refused(path) and is_dir(path)
"""


def test_without_what_only_some_systems_have(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(pdf("A letter.", "Its end."))
    prelude = f"exec({WITHOUT!r})"
    bootstrap = f"{prelude}; from internvl_llm.media.workers.worker import main; main()"
    patched = f"from internvl_llm.media.workers import process; process.BOOTSTRAP = {bootstrap!r}"
    code = f"{prelude}; {patched}; {COMMAND}"
    told = {"INTERNVL_CACHE_DIR": str(tmp_path / "cache")}
    done = ran(code, "parse", tmp_path / "a.pdf", "-o", tmp_path / "out", **told)
    assert done.returncode == 0, done.stderr
    assert "Its end." in (tmp_path / "out" / "a.pdf.md").read_text()


def spawned(queue: multiprocessing.Queue[list[str]]) -> None:
    queue.put([page.status for page in parse(pdf("A letter."), jobs=1)])


def test_in_a_process_that_was_spawned() -> None:
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=spawned, args=(queue,))
    process.start()
    assert queue.get(timeout=60) == ["ok"]
    process.join(30)
    assert process.exitcode == 0
