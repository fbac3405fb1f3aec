"""One worker process as its owner sees it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import IO, TYPE_CHECKING

from internvl_llm import telemetry
from internvl_llm.errors import InternVLError, PageError
from internvl_llm.media.workers.frames import BEGUN, KEPT_DOCUMENTS, Reply, read_frame, write_frame

if TYPE_CHECKING:
    from internvl_llm.media.workers.job import Job

BOOTSTRAP = "from internvl_llm.media.workers.worker import main; main()"
"""What a worker process runs, with its parent's module search path."""


def python_command(code: str) -> list[str]:
    """Runs `code` with this process's module search path, in ASCII: the other may know no other letters."""
    return [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!a}; {code}"]


_PIPE_BYTES = 2**18


class Worker:
    """A plain child process that talks frames over its standard input and output: no `__main__` is
    imported again, so a script needs no guard."""

    def __init__(self) -> None:
        quiet = None if os.environ.get("INTERNVL_DEBUG") else subprocess.DEVNULL
        self.process = subprocess.Popen(
            python_command(BOOTSTRAP),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=quiet,
            env={**os.environ, **telemetry.SWITCHES},
        )
        for pipe in (self.process.stdin, self.process.stdout):
            _widen(pipe)
        self.documents: OrderedDict[str, None] = OrderedDict()
        """Those it has been sent, as it keeps them."""
        self.busy = True
        self.condemned = False
        self.served = 0
        self.stretch: Hashable = None

    def run(self, job: Job, begun: Callable[[], None], aside: Callable[[object], None]) -> Reply:
        """Raises EOFError when the process dies over it. A new one says when it has `begun`, and any when it
        looks at a part `aside`, or at None again; that may raise ValueError."""
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
            "request": job.request | ({"beside": job.harmless} if job.beside else {}),
            "closes": job.closes,
        }
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            write_frame(self.process.stdin, head, payload)
            reply = read_frame(self.process.stdout)
            if self.served == 0 and reply[0] == BEGUN:
                begun()
                reply = read_frame(self.process.stdout)
            while reply[0].keys() == {"aside"}:
                aside(reply[0]["aside"])
                reply = read_frame(self.process.stdout)
            return reply
        except (OSError, ValueError, MemoryError) as error:
            raise EOFError from error

    def kill(self) -> None:
        self.process.kill()

    def forget(self) -> None:
        """In a forked child, whose copies of the pipes would keep the process from seeing its owner's end."""
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:  # not closed: that would send what the owner was about to
                with suppress(OSError, ValueError):
                    os.dup2(nowhere, stream.fileno(), inheritable=False)
        os.close(nowhere)

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
        with suppress(ImportError, OSError):  # a user may have so many, and no more
            import fcntl

            fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


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
