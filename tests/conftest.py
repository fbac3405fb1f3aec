from __future__ import annotations

import contextlib
import os
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
    """After the last test no worker of this run is left."""
    os.environ[_MARK] = uuid4().hex
    pool.LAST_LINGER = pool.LINGER
    yield
    deadline = time.monotonic() + pool.LINGER + 5
    while left := _workers():
        assert time.monotonic() < deadline, f"still there: {left}"
        time.sleep(0.2)
