"""Pages a second beside other tools, latency, memory and start-up, in one run. See README.md."""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import tools

from internvl_loaders.evaluate import DocumentReading, PageReading, evaluate
from internvl_loaders.evaluate.run import select
from internvl_loaders.evaluate.truth import load_manifest

BORN_DIGITAL = ("internvl", "pymupdf4llm", "pymupdf")
SCANS = ("internvl", "rapidocr")


def main() -> int:
    options = _arguments()
    if options.arm:
        print(json.dumps(ARMS[options.arm](options)))
        return 0
    results: dict[str, Any] = {"machine": _machine()}
    parts: dict[str, Callable[[argparse.Namespace], Any]] = {
        "born_digital": lambda o: _against(o, BORN_DIGITAL, _born_digital(o)),
        "scans": lambda o: _against(o, SCANS, _scans(o)),
        "first_page": _first_page,
        "memory": _memory,
        "calls": _calls,
        "start_up": _start_up,
    }
    for name in options.parts.split(",") if options.parts else parts:
        results[name] = parts[name](options)
        print(json.dumps({name: results[name]}, indent=1), flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path, help="holds manifest.jsonl")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--documents", type=int, default=24, help="most of a kind")
    parser.add_argument("--parts", help="comma-separated; default all")
    parser.add_argument("--json", type=Path, help="write the results here")
    parser.add_argument("--arm", help=argparse.SUPPRESS)
    parser.add_argument("--tool", help=argparse.SUPPRESS)
    parser.add_argument("--files", help=argparse.SUPPRESS)
    return parser.parse_args()


def _machine() -> dict[str, Any]:
    with open("/proc/cpuinfo") as file:
        model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "")
    return {"cpu": model, "cores": len(os.sched_getaffinity(0)), "load": round(os.getloadavg()[0], 2)}


def _born_digital(options: argparse.Namespace) -> list[str]:
    entries = select(load_manifest(options.directory), ["born_digital"], [])
    wrong = {"hostile", "damaged", "encrypted", "odd", "scan"}
    good = [e.path for e in entries if e.path.endswith(".pdf") and not wrong & set(e.kind) and e.gt]
    return good[: options.documents]


