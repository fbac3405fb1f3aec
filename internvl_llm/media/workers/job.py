"""What is asked of workers, and of what document."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from internvl_llm.errors import InternVLError, limit_error
from internvl_llm.media.workers.frames import Reply

if TYPE_CHECKING:
    from internvl_llm.media.workers.process import Worker

_serial = itertools.count()


def _key() -> str:
    return f"{os.getpid()}-{next(_serial)}"


@dataclass(slots=True)
class Account:
    """What the jobs of a document have come to so far."""

    seconds: float = 0.0
    """That they took in workers."""
    harmful: set[int] = field(default_factory=set)
    """Parts that ended a worker which only looked at them beside its own."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A document, and how a worker opens it.

    `opener` is "module:name" of a callable that takes `content` (a path that is absolute, or the bytes,
    which are sent to a worker once) and `settings` (JSON), and returns a `worker.Opened`. `max_memory`:
    bytes of data the process may hold; `max_seconds`: that all its jobs may take together.
    """

    opener: str
    content: Path | bytes = field(repr=False)
    settings: dict[str, Any] = field(repr=False)
    max_memory: int
    max_seconds: float = float("inf")
    account: Account = field(default_factory=Account, repr=False, compare=False)
    key: str = field(default_factory=_key)


@dataclass(slots=True)
class Job:
    """One request to what the worker has opened; `closes` it when that is answered. All its attempts together
    take `seconds` at most.

    `urgent` ones go first. For an `interactive` one somebody waits: where all workers are busy it gets one
    beyond the pool's size, of which there may be as many again. Jobs of one `stretch` go to one worker where
    that costs no time. The parts `beside` its own are for it to look at, as far as the request tells the
    worker; those it is done `without` are in the reply's head, as are its `attempts`. `keep` is called with
    the reply before anybody waiting for it sees it.
    """

    document: Resource
    request: dict[str, Any]
    seconds: float
    urgent: bool = False
    interactive: bool = False
    closes: bool = False
    stretch: Hashable = None
    beside: tuple[int, ...] = ()
    keep: Callable[[Reply], None] | None = None
    future: Future[Reply] = field(default_factory=Future)
    worker: Worker | None = None
    unwanted: bool = False
    attempts: int = 0
    spent: float = 0.0

    @property
    def harmless(self) -> list[int]:
        return [part for part in self.beside if part not in self.document.account.harmful]

    @property
    def left(self) -> tuple[float, InternVLError]:
        """Seconds, and what is wrong when they are over."""
        own, document = self.seconds - self.spent, self.document
        whole = document.max_seconds - document.account.seconds
        if whole < own:
            told = "all of it together took longer than"
            return whole, limit_error(told, "max_document_seconds", document.max_seconds)
        return own, limit_error("took longer than", "max_seconds", self.seconds)
