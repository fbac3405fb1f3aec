"""A real HTTP server that answers as OpenAI-compatible ones do, streams, and remembers what it was asked."""

from __future__ import annotations

import json
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Self


@dataclass(frozen=True)
class Asked:
    path: str
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True)
class Status:
    """An answer of its own: no success, or no JSON."""

    code: int
    body: Any = field(default_factory=lambda: {"error": {"message": "no", "type": "error"}})
    headers: Mapping[str, str] = field(default_factory=dict)
    type: str = "application/json"


@dataclass(frozen=True)
class Break:
    """Told in the middle of a stream: how it ends. `seconds` pass before."""

    how: str
    """`reset`, `truncate` (no end of the encoding), `end` (nothing more, in good order), `garbage` or
    `hang`."""
    seconds: float = 0.0


Chunk = Mapping[str, Any] | Break | str
"""A string is sent as the data of an event as it is."""
Reply = Status | Iterable[Chunk] | Mapping[str, Any]


class Gone(Exception):
    """Nobody is at the other end any more."""


class Server:
    """Listens on this machine until closed. `get` and `chat` are what a server of its kind answers."""

    seconds = 0.0
    """Between two chunks."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.running = self.most = self.gone = 0
        """Chats: now, at once, and those whose caller closed the connection before the end."""
        self.lock = threading.Lock()
        self.closing = threading.Event()
        handler = type("Handler", (_Handler,), {"served": self})
        self._server = _Listener(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def chats(self) -> list[Any]:
        return [asked.body for asked in self.asked if asked.path == "/v1/chat/completions"]

    def get(self, path: str, body: Any) -> Reply:
        """Of any address but that of chats."""
        return Status(404, {"detail": "Not Found"})

    def chat(self, body: Any) -> Reply:
        raise NotImplementedError

    def close(self) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._server.drop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, *arguments: Any) -> None:
        self.connections: set[socket.socket] = set()
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.connections.discard(request)
        super().shutdown_request(request)

    def drop(self) -> None:
        """As a server that is killed does."""
        for connection in list(self.connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


class _Handler(BaseHTTPRequestHandler):
    served: ClassVar[Server]
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._answer(None)

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._answer(json.loads(raw))

    def _answer(self, body: Any) -> None:
        server = self.served
        with server.lock:
            server.asked.append(Asked(self.path, dict(self.headers), body))
        try:
            if self.path == "/v1/chat/completions":
                self._chat(body)
            else:
                self._reply(server.get(self.path, body))
        except (Gone, OSError):
            self.close_connection = True

    def _chat(self, body: Any) -> None:
        server = self.served
        with server.lock:
            server.running += 1
            server.most = max(server.most, server.running)
        try:
            self._reply(server.chat(body))
        except (Gone, OSError):
            with server.lock:
                server.gone += 1
            raise
        finally:
            with server.lock:
                server.running -= 1

    def _reply(self, reply: Reply) -> None:
        if isinstance(reply, Mapping):
            reply = Status(200, reply)
        if isinstance(reply, Status):
            body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            self.send_response(reply.code)
            for name, value in {"Content-Type": reply.type, **reply.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            return
        chunks = iter(reply)
        try:
            self._stream(chunks)
        finally:
            close: Callable[[], object] | None = getattr(chunks, "close", None)
            if close is not None:
                close()

    def _stream(self, chunks: Iterator[Chunk]) -> None:
        begun = False
        for chunk in chunks:
            if isinstance(chunk, Break):
                self._wait(chunk.seconds)
                if self._break(chunk.how):
                    return
                continue
            if not begun:
                begun = True
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream; charset=utf-8")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
            data = chunk if isinstance(chunk, str) else json.dumps(chunk, ensure_ascii=False)
            self._write(f"data: {data}\n\n".encode())
            self._wait(self.served.seconds)
        self._write(b"data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def _write(self, data: bytes) -> None:
        self._wait(0.0)
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def _wait(self, seconds: float) -> None:
        """Raises Gone as soon as the caller is."""
        until = time.monotonic() + seconds
        while True:
            left = until - time.monotonic()
            readable, _, _ = select.select([self.connection], [], [], max(0.0, min(left, 0.05)))
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                raise Gone
            if left <= 0:
                return
            if self.served.closing.is_set():
                raise Gone

    def _break(self, how: str) -> bool:
        """Whether that was the end."""
        match how:
            case "reset":
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.connection.close()
                raise Gone
            case "truncate":
                self.close_connection = True
                raise Gone
            case "end":
                self.wfile.write(b"0\r\n\r\n")
                return True
            case "garbage":
                self._write(b'data: {"choices": [{"delta": {"con\n\n')
                return False
            case "hang":
                self._wait(3600.0)
        return False

    def log_message(self, format: str, *args: object) -> None:
        pass
