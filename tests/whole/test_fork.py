"""A child that is forked while other threads are at anything works on its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")

BEGIN = """
import os, signal, sys, threading, time, warnings
from pathlib import Path
warnings.simplefilter("ignore", DeprecationWarning)
from internvl_llm.engines import open as engines
from internvl_llm.media.workers import pool, process
from internvl_loaders import Named, parse
from internvl_loaders.pipeline import cache
from tests.kit import faults, scripted
process.BOOTSTRAP = faults.BOOTSTRAP
folder = Path(sys.argv[1])
engines._made = lambda spec: scripted.ScriptedEngine("answer")

def read(n=0):
    script = f"text {n} a\\ntext {n} b\\ntext {n} c".encode()
    return [page.status for page in parse(Named(script, "s"), cache_dir=folder, jobs=2)]

def forked(work):
    child = os.fork()
    if not child:
        signal.alarm(40)
        try:
            os._exit(work())
        except BaseException:
            os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
"""

HELD = (
    BEGIN
    + """
kept = cache.shared_cache(folder)
kept.put("k", b"page")
engine = engines.open_engine("InternVL3-1B")
read()
locks = [
    value
    for name, module in list(sys.modules.items())
    if module is not None and name.split(".")[0] in {"internvl_llm", "internvl_loaders"}
    for value in vars(module).values()
    if isinstance(value, (type(threading.Lock()), type(threading.RLock())))
]
assert len(locks) >= 3, locks
locks += [kept._lock, *(each._lock for each in pool._pools.values())]
held = threading.Event()

def hold():
    for lock in locks:
        lock.acquire()
    held.set()
    time.sleep(100)

threading.Thread(target=hold, daemon=True).start()
held.wait()

def work():
    if not engine.closed or engines.open_engine("InternVL3-1B") is engine:
        return 2
    if cache.shared_cache(folder).get("k") != b"page":
        return 3
    return 0 if read(1) == ["ok"] * 3 else 4

print(forked(work))
os._exit(0)
"""
)

AT_ANY_MOMENT = (
    BEGIN
    + """
stop = threading.Event()

def busy(n):
    while not stop.is_set():
        read(n)
        cache.shared_cache(folder).put(f"{n}", os.urandom(2000))
        engines.open_engine("InternVL3-1B")

for n in range(4):
    threading.Thread(target=busy, args=[n], daemon=True).start()
time.sleep(2)
print(*{forked(lambda n=n: 0 if read(100 + n) == ["ok"] * 3 else 4) for n in range(int(sys.argv[2]))})
os._exit(0)
"""
)


def ran(script: str, *arguments: object) -> str:
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": root},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.slow
def test_whatever_lock_another_thread_holds(tmp_path: Path) -> None:
    assert ran(HELD, tmp_path) == "0"


@pytest.mark.slow
def test_at_any_moment(tmp_path: Path) -> None:
    assert ran(AT_ANY_MOMENT, tmp_path, 15) == "0"
