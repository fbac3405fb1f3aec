"""LlamaIndex's own structured outputs and calls, of random weights behind a server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("llama_index.core")
pytest.importorskip("httpx")
pytest.importorskip("torch")

from internvl_llm.llama_index import InternVL
from tests.internvl_llm.llama_index.test_clients import (
    test_a_schema_that_no_grammar_follows,
    test_random_weights_always_parse,
    test_random_weights_call_what_they_must,
    test_structured_prediction_does_not_block_the_loop,
)
from tests.kit.servers.wrapped import WrappedServer

__all__ = [
    "test_a_schema_that_no_grammar_follows",
    "test_random_weights_always_parse",
    "test_random_weights_call_what_they_must",
    "test_structured_prediction_does_not_block_the_loop",
]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tiny() -> Iterator[InternVL]:
    with WrappedServer("tiny", dtype="float32") as server:
        llm = InternVL(base_url=server.url, max_tokens=400)
        yield llm
        llm._engine().close()
