"""Content blocks of both frameworks that try to have a file of this machine read, or the network asked."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

from benchmarks.strangers.ground import ROOT, ground, left_processes
from tests.kit.attacks import CONTROL, NAME, lay
from tests.kit.build import image_bytes
from tests.kit.pictures import gradient
from tests.kit.watched import outside, watching

_MOST_SECONDS = 300.0


def run() -> dict[str, Any]:
    """In a folder of bait, with an eye on every file that is opened and every address that is asked for."""
    with ground() as place:
        bait, log = place.here / "bait", place.here / "log"
        lay(bait, image_bytes(gradient(), "PNG"))
        (place.here / NAME).write_bytes(image_bytes(gradient(), "PNG"))
        env = place.env | {
            "PYTHONPATH": os.pathsep.join([str(ROOT / "tests" / "kit" / "watch"), str(ROOT)]),
            "WATCH_LOG": str(log),
            "WATCHED": os.pathsep.join([str(bait), "/etc/passwd", "/dev/zero"]),
        }
        command = [sys.executable, str(ROOT / "tests" / "kit" / "attacks.py")]
        started = time.monotonic()
        with watching(command, cwd=bait, env=env) as (process, asked):
            out, _ = process.communicate(timeout=_MOST_SECONDS)
        told = json.loads(out.splitlines()[-1]) if process.returncode == 0 else {"blocks": 0, "answered": []}
        opened = {line.split(" ", 1)[1] for line in log.read_text().splitlines()} - {str(bait / CONTROL)}
        network, left, alive = outside(asked), place.left_files(), left_processes(place.env["HOME"])
        problems = [f"the process ended with status {process.returncode}"] if process.returncode else []
        problems += [f"opened: {name}" for name in sorted(opened)]
        problems += [f"answered of: {answer}" for answer in told["answered"]]
        problems += [f"asked for {address}" for address in network]
        problems += [f"left: {name}" for name in left] + [f"process {each} is left" for each in alive]
        return {
            "tried": told["blocks"],
            "files_leaked": len(opened),
            "answered": len(told["answered"]),
            "network": len(network),
            "crashes": int(process.returncode != 0),
            "files_left": len(left),
            "processes_left_over": len(alive),
            "seconds": round(time.monotonic() - started, 1),
            "problems": problems,
        }