def _scans(options: argparse.Namespace) -> list[str]:
    entries = select(load_manifest(options.directory), ["receipt", "scan"], [])
    wrong = {"hostile", "damaged", "odd", "rotated", "blurred", "handwriting", "cjk", "rtl", "table"}
    good = [e.path for e in entries if not e.path.endswith((".pdf", ".tif")) and not wrong & set(e.kind)]
    step = max(1, len(good) // options.documents)
    return good[::step][: options.documents]


def _against(options: argparse.Namespace, names: tuple[str, ...], files: list[str]) -> dict[str, Any]:
    """Every tool on the same files, in turn, `rounds` times; the median, and what it read."""
    seconds: dict[str, list[float]] = {name: [] for name in names}
    readings: dict[str, dict[str, Any]] = {}
    for _ in range(options.rounds):
        for name in names:
            done = _child(options, "tool", "--tool", name, "--files", json.dumps(files))
            seconds[name].append(done["seconds"])
            readings[name] = done["readings"]
    found = {}
    for name in names:
        pages = sum(len(r["pages"]) for r in readings[name].values())
        took = statistics.median(seconds[name])
        found[name] = {
            "documents": len(files),
            "pages": pages,
            "seconds": [round(s, 2) for s in seconds[name]],
            "pages_per_second": round(pages / took, 3),
            "cer": _cer(options, name, files, readings[name]),
        }
    ours = found[names[0]]["pages_per_second"]
    for name in names[1:]:
        found[names[0]][f"times_{name}"] = round(ours / found[name]["pages_per_second"], 2)
    return found


def _cer(options: argparse.Namespace, name: str, files: list[str], read: dict[str, Any]) -> float | None:
    def reading(path: Path, password: str | None) -> DocumentReading:
        return DocumentReading.model_validate(read[str(path.relative_to(options.directory))])

    scores = evaluate(options.directory, read=reading, name=name, match=files).overall.scores
    return round(scores["cer"].mean, 4) if "cer" in scores else None


def _tool(options: argparse.Namespace) -> dict[str, Any]:
    """One tool over the files, loaded beforehand; ours with its workers' start included."""
    files = json.loads(options.files)
    readings: dict[str, DocumentReading] = {}
    if options.tool == "internvl":
        from internvl_loaders import parse

        started = time.perf_counter()
        pages: dict[str, list[PageReading]] = {name: [] for name in files}
        paths = [options.directory / name for name in files]
        for page in parse(paths, on_error="placeholder"):
            name = str(Path(page.source).relative_to(options.directory))
            if page.number:
                pages[name].append(PageReading(number=page.number, text=page.text))
        readings = {name: DocumentReading(pages=tuple(read)) for name, read in pages.items()}
    else:
        read = tools.TOOLS[options.tool]()
        started = time.perf_counter()
        for name in files:
            readings[name] = DocumentReading(pages=tuple(read(options.directory / name, None, "")))
    seconds = time.perf_counter() - started
    return {
        "seconds": seconds,
        "readings": {name: reading.model_dump(mode="json") for name, reading in readings.items()},
    }


def _long(options: argparse.Namespace, pages: int) -> bytes:
    """A PDF of so many pages, those of the born-digital documents over and over."""
    import pymupdf

    out = pymupdf.open()
    sources = [pymupdf.open(options.directory / name) for name in _born_digital(options)]
    while len(out) < pages:
        for source in sources:
            out.insert_pdf(source, to_page=min(len(source), pages - len(out), 20) - 1)
            if len(out) >= pages:
                break
    data = io.BytesIO()
    out.save(data, garbage=3, deflate=True)
    return data.getvalue()


def _first_page(options: argparse.Namespace) -> dict[str, Any]:
    done = [_child(options, "latency") for _ in range(options.rounds)]
    first = statistics.median(d["first"] for d in done)
    whole = statistics.median(d["whole"] for d in done)
    return {
        "pages": 500,
        "first_page_seconds": round(first, 3),
        "all_seconds": round(whole, 2),
        "share": round(first / whole, 4),
    }


def _latency(options: argparse.Namespace) -> dict[str, Any]:
    from internvl_loaders import parse

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.pdf"
        path.write_bytes(_long(options, 500))
        list(parse(options.directory / _born_digital(options)[0], pages="1"))  # workers are there
        started = time.perf_counter()
        pages = parse(path)
        next(pages)
        first = time.perf_counter() - started
        assert sum(1 for _ in pages) == 499
    return {"first": first, "whole": time.perf_counter() - started}


def _memory(options: argparse.Namespace) -> dict[str, Any]:
    few, many = (_child(options, "rss", "--files", str(count)) for count in (30, 3000))
    return {
        "pages_30_mb": few["peak"] // 2**20,
        "pages_3000_mb": many["peak"] // 2**20,
        "times": round(many["peak"] / few["peak"], 2),
        "caller_30_mb": few["caller"] // 2**20,
        "caller_3000_mb": many["caller"] // 2**20,
    }


def _rss(options: argparse.Namespace) -> dict[str, Any]:
    """Peak resident memory of the caller and its workers together, every 50 ms."""
    from internvl_loaders import parse

    peak = caller = 0
    ended = threading.Event()

    def watch() -> None:
        nonlocal peak, caller
        me = psutil.Process()
        while not ended.wait(0.05):
            total = mine = me.memory_info().rss
            for child in me.children():
                try:
                    total += child.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            peak, caller = max(peak, total), max(caller, mine)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.pdf"
        made = [sys.executable, "-c", _MAKE, str(options.directory), options.files, str(path)]
        subprocess.run(made, check=True, cwd=Path(__file__).parent)
        watcher = threading.Thread(target=watch)
        watcher.start()
        count = sum(1 for _ in parse(path))
        ended.set()
        watcher.join()
    assert count == int(options.files)
    return {"peak": peak, "caller": caller}


_MAKE = """
import argparse, sys
from pathlib import Path
import speed
options = argparse.Namespace(directory=Path(sys.argv[1]), documents=24)
Path(sys.argv[3]).write_bytes(speed._long(options, int(sys.argv[2])))
"""


def _calls(options: argparse.Namespace) -> dict[str, Any]:
    one = statistics.median(_child(options, "one_call")["seconds"] for _ in range(options.rounds))
    each = statistics.median(_child(options, "a_call_each")["seconds"] for _ in range(options.rounds))
    return {
        "documents": 100,
        "one_call_seconds": round(one, 2),
        "a_call_each_seconds": round(each, 2),
        "times": round(each / one, 2),
    }


def _hundred(options: argparse.Namespace, each: bool) -> dict[str, Any]:
    from internvl_loaders import parse

    with tempfile.TemporaryDirectory() as folder:
        names = _born_digital(options)
        paths = []
        for n in range(100):
            source = options.directory / names[n % len(names)]
            paths.append(Path(folder) / f"{n:03}.pdf")
            paths[-1].write_bytes(source.read_bytes())
        started = time.perf_counter()
        if each:
            for path in paths:
                list(parse(path, pages="1"))
        else:
            list(parse(paths, pages="1"))
    return {"seconds": time.perf_counter() - started}


def _start_up(options: argparse.Namespace) -> dict[str, Any]:
    """Of the command: until it tells its version, and until the first page of a text PDF is out."""
    document = str(options.directory / _born_digital(options)[0])
    commands = {
        "version_seconds": ["--version"],
        "one_page_seconds": ["parse", document, "--pages", "1", "--no-cache", "-q"],
    }
    found = {}
    for name, arguments in commands.items():
        times = []
        for _ in range(max(3, options.rounds)):
            started = time.perf_counter()
            command = [sys.executable, "-c", "from internvl_loaders.cli.app import app; app()", *arguments]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            times.append(time.perf_counter() - started)
        found[name] = round(statistics.median(times), 3)
    return found


ARMS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "tool": _tool,
    "latency": _latency,
    "rss": _rss,
    "one_call": lambda options: _hundred(options, each=False),
    "a_call_each": lambda options: _hundred(options, each=True),
}


def _child(options: argparse.Namespace, arm: str, *more: str) -> dict[str, Any]:
    """What an arm says, in a process of its own."""
    command = [sys.executable, __file__, str(options.directory), "--arm", arm, *more]
    command += ["--documents", str(options.documents)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{arm} failed:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    sys.exit(main())
