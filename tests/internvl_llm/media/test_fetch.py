"""Against real servers on loopback, which must be allowed by name to be reached at all."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from internvl_llm.media.addresses import is_public
from internvl_llm.media.fetch import fetch
from internvl_llm.media.limits import Limits
from internvl_loaders.errors import LimitError, OptionError, SourceError, UrlError
from tests.kit.paths import ROOT

ALLOWED = ("127.0.0.1",)
CERTIFICATE = ROOT / "tests" / "kit" / "docs.test.pem"
"""Self-signed for docs.test, with its key; of use in these tests only."""

BODIES = {
    "/ok": ("", b"the bytes"),
    "/gzip": ("gzip", gzip.compress(b"the bytes" * 50_000)),
    "/deflate": ("deflate", zlib.compress(b"the bytes" * 50_000)),
    "/bomb": ("gzip", gzip.compress(bytes(50_000_000))),
    "/cut": ("gzip", gzip.compress(b"the bytes")[:-9]),
    "/lie": ("gzip", b"the bytes"),
    "/brotli": ("br", b"?"),
}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        port = self.server.server_address[1]
        path, _, query = self.path.partition("?")
        if path in BODIES:
            coding, body = BODIES[path]
            self._send(200, body, {"Content-Encoding": coding} if coding else {})
        elif path.startswith("/hop"):
            left = int(path[4:])
            self._send(302, b"", {"Location": f"/hop{left - 1}" if left else "/ok"})
        elif path == "/to":
            self._send(302, b"", {"Location": query.replace("PORT", str(port))})
        elif path == "/told":
            self._send(200, f"{self.headers['Host']} {self.path}".encode())
        elif path == "/loop":
            self._send(302, b"", {"Location": "/loop"})
        elif path == "/nowhere":
            self._send(302, b"")
        else:
            self._send(404, b"gone")

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def raw(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that sends what `answer` sends, well-formed or not."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        try:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                answer(connection)
        except OSError:
            pass  # the client has had enough

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        listener.close()
        thread.join(5)


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    with serving() as port:
        yield f"http://127.0.0.1:{port}"


Resolver = Callable[[dict[str, list[list[str]]]], list[str]]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    """Names with the answers to give, one after the other; what has been asked for is returned."""
    real = socket.getaddrinfo

    def install(answers: dict[str, list[list[str]]]) -> list[str]:
        asked: list[str] = []

        def getaddrinfo(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
            if host not in answers:
                return real(host, port, *args, **kwargs)
            asked.append(host)
            found = answers[host].pop(0) if len(answers[host]) > 1 else answers[host][0]
            return [info for address in found for info in real(address, port, *args, **kwargs)]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        return asked

    return install


def test_an_allowed_host(base: str) -> None:
    assert fetch(f"{base}/ok", Limits(), ALLOWED) == b"the bytes"


@pytest.mark.parametrize(
    "host",
    [
        *("0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "127.0.0.1"),
        *("127.255.255.254", "169.254.169.254", "100.100.100.200", "192.0.0.192", "168.63.129.16"),
        *("192.0.0.9", "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.51.100.7", "203.0.113.9"),
        *("224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255"),
        *("2130706433", "0x7f000001", "017700000001", "0177.0.0.1", "0x7f.0.0.1", "127.1", "127.0.1", "0"),
        *("10.66051", "127.0.0.1.", "１２７.０.０.１", "127。0。0。1", "①②⑦.⓪.⓪.①", "0xA9FEA9FE"),
        *("localhost", "LOCALHOST", "localhost.", "a.localhost", "ｌocalhost"),
        *("[::]", "[::1]", "[0:0:0:0:0:0:0:1]", "[fc00::1]", "[fd00:ec2::254]", "[fe80::1]", "[fec0::1]"),
        *("[ff02::1]", "[::ffff:127.0.0.1]", "[::ffff:a9fe:a9fe]", "[::ffff:0:127.0.0.1]", "[::127.0.0.1]"),
        *("[64:ff9b::127.0.0.1]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b:1::1.1.1.1]", "[2002:7f00:1::]"),
        *("[2002:a9fe:a9fe::1]", "[2001:0:4136:e378:8000:63bf:3fff:fdd2]", "[2001:db8::1]", "[3fff::1]"),
        *("[100::1]", "[5f00::1]", "[2001:10::1]", "[4000::1]"),
    ],
)
def test_addresses_that_are_refused(host: str) -> None:
    for url in (f"http://{host}/", f"https://{host}:8443/x.pdf"):
        with pytest.raises(UrlError, match="not a public address.*--allow-host"):
            fetch(url, Limits())


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("file:///etc/passwd", "not an http or https URL"),
        ("file:/etc/passwd", "not an http or https URL"),
        ("FILE://localhost/etc/passwd", "not an http or https URL"),
        ("data:application/pdf;base64,JVBERg==", "not an http or https URL"),
        ("ftp://127.0.0.1/x.pdf", "not an http or https URL"),
        ("gopher://127.0.0.1:6379/_INFO", "not an http or https URL"),
        ("dict://127.0.0.1:11211/stat", "not an http or https URL"),
        ("jar:http://127.0.0.1!/x", "not an http or https URL"),
        ("ldap://127.0.0.1/", "not an http or https URL"),
        ("s3://bucket/key.pdf", "FsspecFile"),
        ("//127.0.0.1/x.pdf", "not an http or https URL"),
        ("javascript:alert(1)", "not an http or https URL"),
        ("http://user:secret@127.0.0.1/", "carries credentials"),
        ("http://example.com@127.0.0.1/", "carries credentials"),
        ("http://@127.0.0.1/", "carries credentials"),
        ("http://127.0.0.1\\@example.com/", "carries credentials"),
        ("http://example.com\\.127.0.0.1/", "not a usable URL"),
        ("http:\\\\127.0.0.1\\x", "not a usable URL"),
        ("http:/127.0.0.1/", "not a usable URL"),
        ("http:127.0.0.1", "not a usable URL"),
        ("http://", "not a usable URL"),
        ("http:///x.pdf", "not a usable URL"),
        ("http://./", "not a usable URL"),
        ("http://a..b/", "not a usable URL"),
        ("http://127.0.0.1:0/", "port 0"),
        ("http://127.0.0.1:65536/", "not a usable URL"),
        ("http://127.0.0.1:-1/", "not a usable URL"),
        ("http://127.0.0.1:80x/", "not a usable URL"),
        ("http://127.0.0.1%2f.example/", "not a usable URL"),
        ("http://127.0.0.1%00.example/", "not a usable URL"),
        ("http://127.0.0.1 .example/", "not a usable URL"),
        ("http://[fe80::1%25eth0]/", "not a usable URL"),
        ("http://[fe80::1%eth0]/", "not a usable URL"),
        ("http://[::1/", "not a usable URL"),
        ("http://[v1.x]/", "not a usable URL"),
        ("http://[127.0.0.1]/", "not a usable URL"),
        ("http://a℀b.example/", "not a usable URL"),
        (f"http://{'a' * 64}é.example/", "not a usable URL"),
        ("http://\u202elocalhost/", "not a usable URL"),
    ],
)
def test_urls_that_are_refused(url: str, why: str) -> None:
    with pytest.raises(UrlError, match=why):
        fetch(url, Limits(), ALLOWED)


@pytest.mark.parametrize(
    ("there", "why"),
    [
        ("http://localhost:PORT/ok", "localhost is at 127.0.0.1, which is not"),  # the same server
        ("http://127.0.0.2:PORT/ok", "not a public address"),
        ("http://[::ffff:127.0.0.1]:PORT/ok", "not a public address"),
        ("http://2130706433:PORT/ok", "not a public address"),
        ("http://169.254.169.254/latest/meta-data/", "not a public address"),
        ("//10.0.0.1/x", "not a public address"),
        ("file:///etc/passwd", "not an http"),
        ("data:,x", "not an http"),
        ("ftp://127.0.0.1/x", "not an http"),
        ("http://user@127.0.0.1:PORT/ok", "credentials"),
        ("http://127.0.0.1:PORT\\@example.com/", "credentials"),
        ("http://[::1", "no usable URL"),
        ("https://127.0.0.1:PORT/ok", "cannot be fetched"),  # no TLS spoken there
    ],
)
def test_every_hop_is_checked(base: str, there: str, why: str) -> None:
    with pytest.raises(UrlError, match=why) as caught:
        fetch(f"{base}/to?{there}", Limits(), ALLOWED)
    assert caught.value.source == f"{base}/to?{there}"


@pytest.mark.parametrize(
    "there", ["/ok", "ok", "./x/../ok", "//127.0.0.1:PORT/ok", "http://127.0.0.1:PORT/ok"]
)
def test_redirects_that_are_followed(base: str, there: str) -> None:
    assert fetch(f"{base}/to?{there}", Limits(), ALLOWED) == b"the bytes"


def test_a_public_page_that_redirects_inside(
    base: str, resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first hop is public as far as anybody can tell; the second is not."""
    asked = resolver({"docs.test": [["127.0.0.1"]], "inner.test": [["10.0.0.1"]]})
    monkeypatch.setattr("internvl_llm.media.fetch.is_public", lambda address: address == "127.0.0.1")
    with pytest.raises(UrlError, match=r"inner\.test is at 10\.0\.0\.1"):
        fetch(f"http://docs.test:{base.rsplit(':')[-1]}/to?http://inner.test/", Limits())
    assert asked == ["docs.test", "inner.test"]


