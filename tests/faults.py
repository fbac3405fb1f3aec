"""A scripted worker for plumbing and faults: its documents are scripts, not PDFs.

A document is bytes of lines, one a page: `text WORDS`, `sleep SECONDS`, `crash`, `hang`, `raise`,
`memory`, `exit`. A document that starts with `broken` cannot be opened.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
import types
from pathlib import Path
from typing import Any

from internvl_loaders.document import Block, Page
from internvl_loaders.errors import DamagedDocumentError

BOOTSTRAP = "from tests.faults import main; main()"


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
        if verb == "crash":
            ctypes.string_at(0)
        elif verb == "exit":
            os._exit(7)
        elif verb == "hang":
            while True:
                pass
        elif verb == "memory":
            raise MemoryError
        elif verb == "raise":
            raise ValueError("scripted")
        elif verb == "sleep":
            time.sleep(float(rest))
        elif verb == "print":
            print("noise on standard output", flush=True)
            os.write(1, b"noise on descriptor 1")
        text = f"{rest or verb} (worker {os.getpid()}, {threads} threads)"
        return Page(
            source="",
            number=number,
            status="ok",
            method="scripted",
            blocks=(Block(type="paragraph", text=text),),
        )


def main() -> None:
    """A real worker process, real frames, real signals; only the reading is scripted."""
    reading = types.ModuleType("internvl_loaders.reading")
    reading.OpenDocument = ScriptedDocument  # type: ignore[attr-defined]
    sys.modules["internvl_loaders.reading"] = reading
    from internvl_loaders import worker

    worker.main()
