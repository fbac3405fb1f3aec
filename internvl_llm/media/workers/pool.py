"""Worker processes: everything that touches a document's bytes happens in one of these.

A worker is a plain child process that talks frames over its standard input and output: no
`__main__` is imported again, so a script needs no guard, and what comes back is JSON, never code.
One parent thread owns each worker: it hands over one job at a time, kills the process when the
job's time is up, and replaces it when it dies or has grown. A job whose worker died under it, but
had served others before, is done again by a fresh one: the damage may not have been its own.
Workers end when idle for `LINGER` seconds, when the parent ends in whatever way, and at once when
the iteration they work for is closed.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import struct
import subprocess
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, Any

from internvl_llm.errors import InternVLError, PageError, limit_error

LINGER = 2.0
"""Seconds an idle worker waits for more work: long enough to serve call after call."""

STRETCH = 8
"""Pages of a document that one worker should read, as it needs each page's neighbours too."""

KEPT_DOCUMENTS = 4
"""Open documents a worker keeps."""

BOOTSTRAP = "from internvl_llm.media.workers.worker import main; main()"
"""What a worker process runs, with its parent's module search path."""

Reply = tuple[dict[str, Any], bytes]

_HEADER = struct.Struct(">II")


def write_frame(stream: IO[bytes], head: dict[str, Any], payload: bytes = b"") -> None:
    raw = json.dumps(head).encode()
    stream.write(_HEADER.pack(len(raw), len(payload)))
    stream.write(raw)
    stream.write(payload)
    stream.flush()


def read_frame(stream: IO[bytes]) -> Reply:
    """The next frame; EOFError when the other side is gone, ValueError when this is none."""
    sizes = _exactly(stream, _HEADER.size)
    head, payload = _HEADER.unpack(sizes)
    try:
        told = json.loads(_exactly(stream, head))
    except RecursionError as error:
        raise ValueError("a frame nested too deeply") from error
    if not isinstance(told, dict):
        raise ValueError("a frame without a head")
    return told, _exactly(stream, payload)


