"""The pipeline over a scripted worker (tests/faults.py): order, bounds, faults, and its ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal as signals
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import islice, zip_longest
from pathlib import Path

import psutil
import pytest

from internvl_llm.media.workers import pool
from internvl_loaders import Page, aparse, parse
from internvl_loaders.errors import DamagedDocumentError, LimitError, PageError, PageRangeError
from internvl_loaders.sources import Named
from tests.kit import faults
from tests.kit.marks import slow


@pytest.fixture(autouse=True)
def scripted(monkeypatch: pytest.MonkeyPatch, own_pools: None) -> Iterator[None]:
    """Scripted workers, in pools of their own."""
    monkeypatch.setattr("internvl_llm.media.workers.process.BOOTSTRAP", faults.BOOTSTRAP)
    yield
    assert_no_workers(within=5)


def workers() -> list[psutil.Process]:
    found = []
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if child.status() != psutil.STATUS_ZOMBIE and "tests.kit.faults" in " ".join(child.cmdline()):
                found.append(child)
    return found


def assert_no_workers(within: float) -> None:
    deadline = time.monotonic() + within
    while workers():
        assert time.monotonic() < deadline, f"still there: {workers()}"
        time.sleep(0.05)


def script(*pages: str, name: str = "script") -> Named:
    return Named("\n".join(pages).encode(), name)


def text(page: Page) -> str:
    return re.sub(r" \(worker.*", "", page.blocks[0].text) if page.blocks else ""


def test_pages_come_in_order_though_worked_on_at_once() -> None:
    pages = list(parse(script("sleep 0.6", "text b", "text c", "text d"), jobs=2))
    assert [p.number for p in pages] == [1, 2, 3, 4]
    assert [text(p) for p in pages] == ["0.6", "b", "c", "d"]
    assert {p.total_pages for p in pages} == {4}
    assert len({p.blocks[0].text.split("worker ")[1] for p in pages}) == 2


@pytest.mark.parametrize(
    ("verb", "reason"),
    [
        ("crash", "signal 11"),
        ("hang", "max_seconds = 1.5"),
        ("memory", "max_memory = "),
        *slow(("exit", "exit status 7"), ("allocate", "max_memory = ")),
        ("raise", "ValueError: scripted"),
    ],
)
def test_a_fault_costs_its_page_only(verb: str, reason: str) -> None:
    script_ = script("text a", "text b", verb, "text d", "text e")
    pages = list(parse(script_, jobs=2, limits={"max_seconds": 1.5, "max_memory": 2**29}))
    assert [p.status for p in pages] == ["ok", "ok", "failed", "ok", "ok"]
    assert reason in pages[2].reason
    assert pages[2].number == 3
    assert pages[2].blocks == ()


def test_every_page_at_fault() -> None:
    pages = list(parse(script(*["crash", "exit"] * 3), jobs=2))
    assert [p.status for p in pages] == ["failed"] * 6


def test_noise_on_standard_output_harms_nothing() -> None:
    assert [p.status for p in parse(script("print", "text b"))] == ["ok", "ok"]


def test_a_document_that_cannot_be_opened_among_others() -> None:
    pages = list(parse([script("text a"), script("broken", name="bad"), script("text c")]))
    assert [(p.number, p.status) for p in pages] == [(1, "ok"), (0, "failed"), (1, "ok")]
    assert pages[1].source == "bad"
    assert "scripted damage" in pages[1].reason
    assert "Mend it" in pages[1].reason


def test_on_error() -> None:
    both = [script("text a", "raise", "text c"), script("broken")]
    assert len(list(parse(both, on_error="placeholder"))) == 4
    assert [text(p) for p in parse(both, on_error="skip")] == ["a", "c"]
    seen = []
    with pytest.raises(PageError, match="script, page 2: ValueError"):
        for page in parse(both, on_error="raise"):
            seen.append(text(page))
    assert seen == ["a"]


def test_the_only_document_raises_when_it_cannot_be_opened() -> None:
    with pytest.raises(DamagedDocumentError, match="bad: scripted damage"):
        list(parse(script("broken", name="bad")))
    (page,) = parse(script("broken"), on_error="placeholder")
    assert (page.number, page.status) == (0, "failed")


def test_a_limit_raises_its_own_type() -> None:
    with pytest.raises(LimitError, match="--max-seconds"):
        list(parse(script("hang"), on_error="raise", limits={"max_seconds": 0.7}))


def test_page_ranges() -> None:
    source = script(*(f"text {n}" for n in range(1, 8)))
    assert [text(p) for p in parse(source, pages="2-3,6-")] == ["2", "3", "6", "7"]
    with pytest.raises(PageRangeError, match="has 7 pages, none of them in 9-"):
        list(parse(source, pages="9-"))


def test_look_ahead_is_bounded_and_the_first_page_comes_at_once(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    source = (mark(marks, n) for n in range(1000))
    pages = parse(source, jobs=2)
    next(pages)
    time.sleep(0.5)
    assert len(marks.read_text()) < 30
    pages.close()


def mark(path: Path, number: int) -> Named:
    with path.open("a") as file:
        file.write(".")
    return script(f"text {number}")


def test_one_page_alone_gets_all_cores() -> None:
    (page,) = parse(script("text a"))
    assert f"{len(os.sched_getaffinity(0))} threads" in page.blocks[0].text
    first, _ = parse(script("text a", "text b"))
    assert "1 threads" in first.blocks[0].text


def test_closing_ends_the_work_at_once() -> None:
    pages = parse(script("text a", *["sleep 60"] * 10), jobs=2)
    next(pages)
    time.sleep(0.2)
    assert workers()
    started = time.monotonic()
    pages.close()
    assert_no_workers(within=1)
    assert time.monotonic() - started < 1.5


def test_dropping_the_iterator_ends_the_work() -> None:
    pages = parse(script("text a", *["sleep 60"] * 10), jobs=2)
    next(pages)
    del pages
    assert_no_workers(within=1)


def test_closing_one_iteration_leaves_another_alone() -> None:
    kept = parse(script(*["sleep 0.2"] * 6, name="kept"), jobs=2)
    dropped = parse(script(*["sleep 0.2"] * 6, name="dropped"), jobs=2)
    next(kept), next(dropped)
    dropped.close()
    assert [p.status for p in kept] == ["ok"] * 5


def test_interleaved_iterations_do_not_deadlock() -> None:
    runs = [parse(script(*(f"text {r}{n}" for n in range(20))), jobs=1) for r in range(3)]
    for row in zip_longest(*runs):
        assert len({text(p)[1:] for p in row}) == 1


def test_iterations_in_many_threads() -> None:
    results: dict[int, list[str]] = {}

    def work(r: int) -> None:
        results[r] = [text(p) for p in parse(script(*(f"text {r}-{n}" for n in range(10))), jobs=2)]

    threads = [threading.Thread(target=work, args=(r,)) for r in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert results == {r: [f"{r}-{n}" for n in range(10)] for r in range(8)}


async def test_aparse_never_blocks_the_loop() -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    ticker = asyncio.create_task(tick())
    pages = [p async for p in aparse(script("sleep 0.5", "text b"))]
    ticker.cancel()
    assert [p.number for p in pages] == [1, 2]
    assert ticks > 25


async def test_interleaved_aparse() -> None:
    async def collect(r: int) -> list[str]:
        return [text(p) async for p in aparse(script(*(f"text {r}{n}" for n in range(5))), jobs=1)]

    got = await asyncio.wait_for(asyncio.gather(*(collect(r) for r in range(40))), 60)
    assert got == [[f"{r}{n}" for n in range(5)] for r in range(40)]


async def test_cancelling_the_task_ends_the_work() -> None:
    async def read() -> None:
        async for _ in aparse(script(*["sleep 60"] * 5), jobs=2):
            pass

    task = asyncio.create_task(read())
    await asyncio.sleep(1.0)
    assert workers()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(1)
    assert not workers()


async def test_aclosing_aparse_ends_the_work() -> None:
    async with contextlib.aclosing(aparse(script("text a", *["sleep 60"] * 5), jobs=2)) as pages:
        async for page in pages:
            assert page.number == 1
            break
    await asyncio.sleep(1)
    assert not workers()


async def test_aparse_raises_like_parse() -> None:
    with pytest.raises(DamagedDocumentError):
        async for _ in aparse(script("broken")):
            pass


def test_a_page_that_others_harmed_is_read_again_by_a_fresh_worker(tmp_path: Path) -> None:
    pages = list(parse(script("text a", f"once {tmp_path / 'mark'}", "text c"), jobs=1))
    assert [(p.status, p.attempts) for p in pages] == [("ok", 1), ("retried", 2), ("ok", 1)]
    assert "a fresh one read it" in pages[1].reason


def test_a_page_that_kills_is_tried_by_one_fresh_worker_and_no_more() -> None:
    pages = list(parse(script("text a", "crash", "text c"), jobs=1))
    assert [(p.status, p.attempts) for p in pages] == [("ok", 1), ("failed", 2), ("ok", 1)]
    assert "SIGSEGV" in pages[1].reason


def test_a_worker_that_has_grown_is_replaced() -> None:
    source = script("text a", f"grow {200 * 2**20}", "text c", "text d")
    pages = list(parse(source, jobs=1, limits={"max_memory": 400 * 2**20}))
    assert [(p.status, p.attempts) for p in pages] == [("ok", 1)] * 4
    first, grown, after, last = (p.blocks[0].text.split("worker ")[1] for p in pages)
    assert first == grown != after == last


def test_a_worker_killed_from_outside_costs_its_page_only() -> None:
    pages = parse(script("sleep 3", "text b", "text c"), jobs=1)

    def kill() -> None:
        while not any(worker.served and worker.busy for worker in pool.shared_pool(1)._workers):
            time.sleep(0.02)
        for worker in workers():
            worker.kill()

    threading.Thread(target=kill).start()
    assert [(p.number, p.status, p.attempts) for p in pages] == [
        (1, "retried", 2),  # its worker had opened the document: the fault may have been the opening's
        (2, "ok", 1),
        (3, "ok", 1),
    ]


def test_idle_workers_killed_from_outside_cost_nothing() -> None:
    first = list(islice(parse(script("text a")), 1))
    for worker in workers():
        worker.kill()
        worker.wait()
    assert [p.status for p in parse(script("text b"))] == ["ok"] == [p.status for p in first]


PARENT = """
import sys, time
from internvl_llm.media.workers import process
from tests.kit import faults
process.BOOTSTRAP = faults.BOOTSTRAP
from internvl_loaders import Named, parse
pages = parse(Named(b"text a\\nhang\\nsleep 60\\nhang", "s"), jobs=2)
next(pages)
time.sleep(0.3)
print("ready", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("signal", ["SIGKILL", "SIGINT", "SIGTERM"])
def test_workers_do_not_outlive_their_parent(signal: str) -> None:
    root = str(Path(__file__).parents[3])
    env = os.environ | {"PYTHONPATH": root}
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=env,
        # What runs in the background of a script is started with interrupts ignored.
        preexec_fn=lambda: signals.signal(signals.SIGINT, signals.SIG_DFL),
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"ready\n"
    children = psutil.Process(parent.pid).children(recursive=True)
    assert len(children) == 2
    parent.send_signal(signals.Signals[signal])
    parent.wait(10)
    parent.stdout.close()
    _, alive = psutil.wait_procs(children, timeout=3)
    assert not [child for child in alive if child.status() != psutil.STATUS_ZOMBIE]