def test_redirects_are_bounded(base: str) -> None:
    assert fetch(f"{base}/hop4", Limits(max_redirects=5), ALLOWED) == b"the bytes"
    with pytest.raises(LimitError, match="max_redirects = 3"):
        fetch(f"{base}/hop4", Limits(max_redirects=3), ALLOWED)
    with pytest.raises(LimitError, match="max_redirects = 5"):
        fetch(f"{base}/loop", Limits(), ALLOWED)
    with pytest.raises(UrlError, match="without saying where"):
        fetch(f"{base}/nowhere", Limits(), ALLOWED)


@pytest.mark.parametrize("answers", [[["93.184.216.34"], ["127.0.0.1"]], [["127.0.0.1"], ["93.184.216.34"]]])
def test_a_name_is_resolved_once_and_that_address_connected_to(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch, answers: list[list[str]]
) -> None:
    """Rebinding: what is checked is what is connected to, whatever the name says a moment later."""
    first = answers[0][0]
    asked = resolver({"rebind.test": answers})
    connected: list[Any] = []

    def connect(address: Any, *args: Any, **kwargs: Any) -> Any:
        connected.append(address)
        raise ConnectionRefusedError("far away")

    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(UrlError, match="far away|not a public address"):
        fetch("http://rebind.test:8080/", Limits())
    assert asked == ["rebind.test"]
    assert connected == ([(first, 8080)] if is_public(first) else [])


