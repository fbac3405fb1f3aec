"""LangChain's own test-suite on the same weights behind a server: nothing overridden, nothing xfailed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("langchain_tests")
pytest.importorskip("httpx")
pytest.importorskip("torch")

from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests

from tests.internvl_llm.langchain import test_standard as local
from tests.kit.servers.wrapped import WrappedServer

server, files = local.server, local.files


@pytest.fixture(scope="module")
def wrapped() -> Iterator[str]:
    with WrappedServer("smollm2") as server:
        yield server.url


class Model(local.Model):
    """Under its name there, at an address that is known once the server runs."""

    url = ""

    @pytest.fixture(autouse=True)
    def at(self, wrapped: str) -> None:
        type(self).url = wrapped

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {**super().chat_model_params, "model": "smollm2", "base_url": self.url or "http://localhost:1"}

    @property
    def model_override_value(self) -> str:
        return "smollm2"


@pytest.mark.slow
class TestUnit(Model, ChatModelUnitTests):
    pass


@pytest.mark.slow
class TestIntegration(Model, ChatModelIntegrationTests):
    @property
    def chat_model_params(self) -> dict[str, Any]:
        return super().chat_model_params | {"max_tokens": 72}
