"""Workers for tests of plumbing and faults: a scripted one, and a sabotaged real one.

The scripted worker's documents are scripts, not PDFs.

A document is bytes of lines, one a page: `text WORDS`, `sleep SECONDS`, `crash`, `hang`, `raise`,
`memory` (an allocation failed), `allocate` (without end), `grow BYTES` (and keep them), `exit`,
`killed` (its process, as from outside), `once FILE` (killed the first time only), `wait FILE` (killed
after two seconds the first time, asleep for a minute the second), `meet FILE` (another process that is told
the same). A document that starts with `broken` cannot be opened.

The sabotaged worker reads real documents, and then does what a page's text orders.

The hostile worker does so whenever the content of a page is extracted, for itself or for a page beside it.

The sabotaged drawing opens and draws the media of messages, and before that does what an `ordered`
file orders: a library that a hostile file has taken over.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
import types
from pathlib import Path
from typing import Any

from internvl_llm.media.open import sha256
from internvl_llm.media.workers.frames import Reply
from internvl_loaders.document import Block, Page
from internvl_loaders.errors import DamagedDocumentError

BOOTSTRAP = "from tests.kit.faults import main; main()"
HOSTILE = "from tests.kit.faults import hostile; hostile()"
SABOTAGED = "from tests.kit.faults import sabotaged; sabotaged()"
DRAWING = "from tests.kit.faults import drawing; drawing()"
READ = "INTERNVL_TEST_READ"
"""The environment variable that names a file in which the sabotaged worker notes every page it reads, and
the sabotaged drawing every request."""

GROWN: list[bytes] = []


class ScriptedDocument:
    def __init__(self, document: Path | bytes, settings: dict[str, Any]) -> None:
        self.document = document
        script = document if isinstance(document, bytes) else document.read_bytes()
        self.pages = script.decode().splitlines()
        if self.pages[:1] == ["broken"]:
            raise DamagedDocumentError("scripted damage", source=settings["name"], remedy="Mend it")

    def answer(self, request: dict[str, Any]) -> Reply:
        if request["op"] == "open":
            return {"pages": len(self.pages), "sha256": sha256(self.document)}, b""
        return {}, self.read(request["page"], request["threads"]).model_dump_json().encode()

    def close(self) -> None:
        pass

    def read(self, number: int, threads: int) -> Page:
        verb, _, rest = self.pages[number - 1].partition(" ")
        obey(verb, rest)
        text = f"{rest or verb} (worker {os.getpid()}, {threads} threads)"
        return Page(
            source="",
            number=number,
            status="ok",
            method="scripted",
            blocks=(Block(type="paragraph", text=text),),
        )


def obey(verb: str, rest: str) -> None:
    if verb == "crash":
        ctypes.string_at(0)
    elif verb == "exit":
        os._exit(7)
    elif verb == "hang":
        while True:
            pass
    elif verb == "memory":
        raise MemoryError
    elif verb == "allocate":
        hoard = []
        while True:
            hoard.append(bytearray(2**30))
    elif verb == "grow":
        GROWN.append(b"x" * int(rest))
    elif verb == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    elif verb == "once" and not Path(rest).exists():
        Path(rest).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    elif verb == "wait":
        time.sleep(2)
        if not Path(rest).exists():
            Path(rest).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(60)
    elif verb == "meet":
        meet(Path(rest))
    elif verb == "raise":
        raise ValueError("scripted")
    elif verb == "sleep":
        time.sleep(float(rest))
    elif verb == "print":
        print("noise on standard output", flush=True)
        os.write(1, b"noise on descriptor 1")


def meet(place: Path) -> None:
    """Wait for another process to come here too."""
    with place.open("a") as file:
        file.write(f"{os.getpid()}\n")
    deadline = time.monotonic() + 60
    while len(set(place.read_text().split())) < 2:
        if time.monotonic() > deadline:
            raise TimeoutError("nobody else came")
        time.sleep(0.02)


def main() -> None:
    """A real worker process, real frames, real signals; only the reading is scripted."""
    reading = types.ModuleType("internvl_loaders.pipeline.reading")
    reading.opener = ScriptedDocument  # type: ignore[attr-defined]
    sys.modules["internvl_loaders.pipeline.reading"] = reading
    from internvl_llm.media.workers import worker

    worker.main()


def ordered(content: bytes, when: str, verb: str, rest: str = "") -> bytes:
    """A PDF, image or video that has something done when it is asked to `open` or `draw`."""
    return content + f"\n%order {when} {verb} {rest}\n".encode()


def drawing() -> None:
    """A real worker in all but the orders it finds at the end of files."""
    from internvl_llm.media import drawing as real
    from internvl_llm.media.workers import worker

    answer, init = real.Drawing.answer, real.Drawing.__init__

    def note(what: str) -> None:
        if marks := os.environ.get(READ):
            with open(marks, "a") as file:
                file.write(f"{what}\n")

    def carry_out(drawing: real.Drawing, when: str) -> None:
        content = drawing.content
        last = (content if isinstance(content, bytes) else content.read_bytes()).split(b"\n%order ")[1:]
        for order in last:
            at, verb, *rest = order.decode().split()
            if at == when:
                note(verb)
                obey(verb, " ".join(rest))

    def opened(self: real.Drawing, content: Path | bytes, settings: dict[str, Any]) -> None:
        init(self, content, settings)
        carry_out(self, "open")

    def sabotage(self: real.Drawing, request: dict[str, Any]) -> Reply:
        note(request["op"])
        carry_out(self, request["op"] if request["op"] == "draw" else "never")
        return answer(self, request)

    real.Drawing.answer = sabotage  # type: ignore[method-assign]
    real.Drawing.__init__ = opened  # type: ignore[method-assign]
    worker.main()


def sabotaged() -> None:
    """A real worker in all but the orders it finds on pages."""
    from internvl_llm.media.workers import worker
    from internvl_loaders.pipeline import reading

    read = reading.OpenDocument.read

    def sabotage(self: reading.OpenDocument, number: int, threads: int, *rest: Any) -> Page:
        page = read(self, number, threads, *rest)
        if marks := os.environ.get(READ):
            with open(marks, "a") as file:
                file.write(f"{number}\n")
        verb, _, rest = page.blocks[0].text.partition(" ")
        obey(verb, rest)
        return page

    reading.OpenDocument.read = sabotage  # type: ignore[method-assign]
    worker.main()


def hostile() -> None:
    """A real worker in all but the orders it finds in what it extracts."""
    from internvl_llm.media.workers import worker
    from internvl_loaders.content import Content
    from internvl_loaders.pipeline import reading

    extract = reading.OpenDocument._content

    def sabotage(self: reading.OpenDocument, index: int) -> Content:
        new = index not in self._contents
        content = extract(self, index)
        verb, _, rest = " ".join(span.text for span in content.spans).partition(" ")
        if new:
            del self._contents[index]
            obey(verb, rest)
            self._contents[index] = content
        return content

    reading.OpenDocument._content = sabotage  # type: ignore[method-assign]
    worker.main()
