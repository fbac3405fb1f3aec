"""Addresses where no server is, or another one than was meant: said at once, with address and remedy."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from internvl_llm.errors import MissingDependencyError, ServerError
from tests.kit.servers.base import Status
from tests.kit.servers.fake import FakeServer

Open = Callable[..., Any]


class Answers(FakeServer):
    """One answer to whatever is asked."""

    def __init__(self, reply: Any) -> None:
        self.reply = reply
        super().__init__()

    def get(self, path: str, body: Any) -> Any:
        return self.reply


OTHERS: dict[str, tuple[Any, str]] = {
    "a site": (Status(200, b"<!DOCTYPE html><p>Hello", type="text/html"), "a page of HTML.*/v1"),
    "a site without a type": (Status(200, b"<html>", type="application/json"), "a page of HTML"),
    "no JSON": (Status(200, b"OK", type="text/plain"), "no JSON: OK"),
    "a list": (Status(200, [1, 2]), "a list of models that is none"),
    "no models": ({"data": [1]}, "a list of models that is none"),
    "nothing listed": ({"data": []}, "lists no model"),
    "nothing there": (Status(404, {"detail": "Not Found"}), r"no such address \(404: Not Found\).*/v1"),
    "a wall": (Status(403, b"<html><title>Forbidden</title></html>", type="text/html"), "asks for a key"),
    "a move": (Status(301, b"", {"Location": "https://b.example/v1"}), "to https://b.example/v1"),
    "not yet": (Status(503, {"error": {"message": "Loading model"}}), "has failed.*Loading model"),
    "an escape": (Status(400, {"error": "\x1b[31mred\x1b[0m\n\nline"}), r"400: \[31mred\[0m line"),
    "very much": (Status(400, {"error": "x" * 10_000}), "x{300}…"),
}


@pytest.mark.parametrize("case", OTHERS)
def test_another_server(opened: Open, case: str) -> None:
    reply, words = OTHERS[case]
    with Answers(reply) as server:
        with pytest.raises(ServerError, match=words) as caught:
            opened(server)
        assert server.url in str(caught.value) and caught.value.remedy
        assert len(server.asked) <= 2


def test_nobody_is_there(opened: Open) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    with pytest.raises(ServerError, match=f"{url} cannot be reached.*base_url"):
        opened(url)
    with pytest.raises(ServerError, match=r"cannot be reached.*base_url"):
        opened("http://no-such-host.invalid:8000/v1")


def test_nobody_answers(opened: Open) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        with pytest.raises(ServerError, match=r"nothing came for 0\.2 s"):
            opened(url, first_token_timeout=0.2)


@pytest.fixture
def secure() -> Iterator[FakeServer]:
    """By a certificate that nobody knows."""
    server = FakeServer()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Path(__file__).parents[3] / "kit" / "docs.test.pem")
    server._server.socket = context.wrap_socket(server._server.socket, server_side=True)
    yield server
    server.close()


def test_certificates(opened: Open, secure: FakeServer) -> None:
    url = f"https://127.0.0.1:{secure.port}/v1"
    with pytest.raises(ServerError, match=f"{url} has a certificate that is not trusted.*SSL_CERT_FILE"):
        opened(url)
    with FakeServer() as plain, pytest.raises(ServerError, match=r"speaks no TLS.*http://"):
        opened(plain.url.replace("http:", "https:"))
    with pytest.raises(ServerError, match=r"lost the connection|answered what"):
        opened(secure.url)


def test_without_httpx() -> None:
    code = """
    import sys
    sys.modules["httpx"] = None
    from internvl_llm import MissingDependencyError, open_engine
    try:
        open_engine(base_url="http://localhost:1/v1")
    except MissingDependencyError as error:
        print(error)
    """
    told = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    assert "the server engine needs httpx" in told.stdout
    assert "pip install 'internvl-documents[server]'" in told.stdout
    assert issubclass(MissingDependencyError, ImportError)


def test_a_process_ends_with_requests_under_way() -> None:
    pytest.importorskip("httpx")
    code = """
    import sys
    from internvl_llm import Request, open_engine
    from tests.kit.servers.base import Break
    from tests.kit.servers.fake import FakeServer

    server = FakeServer(script=lambda body: [Break("hang")])
    engine = open_engine(base_url=server.url)
    for _ in range(5):
        engine.start(Request("Hi"), lambda *told: None)
    stream = engine.stream(Request("Hi"))
    print("asked", flush=True)
    """
    told = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=Path(__file__).parents[4],
    )
    assert (told.returncode, told.stdout, told.stderr) == (0, "asked\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_asks_by_itself() -> None:
    pytest.importorskip("httpx")
    code = """
    import os, sys
    from internvl_llm import EngineError, Request, open_engine
    from tests.kit.servers.fake import FakeServer

    url = sys.argv[1]
    engine = open_engine(base_url=url)
    assert engine.generate([Request("Hi")])[0].text == "Hello there"
    if not (child := os.fork()):
        try:
            engine.generate([Request("Hi")])
        except EngineError as error:
            assert "closed" in str(error)
            own = open_engine(base_url=url)
            os._exit(0 if own.generate([Request("Hi")])[0].text == "Hello there" else 2)
        os._exit(3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert engine.generate([Request("Hi")])[0].text == "Hello there"
    """
    with FakeServer() as server:
        told = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code), server.url],
            capture_output=True,
            text=True,
            timeout=60,
            cwd=Path(__file__).parents[4],
        )
    assert (told.returncode, told.stderr) == (0, "")