def _exactly(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise EOFError
    return data


@dataclass(slots=True)
class Job:
    """One request. `document` keys what the worker keeps open; `data` is sent to it once.

    `keep` is called with the reply before anybody waiting for it sees it. `attempts` are counted
    in the reply's head.
    """

    head: dict[str, Any]
    document: str
    data: bytes | None
    seconds: float
    urgent: bool = False
    keep: Callable[[Reply], None] | None = None
    future: Future[Reply] = field(default_factory=Future)
    worker: _Worker | None = None
    unwanted: bool = False
    attempts: int = 0

    @property
    def stretch(self) -> tuple[str, int]:
        return self.document, (int(self.head.get("page", 1)) - 1) // STRETCH


class _Worker:
    def __init__(self) -> None:
        quiet = None if os.environ.get("INTERNVL_DEBUG") else subprocess.DEVNULL
        self.process = subprocess.Popen(
            [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!r}; {BOOTSTRAP}", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=quiet,
        )
        self.known: OrderedDict[str, None] = OrderedDict()
        self.busy = True
        self.condemned = False
        self.served = 0
        self.stretch: tuple[str, int] | None = None

    def run(self, job: Job) -> Reply:
        """Raises EOFError when the process dies over it."""
        head = job.head | {"document": job.document}
        payload = b""
        if job.data is not None and job.document not in self.known:
            payload = job.data
        self.known[job.document] = None
        self.known.move_to_end(job.document)
        while len(self.known) > KEPT_DOCUMENTS:
            self.known.popitem(last=False)
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            write_frame(self.process.stdin, head, payload)
            return read_frame(self.process.stdout)
        except (OSError, ValueError, MemoryError) as error:
            raise EOFError from error

    def kill(self) -> None:
        self.process.kill()

    def end(self) -> int:
        """Kill and reap; the exit status."""
        self.process.kill()
        status = self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with suppress(OSError):  # unsent bytes to a dead process
                    stream.close()
        return status


class Pool:
    """At most `size` workers, started when there is work. Thread-safe."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._jobs: list[Job] = []
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._threads = 0
        self._idle = 0
        self._workers: set[_Worker] = set()

    def submit(self, job: Job) -> None:
        with self._lock:
            self._jobs.append(job)
            if self._idle < len(self._jobs) and self._threads < self.size:
                self._threads += 1
                threading.Thread(target=self._serve, name="internvl-worker", daemon=True).start()
            self._work.notify()

    def cancel(self, jobs: list[Job]) -> None:
        """End these jobs, running ones by killing their worker, and with them the workers now idle."""
        with self._lock:
            gone = {id(job) for job in jobs}
            self._jobs = [job for job in self._jobs if id(job) not in gone]
            for job in jobs:
                if not job.future.cancel():
                    job.unwanted = True
                    if job.worker is not None:
                        job.worker.kill()
            idle = [worker for worker in self._workers if not worker.busy]
            for worker in idle:
                worker.condemned = True
        for worker in idle:
            worker.end()

    def _serve(self) -> None:
        worker: _Worker | None = None
        try:
            while (job := self._next(worker)) is not None:
                if not job.future.set_running_or_notify_cancel():
                    continue
                with self._lock:
                    if worker is not None and not worker.condemned and worker.process.poll() is None:
                        worker.busy = True
                if worker is not None and not worker.busy:
                    self._drop(worker)
                    worker = None
                while not job.future.done():
                    if worker is None:
                        worker = _Worker()
                        with self._lock:
                            self._workers.add(worker)
                    if not self._do(worker, job):
                        self._drop(worker)
                        worker = None
        finally:
            if worker is not None:
                self._drop(worker)

    def _next(self, worker: _Worker | None) -> Job | None:
        with self._lock:
            self._idle += 1
            some = self._work.wait_for(lambda: self._jobs, LINGER)
            self._idle -= 1
            if not some:
                self._threads -= 1
                return None
            return self._jobs.pop(self._choice(worker))

    def _choice(self, worker: _Worker | None) -> int:
        """Openings first, then the worker's own stretch, then one that no other is at; in order."""
        own = worker.stretch if worker is not None else None
        taken = {other.stretch for other in self._workers if other is not worker}

        def rank(place: int) -> tuple[bool, bool, bool]:
            job = self._jobs[place]
            return not job.urgent, job.stretch != own, job.stretch in taken

        return min(range(len(self._jobs)), key=rank)

    def _do(self, worker: _Worker, job: Job) -> bool:
        """Whether the worker can go on. The job is settled, or its worker's death was another's fault."""
        late = False

        def expire() -> None:
            nonlocal late
            with self._lock:
                if job.worker is worker:
                    late = True
                    worker.kill()

        with self._lock:
            worker.busy = not job.unwanted
            worker.stretch = job.stretch
            job.worker = worker if worker.busy else None
        if job.worker is None:
            job.future.set_exception(CancelledError())
            return True
        job.attempts += 1
        timer = threading.Timer(job.seconds, expire)
        timer.daemon = True
        timer.start()
        try:
            head, payload = worker.run(job)
        except EOFError:
            head, payload = refusal(_death(worker.end(), late, job.seconds)), b""
            head["last"] = True
        finally:
            timer.cancel()
            with self._lock:
                job.worker = None
                worker.busy = False
        worker.served += 1
        last = head.pop("last", False)
        if "error" in head and last and worker.served > 1 and not (late or job.unwanted):
            return False
        reply = head | {"attempts": job.attempts}, payload
        if job.keep is not None:
            job.keep(reply)
        job.future.set_result(reply)
        return not (late or last)

    def _drop(self, worker: _Worker) -> None:
        worker.end()
        with self._lock:
            self._workers.discard(worker)

    def kill(self) -> None:
        for worker in list(self._workers):
            worker.kill()


def refusal(error: InternVLError) -> dict[str, Any]:
    """The head of a reply that says why there is no result."""
    return {
        "error": {
            "type": type(error).__name__,
            "message": error.message,
            "source": error.source,
            "page": error.page,
            "remedy": error.remedy,
        }
    }


def _death(status: int, timed_out: bool, seconds: float) -> InternVLError:
    if timed_out:
        return limit_error("took longer than", "max_seconds", seconds)
    if status >= 0:
        return PageError(f"the process reading it ended by exit status {status}")
    try:
        name = f" ({signal.Signals(-status).name})"
    except ValueError:
        name = ""
    starved = status in {-signal.SIGABRT, -getattr(signal, "SIGKILL", signal.SIGABRT)}
    return PageError(
        f"the process reading it ended by signal {-status}{name}",
        remedy="If memory ran out, use fewer jobs or raise max_memory (--max-memory)" if starved else None,
    )


_pools: dict[int, Pool] = {}
_pools_lock = threading.Lock()


def cores() -> int:
    """Processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def shared_pool(size: int) -> Pool:
    """The process-wide pool of that size: calls share its workers."""
    with _pools_lock:
        if size not in _pools:
            _pools[size] = Pool(size)
        return _pools[size]


def _forget() -> None:
    """A forked child has none of its parent's threads: it starts its own workers."""
    global _pools, _pools_lock
    _pools = {}
    _pools_lock = threading.Lock()


def _kill_all() -> None:
    for pool in list(_pools.values()):
        pool.kill()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
atexit.register(_kill_all)


class Session:
    """The jobs of one iteration; closing it ends them."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.jobs: dict[int, Job] = {}
        self._lock = threading.Lock()
        self._closed = False

    def submit(self, job: Job) -> Future[Reply]:
        with self._lock:
            if self._closed:
                job.future.cancel()
                return job.future
            self.jobs[id(job)] = job
        job.future.add_done_callback(lambda _: self.jobs.pop(id(job), None))
        self.pool.submit(job)
        return job.future

    def close(self) -> None:
        with self._lock:
            self._closed = True
            jobs = [job for job in self.jobs.values() if not job.future.done()]
        if jobs:
            self.pool.cancel(jobs)
