"""Reads a list of documents with one call of `parse` in a child process, which is watched from outside."""

from __future__ import annotations

import contextlib
import json
import queue
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from internvl_llm.media.limits import Limits

STATUSES = frozenset({"ok", "retried", "fallback", "failed", "empty"})
SLACK_SECONDS = 15.0
"""Beyond the limit: for starting a worker, and for a busy machine."""
PARENT_MEMORY = 2**30
"""Bytes the process that calls `parse` may come to hold."""
MAPPED_MEMORY = 256 * 2**20
"""Bytes of libraries a worker maps: they are resident, but no data, which is what the limit is of."""
SAMPLE_SECONDS = 0.1
ROOT = Path(__file__).parents[2]


@dataclass(slots=True)
class Survey:
    """What was seen while a list of documents was read; memory is the peak in bytes."""

    files: list[str]
    pages: list[dict[str, Any]] = field(default_factory=list)
    raised: str | None = None
    exit_status: int | None = None
    hung: bool = False
    seconds: float = 0.0
    longest_silence: float = 0.0
    parent_memory: int = 0
    worker_memory: dict[int, int] = field(default_factory=dict)
    left_over: int = 0

    def problems(self, limits: Limits, pages: str | None) -> list[str]:
        """Every promise that was broken; empty when all were kept."""
        found = []
        if self.raised or self.exit_status:
            found.append(f"the parent ended: {self.raised or f'exit status {self.exit_status}'}")
        if self.hung:
            found.append(f"nothing came for {self.longest_silence:.0f} s after {len(self.pages)} pages")
        by_file: dict[str, list[dict[str, Any]]] = {name: [] for name in self.files}
        for page in self.pages:
            by_file[page["file"]].append(page)
            what = f"{page['file']}, page {page['number']}"
            if page["status"] not in STATUSES:
                found.append(f"{what}: no status")
            if page["status"] == "failed" and not page["reason"]:
                found.append(f"{what}: failed without a reason")
            if page["seconds"] > limits.max_seconds + SLACK_SECONDS:
                found.append(f"{what}: took {page['seconds']:.0f} s")
        for name, read in by_file.items():
            numbers = [page["number"] for page in read]
            if numbers != [0] and numbers != expected(read, pages):
                found.append(f"{name}: pages {numbers[:9]} of {read[0]['total'] if read else 'none'}")
        if self.parent_memory > PARENT_MEMORY:
            found.append(f"the parent came to {self.parent_memory:,} bytes")
        worst = max(self.worker_memory.values(), default=0)
        if worst > limits.max_memory + MAPPED_MEMORY:
            found.append(f"a worker came to {worst:,} bytes")
        if self.left_over:
            found.append(f"{self.left_over} processes left over")
        return found

    def summary(self) -> dict[str, Any]:
        return {
            "files": len(self.files),
            "files_not_opened": sum(page["number"] == 0 for page in self.pages),
            "pages": dict(Counter(page["status"] for page in self.pages if page["number"])),
            "seconds": round(self.seconds, 1),
            "slowest_page_seconds": max((page["seconds"] for page in self.pages), default=0.0),
            "pages_out_of_time": sum("max_seconds" in page["reason"] for page in self.pages),
            "pages_out_of_memory": sum("max_memory" in page["reason"] for page in self.pages),
            "pages_that_ended_their_worker": sum("the process reading it" in p["reason"] for p in self.pages),
            "longest_silence_seconds": round(self.longest_silence, 1),
            "workers": len(self.worker_memory),
            "peak_worker_bytes": max(self.worker_memory.values(), default=0),
            "peak_parent_bytes": self.parent_memory,
            "processes_left_over": self.left_over,
            "parent_crashes": int(bool(self.raised or self.exit_status)),
            "hangs": int(self.hung),
        }


def expected(read: Sequence[dict[str, Any]], pages: str | None) -> list[int]:
    from internvl_llm.media.page_ranges import select_pages

    return list(select_pages(pages, read[0]["total"])) if read else [1]