def test_one_private_answer_among_public_ones_is_enough(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: pytest.fail("connected"))
    resolver({"mixed.test": [["1.1.1.1", "2606:4700::1111", "10.0.0.1"]]})
    with pytest.raises(UrlError, match=r"mixed\.test is at 10\.0\.0\.1, which is not a public"):
        fetch("http://mixed.test/", Limits())


@pytest.mark.parametrize(
    ("allowed", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:PORT/ok"),
        ("127.0.0.1.", "http://127.0.0.1:PORT/ok"),
        ("127.0.0.1:PORT", "http://127.0.0.1:PORT/ok"),
        ("Docs.Test", "http://docs.TEST.:PORT/ok"),
        ("docs.test.", "http://docs.test:PORT/ok"),
        ("docs.test:PORT", "http://docs.test:PORT/ok"),
        ("xn--bcher-kva.test", "http://Bücher.test:PORT/ok"),
        ("bücher.test", "http://xn--bcher-kva.test:PORT/ok"),
        ("localhost", "http://localhost:PORT/ok"),
        ("[::ffff:127.0.0.1]", "http://[0:0:0:0:0:ffff:7f00:1]:PORT/ok"),
        ("::ffff:7f00:1", "http://[::ffff:127.0.0.1]:PORT/ok"),
    ],
)
def test_how_hosts_are_allowed(base: str, resolver: Resolver, allowed: str, url: str) -> None:
    resolver({name: [["127.0.0.1"]] for name in ("docs.test", "xn--bcher-kva.test")})
    port = base.rsplit(":")[-1]
    assert fetch(url.replace("PORT", port), Limits(), (allowed.replace("PORT", port),)) == b"the bytes"


@pytest.mark.parametrize("allowed", ["docs.test", "test", "127.0.0", "127.0.0.1:1", "0.0.0.0", "27.0.0.1"])
def test_what_is_not_allowed_by_that(base: str, allowed: str) -> None:
    with pytest.raises(UrlError, match="not a public address"):
        fetch(f"{base}/ok", Limits(), (allowed,))


@pytest.mark.parametrize(
    "entry", ["", "http://docs.test/", "*", "*.test", "docs.test:x", "10.0.0.0/8", "[a]"]
)
def test_allowing_what_is_no_host(entry: str) -> None:
    with pytest.raises(OptionError, match="allow_hosts"):
        fetch("http://127.0.0.1/", Limits(), (entry,))


def test_paths_are_sent_as_http_wants_them(base: str, resolver: Resolver) -> None:
    told = fetch(f"{base}/told?a b=ü%20#part", Limits(), ALLOWED).decode()
    assert told == f"{base.removeprefix('http://')} /told?a%20b=%C3%BC%20"


