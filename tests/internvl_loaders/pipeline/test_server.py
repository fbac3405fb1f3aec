"""Pages read by a server behind a proxy that loses, delays and spoils answers: no page is lost, none is asked
about again once it is read, and each has its status."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("httpx")

from internvl_llm.engines.open import open_engine
from internvl_llm.engines.server import retries
from internvl_llm.errors import EngineError
from internvl_loaders import ParseOptions, parse
from internvl_loaders.document import Page
from tests.kit.engine_contract import eventually
from tests.kit.pdfs import pdf
from tests.kit.servers.base import Status
from tests.kit.servers.fake import FakeServer, shown
from tests.kit.servers.proxy import FAULTS, FaultProxy, by_chance

PAGES = 60
SMALL = pdf(*(f"Page {number}" for number in range(1, PAGES + 1)), size=(120, 160))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "FIRST", 0.002)
    monkeypatch.setattr(retries, "LONGEST", 0.2)


class Reader(FakeServer):
    """Says how dark the page it is shown is, and counts what it said whole."""

    def __init__(self, **options: Any) -> None:
        self.said = 0
        super().__init__(script=self._read, **options)

    def _read(self, body: Any) -> str:
        image = shown(body["messages"][-1]["content"][0])
        with self.lock:
            self.said += 1
        return f"Size {image.width} x {image.height}, {len(image.tobytes())} bytes of it."


def read(url: str, **options: Any) -> list[Page]:
    engine = {"first_token_timeout": 2.0, "token_timeout": 0.3, "max_retries": 8, **options.pop("engine", {})}
    made: dict[str, Any] = {"in_flight": 16, "dpi": 72, "jobs": 2, **options}
    return list(parse(SMALL, transcriber="internvl", base_url=url, engine=engine, **made))


def whole(pages: list[Page]) -> None:
    assert [page.number for page in pages] == list(range(1, PAGES + 1))
    assert {page.status for page in pages} == {"ok"}
    assert all(re.fullmatch(r"Size \d+ x \d+, \d+ bytes of it\.", page.markdown.strip()) for page in pages)


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    with Reader() as server:
        yield server


@pytest.mark.parametrize("share", [0.3, pytest.param(0.6, marks=pytest.mark.slow)])
def test_no_page_is_lost_and_none_is_done_twice(reader: Reader, share: float) -> None:
    with FaultProxy(reader.url, by_chance(share)) as proxy:
        # that one of 60 pages meets a fault in each of its 25 attempts happens once in 5,000 runs
        engine = {"first_token_timeout": 30.0, "token_timeout": 6.0, "max_retries": 24}
        whole(read(proxy.url, engine=engine))
    assert proxy.faults.total() - proxy.faults[None] > PAGES * share / 2
    assert proxy.faults[None] + proxy.faults["drip"] == PAGES  # whole answers


@pytest.mark.parametrize("fault", FAULTS)
def test_every_third_answer_goes_wrong(reader: Reader, fault: str) -> None:
    turns = iter(range(10**6))
    document = pdf(*("Some words" for _ in range(6)), size=(120, 160))
    with FaultProxy(reader.url, lambda: fault if next(turns) % 3 == 0 else None) as proxy:
        engine = {"first_token_timeout": 2.0, "token_timeout": 0.3, "max_retries": 8}
        pages = list(
            parse(document, transcriber="internvl", base_url=proxy.url, engine=engine, dpi=72, jobs=1)
        )
        assert [page.status for page in pages] == ["ok"] * 6 and proxy.faults[fault] >= 2


def test_one_of_two_servers_is_killed(reader: Reader) -> None:
    other = Reader()
    reader.seconds = other.seconds = 0.005
    try:
        pages = parse(
            SMALL,
            transcriber="internvl",
            base_url=f"{reader.url},{other.url}",
            engine={"max_retries": 8},
            in_flight=16,
            dpi=72,
            jobs=2,
        )
        first = next(pages)
        eventually(lambda: other.running > 1)
        other.close()
        whole([first, *pages])
        assert other.said < PAGES
    finally:
        reader.seconds = 0.0


def test_a_server_that_never_answers_costs_every_page_and_loses_none() -> None:
    with FakeServer(script=lambda body: Status(500)) as server:
        pages = read(server.url, engine={"max_retries": 1}, in_flight=4)
    assert [page.number for page in pages] == list(range(1, PAGES + 1))
    assert {page.status for page in pages} == {"failed"}
    assert all(server.url in page.reason and "2 times" in page.reason for page in pages)


def test_a_server_that_is_not_there_is_said_at_once() -> None:
    with FakeServer() as server:
        gone = server.url
    with pytest.raises(EngineError, match=r"cannot be reached.*base_url"):
        read(gone)


def test_as_many_pages_in_flight_as_are_asked_for() -> None:
    """None is answered before so many are there."""
    full = threading.Event()

    def script(body: Any) -> str:
        if server.running == 40:
            full.set()
        assert full.wait(60)
        return "Text"

    with FakeServer(script=script) as server:
        engine = {"first_token_timeout": 60.0, "token_timeout": 60.0}
        pages = read(server.url, in_flight=40, engine=engine)
        assert {page.status for page in pages} == {"ok"} and server.most == 40


def test_pages_that_were_read_are_bound_to_the_server_s_model(reader: Reader, tmp_path: Any) -> None:
    def asked(server: FakeServer, **options: Any) -> int:
        before = len(server.chats())
        whole(list(parse(SMALL, ParseOptions.of(cache_dir=tmp_path, dpi=72, jobs=2, **options))))
        return len(server.chats()) - before

    named = {"transcriber": "internvl", "base_url": reader.url}
    assert asked(reader, **named) == PAGES
    assert asked(reader, **named) == 0
    open_engine(base_url=reader.url).close()  # as in another process
    assert asked(reader, **named) == 0
    with Reader() as again, Reader(root="another/checkpoint") as other:
        assert asked(again, transcriber="internvl", base_url=again.url) == 0
        assert asked(other, transcriber="internvl", base_url=other.url) == PAGES
        for server in (again, other):
            open_engine(base_url=server.url).close()


def test_a_repetition_is_ended_on_the_server_too() -> None:
    with FakeServer(script=lambda body: "again and " * 20_000) as server:
        document = pdf("Some words", size=(120, 160))
        [page] = parse(
            document, transcriber="internvl", base_url=server.url, dpi=72, max_tokens=30_000, max_tiles=1
        )
        eventually(lambda: not server.running)
        assert "repeated itself" in page.reason and page.status == "fallback"
        assert server.gone >= 2
