"""Download over http(s) from public addresses only, checked at connect time on every hop."""

from __future__ import annotations

import socket
import threading
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ssl import SSLContext
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import httpcore

from internvl_llm.errors import LimitError, UrlError, limit_error
from internvl_llm.media.addresses import allowed_host, host_of, is_public
from internvl_llm.media.limits import Limits

_REDIRECTS = {301, 302, 303, 307, 308}
_PORTS = {"http": 80, "https": 443}
_CONNECT_SECONDS = 10.0
"""For one address; a host may have many, and all share the time of the download."""
_SILENT_SECONDS = 30.0
_PIECE = 2**16

_KEPT = "%/:=&?~#+!$,;'@()*[]"
"""Characters of a path or query that are not percent-encoded: it may be encoded already."""


@dataclass(frozen=True, slots=True)
class _Download:
    """What one download is bound by, whatever hop it is at."""

    url: str
    limits: Limits
    allowed: frozenset[tuple[str, int | None]]
    deadline: float

    def left(self, most: float) -> float:
        """Seconds until the deadline, `most` at most. Raises LimitError when it has passed."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            seconds = self.limits.max_download_seconds
            raise limit_error("took longer than", "max_download_seconds", seconds, self.url)
        return min(left, most)

    def check(self) -> None:
        self.left(0)

    def too_large(self) -> LimitError:
        return limit_error("larger than", "max_bytes", self.limits.max_bytes, self.url)

    def refused(self, why: str, remedy: str | None = None) -> UrlError:
        return UrlError(why, source=self.url, remedy=remedy)

    def addresses(self, host: str, port: int) -> list[str]:
        """The addresses of a host, all of which may be connected to."""
        free = bool(self.allowed & {(host, port), (host, None)})
        local = host == "localhost" or host.endswith(".localhost")
        addresses = ["127.0.0.1"] if local and not free else self._resolved(host, port)
        private = [address for address in addresses if not is_public(address)]
        if private and not free:
            raise self.refused(
                f"{host} is at {private[0]}, which is not a public address",
                "Allow it by name with allow_hosts (--allow-host) if you trust it",
            )
        return addresses

    def _resolved(self, host: str, port: int) -> list[str]:
        """In a thread of its own: a resolver cannot be told how long it may take."""
        answer: list[Any] = []

        def ask() -> None:
            try:
                answer.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
            except (OSError, UnicodeError) as error:
                answer.append(error)

        thread = threading.Thread(target=ask, name="internvl-resolver", daemon=True)
        thread.start()
        thread.join(self.left(_SILENT_SECONDS))
        if not answer:
            self.check()
            raise self.refused(f"cannot resolve {host}: no answer within {_SILENT_SECONDS:g} seconds")
        if isinstance(answer[0], Exception):
            raise self.refused(f"cannot resolve {host}: {answer[0]}") from answer[0]
        return list(dict.fromkeys(str(info[4][0]) for info in answer[0]))


class _Stream(httpcore.NetworkStream):
    """A connection every single step of which ends at the deadline of the download."""

    def __init__(self, stream: httpcore.NetworkStream, download: _Download) -> None:
        self._stream = stream
        self._download = download

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with self._in_time():
            return self._stream.read(max_bytes, self._download.left(_SILENT_SECONDS))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        with self._in_time():
            self._stream.write(buffer, self._download.left(_SILENT_SECONDS))

    def start_tls(
        self, ssl_context: SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        with self._in_time():
            seconds = self._download.left(_CONNECT_SECONDS)
            return _Stream(self._stream.start_tls(ssl_context, server_hostname, seconds), self._download)

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    @contextmanager
    def _in_time(self) -> Iterator[None]:
        try:
            yield
        except httpcore.TimeoutException:
            self._download.check()
            raise


class _CheckedBackend(httpcore.SyncBackend):
    """Connects to the very address it has checked, so a name cannot change in between."""

    def __init__(self, download: _Download) -> None:
        self._download = download

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        failed: Exception | None = None
        for address in self._download.addresses(host, port):
            seconds = self._download.left(_CONNECT_SECONDS)
            try:
                stream = super().connect_tcp(address, port, seconds, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error  # another address of the same host may answer
            else:
                return _Stream(stream, self._download)
        self._download.check()
        raise failed or httpcore.ConnectError(f"{host} has no address")


def fetch(url: str, limits: Limits, allow_hosts: tuple[str, ...] = ()) -> bytes:
    """The bytes behind `url`; raises UrlError or LimitError.

    No proxies, cookies or credentials; size and time, from the first look-up of a name to the last
    byte, are bounded while streaming. `allow_hosts` are names or addresses, with `:port` for that
    port only, that are reached although they are not public.
    """
    deadline = time.monotonic() + limits.max_download_seconds
    download = _Download(url, limits, frozenset(allowed_host(entry) for entry in allow_hosts), deadline)
    here = url
    for _ in range(limits.max_redirects + 1):
        target = _target(here, download)
        with _get(target, download) as response:
            if response.status in _REDIRECTS:
                here = _next(here, response, download)
                continue
            if response.status != 200:
                raise download.refused(f"the server answered {response.status}")
            return _body(response, download)
    raise limit_error("more redirects than", "max_redirects", limits.max_redirects, url)


def _target(here: str, download: _Download) -> httpcore.URL:
    """What to ask for, parsed once; raises UrlError if it may not be asked for."""
    shown = here if len(here) <= 200 else f"{here[:200]}…"
    try:
        parts = urlsplit(here)
    except ValueError as error:
        raise download.refused(f"not a usable URL: {shown} ({error})") from error
    if parts.scheme not in _PORTS:
        remedy = "Download it yourself, or give an FsspecFile for other kinds of storage"
        raise download.refused(f"not an http or https URL: {shown}", remedy)
    if "@" in parts.netloc:
        raise download.refused("the URL carries credentials", "Download it yourself")
    try:
        host, port = host_of(parts), parts.port
    except ValueError as error:
        raise download.refused(f"not a usable URL: {shown} ({error})") from error
    if port == 0:
        raise download.refused(f"not a usable URL: {shown} (port 0)")
    query = f"?{quote(parts.query, _KEPT)}" if parts.query else ""
    return httpcore.URL(
        scheme=parts.scheme,
        host=host,
        port=_PORTS[parts.scheme] if port is None else port,
        target=(quote(parts.path, _KEPT) or "/") + query,
    )


def _next(here: str, response: httpcore.Response, download: _Download) -> str:
    location = _header(response, b"location")
    if not location:
        raise download.refused(f"the server answered {response.status} without saying where to go")
    try:
        there = urljoin(here, location.decode("utf-8", "replace"))
        downgraded = urlsplit(here).scheme == "https" and urlsplit(there).scheme == "http"
    except ValueError as error:
        raise download.refused(f"redirected to no usable URL ({error})") from error
    if downgraded:
        raise download.refused(
            f"redirected from https to {there[:200]}, which is not encrypted",
            "Give that URL itself if you trust it",
        )
    return there


def _header(response: httpcore.Response, name: bytes) -> bytes:
    return next((value for key, value in response.headers if key.lower() == name), b"").strip()


def _body(response: httpcore.Response, download: _Download) -> bytes:
    most = download.limits.max_bytes
    declared = _header(response, b"content-length")
    if declared.isdigit() and int(declared[:20]) > most:
        raise download.too_large()
    body = bytearray()
    for chunk in _decoded(response, download):
        body += chunk
        if len(body) > most:
            raise download.too_large()
        download.check()
    return bytes(body)


def _decoded(response: httpcore.Response, download: _Download) -> Iterator[bytes]:
    """The body in small pieces; some servers compress although we ask them not to."""
    coding = _header(response, b"content-encoding").lower().decode("latin-1")
    if coding in {"", "identity"}:
        yield from response.iter_stream()
        return
    if coding not in {"gzip", "x-gzip", "deflate"}:
        raise download.refused(f"the server sent it compressed ({coding[:40]})", "Download it yourself")
    inflate = zlib.decompressobj(zlib.MAX_WBITS | 32)
    try:
        for chunk in response.iter_stream():
            full = True
            while full and not inflate.eof:
                piece = inflate.decompress(chunk, _PIECE)
                chunk, full = inflate.unconsumed_tail, len(piece) == _PIECE
                yield piece
    except zlib.error as error:
        raise download.refused(f"its compression is damaged ({error})") from error
    if not inflate.eof:
        raise download.refused("its compressed body is cut off")


@contextmanager
def _get(target: httpcore.URL, download: _Download) -> Iterator[httpcore.Response]:
    """A response whose failures, first byte to last, are UrlErrors or LimitErrors."""
    host = b"[%b]" % target.host if b":" in target.host else target.host
    default = target.port == _PORTS[target.scheme.decode()]
    headers = [
        (b"Host", host if default else b"%b:%d" % (host, target.port or 0)),
        (b"User-Agent", b"internvl-documents"),
        (b"Accept", b"*/*"),
        (b"Accept-Encoding", b"identity"),
    ]
    try:
        with (
            httpcore.ConnectionPool(network_backend=_CheckedBackend(download)) as pool,
            pool.stream("GET", target, headers=headers) as response,
        ):
            yield response
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
        raise download.refused(f"cannot be fetched: {error!r}") from error
