"""The worker process: opens documents and reads pages on request, one at a time."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import sys
import threading
import time
import traceback
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from internvl_llm.errors import InternVLError, PageError, limit_error
from internvl_llm.media.workers.picture import packed
from internvl_llm.media.workers.pool import KEPT_DOCUMENTS, read_frame, refusal, write_frame

if TYPE_CHECKING:
    from internvl_loaders.pipeline.reading import OpenDocument

_STARVED = re.compile(
    r"bad_?alloc|(m|c|re)alloc\b.*fail|[Ff]ailed to allocate|[Ii]nsufficient memory|[Oo]ut of memory"
)
"""What native libraries say when an allocation fails."""

_LIBRARIES = 256 * 2**20
"""Bytes of a worker's memory that are no data: the code of its libraries, mapped files."""


def main() -> None:
    """Serve frames until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to act on
    _die_with(int(sys.argv[1]))
    # PyMuPDF 2 loads its layout model on import, a second we have no use for; it copes without.
    sys.modules["pymupdf.layout"] = None  # type: ignore[assignment]
    sys.modules["pymupdf4llm"] = None  # type: ignore[assignment]
    requests = os.fdopen(os.dup(0), "rb")
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not end up among the frames
    shelf = _Shelf()
    while True:
        try:
            head, payload = read_frame(requests)
        except EOFError:
            return
        allowed = int(head["options"]["limits"]["max_memory"])
        _limit_memory(allowed)
        try:
            answer, data = shelf.handle(head, payload)
        except Exception as error:  # whatever a reader raises costs this page, not its neighbours
            answer, data = _answer(error, allowed), b""
        # A worker that has grown ends with this page: fresh ones keep long runs within bounds.
        answer["last"] = answer.get("last", False) or _resident() > allowed // 2
        write_frame(replies, answer, data)
        _tidy()


@dataclass(slots=True)
class _Document:
    data: Path | bytes
    opened: OpenDocument | None = None


class _Shelf:
    """The documents this worker holds; mirrors what its owner believes it holds."""

    def __init__(self) -> None:
        self.documents: OrderedDict[str, _Document] = OrderedDict()

    def handle(self, head: dict[str, Any], payload: bytes) -> tuple[dict[str, Any], bytes]:
        key = head["document"]
        if key not in self.documents:
            self.documents[key] = _Document(payload if head["path"] is None else Path(head["path"]))
        self.documents.move_to_end(key)
        while len(self.documents) > KEPT_DOCUMENTS:
            _, oldest = self.documents.popitem(last=False)
            if oldest.opened is not None:
                oldest.opened.close()
        held = self.documents[key]
        if held.opened is None:
            from internvl_loaders.options import ParseOptions
            from internvl_loaders.pipeline.reading import OpenDocument

            options = ParseOptions.model_validate(head["options"])
            held.opened = OpenDocument(held.data, head["name"], options)
        if head["op"] == "open":
            return {"pages": len(held.opened), "sha256": fingerprint(held.data)}, b""
        started = time.perf_counter()
        picture = None
        if head["op"] == "show":
            page, picture = held.opened.show(head["page"], head["threads"])
        else:
            page = held.opened.read(head["page"], head["threads"])
        timings = {**page.timings, "total": round(time.perf_counter() - started, 4)}
        told = page.model_copy(update={"timings": timings}).model_dump_json().encode()
        if picture is None:
            return {}, told
        shape, pixels = packed(picture)
        return {"picture": shape, "page": len(told)}, told + pixels


def fingerprint(document: Path | bytes) -> str:
    """The SHA-256 of the content, in hex."""
    if isinstance(document, bytes):
        return hashlib.sha256(document).hexdigest()
    with document.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _answer(error: Exception, allowed: int) -> dict[str, Any]:
    told = f"{type(error).__name__}: {error}".rstrip(": ")
    if isinstance(error, MemoryError) or _STARVED.search(told):
        return refusal(limit_error("needs more memory than", "max_memory", allowed)) | {"last": True}
    if isinstance(error, InternVLError):
        return refusal(error)
    return refusal(PageError(told)) | {"traceback": traceback.format_exc()}


def _limit_memory(allowed: int) -> None:
    """Allocations beyond `allowed` bytes of data fail, in Python and in native code."""
    if sys.platform == "linux":
        import resource

        allowed -= min(allowed // 4, _LIBRARIES)
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
    if sys.platform != "linux":
        return 0
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _die_with(parent: int) -> None:
    """End this process when its parent ends, even in the middle of native code, even before now."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    if os.getppid() != parent:
        os._exit(1)
    threading.Thread(target=watch, daemon=True).start()
