"""One worker process as its owner sees it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import IO, TYPE_CHECKING

from internvl_llm.errors import InternVLError, PageError
from internvl_llm.media.workers.frames import BEGUN, KEPT_DOCUMENTS, Reply, read_frame, write_frame

if TYPE_CHECKING:
    from internvl_llm.media.workers.pool import Job

BOOTSTRAP = "from internvl_llm.media.workers.worker import main; main()"
"""What a worker process runs, with its parent's module search path."""


_PIPE_BYTES = 2**18


class Worker:
    """A plain child process that talks frames over its standard input and output: no `__main__` is
    imported again, so a script needs no guard."""

    def __init__(self) -> None:
        quiet = None if os.environ.get("INTERNVL_DEBUG") else subprocess.DEVNULL
        self.process = subprocess.Popen(
            [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!r}; {BOOTSTRAP}", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=quiet,
        )
        for pipe in (self.process.stdin, self.process.stdout):
            _widen(pipe)
        self.documents: OrderedDict[str, None] = OrderedDict()
        """Those it has been sent, as it keeps them."""
        self.busy = True
        self.condemned = False
        self.served = 0
        self.stretch: Hashable = None

    def run(self, job: Job, begun: Callable[[], None]) -> Reply:
        """Raises EOFError when the process dies over it; a new one says when it has `begun`."""
        document = job.document
        path, payload = None, b""
        if document.key not in self.documents:
            if isinstance(document.content, bytes):
                payload = document.content
            else:
                path = str(document.content)
        self.documents[document.key] = None
        self.documents.move_to_end(document.key)
        while len(self.documents) > KEPT_DOCUMENTS:
            self.documents.popitem(last=False)
        if job.closes:
            del self.documents[document.key]
        head = {
            "document": document.key,
            "opener": document.opener,
            "path": path,
            "settings": document.settings,
            "max_memory": document.max_memory,
            "request": job.request,
            "closes": job.closes,
        }
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            write_frame(self.process.stdin, head, payload)
            reply = read_frame(self.process.stdout)
            if self.served == 0 and reply[0] == BEGUN:
                begun()
                reply = read_frame(self.process.stdout)
            return reply
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


def _widen(pipe: IO[bytes] | None) -> None:
    """An image goes through a pipe of four times the usual width in half the time."""
    if sys.platform == "linux" and pipe is not None:
        import fcntl

        with suppress(OSError):  # a user may have so many, and no more
            fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


class Deadline:
    """Ends what takes too long: `expire` does, unless it says that there was nothing to end."""

    def __init__(self, expire: Callable[[], bool]) -> None:
        self.passed: InternVLError | None = None
        self._end = float("inf")
        self._error: InternVLError | None = None
        self._expire = expire
        self._timer: threading.Timer | None = None

    def set(self, seconds: float, error: InternVLError) -> None:
        """So many seconds from now, whatever it was before; `passed` is `error` then."""
        self.stop()
        self._end, self._error = time.monotonic() + seconds, error
        self._timer = threading.Timer(seconds, self._pass, [error])
        self._timer.daemon = True
        self._timer.start()

    def stop(self) -> None:
        """What ends after its time is late, too, though nothing had to be killed."""
        if self._timer is not None:
            self._timer.cancel()
        if time.monotonic() > self._end:
            self.passed = self._error

    def _pass(self, error: InternVLError) -> None:
        self.passed = error  # before the process ends: whoever waits for it asks then
        if not self._expire():
            self.passed = None


def death(status: int) -> InternVLError:
    """Why there is no reply of a process that ended so."""
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
