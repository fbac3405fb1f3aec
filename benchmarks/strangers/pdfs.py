"""PDFs that ask for gigabytes, hours or endless recursion, or lie of themselves; sound ones between them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.strangers.ground import ground, left_processes
from benchmarks.strangers.survey import Survey, failures, survey
from internvl_llm.media.limits import Limits
from tests.kit import escapes, mutations_pdf
from tests.kit.bombs import BOMBS
from tests.kit.build import page_pdf
from tests.kit.mutations import MUTATORS
from tests.kit.pdfs import pdf

LIMITS = Limits(max_seconds=10, max_memory=2**30, max_pages=1000)
PAGES = "1-3"
_SOUND_EVERY = 4


def hostile(seed: int) -> Iterator[tuple[str, bytes]]:
    """Bombs, and every mutator's work on two documents."""
    yield from ((name, make()) for name, make in BOMBS.items() if name.startswith("pdf"))
    random = Random(seed)
    sound = {
        "text": pdf(*(f"Page {n} of a letter.\nTotal {n}.50" for n in range(1, 5))),
        "image": page_pdf("BT /F 12 Tf 50 500 Td (Some words) Tj ET q 90 0 0 90 50 50 cm /Opaque Do Q"),
    }
    for mutator in MUTATORS["pdf"]:
        own = mutator.__module__ == mutations_pdf.__name__
        for of, document in sound.items():
            for turn in range(2 if own else 1):
                yield f"{mutator.__name__} {of} {turn}", mutator(document, random)


def run(seed: int, jobs: int) -> dict[str, Any]:
    """Workers die at the first system call that asks for a socket, so that no attempt goes unseen."""
    with ground() as place:
        files, sound = [], {}
        for number, (name, document) in enumerate(hostile(seed)):
            files.append(_write(place.here / f"{number:03} {name[:60].replace('/', '-')}.pdf", document))
            if number % _SOUND_EVERY == 0:
                beside = place.here / f"{number:03} sound.pdf"
                files.append(_write(beside, pdf(*(f"Sound {number}, page {n}" for n in (1, 2, 3)))))
                sound[beside.name] = [f"Sound {number}, page {n}" for n in (1, 2, 3)]
        seen = survey(files, place.here, LIMITS, PAGES, jobs, env=place.env, bootstrap=escapes.WATCHED)
        lost = _lost(seen, sound)
        network = [page["file"] for page in seen.pages if "SIGSYS" in page["reason"]]
        left = place.left_files()
        problems = seen.problems(LIMITS, PAGES)
        problems += [f"{name}: a sound page is lost" for name in lost]
        problems += [f"{name}: asked for a socket" for name in network]
        problems += [f"left: {name}" for name in left]
        alive = left_processes(place.env["HOME"])
        problems += [f"process {each} is left" for each in alive]
        return {
            "tried": len(files) - len(sound),
            "sound_between": len(sound),
            "lost": len(lost),
            "leaked": len(network),
            "files_left": len(left),
            **seen.summary(),
            "processes_left_over": len(alive),
            "problems": problems,
            "failed": failures(seen, place.here),
        }


def _write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _lost(seen: Survey, sound: dict[str, list[str]]) -> list[str]:
    read: dict[str, list[str]] = {name: [] for name in sound}
    for page in seen.pages:
        if page["file"] in read and page["status"] == "ok":
            read[page["file"]].append(page["text"].strip())
    return [name for name, texts in sound.items() if read[name] != texts]
