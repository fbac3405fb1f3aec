"""What a witness costs: `parse` against a simulated server of fixed latency, without one, with
the text layer, and with RapidOCR. See benchmarks/README.md."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.server import Slots
from internvl_loaders import parse
from tests.kit.pdfs import pdf
from tests.kit.servers.base import Chunk
from tests.kit.servers.fake import chunk, usage

LINES, WORDS = 34, 7
SYLLABLES = ("ba", "co", "du", "fe", "gi", "lo", "mu", "na", "pe", "ri", "so", "tu", "va", "we", "zi")


class Reader(Slots):
    """Says the same right text of each page."""

    def __init__(self, slots: int, latency: float, text: str) -> None:
        self.text = text
        super().__init__(slots, latency, 0.0, 1)

    def _slow(self, fault: str) -> Iterator[Chunk]:
        with self.slots:
            time.sleep(self.latency)
            yield chunk({"content": self.text})
            yield chunk({}, 0, "stop")
            yield {"choices": [], "usage": usage(3400, 600)}


def text(seed: int) -> str:
    """A page of words, with a number in each line."""
    chance = random.Random(seed)

    def word() -> str:
        return "".join(chance.choices(SYLLABLES, k=chance.randrange(1, 5)))

    lines = ([word() for _ in range(WORDS)] + [f"{chance.uniform(1, 999):.2f}"] for _ in range(LINES))
    return "\n".join(" ".join(line) for line in lines)


def _serve(pipe: Any, *arguments: Any) -> None:
    server = Reader(*arguments)
    pipe.send(server.url)
    pipe.recv()
    server.close()


def run(options: argparse.Namespace, witness: str) -> dict[str, Any]:
    said = text(1)
    ours, theirs = multiprocessing.Pipe()
    arguments = (theirs, options.slots, options.latency, said)
    server = multiprocessing.get_context("fork").Process(target=_serve, args=arguments, daemon=True)
    server.start()
    url = ours.recv()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pages.pdf"
        path.write_bytes(pdf(*[said] * options.pages))
        engine = {"concurrency": options.in_flight, "first_token_timeout": 120, "token_timeout": 60}
        started = time.perf_counter()
        pages = list(
            parse(
                path,
                transcriber="internvl",
                base_url=url,
                engine=engine,
                in_flight=options.in_flight,
                witness=witness,
                dpi=options.dpi,
            )
        )
        seconds = time.perf_counter() - started
    ours.send("end")
    server.join(5)
    return {
        "witness": witness,
        "pages": len(pages),
        "disputes": sum(len(page.disputes) for page in pages),
        "seconds": round(seconds, 2),
        "pages per second": round(len(pages) / seconds, 3),
        "slots busy": round(options.pages * options.latency / options.slots / seconds, 3),
        "witness seconds per page": _mean(pages, "witness"),
        "ground seconds per page": _mean(pages, "ground"),
        "load": round(os.getloadavg()[0], 1),
    }


def _mean(pages: Any, stage: str) -> float:
    return round(sum(page.timings.get(stage, 0.0) for page in pages) / max(len(pages), 1), 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=256)
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--in-flight", type=int, default=80)
    parser.add_argument("--latency", type=float, default=8.0, help="seconds of an answer")
    parser.add_argument("--dpi", type=int, default=100)
    parser.add_argument("--witnesses", default="none,text-layer,rapidocr")
    parser.add_argument("--rapidocr-pages", type=int, default=24, help="fewer, as they take much longer")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results = []
    for witness in options.witnesses.split(","):
        if witness == "rapidocr":
            options.pages = min(options.pages, options.rapidocr_pages)
        results.append(run(options, witness))
        print(json.dumps(results[-1], indent=1), flush=True)
    if options.json is not None:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
