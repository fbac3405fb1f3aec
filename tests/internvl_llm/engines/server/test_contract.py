"""The server engine keeps the contract of engines: a server that wraps the transformers engine is behind it,
with a tiny random checkpoint in float32."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

pytest.importorskip("httpx")
pytest.importorskip("torch")

from internvl_llm.engine import EngineSpec
from internvl_llm.engines.server.engine import ServerEngine
from tests.kit.engine_contract import EngineContract, endless, eventually
from tests.kit.servers.wrapped import WrappedServer


@pytest.mark.slow
class TestContract(EngineContract):
    """The contract itself runs on the engine behind the server, too."""

    servers: ClassVar[dict[str, WrappedServer]] = {}

    @classmethod
    def server(cls, dtype: str = "float32") -> WrappedServer:
        if dtype not in cls.servers:
            cls.servers[dtype] = WrappedServer(model=f"tiny-{dtype}", dtype=dtype)
        return cls.servers[dtype]

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def closing(cls) -> Iterator[None]:
        yield
        for server in cls.servers.values():
            server.close()
        cls.servers.clear()

    @classmethod
    def make(cls, **options: Any) -> ServerEngine:
        return ServerEngine(EngineSpec(base_url=cls.server().url, **options))

    @classmethod
    def another(cls) -> ServerEngine:
        return ServerEngine(EngineSpec(base_url=cls.server("bfloat16").url))

    @classmethod
    def running(cls, engine: ServerEngine) -> int:
        return len(engine._running)

    @pytest.fixture
    def spec(self) -> EngineSpec:
        return EngineSpec(base_url=self.server().url, concurrency=3)

    def test_the_server_hears_that_nobody_waits(self, engine: ServerEngine) -> None:
        server = self.server()
        stream = engine.stream(endless())
        next(stream)
        assert server.running == 1
        stream.close()
        eventually(lambda: not server.running)
        eventually(lambda: all(not core.scheduler.sequences for core in server.engine._cores))
