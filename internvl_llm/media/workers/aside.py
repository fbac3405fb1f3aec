"""Looks at what is not a job's own: short, and if one ends the worker, the job is done again without it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

SECONDS = 10.0
"""That one may take, or a quarter of the job's if that is less."""

_STARVED = re.compile(
    r"bad_?alloc|(m|c|re)alloc\b.*fail|[Ff]ailed to allocate|[Ii]nsufficient memory|[Oo]ut of memory"
)
"""What native libraries say when an allocation fails."""


def _nobody(head: dict[str, Any]) -> None:
    """Where no worker is at work, nobody waits."""


_tell: Callable[[dict[str, Any]], None] = _nobody


def tell_by(write: Callable[[dict[str, Any]], None]) -> None:
    """In a worker: how its owner is told."""
    global _tell
    _tell = write


@contextmanager
def aside(part: int) -> Iterator[None]:
    """The owner does the job without `part` if the process ends, hangs or starves in here."""
    _tell({"aside": part})
    try:
        yield
    except Exception as error:
        if not starved(error):  # which is no end of it
            _tell({"aside": None})
        raise
    _tell({"aside": None})


def starved(error: Exception) -> bool:
    """Whether memory ran out: what comes next in the process is in doubt."""
    return isinstance(error, MemoryError) or bool(_STARVED.search(f"{type(error).__name__}: {error}"))
