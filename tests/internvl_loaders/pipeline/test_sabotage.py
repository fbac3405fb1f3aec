"""Real PDFs read by real workers, one page of which turns on its process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from internvl_loaders import parse
from tests.internvl_loaders.pipeline.test_faults import assert_no_workers
from tests.kit import faults
from tests.kit.marks import slow
from tests.kit.pdfs import pdf


@pytest.fixture(autouse=True)
def sabotaged(monkeypatch: pytest.MonkeyPatch, own_pools: None) -> Iterator[None]:
    monkeypatch.setattr("internvl_llm.media.workers.process.BOOTSTRAP", faults.SABOTAGED)
    yield
    assert_no_workers(within=5)


@pytest.mark.parametrize(
    ("verb", "reason"),
    [
        ("crash", "SIGSEGV"),
        ("hang", "max_seconds = 4"),
        *slow(("allocate", "max_memory = 314,572,800"), ("killed", "SIGKILL"), ("exit", "exit status 7")),
    ],
)
@pytest.mark.parametrize("run", [0, *slow(1, 2, 3)])
def test_one_page_of_fifty(verb: str, reason: str, run: int) -> None:
    limits = {"max_memory": 300 * 2**20, "max_seconds": 4.0 if verb == "hang" else 60.0}
    bad = (7 + 13 * run) % 50 + 1
    document = pdf(*(verb if n == bad else f"Page {n} has a line of text." for n in range(1, 51)))
    pages = list(parse(document, jobs=2, limits=limits))
    assert [p.number for p in pages] == list(range(1, 51))
    assert [p.number for p in pages if p.status == "failed"] == [bad]
    assert reason in pages[bad - 1].reason
    assert all(f"Page {p.number} has" in p.blocks[0].text for p in pages if p.number != bad)