@pytest.mark.parametrize("path", ["gzip", "deflate"])
def test_a_server_that_compresses_unasked(base: str, path: str) -> None:
    assert fetch(f"{base}/{path}", Limits(), ALLOWED) == b"the bytes" * 50_000


@pytest.mark.parametrize(
    ("path", "error", "why"),
    [
        ("bomb", LimitError, "max_bytes = 1,000,000"),
        ("cut", UrlError, "cut off"),
        ("lie", UrlError, "compression is damaged"),
        ("brotli", UrlError, r"compressed \(br\)"),
    ],
)
def test_compressed_bodies_that_are_refused(base: str, path: str, error: type[SourceError], why: str) -> None:
    with pytest.raises(error, match=why):
        fetch(f"{base}/{path}", Limits(max_bytes=1_000_000), ALLOWED)


def drip(connection: socket.socket, head: bytes, piece: bytes) -> None:
    connection.sendall(head)
    for _ in range(100):
        connection.sendall(piece)
        time.sleep(0.1)


def flood(connection: socket.socket, head: bytes, piece: bytes) -> None:
    connection.sendall(head)
    while True:
        connection.sendall(piece)


def say(connection: socket.socket, head: bytes, piece: bytes) -> None:
    connection.sendall(head)
    time.sleep(0.1)


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("how", "head", "piece"),
    [
        pytest.param(drip, b"", b"H", id="status"),
        pytest.param(drip, OK + b"X-Long: ", b"x", id="header"),
        pytest.param(drip, OK, b"X: y\r\n", id="headers"),
        pytest.param(drip, OK + b"\r\n", b"x", id="body"),
        pytest.param(drip, OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", id="chunks"),
        pytest.param(drip, OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n", id="trailers"),
        pytest.param(drip, b"", b"HTTP/1.1 100 Continue\r\n\r\n", id="continue"),
        pytest.param(flood, b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100, id="endless-hints"),
        pytest.param(drip, OK + b"Content-Encoding: gzip\r\n\r\n", b"\x1f", id="compressed"),
    ],
)
def test_time_is_bounded_wherever_a_server_dawdles(how: Any, head: bytes, piece: bytes) -> None:
    started = time.monotonic()
    with (
        raw(lambda connection: how(connection, head, piece)) as url,
        pytest.raises(SourceError, match="max_download_seconds = 0.3|damaged"),
    ):
        fetch(url, Limits(max_download_seconds=0.3), ALLOWED)
    assert time.monotonic() - started < 2


def test_time_is_bounded_in_silence_and_in_the_handshake() -> None:
    with raw(lambda connection: time.sleep(0.8)) as url:
        started = time.monotonic()
        with pytest.raises(LimitError, match="max_download_seconds"):
            fetch(url.replace("http:", "https:"), Limits(max_download_seconds=0.4), ALLOWED)
        assert time.monotonic() - started < 0.75


@pytest.mark.parametrize(
    ("how", "head", "piece", "error", "why"),
    [
        pytest.param(flood, OK + b"X: ", b"x" * 9999, UrlError, "cannot be fetched", id="huge header"),
        pytest.param(flood, OK, b"X: y\r\n" * 999, UrlError, "cannot be fetched", id="endless headers"),
        pytest.param(flood, OK + b"\r\n", b"x" * 9999, LimitError, "max_bytes", id="endless body"),
        pytest.param(say, OK + b"Content-Length: 999999999999\r\n\r\n", b"", LimitError, "max_b", id="long"),
        pytest.param(say, OK + b"Content-Length: -1\r\n\r\n", b"", UrlError, "cannot be f", id="negative"),
        pytest.param(
            say, OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", b"", UrlError, "cannot be", id="two"
        ),
        pytest.param(say, b"SSH-2.0-OpenSSH\r\n", b"", UrlError, "cannot be fetched", id="not http"),
        pytest.param(
            say,
            b"HTTP/1.1 101 Switch\r\nUpgrade: x\r\n\r\n",
            b"",
            UrlError,
            "cannot be fetched",
            id="upgrade",
        ),
    ],
)
def test_size_is_bounded(how: Any, head: bytes, piece: bytes, error: type[SourceError], why: str) -> None:
    started = time.monotonic()
    with (
        raw(lambda connection: how(connection, head, piece)) as url,
        pytest.raises(error, match=why),
    ):
        fetch(url, Limits(max_bytes=300_000, max_download_seconds=5), ALLOWED)
    assert time.monotonic() - started < 3


def test_bodies_shorter_and_longer_than_declared() -> None:
    with (
        raw(lambda c: c.sendall(OK + b"Content-Length: 9\r\n\r\nshort")) as url,
        pytest.raises(UrlError, match="cannot be fetched") as caught,
    ):
        fetch(url, Limits(), ALLOWED)
    assert str(caught.value).startswith(url)
    with raw(lambda c: c.sendall(OK + b"Content-Length: 4\r\n\r\nbody and more")) as url:
        assert fetch(url, Limits(), ALLOWED) == b"body"


def test_a_host_of_many_addresses(base: str, resolver: Resolver, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that does not answer does not keep the next from being tried, and all share the time."""
    real, tried = socket.create_connection, []

    def connect(address: Any, timeout: float, **kwargs: Any) -> Any:
        tried.append(timeout)
        if address[0] == "127.0.0.1":
            return real(address, timeout, **kwargs)
        time.sleep(0.05)
        raise TimeoutError("no answer")

    monkeypatch.setattr(socket, "create_connection", connect)
    dead = [f"127.0.1.{i}" for i in range(1, 100)]
    resolver({"many.test": [[*dead[:2], "127.0.0.1"]], "dead.test": [dead]})
    port = base.rsplit(":")[-1]
    assert fetch(f"http://many.test:{port}/ok", Limits(), ("many.test",)) == b"the bytes"
    tried.clear()
    with pytest.raises(LimitError, match="max_download_seconds"):
        fetch("http://dead.test/", Limits(max_download_seconds=0.3), ("dead.test",))
    assert 3 <= len(tried) <= 6
    assert max(tried) <= 0.3


def test_a_resolver_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(1))
    started = time.monotonic()
    with pytest.raises(LimitError, match="max_download_seconds"):
        fetch("http://slow.test/", Limits(max_download_seconds=0.2))
    assert time.monotonic() - started < 0.8


def test_names_that_are_not_known(resolver: Resolver, monkeypatch: pytest.MonkeyPatch) -> None:
    resolver({"none.test": [[]]})
    with pytest.raises(UrlError, match="cannot be fetched"):
        fetch("http://none.test/", Limits())

    def unknown(*_: object, **__: object) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(UrlError, match=r"cannot resolve gone\.test.*not known"):
        fetch("http://gone.test/", Limits())


def test_https(resolver: Resolver, monkeypatch: pytest.MonkeyPatch) -> None:
    """The certificate is checked against the name, though it is the address that is connected to."""
    resolver({name: [["127.0.0.1"]] for name in ("docs.test", "other.test")})
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    allowed = ("docs.test", "other.test")
    with serving(context) as port:
        with pytest.raises(UrlError, match="self-signed"):
            fetch(f"https://docs.test:{port}/ok", Limits(), allowed)
        monkeypatch.setattr("certifi.where", lambda: str(CERTIFICATE))
        assert fetch(f"https://docs.test:{port}/ok", Limits(), allowed) == b"the bytes"
        assert fetch(f"https://docs.test:{port}/hop1", Limits(), allowed) == b"the bytes"
        with pytest.raises(UrlError, match="Hostname mismatch"):
            fetch(f"https://other.test:{port}/ok", Limits(), allowed)
        with pytest.raises(UrlError, match=r"redirected from https to http://docs\.test/.*not encrypted"):
            fetch(f"https://docs.test:{port}/to?http://docs.test/", Limits(), allowed)


def test_many_threads_at_once(base: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        wanted = [(f"{base}/hop2", ALLOWED), (f"{base}/ok", ()), (f"{base}/gzip", ALLOWED)] * 10

        def outcome(job: tuple[str, tuple[str, ...]]) -> int:
            try:
                return len(fetch(job[0], Limits(), job[1]))
            except UrlError:
                return -1

        assert list(pool.map(outcome, wanted)) == [9, -1, 450_000] * 10


def test_failures_name_the_url(base: str) -> None:
    with pytest.raises(UrlError, match="answered 404") as caught:
        fetch(f"{base}/gone", Limits(), ALLOWED)
    assert str(caught.value).startswith(f"{base}/gone")
    with pytest.raises(UrlError, match="cannot be fetched"):
        fetch("http://127.0.0.1:9/x.pdf", Limits(), ALLOWED)


def test_proxies_are_not_used(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert fetch(f"{base}/ok", Limits(), ALLOWED) == b"the bytes"


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "93.184.216.34", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450::1",
     "::ffff:1.1.1.1", "64:ff9b::1.1.1.1", "2002:101:101::1"],
)  # fmt: skip
def test_public(address: str) -> None:
    assert is_public(address)
