"""A place of its own for a program under attack: what it leaves there, and what it asks of the network."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
_HOMES = ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME")
_ENDS = 10.0
"""Seconds within which all that was started must be gone."""


@dataclass(frozen=True, slots=True)
class Ground:
    """`here` is for what the attack is made of; `env` has homes and a temporary folder of nobody else's."""

    here: Path
    homes: Path
    env: dict[str, str]

    def left_files(self) -> list[str]:
        """In the homes and the temporary folder; compiled Python and what drivers keep aside."""
        found = (path for path in self.homes.rglob("*") if not path.is_dir())
        return sorted(path.relative_to(self.homes).as_posix() for path in found)


@contextmanager
def ground() -> Iterator[Ground]:
    with tempfile.TemporaryDirectory(prefix="internvl-strangers-") as place:
        here, homes = Path(place).resolve() / "here", Path(place).resolve() / "homes"
        here.mkdir()
        env = {name: value for name, value in os.environ.items() if name != "INTERNVL_CACHE_DIR"}
        for name in _HOMES:
            (homes / name).mkdir(parents=True)
            env[name] = str(homes / name)
        yield Ground(here, homes, env | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"})


def left_processes(mark: str) -> list[int]:
    """Those that still have `mark` in their environment some seconds later."""
    deadline = time.monotonic() + _ENDS
    while True:
        alive = [process.pid for process in psutil.process_iter() if _is_marked(process, mark)]
        if not alive or time.monotonic() > deadline:
            return alive
        time.sleep(0.1)


def _is_marked(process: psutil.Process, mark: str) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and mark in process.environ().values()
    except (psutil.Error, OSError):
        return False
