"""A proxy before a real server, over real sockets: some of the chats that pass it go wrong."""

from __future__ import annotations

import http.client
import itertools
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from tests.kit.servers.base import Break, Chunk, Reply, Server, Status

FAULTS = ("429", "500", "html", "reset at once", "reset", "truncate", "end", "garbage", "hang", "drip")


class FaultProxy(Server):
    """Passes on what its `upstream` (a base URL) answers. `choose` names the fault of each chat, or none;
    those of a stream come after some of its chunks."""

    def __init__(self, upstream: str, choose: Callable[[], str | None]) -> None:
        self.upstream = urlsplit(upstream)
        self.choose = choose
        self.faults: Counter[str | None] = Counter()
        """How often each; None is of what passed."""
        super().__init__()

    def get(self, path: str, body: Any) -> Reply:
        response = self._ask("GET" if body is None else "POST", path, body)
        kind = response.headers.get("Content-Type", "application/json")
        return Status(response.status, response.read(), type=kind)

    def chat(self, body: Any) -> Reply:
        with self.lock:
            fault = self.choose() if body.get("stream") else None
            self.faults[fault] += 1
        match fault:
            case "429":
                return Status(429, headers={"Retry-After": "0.05"})
            case "500":
                return Status(500)
            case "html":
                return Status(502, b"<html><title>502 Bad Gateway</title></html>", type="text/html")
            case "reset at once":
                return [Break("reset")]
        response = self._ask("POST", "/v1/chat/completions", body)
        if not response.headers.get("Content-Type", "").startswith("text/event-stream"):
            return Status(response.status, response.read())
        return self._chunks(response, fault)

    def _chunks(self, response: http.client.HTTPResponse, fault: str | None) -> Iterator[Chunk]:
        try:
            for number in itertools.count():
                line = response.readline()
                if not line or line.strip() == b"data: [DONE]":
                    return
                if not line.startswith(b"data:"):
                    continue
                if fault == "drip":
                    time.sleep(0.002)
                elif fault is not None and number > 3:
                    yield Break(fault)
                    return
                yield line.removeprefix(b"data:").strip().decode()
        finally:
            response.close()

    def _ask(self, method: str, path: str, body: Any) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection(str(self.upstream.hostname), self.upstream.port)
        content = None if body is None else json.dumps(body)
        connection.request(method, path, content, {"Content-Type": "application/json", "Connection": "close"})
        return connection.getresponse()


def by_chance(share: float, faults: tuple[str, ...] = FAULTS, seed: int = 1) -> Callable[[], str | None]:
    chance = random.Random(seed)
    return lambda: chance.choice(faults) if chance.random() < share else None