def survey(
    files: Sequence[Path],
    root: Path,
    limits: Limits,
    pages: str | None,
    jobs: int,
    *,
    env: Mapping[str, str] | None = None,
    bootstrap: str | None = None,
) -> Survey:
    """Read `files` in one call of `parse` in a child process, and watch it. Its workers run `bootstrap`."""
    seen = Survey([file.relative_to(root).as_posix() for file in files])
    asked = {
        "files": [str(file) for file in files],
        "options": {"pages": pages, "jobs": jobs, "limits": limits.model_dump()},
        "bootstrap": bootstrap,
    }
    # Before a page comes, the look-ahead's pages may run out of their time, one after another.
    patience = (2 * jobs + 4) * limits.max_seconds + SLACK_SECONDS
    start = last = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.strangers.survey"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env=env,
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps(asked).encode())
        process.stdin.close()
        lines: queue.Queue[bytes | None] = queue.Queue()
        threading.Thread(target=_pump, args=(process.stdout, lines), daemon=True).start()
        family: dict[int, psutil.Process] = {}
        while True:
            _sample(process.pid, family, seen)
            now = time.monotonic()
            seen.longest_silence = max(seen.longest_silence, now - last)
            if now - last > patience:
                seen.hung = True
                process.kill()
                break
            try:
                line = lines.get(timeout=SAMPLE_SECONDS)
            except queue.Empty:
                continue
            last = time.monotonic()
            if line is None:
                break
            told = json.loads(line)
            if "raised" in told:
                seen.raised = told["raised"]
            else:
                seen.pages.append(told | {"file": Path(told["file"]).relative_to(root).as_posix()})
    seen.exit_status = process.returncode
    seen.seconds = time.monotonic() - start
    seen.left_over = _left_over(family.values())
    return seen


def _pump(stream: Any, lines: queue.Queue[bytes | None]) -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)


def _sample(pid: int, family: dict[int, psutil.Process], seen: Survey) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        parent = psutil.Process(pid)
        seen.parent_memory = max(seen.parent_memory, _peak(parent))
        for child in parent.children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                family[child.pid] = child
                seen.worker_memory[child.pid] = max(seen.worker_memory.get(child.pid, 0), _peak(child))


def _peak(process: psutil.Process) -> int:
    """The most it has held so far where the system tells, else what it holds now."""
    with contextlib.suppress(OSError, StopIteration):
        status = Path(f"/proc/{process.pid}/status").read_text().splitlines()
        return 1024 * int(next(line.split()[1] for line in status if line.startswith("VmHWM")))
    return int(process.memory_info().rss)


def _left_over(processes: Iterable[psutil.Process]) -> int:
    _, alive = psutil.wait_procs(list(processes), timeout=10)
    return sum(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in alive)


def child() -> None:
    """Reads the list on standard input; one line of JSON a page, or what was raised."""
    from internvl_llm.media.workers import process
    from internvl_loaders import parse

    asked = json.load(sys.stdin)
    out = sys.stdout
    if asked["bootstrap"] is not None:
        process.BOOTSTRAP = asked["bootstrap"]
    try:
        for page in parse(asked["files"], **asked["options"], on_error="placeholder"):
            told = {
                "file": page.source,
                "number": page.number,
                "total": page.total_pages,
                "status": page.status,
                "method": page.method,
                "reason": page.reason,
                "attempts": page.attempts,
                "seconds": page.timings.get("total", 0.0),
                "text": page.text[:100],
            }
            print(json.dumps(told), file=out, flush=True)
    except Exception as error:
        print(json.dumps({"raised": f"{type(error).__name__}: {error}"}), file=out, flush=True)


def failures(seen: Survey, root: Path) -> dict[str, dict[str, Any]]:
    """By reason, numbers and places aside: how many pages and files failed, and one of the files."""
    found: dict[str, dict[str, Any]] = {}
    for page in seen.pages:
        if page["status"] == "failed":
            reason = re.sub(r"\d+", "#", page["reason"].replace(f"{root}/{page['file']}", "FILE"))[:160]
            entry = found.setdefault(reason, {"pages": 0, "files": [], "example": page["file"]})
            entry["pages"] += 1
            entry["files"] += [page["file"]] * (page["file"] not in entry["files"])
    return {reason: entry | {"files": len(entry["files"])} for reason, entry in sorted(found.items())}


if __name__ == "__main__":
    child()
