"""LangChain's own test-suite on SmolLM2's weights, on the CPU: nothing overridden, nothing xfailed.

Four are skipped by the suite itself: init_from_env (no option comes from the environment), serdes (an engine
is not serialisable by value), audio (InternVL hears nothing), stream_time (recorded HTTP traffic, of which
there is none). Images and PDFs that the suite fetches from the web come from a server on this machine.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

pytest.importorskip("langchain_tests")

from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.integration_tests import chat_models as suite
from langchain_tests.unit_tests import ChatModelUnitTests

import internvl_llm.media.fetch
from internvl_llm.langchain import ChatInternVL
from tests.kit.checkpoints import built
from tests.kit.pdfs import pdf
from tests.kit.pictures import gradient

SHOTS = """user
What time is it in Paris, France?
assistant
<tool_call>
{"name": "get_time", "arguments": {"city": "Paris"}}
</tool_call>

user
What is 3 + 4?
assistant
<tool_call>
{"name": "add", "arguments": {"a": 3, "b": 4}}
</tool_call>

user
Tell me a riddle as a JSON with 'question' and 'answer' keys.
assistant
{"question": "What has keys but no locks?", "answer": "A piano."}"""
"""What the model answers like: it is too small to see from a list of tools that it may call one."""


class Files(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        png = io.BytesIO()
        gradient().save(png, "PNG")
        body = pdf("A dummy PDF file") if self.path.endswith(".pdf") else png.getvalue()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Files)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def files(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the suite and the model fetch is really fetched, from the server here."""
    get, fetch = httpx.get, internvl_llm.media.fetch.fetch

    def here(url: str) -> str:
        return server + urlsplit(url).path

    def fetched(url: str, limits: Any, allow_hosts: tuple[str, ...] = ()) -> bytes:
        return fetch(here(url), limits, ("127.0.0.1",))

    monkeypatch.setattr(suite.httpx, "get", lambda url, **options: get(here(url), **options))
    monkeypatch.setattr(internvl_llm.media.fetch, "fetch", fetched)


class Model:
    """`tests.kit.checkpoints` says what these weights are; their wits are those of 135 million parameters."""

    @property
    def chat_model_class(self) -> type[ChatInternVL]:
        return ChatInternVL

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {
            "model": str(built("smollm2")),
            "system": SHOTS,
            "max_tiles": 1,
            "parallel_tool_calls": False,  # it repeats a call until `max_tokens`
        }

    @property
    def structured_output_kwargs(self) -> dict[str, Any]:
        return {"repetition_penalty": 1.1}  # without, it repeats its words until `max_tokens`

    @property
    def model_override_value(self) -> str:
        return str(built("tiny"))

    supports_json_mode = True
    supports_image_inputs = True
    supports_image_urls = True
    supports_pdf_inputs = True
    supports_video_inputs = True
    supports_anthropic_inputs = True
    supports_image_tool_message = True
    supports_pdf_tool_message = True
    supported_usage_metadata_details: Any = {"invoke": [], "stream": []}  # noqa: RUF012


class TestUnit(Model, ChatModelUnitTests):
    pass


@pytest.mark.slow
class TestIntegration(Model, ChatModelIntegrationTests):
    @property
    def chat_model_params(self) -> dict[str, Any]:
        return super().chat_model_params | {"max_tokens": 72}  # enough for what is asked, on a CPU
