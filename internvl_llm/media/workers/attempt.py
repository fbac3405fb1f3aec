"""A job at a worker, and the time it has."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from internvl_llm.errors import InternVLError, PageError
from internvl_llm.media.workers import aside
from internvl_llm.media.workers.frames import Reply
from internvl_llm.media.workers.job import Job
from internvl_llm.media.workers.process import Worker


class Attempt:
    """A job at a worker, which has `start_seconds` to be up, and how long it may take."""

    def __init__(self, worker: Worker, job: Job, start_seconds: float, expire: Callable[[], bool]) -> None:
        self.worker = worker
        self.job = job
        self.deadline = Deadline(expire)
        self.beside: int | None = None
        """The part that the worker looks at, where it is not the job's own."""
        self._start_seconds = start_seconds
        self._began: float | None = None
        self._seconds, self._late = job.left
        job.attempts += 1

    def run(self) -> Reply:
        if self.worker.served:
            self._begin()
        else:  # what it takes to start is not the document's time
            slow = PageError(f"no worker process begins within {self._start_seconds:g} s")
            self.deadline.set(self._start_seconds, slow)
        return self.worker.run(self.job, begun=self._begin, aside=self._aside)

    def stop(self) -> None:
        self.deadline.stop()
        if self._began is not None:
            spent = time.monotonic() - self._began
            self.job.spent += spent
            self.job.document.account.seconds += spent

    def _begin(self) -> None:
        self._began = time.monotonic()
        self.deadline.set(self._seconds, self._late)

    def _aside(self, part: object) -> None:
        if self._began is None or not (part is None or (isinstance(part, int) and part in self.job.harmless)):
            raise ValueError(f"a look at {part!r}")
        left = self._seconds - (time.monotonic() - self._began)
        most = left if part is None else min(left, aside.SECONDS, self.job.seconds / 4)
        if not self.deadline.set(most, self._late):
            raise ValueError("too late")
        self.beside = part


class Deadline:
    """Ends what takes too long: `expire` does, unless it says that there was nothing to end."""

    def __init__(self, expire: Callable[[], bool]) -> None:
        self.passed: InternVLError | None = None
        self._end = float("inf")
        self._error: InternVLError | None = None
        self._expire = expire
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopped = False

    def set(self, seconds: float, error: InternVLError) -> bool:
        """So many seconds from now, whatever it was before; `passed` is `error` then. False if it is."""
        with self._changed:
            if self.passed is not None:
                return False
            self._end, self._error = time.monotonic() + seconds, error
            self._changed.notify()
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="internvl-deadline", daemon=True)
            self._thread.start()
        return True

    def stop(self) -> None:
        """What ends after its time is late, too, though nothing had to be killed."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
            if time.monotonic() > self._end:
                self.passed = self._error

    def _watch(self) -> None:
        with self._changed:
            while not self._stopped and (left := self._end - time.monotonic()) > 0:
                self._changed.wait(left)
            if self._stopped:
                return
            self.passed = self._error  # before the process ends: whoever waits for it asks then
        if not self._expire():
            self.passed = None
