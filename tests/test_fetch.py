"""Against a real HTTP server on loopback, which must be allowed by name to be reached at all."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from internvl_loaders.errors import LimitError, UrlError
from internvl_loaders.fetch import fetch, is_public
from internvl_loaders.options import Limits

ALLOWED = ("127.0.0.1",)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/ok":
            self._send(200, b"the bytes")
        elif self.path.startswith("/hop"):
            left = int(self.path[4:])
            self._send(302, b"", location=f"/hop{left - 1}" if left else "/ok")
        elif self.path == "/inside":
            self._send(302, b"", location=f"http://localhost:{self.server.server_address[1]}/ok")
        elif self.path == "/file":
            self._send(302, b"", location="file:///etc/passwd")
        elif self.path == "/slow":
            self.send_response(200)
            self.end_headers()
            try:
                for _ in range(50):
                    self.wfile.write(b"x")
                    self.wfile.flush()
                    time.sleep(0.1)
            except OSError:
                pass
        elif self.path == "/endless":
            self.send_response(200)
            self.end_headers()
            try:
                while True:
                    self.wfile.write(b"x" * 65536)
            except OSError:
                pass
        elif self.path == "/short":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"x")
        else:
            self._send(404, b"gone")

    def _send(self, status: int, body: bytes, location: str | None = None) -> None:
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_an_allowed_host(base: str) -> None:
    assert fetch(f"{base}/ok", Limits(), ALLOWED) == b"the bytes"


def test_private_addresses_are_refused_by_default(base: str) -> None:
    with pytest.raises(UrlError, match=r"127\.0\.0\.1, which is not a public address.*--allow-host"):
        fetch(f"{base}/ok", Limits())


def test_every_hop_is_checked(base: str) -> None:
    with pytest.raises(UrlError, match="not a public address"):
        fetch(f"{base}/inside", Limits(), ALLOWED)
    with pytest.raises(UrlError, match="not an http"):
        fetch(f"{base}/file", Limits(), ALLOWED)


def test_redirects_are_bounded(base: str) -> None:
    assert fetch(f"{base}/hop4", Limits(max_redirects=5), ALLOWED) == b"the bytes"
    with pytest.raises(LimitError, match="max_redirects = 3"):
        fetch(f"{base}/hop4", Limits(max_redirects=3), ALLOWED)


def test_size_is_bounded_while_streaming(base: str) -> None:
    with pytest.raises(LimitError, match="max_bytes"):
        fetch(f"{base}/endless", Limits(max_bytes=300_000), ALLOWED)


def test_time_is_bounded_while_streaming(base: str) -> None:
    started = time.monotonic()
    with pytest.raises(LimitError, match="max_download_seconds"):
        fetch(f"{base}/slow", Limits(max_download_seconds=0.5), ALLOWED)
    assert time.monotonic() - started < 3


@pytest.mark.parametrize("path", ["/gone", "/short"])
def test_failures_name_the_url(base: str, path: str) -> None:
    with pytest.raises(UrlError) as caught:
        fetch(base + path, Limits(), ALLOWED)
    assert str(caught.value).startswith(base + path)


def test_nobody_listens() -> None:
    with pytest.raises(UrlError, match="cannot be fetched"):
        fetch("http://127.0.0.1:9/x.pdf", Limits(), ALLOWED)


def test_proxies_are_not_used(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert fetch(f"{base}/ok", Limits(), ALLOWED) == b"the bytes"


@pytest.mark.parametrize(
    "address",
    ["0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "169.254.169.254", "172.16.0.1", "192.168.1.1",
     "224.0.0.1", "255.255.255.255", "::", "::1", "::ffff:10.0.0.1", "::ffff:127.0.0.1", "64:ff9b::7f00:1",
     "2002:7f00:1::", "fc00::1", "fe80::1%eth0", "ff02::1", "2001:0:0:0::1"],
)  # fmt: skip
def test_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:1.1.1.1"])
def test_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url", ["http://2130706433/", "http://0x7f.1/", "http://127.1/", "http://[::1]/", "http://localhost/"]
)
def test_other_spellings_of_loopback(url: str) -> None:
    with pytest.raises(UrlError, match="not a public address|cannot be fetched|cannot resolve"):
        fetch(url, Limits())
