"""Worker processes: everything that touches a document's bytes happens in one of these.

One parent thread owns each worker: it hands over one job at a time, kills the process when the
job's time is up, and replaces it when it dies or has grown. A job whose worker died under it, but
had served others before, is done again by a fresh one: the damage may not have been its own.
So is one that only looked at another part of its document there, but without that part.
Workers end when idle for a while, when the parent ends in whatever way, and at once when
the session they work for is closed.

What a worker can do is not known here: a `Resource` names who opens it.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from concurrent.futures import CancelledError, Future

from internvl_llm.errors import PageError
from internvl_llm.media.workers.attempt import Attempt
from internvl_llm.media.workers.frames import Reply, refusal
from internvl_llm.media.workers.job import Job
from internvl_llm.media.workers.process import Worker, death

LINGER = 2.0
"""Seconds an idle worker waits for more work: long enough to serve call after call."""

LAST_LINGER = 30.0
"""Seconds the last one of a pool does: the next message of a chat finds it there."""

START_SECONDS = 60.0
"""Within which a worker process must be up."""


class Pool:
    """At most `size` workers for what can wait, started when there is work. Thread-safe."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._jobs: list[Job] = []
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._threads = 0
        self._idle = 0
        self._workers: set[Worker] = set()

    def submit(self, job: Job) -> None:
        with self._lock:
            self._jobs.append(job)
            room = 2 * self.size if job.interactive else self.size
            if self._idle < len(self._jobs) and self._threads < room:
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
        worker: Worker | None = None
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
                    if job.left[0] <= 0:
                        self._settle(job, (refusal(job.left[1]), b""))
                    elif worker is None and (worker := self._started(job)) is None:
                        break
                    elif not self._do(worker, job):
                        self._drop(worker)
                        worker = None
        finally:
            if worker is not None:
                self._drop(worker)

    def _started(self, job: Job) -> Worker | None:
        """A new worker, or None where the system starts none: that is the job's answer."""
        try:
            worker = Worker()
        except OSError as error:
            problem = PageError(f"no process to read it in can be started ({error})", remedy="Use fewer jobs")
            job.future.set_result((refusal(problem), b""))
            return None
        with self._lock:
            self._workers.add(worker)
        return worker

    def _next(self, worker: Worker | None) -> Job | None:
        with self._lock:
            if self._threads > self.size and not any(job.interactive for job in self._jobs):
                self._threads -= 1
                return None
            self._idle += 1
            since = time.monotonic()
            while not self._jobs:
                left = since + (LINGER if self._threads > 1 else LAST_LINGER) - time.monotonic()
                if left <= 0:
                    self._idle -= 1
                    self._threads -= 1
                    return None
                self._work.wait(left)
            self._idle -= 1
            return self._jobs.pop(self._choice(worker))

    def _choice(self, worker: Worker | None) -> int:
        """Those that somebody waits for first, then openings, the worker's own stretch, one that no other is
        at; in order."""
        own = worker.stretch if worker is not None else None
        taken = {other.stretch for other in self._workers if other is not worker}

        def rank(place: int) -> tuple[bool, bool, bool, bool]:
            job = self._jobs[place]
            return not job.interactive, not job.urgent, job.stretch != own, job.stretch in taken

        return min(range(len(self._jobs)), key=rank)

    def _do(self, worker: Worker, job: Job) -> bool:
        """Whether the worker can go on. The job is settled, or its worker's death was another's fault."""
        with self._lock:
            worker.busy = not job.unwanted
            worker.stretch = job.stretch
            job.worker = worker if worker.busy else None
        if job.worker is None:
            job.future.set_exception(CancelledError())
            return True
        attempt = Attempt(worker, job, START_SECONDS, lambda: self._expire(worker, job))
        try:
            head, payload = attempt.run()
        except EOFError:
            status = worker.end()
            head, payload = refusal(death(status)) | {"last": True}, b""
        finally:
            attempt.stop()
            with self._lock:
                job.worker = None
                worker.busy = False
        late = attempt.deadline.passed
        if late is not None:
            head, payload = refusal(late) | {"last": True}, b""
        worker.served += 1
        last = head.pop("last", False)
        if "error" in head and last and not job.unwanted:
            if attempt.beside is not None:
                job.document.account.harmful.add(attempt.beside)
                return False
            if worker.served > 1 and late is None:
                return False
        self._settle(job, (head, payload))
        return not last

    def _settle(self, job: Job, reply: Reply) -> None:
        head, payload = reply
        head = head | {"attempts": max(1, job.attempts)}
        if without := sorted(set(job.beside) - set(job.harmless)):
            head |= {"without": without}
        if job.keep is not None:
            job.keep((head, payload))
        job.future.set_result((head, payload))

    def _expire(self, worker: Worker, job: Job) -> bool:
        """Kill the worker if it is at that job still, and say whether it was."""
        with self._lock:
            if job.worker is not worker:
                return False
            worker.kill()
            return True

    def _drop(self, worker: Worker) -> None:
        worker.end()
        with self._lock:
            self._workers.discard(worker)

    def kill(self) -> None:
        for worker in list(self._workers):
            worker.kill()


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
    for pool in _pools.values():
        for worker in list(pool._workers):
            worker.forget()
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
