"""SIGKILL, of workers and of the command itself, at random moments while it reads and writes."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

import psutil

from benchmarks.strangers.ground import Ground, ground, left_processes
from tests.kit.pdfs import pdf

DOCUMENTS, PAGES = 12, 4
_WORKERS_KILLED = 4
"""In one run, at most."""
COMMAND = "from internvl_loaders.cli.app import app; app()"
_PATIENCE = 120.0


def run(seed: int, count: int) -> dict[str, Any]:
    """The command is killed and taken up again until it ends; then begun anew, for `count` kills in all."""
    random = Random(seed)
    with ground() as place:
        scans = place.here / "scans"
        scans.mkdir()
        for number in range(DOCUMENTS):
            texts = (f"Document {number}, page {page} of it." for page in range(1, PAGES + 1))
            (scans / f"{number:02}.pdf").write_bytes(pdf(*texts))
        started = time.monotonic()
        _start(place, "undisturbed").wait(_PATIENCE)
        longest = time.monotonic() - started
        whole = _files(place.here / "undisturbed")
        problems = [] if len(whole) == 2 * DOCUMENTS else [f"undisturbed: {len(whole)} files"]
        killed = {"command": 0, "worker": 0}
        begun = finished = half = hung = 0
        before: dict[str, bytes] = {}
        while sum(killed.values()) < count and not problems:
            begun += 1
            process = _start(place, "out")
            what = "command" if killed["command"] <= killed["worker"] else "worker"
            for _ in range(1 if what == "command" else _WORKERS_KILLED):
                time.sleep(random.uniform(0, longest / (1 if what == "command" else _WORKERS_KILLED)))
                killed[what] += _kill(process, what, random)
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                hung += 1
                process.kill()
                problems.append(f"run {begun}: hung after a {what} was killed")
            alive = left_processes(place.env["HOME"])
            problems += [f"run {begun}: process {each} is left" for each in alive]
            found = _files(place.here / "out")
            new = [name for name in found if found[name] != before.get(name)]
            broken = [name for name in new if not _is_whole(name, found, whole, process.returncode)]
            before = found
            half += len(broken)
            problems += [f"run {begun}: {name} is not whole" for name in broken]
            if process.returncode == 0:
                finished += 1
                problems += [f"run {begun}: {name} is lost" for name in whole.keys() - found.keys()]
                shutil.rmtree(place.here / "out")
                shutil.rmtree(place.here / "cache")
                before = {}
        # What was cut off last is taken up once more.
        _start(place, "out").wait(_PATIENCE)
        lost = sorted(whole.keys() - _files(place.here / "out").keys())
        problems += [f"{name} is lost at last" for name in lost]
        left = place.left_files()
        problems += [f"left: {name}" for name in left]
        return {
            "tried": sum(killed.values()),
            "of_the_command": killed["command"],
            "of_workers": killed["worker"],
            "runs": begun,
            "runs_that_ended_well": finished,
            "lost": len(lost),
            "half_written": half,
            "hangs": hung,
            "files_left": len(left),
            "processes_left_over": len(left_processes(place.env["HOME"])),
            "seconds_undisturbed": round(longest, 1),
            "problems": problems,
        }


def _start(place: Ground, out: str) -> subprocess.Popen[bytes]:
    arguments = ["parse", "scans", "-o", out, "-f", "md,json", "--jobs", "2", "--cache-dir", "cache", "-q"]
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, *arguments], cwd=place.here, env=place.env, stderr=subprocess.DEVNULL
    )


def _kill(process: subprocess.Popen[bytes], what: str, random: Random) -> int:
    """How many were killed: none where it has ended, or has no worker yet."""
    if what == "command":
        ended = process.poll() is not None
        process.kill()
        return int(not ended)
    with contextlib.suppress(psutil.Error):
        if workers := psutil.Process(process.pid).children():
            random.choice(workers).kill()
            return 1
    return 0


def _is_whole(name: str, found: dict[str, bytes], whole: dict[str, bytes], status: int) -> bool:
    """As without any kill, but for the pages that are told as failed since their worker was killed; these are
    no success of the command."""
    if name not in whole or found[name] == whole[name]:
        return name in whole
    try:
        pages = json.loads(found[f"{name.rpartition('.')[0]}.json"])["pages"]
    except (KeyError, ValueError):
        return False
    failed = [page for page in pages if page["status"] == "failed"]
    if [page["number"] for page in pages] != list(range(1, PAGES + 1)) or (failed and status == 0):
        return False
    if name.endswith(".json"):
        read = {page["number"]: page["blocks"] for page in json.loads(whole[name])["pages"]}
        return all(page["blocks"] == read[page["number"]] for page in pages if page not in failed)
    told = {line for line in found[name].split(b"\n") if not line.startswith(b"> ")}  # failed pages
    return bool(failed) and told <= set(whole[name].split(b"\n"))


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.is_dir() else {}
