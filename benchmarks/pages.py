"""Seconds that pages take which hold very much, and how they grow when the amount doubles. See README.md."""

from __future__ import annotations

import argparse
import cProfile
import json
import multiprocessing as mp
import pstats
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from internvl_llm.media.limits import Limits
from internvl_loaders.readers.open import open_document
from internvl_loaders.structure import structure
from internvl_loaders.structure.sane import sane
from tests.kit.crowded import KINDS, pdf_of

IN_FILES = (
    "words at random places",
    "words at one point",
    "bullet lines",
    "letters in one line",
    "rulings",
    "nested boxes",
    "columns of values",
)
"""Kinds that are also read out of a PDF, by each reader."""


def main() -> int:
    options = _arguments()
    results: dict[str, Any] = {}
    for name, (_, amount) in KINDS.items():
        if options.only and not any(part in name for part in options.only.split(",")):
            continue
        stages = [None, *(("pymupdf", "pdfium") if options.files and name in IN_FILES else ())]
        for reader in stages:
            label = f"{name}, PDF by {reader}" if reader else name
            half, whole = (
                _timed(_seconds, (name, n, reader, False), options.most) for n in (amount // 2, amount)
            )
            results[label] = {"amount": amount, "half": half, "whole": whole}
            growth = f"{whole / max(half, 1e-3):.1f}" if half and whole else "-"
            shown = [f"{s:.2f}" if s is not None else f"> {options.most:g}" for s in (half, whole)]
            print(f"{label:45} {amount:>9,} {shown[0]:>8} {shown[1]:>8} {growth:>5}", flush=True)
            if options.profile:
                _timed(_seconds, (name, amount // 2, reader, True), options.most)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="parts of the kinds' names, comma-separated")
    parser.add_argument("--files", action="store_true", help="some kinds also out of PDFs, by both readers")
    parser.add_argument("--most", type=float, default=120, help="seconds after which a page is given up")
    parser.add_argument("--profile", action="store_true", help="where the time goes, by cProfile")
    parser.add_argument("--json", type=Path, help="write the results here")
    return parser.parse_args()


def _timed(work: Callable[..., float], given: tuple[Any, ...], most: float) -> float | None:
    """What `work` gives in a process of its own; None where it takes longer than `most` seconds."""
    here, there = mp.Pipe(duplex=False)
    process = mp.get_context("spawn").Process(target=_send, args=(there, work, given))
    process.start()
    there.close()
    try:
        return float(here.recv()) if here.poll(most + 10) else None
    except EOFError:
        return None
    finally:
        process.kill()
        process.join()


def _send(there: Connection, work: Callable[..., float], given: tuple[Any, ...]) -> None:
    there.send(work(*given))


def _seconds(name: str, amount: int, reader: str | None, profile: bool) -> float:
    """Of processor time for the structure of one page, or for reading it and that."""
    content = KINDS[name][0](amount)
    document = pdf_of(content) if reader else b""
    profiler = cProfile.Profile()
    if profile:
        profiler.enable()
    start = time.process_time()
    if reader:
        opened = open_document(document, name=name, password=None, limits=Limits(), readers=(reader,))
        content = opened.content(0)
    structure(sane(content))
    spent = time.process_time() - start
    if profile:
        profiler.disable()
        pstats.Stats(profiler).sort_stats("tottime").print_stats(14)
    return spent


if __name__ == "__main__":
    sys.exit(main())
