"""Workers for tests of plumbing and faults: a scripted one, and a sabotaged real one.

The scripted worker's documents are scripts, not PDFs.

A document is bytes of lines, one a page: `text WORDS`, `sleep SECONDS`, `crash`, `hang`, `raise`,
`memory` (an allocation failed), `allocate` (without end), `grow BYTES` (and keep them), `exit`,
`killed` (its process, as from outside), `once FILE` (killed the first time only). A document that
starts with `broken` cannot be opened.

The sabotaged worker reads real documents, and then does what a page's text orders.
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

from internvl_loaders.document import Block, Page
from internvl_loaders.errors import DamagedDocumentError

BOOTSTRAP = "from tests.kit.faults import main; main()"
SABOTAGED = "from tests.kit.faults import sabotaged; sabotaged()"
READ = "INTERNVL_TEST_READ"
"""The environment variable that names a file in which the sabotaged worker notes every page it reads."""

GROWN: list[bytes] = []


class ScriptedDocument:
    def __init__(self, document: Path | bytes, name: str, options: Any) -> None:
        script = document if isinstance(document, bytes) else document.read_bytes()
        self.pages = script.decode().splitlines()
        if self.pages[:1] == ["broken"]:
            raise DamagedDocumentError("scripted damage", source=name, remedy="Mend it")

    def __len__(self) -> int:
        return len(self.pages)

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
            hoard.append(bytearray(b"x" * 2**24))
    elif verb == "grow":
        GROWN.append(b"x" * int(rest))
    elif verb == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    elif verb == "once" and not Path(rest).exists():
        Path(rest).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    elif verb == "raise":
        raise ValueError("scripted")
    elif verb == "sleep":
        time.sleep(float(rest))
    elif verb == "print":
        print("noise on standard output", flush=True)
        os.write(1, b"noise on descriptor 1")


def main() -> None:
    """A real worker process, real frames, real signals; only the reading is scripted."""
    reading = types.ModuleType("internvl_loaders.pipeline.reading")
    reading.OpenDocument = ScriptedDocument  # type: ignore[attr-defined]
    sys.modules["internvl_loaders.pipeline.reading"] = reading
    from internvl_llm.media.workers import worker

    worker.main()


def sabotaged() -> None:
    """A real worker in all but the orders it finds on pages."""
    from internvl_llm.media.workers import worker
    from internvl_loaders.pipeline import reading

    read = reading.OpenDocument.read

    def sabotage(self: reading.OpenDocument, number: int, threads: int) -> Page:
        page = read(self, number, threads)
        if marks := os.environ.get(READ):
            with open(marks, "a") as file:
                file.write(f"{number}\n")
        verb, _, rest = page.blocks[0].text.partition(" ")
        obey(verb, rest)
        return page

    reading.OpenDocument.read = sabotage  # type: ignore[method-assign]
    worker.main()
