"""A page that is hostile already when its content is extracted costs no page beside it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from internvl_llm.media.workers.job import Job, Resource
from internvl_llm.media.workers.pool import Pool, Session
from internvl_loaders import parse
from tests.internvl_loaders.pipeline.test_faults import assert_no_workers
from tests.kit import faults
from tests.kit.marks import slow
from tests.kit.pdfs import pdf


@pytest.fixture(autouse=True)
def hostile(monkeypatch: pytest.MonkeyPatch, own_pools: None) -> Iterator[None]:
    monkeypatch.setattr("internvl_llm.media.workers.process.BOOTSTRAP", faults.HOSTILE)
    yield
    assert_no_workers(within=5)


def document(verb: str, bad: int = 4, total: int = 7) -> bytes:
    return pdf(*(verb if n == bad else f"Page {n} has a line of text." for n in range(1, total + 1)))


SLOW = [
    *((verb, 1) for verb in ("killed", "exit", "allocate", "memory")),
    *((verb, 2) for verb in ("crash", "hang", "allocate", "memory")),
]


@pytest.mark.parametrize(
    ("verb", "jobs"),
    [
        *[("crash", 1), ("hang", 1)],
        *slow(*SLOW),
    ],
)
def test_only_the_page_itself_fails(verb: str, jobs: int) -> None:
    limits = {"max_memory": 300 * 2**20, "max_seconds": 2.0 if verb == "hang" else 60.0}
    pages = list(parse(document(verb), jobs=jobs, limits=limits))
    assert [p.number for p in pages if p.status == "failed"] == [4]
    for page in pages:
        if page.number != 4:
            assert f"Page {page.number} has" in page.blocks[0].text
            assert ("page 4" in page.reason) == (page.number in {3, 5})
            assert page.status in ({"ok", "retried"} if page.number in {3, 5} else {"ok"})
    assert pages[2].attempts == 2


def test_a_neighbour_that_cannot_be_read_is_said() -> None:
    pages = list(parse(document("raise"), jobs=1, pages="3,5"))
    assert [(p.status, p.attempts) for p in pages] == [("ok", 1)] * 2
    assert {p.reason for p in pages} == {"read without a look at page 4 (ValueError: scripted)"}


@pytest.mark.slow
def test_a_hanging_neighbour_takes_a_part_of_the_pages_time_and_no_more() -> None:
    limits = {"max_seconds": 8.0}
    started = time.monotonic()
    (page,) = parse(pdf("hang", "Page 2 has a line of text.", "hang"), jobs=1, pages="2", limits=limits)
    assert (page.status, page.attempts) == ("retried", 3)
    assert "page 1" in page.reason and "page 3" in page.reason
    assert time.monotonic() - started < 8 + 3 * 4  # and what three processes take to start


def test_what_is_read_without_its_neighbour_is_not_kept(tmp_path: Path) -> None:
    from internvl_loaders.pipeline.cache import PageCache

    list(parse(document("crash"), jobs=1, cache_dir=tmp_path))
    assert PageCache(tmp_path).info().pages == 4


def test_a_worker_may_blame_only_parts_that_it_may_look_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or it would be asked again for ever."""
    for blamed in ("3", "[2]", "'2'", "2.5", "{}", "10**30"):
        blaming = (
            "import os\n"
            "from internvl_llm.media.workers.frames import BEGUN, read_frame, write_frame\n"
            "read_frame(os.fdopen(os.dup(0), 'rb'))\n"
            "replies = os.fdopen(os.dup(1), 'wb')\n"
            f"write_frame(replies, BEGUN); write_frame(replies, {{'aside': {blamed}}})\n"
        )
        monkeypatch.setattr("internvl_llm.media.workers.process.BOOTSTRAP", f"exec({blaming!r})")
        resource = Resource("none:none", b"", {}, 2**30)
        session = Session(Pool(1))
        head, _ = session.submit(Job(resource, {"op": "page"}, 20, beside=(1, 2))).result(60)
        assert (head["attempts"], "error" in head, resource.account.harmful) == (1, True, set())
        session.close()


def test_a_page_has_its_time_once_however_often_it_is_tried(tmp_path: Path) -> None:
    script = f"sleep 0\nwait {tmp_path / 'mark'}".encode()
    resource = Resource("tests.kit.faults:ScriptedDocument", script, {"name": "s"}, 2**30)
    session = Session(Pool(1))
    session.submit(Job(resource, {"op": "page", "page": 1, "threads": 1}, 20)).result(60)
    job = Job(resource, {"op": "page", "page": 2, "threads": 1}, 3)
    head, _ = session.submit(job).result(60)
    session.close()
    assert (head["attempts"], "max_seconds = 3" in head["error"]["message"]) == (2, True)
    assert 2.9 < job.spent < 4.5


@pytest.mark.slow
def test_a_document_has_a_budget_of_its_own() -> None:
    """Of its pages together; those that come after it is spent say so."""
    limits = {"max_seconds": 2.0, "max_document_seconds": 5.0}
    text = ["Page has a line of text."]
    pages = list(parse(pdf(*text, *["hang"] * 8), jobs=1, limits=limits, on_error="placeholder"))
    assert [p.number for p in pages] == list(range(1, 10))
    assert [p.status for p in pages] == ["retried", *["failed"] * 8]
    assert "max_seconds = 2" in pages[1].reason
    for page in pages[4:]:
        assert "max_document_seconds = 5" in page.reason
        assert "--max-document-seconds" in page.reason
    (other,) = parse(pdf("Another document."), jobs=1, limits=limits)
    assert other.status == "ok"
