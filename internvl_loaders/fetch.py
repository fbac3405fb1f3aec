"""Download over http(s) from public addresses only, checked at connect time on every hop."""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpcore

from internvl_loaders.errors import UrlError, limit_error
from internvl_loaders.options import Limits

_REDIRECTS = {301, 302, 303, 307, 308}


class _PublicBackend(httpcore.SyncBackend):
    """Connects to the very address it has checked, so a name cannot change in between."""

    def __init__(self, url: str, allow_hosts: tuple[str, ...]) -> None:
        self.url = url
        self.allow_hosts = allow_hosts

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore.ConnectError(f"cannot resolve {host}: {error}") from error
        addresses = list(dict.fromkeys(str(info[4][0]) for info in found))
        if host not in self.allow_hosts:
            for address in addresses:
                if not is_public(address):
                    raise UrlError(
                        f"{host} is at {address}, which is not a public address",
                        source=self.url,
                        remedy="Allow it by name with allow_hosts (--allow-host) if you trust it",
                    )
        for address in addresses[:-1]:
            try:
                return super().connect_tcp(address, port, timeout, local_address, socket_options)
            except httpcore.ConnectError:
                continue  # the next address of the same host may answer
        return super().connect_tcp(addresses[-1], port, timeout, local_address, socket_options)


def is_public(address: str) -> bool:
    """Whether an IP address is globally routable, also when wrapped in IPv6 (mapped, 6to4, NAT64)."""
    ip = ipaddress.ip_address(address.split("%", 1)[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return is_public(str(ip.ipv4_mapped))
        if ip.sixtofour is not None:
            return is_public(str(ip.sixtofour))
        if ip.teredo is not None:
            return False
        if ip in ipaddress.ip_network("64:ff9b::/96"):
            return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def fetch(url: str, limits: Limits, allow_hosts: tuple[str, ...] = ()) -> bytes:
    """The bytes behind `url`; raises UrlError or LimitError.

    No proxies, cookies or credentials; size and time are bounded while streaming.
    """
    deadline = time.monotonic() + limits.max_download_seconds
    here = url
    for _ in range(limits.max_redirects + 1):
        parts = _checked(here, url)
        with (
            httpcore.ConnectionPool(network_backend=_PublicBackend(url, allow_hosts)) as pool,
            _get(pool, parts.geturl(), url, deadline) as response,
        ):
            if response.status in _REDIRECTS:
                headers = {key.lower(): value for key, value in response.headers}
                here = urljoin(here, headers.get(b"location", b"").decode("latin-1"))
                continue
            if response.status != 200:
                raise UrlError(f"the server answered {response.status}", source=url)
            body = bytearray()
            for chunk in response.iter_stream():
                body += chunk
                if len(body) > limits.max_bytes:
                    raise limit_error("larger than", "max_bytes", limits.max_bytes, url)
                if time.monotonic() > deadline:
                    allowed = limits.max_download_seconds
                    raise limit_error("took longer than", "max_download_seconds", allowed, url)
            return bytes(body)
    raise limit_error("more redirects than", "max_redirects", limits.max_redirects, url)


def _checked(here: str, url: str) -> Any:
    try:
        parts = urlsplit(here)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname)
        _ = parts.port
    except ValueError:
        good = False
    if not good:
        raise UrlError(
            f"not an http or https URL: {here}",
            source=url,
            remedy="Download it yourself, or give an FsspecFile for other kinds of storage",
        )
    if parts.username or parts.password:
        raise UrlError("the URL carries credentials", source=url, remedy="Download it yourself")
    return parts


@contextmanager
def _get(pool: httpcore.ConnectionPool, here: str, url: str, deadline: float) -> Iterator[httpcore.Response]:
    """A response whose failures, first byte to last, are UrlErrors."""
    left = max(deadline - time.monotonic(), 0.001)
    timeouts = {"connect": min(left, 10.0), "read": min(left, 30.0), "write": 10.0, "pool": 10.0}
    headers = [("User-Agent", "internvl-documents"), ("Accept", "*/*"), ("Accept-Encoding", "identity")]
    try:
        with pool.stream("GET", here, headers=headers, extensions={"timeout": timeouts}) as response:
            yield response
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
        raise UrlError(f"cannot be fetched: {error!r}", source=url) from error
    except (httpcore.UnsupportedProtocol, UnicodeError) as error:
        raise UrlError(f"not a usable URL: {error}", source=url) from error
