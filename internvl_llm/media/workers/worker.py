"""The worker process: opens documents and answers requests about them, one at a time."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import traceback
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any, Protocol

from internvl_llm.errors import InternVLError, PageError, limit_error
from internvl_llm.media.workers.aside import starved, tell_by
from internvl_llm.media.workers.frames import BEGUN, KEPT_DOCUMENTS, Reply, read_frame, refusal, write_frame
from internvl_llm.media.workers.sandbox import leave_network

_LIBRARIES = 256 * 2**20
"""Bytes of a worker's memory that are no data: the code of its libraries, mapped files."""

_GARBAGE = 50_000
"""Objects made between two searches for cycles, which else take a fifth of the time of a crowded page."""


class Opened(Protocol):
    """What an opener returns; what it can do is between it and whoever names it."""

    def answer(self, request: dict[str, Any]) -> Reply: ...

    def close(self) -> None: ...


Opener = Callable[[Path | bytes, dict[str, Any]], Opened]


def main() -> None:
    """Serve frames until standard input ends, and with it the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to act on
    leave_network()
    _die_with_parent()
    # PyMuPDF 2 loads its layout model on import, a second we have no use for; it copes without.
    sys.modules["pymupdf.layout"] = None  # type: ignore[assignment]
    sys.modules["pymupdf4llm"] = None  # type: ignore[assignment]
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not end up among the frames
    tell_by(lambda told: write_frame(replies, told))
    received: SimpleQueue[Reply | Exception] = SimpleQueue()
    threading.Thread(target=_receive, args=[os.fdopen(os.dup(0), "rb"), received], daemon=True).start()
    documents, fresh = _Documents(), True
    while True:
        frame = received.get()
        if isinstance(frame, Exception):
            raise frame
        head, payload = frame
        allowed = int(head["max_memory"])
        _limit_memory(allowed)
        try:
            opener = _opener(head["opener"])
            if fresh:  # what its imports take is not the document's time
                write_frame(replies, BEGUN)
                fresh = False
                gc.freeze()
                gc.set_threshold(_GARBAGE)
            answer, data = documents.answer(head, payload, opener)
        except Exception as error:  # whatever a reader raises costs this page, not its neighbours
            answer, data = _answer(error, allowed), b""
        # A worker that has grown ends with this page: fresh ones keep long runs within bounds.
        answer["last"] = answer.get("last", False) or _resident() > allowed // 2
        write_frame(replies, answer, data)
        _tidy()


def _receive(requests: IO[bytes], received: SimpleQueue[Reply | Exception]) -> None:
    """In a thread of its own: the end of the pipe is the parent's, and ends the process at whatever it is."""
    try:
        while True:
            received.put(read_frame(requests))
    except EOFError:
        os._exit(1)
    except Exception as error:
        received.put(error)


def _opener(name: str) -> Opener:
    module, _, attribute = name.partition(":")
    opener: Opener = getattr(import_module(module), attribute)
    return opener


@dataclass(slots=True)
class _Document:
    content: Path | bytes
    opened: Opened | None = None

    def close(self) -> None:
        if self.opened is not None:
            self.opened.close()


class _Documents:
    """The documents this worker keeps; mirrors what its owner believes it keeps."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, _Document] = OrderedDict()

    def answer(self, head: dict[str, Any], payload: bytes, opener: Opener) -> Reply:
        document = self._document(head["document"], head["path"], payload)
        try:
            if document.opened is None:
                document.opened = opener(document.content, head["settings"])
            return document.opened.answer(head["request"])
        finally:
            if head["closes"]:
                self._kept.pop(head["document"]).close()

    def _document(self, key: str, path: str | None, payload: bytes) -> _Document:
        if key not in self._kept:
            self._kept[key] = _Document(payload if path is None else Path(path))
        self._kept.move_to_end(key)
        while len(self._kept) > KEPT_DOCUMENTS:
            self._kept.popitem(last=False)[1].close()
        return self._kept[key]


def _answer(error: Exception, allowed: int) -> dict[str, Any]:
    if starved(error):
        return refusal(limit_error("needs more memory than", "max_memory", allowed)) | {"last": True}
    if isinstance(error, InternVLError):
        return refusal(error)
    told = f"{type(error).__name__}: {error}".rstrip(": ")
    return refusal(PageError(told)) | {"traceback": traceback.format_exc()}


def _limit_memory(allowed: int) -> None:
    """Allocations beyond `allowed` bytes of data fail, in Python and in native code (on Linux)."""
    if sys.platform != "linux":
        return
    allowed -= min(allowed // 4, _LIBRARIES)
    with suppress(ImportError, AttributeError, OSError, ValueError):  # a Python, or a kernel, without
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        soft = allowed if hard == resource.RLIM_INFINITY else min(allowed, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _tidy() -> None:
    """Give back what the last page needed: MuPDF's decoded images and fonts, freed heap."""
    if (pymupdf := sys.modules.get("pymupdf")) is not None:
        pymupdf.TOOLS.store_shrink(100)
    if sys.platform == "linux":
        import ctypes

        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc
        if trim is not None:
            trim(0)


def _resident() -> int:
    """Bytes of this process in memory; 0 where the system does not tell."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, LookupError, AttributeError):
        return 0


def _die_with_parent() -> None:
    """At once, even where native code lets no thread of ours run (on Linux; elsewhere `_receive` sees it)."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
