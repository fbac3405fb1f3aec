"""What a worker says is read as an answer or ends the worker, never the caller."""

from __future__ import annotations

import time
from typing import Any

import pytest

from internvl_llm.media.workers.job import Job, Resource
from internvl_llm.media.workers.pool import Pool, Session
from internvl_loaders import parse
from internvl_loaders.sources import Named
from tests.internvl_llm.media.workers.test_frames import framed
from tests.kit import faults

pytestmark = pytest.mark.usefixtures("own_pools")


@pytest.mark.parametrize(
    "said", [framed(b"null"), framed(b"[" * 100_000), framed(b"{"), b"\xff" * 8, b"\0" * 7]
)
def test_a_worker_that_talks_nonsense_costs_its_document(
    said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    nonsense = f"import os, time; os.write(1, {said!r}); os.close(1); time.sleep(0.2)"
    monkeypatch.setattr("internvl_llm.media.workers.process.BOOTSTRAP", nonsense)
    (page,) = parse([b"%PDF-1.4"], limits={"max_seconds": 20})
    assert (page.number, page.status) == (0, "failed")
    assert "the process reading it ended" in page.reason


ANSWERING = """
import os
from internvl_llm.media.workers.frames import read_frame, write_frame
requests, replies = os.fdopen(os.dup(0), 'rb'), os.fdopen(os.dup(1), 'wb')
while True:
    head, _ = read_frame(requests)
    write_frame(replies, {opened} if head['request']['op'] == 'open' else {read}, b'junk')
"""
OPENED = {"pages": 1, "sha256": "0"}


@pytest.mark.parametrize(
    ("opened", "read"),
    [
        ({}, {}),
        ({"pages": "many", "sha256": 3}, {}),
        ({"error": 5}, {}),
        ({"error": {"type": "annotations", "message": 5, "source": 1, "page": 1, "remedy": []}}, {}),
        (OPENED, {}),
        (OPENED, {"error": {}}),
        (OPENED, {"error": None}),
    ],
)
def test_a_worker_that_answers_something_else_costs_its_page(
    opened: object, read: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering = ANSWERING.replace("{opened}", repr(opened)).replace("{read}", repr(read))
    monkeypatch.setattr("internvl_llm.media.workers.process.BOOTSTRAP", answering)
    (page,) = parse([b"%PDF-1.4"], limits={"max_seconds": 20})
    assert (page.number, page.status) == (int(opened == OPENED), "failed")
    assert "is no page" in page.reason


def test_where_no_process_can_be_started_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("internvl_llm.media.workers.process.subprocess.Popen", none)
    pages = list(parse([b"%PDF-1.4", b"%PDF-1.4"], jobs=1))
    assert [(page.number, page.status) for page in pages] == [(0, "failed")] * 2
    assert "no process to read it in can be started" in pages[0].reason


def pages(bootstrap: str, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    monkeypatch.setattr("internvl_llm.media.workers.process.BOOTSTRAP", bootstrap)
    found = parse(Named(b"text a", "s"), jobs=1, limits={"max_seconds": 2}, on_error="placeholder")
    return [(page.status, page.reason) for page in found]


def test_what_a_worker_takes_to_start_is_not_the_documents_time(monkeypatch: pytest.MonkeyPatch) -> None:
    assert pages(f"import time; time.sleep(3); {faults.BOOTSTRAP}", monkeypatch) == [("ok", "")]


def test_a_worker_that_never_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("internvl_llm.media.workers.pool.START_SECONDS", 0.5)
    [(status, reason)] = pages("import time; time.sleep(60)", monkeypatch)
    assert (status, reason) == ("failed", "no worker process begins within 0.5 s")


ASKED = Resource("tests.kit.faults:ScriptedDocument", b"sleep 60\ntext b", {"name": "s"}, 2**30)


def job(page: int, **changes: Any) -> Job:
    return Job(ASKED, {"op": "page", "page": page, "threads": 1}, 90, **changes)


def test_whoever_waits_gets_a_worker_beyond_the_pools_size() -> None:
    """But what can wait does not, and the worker goes when it is done."""
    pool = Pool(1)
    session = Session(pool)
    try:
        session.submit(job(1))
        later = session.submit(job(2))
        head, _ = session.submit(job(2, urgent=True, interactive=True)).result(60)
        assert head == {"attempts": 1}
        time.sleep(0.5)
        assert not later.done()
        assert len(pool._workers) == 1
    finally:
        session.close()


def test_one_idle_worker_stays_longer_than_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("internvl_llm.media.workers.pool.LINGER", 0.3)
    monkeypatch.setattr("internvl_llm.media.workers.pool.LAST_LINGER", 3.0)
    pool = Pool(3)
    session = Session(pool)
    for answer in [session.submit(job(2)) for _ in range(30)]:
        answer.result(60)
    time.sleep(1)
    assert len(pool._workers) == 1
    time.sleep(3)
    assert not pool._workers
