from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from internvl_llm.engine import EngineSpec

Opened = Callable[..., Any]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[Opened]:
    """Engines of servers, closed afterwards. They ask again at once."""
    pytest.importorskip("httpx")
    from internvl_llm.engines.server import retries
    from internvl_llm.engines.server.engine import ServerEngine

    monkeypatch.setattr(retries, "FIRST", 0.001)
    monkeypatch.delenv("INTERNVL_API_KEY", raising=False)
    engines: list[ServerEngine] = []

    def open(*servers: Any, **options: Any) -> ServerEngine:
        urls = ",".join(server if isinstance(server, str) else server.url for server in servers)
        engines.append(ServerEngine(EngineSpec(base_url=urls, **options)))
        return engines[-1]

    yield open
    for engine in engines:
        engine.close()
