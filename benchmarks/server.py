"""`parse` against a simulated server of fixed latency: how busy it keeps the server's slots, in how much
memory, and what faults on the way cost. See README.md."""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from internvl_loaders import parse
from tests.kit.pdfs import pdf
from tests.kit.servers.base import Break, Chunk, Reply, Status
from tests.kit.servers.fake import FakeServer, chunk, usage

FAULTS = ("429", "500", "reset at once", "reset", "truncate", "garbage", "hang")


class Slots(FakeServer):
    """Answers so many requests at once, each within `latency` seconds and with the number of its page; some
    of them, by chance, as a fault of `FAULTS`."""

    def __init__(self, slots: int, latency: float, faults: float, seed: int) -> None:
        self.slots = threading.Semaphore(slots)
        self.latency, self.faults = latency, faults
        self.chance = random.Random(seed)
        self.answered: Counter[str] = Counter()
        super().__init__()

    def chat(self, body: Any) -> Reply:
        if body.get("max_tokens") == 1:
            return super().chat(body)
        self.asked.clear()  # they hold pictures
        fault = self.chance.choice(FAULTS) if self.chance.random() < self.faults else ""
        with self.lock:
            self.answered[fault or "whole"] += 1
        if fault == "429":
            return Status(429, headers={"Retry-After": "1"})
        if fault == "500":
            return Status(500)
        return self._slow(fault)

    def _slow(self, fault: str) -> Iterator[Chunk]:
        with self.slots:
            if fault == "reset at once":
                yield Break("reset")
            yield chunk({"content": "# Read\n\n"})
            time.sleep(self.latency)
            if fault:
                yield Break(fault)
            yield chunk({"content": "Whole page, word for word."})
            yield chunk({}, 0, "stop")
            yield {"choices": [], "usage": usage(3400, 20)}


def _serve(pipe: Any, *arguments: Any) -> None:
    server = Slots(*arguments)
    pipe.send(server.url)
    pipe.recv()
    pipe.send(dict(server.answered))
    server.close()


def _memory(process: psutil.Process) -> int:
    """Bytes of this process and its workers."""
    total = 0
    for one in (process, *process.children(recursive=True)):
        try:
            if "benchmarks/server" not in " ".join(one.cmdline()) or one == process:
                total += one.memory_info().rss
        except psutil.Error:
            continue
    return total


def run(options: argparse.Namespace, faults: float) -> dict[str, Any]:
    ours, theirs = multiprocessing.Pipe()
    arguments = (theirs, options.slots, options.latency, faults, options.seed)
    server = multiprocessing.get_context("fork").Process(target=_serve, args=arguments, daemon=True)
    server.start()
    url = ours.recv()
    text = "Page {} of a small document.\nIt has two lines."
    size = (200, 280)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pages.pdf"
        path.write_bytes(pdf(*(text.format(n) for n in range(options.pages)), size=size))
        process, samples, seen = psutil.Process(), [], []
        statuses: Counter[str] = Counter()
        engine = {
            "concurrency": options.in_flight,
            "first_token_timeout": 60,
            "token_timeout": 4 * options.latency,
        }
        started = time.perf_counter()
        pages = parse(
            path, transcriber="internvl", base_url=url, engine=engine, in_flight=options.in_flight, dpi=72
        )
        for page in pages:
            seen.append(page.number)
            statuses[page.status] += 1
            if page.number % max(1, options.pages // 20) == 0:
                samples.append(_memory(process))
        seconds = time.perf_counter() - started
    ours.send("end")
    answered = ours.recv()
    server.join(5)
    ceiling = options.pages * options.latency / options.slots
    return {
        "pages": options.pages,
        "slots": options.slots,
        "latency_seconds": options.latency,
        "in_flight": options.in_flight,
        "faults": faults,
        "seconds": round(seconds, 1),
        "seconds_of_busy_slots": round(ceiling, 1),
        "slots_busy": round(ceiling / seconds, 3),
        "in_order_once": seen == list(range(1, options.pages + 1)),
        "statuses": dict(statuses),
        "answered": answered,
        "megabytes": [round(sample / 2**20) for sample in samples],
        "load": os.getloadavg()[0],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=2000)
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument(
        "--in-flight", type=int, default=80, help="some wait where the server has no slot yet"
    )
    parser.add_argument("--latency", type=float, default=8.0, help="seconds of an answer")
    parser.add_argument("--faults", type=float, default=0.05, help="share of requests in the second run")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    results = [run(options, faults) for faults in ([0.0, options.faults] if options.faults else [0.0])]
    if len(results) > 1:
        results[1]["times_undisturbed"] = round(results[1]["seconds"] / results[0]["seconds"], 2)
    print(json.dumps(results, indent=1))
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
