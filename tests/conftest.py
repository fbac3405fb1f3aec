from __future__ import annotations

import contextlib
import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from uuid import uuid4

import psutil
import pytest

from internvl_llm.media.workers import pool

if _beside := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):  # before anything imports torch
    _share = (os.cpu_count() or 1) // int(_beside)
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, _share)))

# Thousands of processes are started: each would compile anew what may not be kept.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

_MARK = "INTERNVL_TEST_SESSION"

_HEAVY = (
    "torch._dynamo transformers.generation transformers.models.internvl.modeling_internvl",
    "llama_index.core langchain_tests.integration_tests docling_core.types.doc pandas cv2 rapidocr",
)
"""What takes longest to compile, in two halves."""


def pytest_configure(config: pytest.Config) -> None:
    """In an environment that is new, what each worker imports is compiled once, and not by each of them."""
    torch = importlib.util.find_spec("torch")
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", 0):
        return
    if torch is None or torch.cached is None or os.path.exists(torch.cached):
        return
    for half in [subprocess.Popen([sys.executable, "-c", _IMPORT, *names.split()]) for names in _HEAVY]:
        half.wait()


_IMPORT = """
import contextlib, importlib, sys
for name in sys.argv[1:]:
    with contextlib.suppress(ImportError):
        importlib.import_module(name)
"""


def _workers() -> list[psutil.Process]:
    """Workers that began in this run of the tests, whoever their parent is now."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            ours = process.environ().get(_MARK) == os.environ[_MARK]
            if ours and any(
                name in told for told in process.cmdline() for name in ("worker import", "kit.faults")
            ):
                found.append(process)
    return found


@pytest.fixture(scope="session", autouse=True)
def no_orphans() -> Iterator[None]:
    """After the last test no worker of this run is left. Idle ones stay for the next test meanwhile: each
    costs a second to start and, where it reads images, its models another."""
    os.environ[_MARK] = uuid4().hex
    pool.LINGER = pool.LAST_LINGER
    yield
    pool._kill_all()
    deadline = time.monotonic() + pool.LINGER + 5  # there are pools of tests' own
    while left := _workers():
        assert time.monotonic() < deadline, f"still there: {left}"
        time.sleep(0.2)


@pytest.fixture
def own_pools(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Workers of this test alone, which soon end when idle, and with the test."""
    monkeypatch.setattr(pool, "_pools", {})
    monkeypatch.setattr(pool, "LINGER", 0.3)
    monkeypatch.setattr(pool, "LAST_LINGER", 0.3)
    yield
    pool._kill_all()
