"""How the time of some work grows with its amount, and what it is beside a fixed one: ratios of processor
time, so that they hold on a slow or a busy machine."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

REFERENCE_SECONDS = 0.15
"""What `reference` takes on the machine on which limits in seconds were set."""


def reference() -> None:
    """A fixed amount of what Python code mostly does: attributes, tuples, lists, sorting."""
    items = [(n * 7919 % 100_003, n) for n in range(70_000)]
    items.sort()
    total = 0.0
    for a, b in items:
        total += min(a, b) / 2 if a > b else max(a, b)


def seconds(work: Callable[[], object]) -> float:
    """Of this thread, without the garbage collector: it would go through all that other tests left on the
    heap, once in the longer work and never in the shorter."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        start = time.thread_time()
        work()
        return time.thread_time() - start
    finally:
        if enabled:
            gc.enable()


def growth(part: Callable[[], object], whole: Callable[[], object], rounds: int = 2) -> float:
    """Of the least times of both, taken in turns."""
    times = [(seconds(part), seconds(whole)) for _ in range(rounds)]
    return min(b for _, b in times) / max(min(a for a, _ in times), 1e-4)


def as_on_reference(work: Callable[[], object]) -> float:
    """Seconds that the work would take where `reference` takes `REFERENCE_SECONDS`."""
    before = seconds(reference)
    spent = seconds(work)
    return spent / ((before + seconds(reference)) / 2) * REFERENCE_SECONDS
