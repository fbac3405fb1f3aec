"""Runs a tool in a process of its own, so that a hang or a crash is that document's failure."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import sys
import time
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Self

from internvl_loaders.evaluate import DocumentReading

MEMORY_LIMIT = 8 * 2**30
"""Bytes of address space of a tool's process, and of each process it starts."""

START_SECONDS = 180.0
"""In which a tool must have loaded; loading does not count as reading."""


class ToolError(Exception):
    """A tool cannot be loaded."""


class IsolatedReader:
    """One process a tool, warm from document to document, replaced after a hang or a crash.

    Entering the context loads the tool and raises ToolError if that fails.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._process: multiprocessing.process.BaseProcess | None = None
        self._pipe: Connection | None = None

    def read(self, path: Path, password: str | None, lang: str, limit: float) -> DocumentReading:
        """`limit` is wall seconds for the document."""
        if self._pipe is None:
            self._start()
        assert self._pipe is not None
        start = time.perf_counter()
        self._pipe.send((str(path), password, lang))
        error = f"no answer after {limit:.0f} s"
        try:
            if self._pipe.poll(limit):
                return DocumentReading.model_validate_json(self._pipe.recv())
        except EOFError:
            error = "the process died"
        self._stop()
        return DocumentReading(seconds=time.perf_counter() - start, error=error)

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, end = context.Pipe()
        self._process = context.Process(target=_serve, args=(self.name, end), daemon=False)
        self._process.start()
        end.close()
        if not self._pipe.poll(START_SECONDS):
            self._stop()
            raise ToolError(f"{self.name} did not start in {START_SECONDS:.0f} s")
        try:
            problem = self._pipe.recv()
        except EOFError:
            problem = "died while it started"
        if problem:
            self._stop()
            raise ToolError(f"{self.name}: {problem}")

    def _stop(self) -> None:
        """Kills the tool with whatever it started."""
        if self._process is not None and self._process.pid is not None:
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:
                self._process.kill()
            self._process.join()
        self._process = self._pipe = None

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._pipe is not None and self._process is not None:
            self._pipe.close()  # on which the tool ends by itself, with its own workers
            self._process.join(10)
        self._stop()


def _serve(name: str, pipe: Connection) -> None:
    os.setsid()
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # tools that print do not spoil the tables
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
    import tools

    try:
        read = tools.TOOLS[name]()
    except Exception as error:
        pipe.send(f"{type(error).__name__}: {error}")
        return
    pipe.send(None)
    while True:
        try:
            path, password, lang = pipe.recv()
        except EOFError:
            return
        start = time.perf_counter()
        try:
            pages = read(Path(path), password, lang)
            reading = DocumentReading(pages=tuple(pages), seconds=time.perf_counter() - start)
        except Exception as error:
            reason = traceback.format_exception_only(error)[-1].strip()
            reading = DocumentReading(seconds=time.perf_counter() - start, error=reason)
        pipe.send(reading.model_dump_json())
