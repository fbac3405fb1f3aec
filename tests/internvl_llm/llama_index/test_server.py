"""What LlamaIndex asks of the engine, asked of it behind a server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

pytest.importorskip("llama_index.core")
pytest.importorskip("httpx")
pytest.importorskip("torch")

from internvl_llm.llama_index import InternVL
from tests.internvl_llm.llama_index.test_llm import (
    HELLO,
    test_bad_input,
    test_callers_are_batched,
    test_every_way_to_ask_says_the_same,
    test_several_answers,
    test_the_loop_is_never_blocked,
)
from tests.kit.engine_contract import aeventually
from tests.kit.servers.wrapped import WrappedServer

__all__ = [
    "test_bad_input",
    "test_callers_are_batched",
    "test_every_way_to_ask_says_the_same",
    "test_several_answers",
    "test_the_loop_is_never_blocked",
]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wrapped() -> Iterator[WrappedServer]:
    with WrappedServer("tiny", dtype="float32") as server:
        yield server


@pytest.fixture(scope="module")
def tiny(wrapped: WrappedServer) -> Iterator[InternVL]:
    llm = InternVL(base_url=wrapped.url, max_tokens=8)
    yield llm
    llm._engine().close()


async def test_whoever_leaves_frees_its_place(tiny: InternVL, wrapped: WrappedServer) -> None:
    stream = await tiny.astream_chat(HELLO, max_tokens=30_000)
    await anext(stream)
    task = asyncio.create_task(tiny.achat(HELLO, max_tokens=30_000))
    await aeventually(lambda: wrapped.running == 2)
    await stream.aclose()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await aeventually(lambda: not wrapped.running)
