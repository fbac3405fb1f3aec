"""Which hosts and addresses a URL may name."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

from internvl_llm.errors import OptionError

_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")

_NOT_PUBLIC = tuple(
    ipaddress.ip_network(network)
    for network in (
        "192.0.0.0/24",  # protocol assignments, some of them a way to the local router
        "192.88.99.0/24",  # 6to4 relays
        "168.63.129.16/32",  # the metadata server of Azure's machines
        "64:ff9b:1::/48",  # NAT64 within a network
        "2001::/23",  # Teredo and other protocol assignments
        "2001:db8::/32",
        "3fff::/20",  # documentation (RFC 9637)
    )
)
_UNICAST = ipaddress.ip_network("2000::/3")
"""The only part of IPv6 whose addresses are given out to be reached from everywhere."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Whether an IP address is globally routable, also when wrapped in IPv6 (mapped, 6to4, NAT64)."""
    ip = ipaddress.ip_address(address.split("%", 1)[0])
    if isinstance(ip, ipaddress.IPv6Address):
        wrapped = ip.ipv4_mapped or ip.sixtofour
        if wrapped is None and ip in _NAT64:
            wrapped = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if wrapped is not None:
            return is_public(str(wrapped))
        if ip not in _UNICAST:
            return False
    if any(ip in network for network in _NOT_PUBLIC):
        return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def allowed_host(entry: str) -> tuple[str, int | None]:
    """`host`, `host:port`, `::1` or `[::1]:port` as host and port."""
    text = entry.strip()
    if text.count(":") > 1 and not text.startswith("["):
        text = f"[{text}]"
    try:
        parts = urlsplit(f"//{text}")
        if parts.netloc != text:
            raise ValueError("it has a path")
        return host_of(parts), parts.port
    except ValueError as error:
        remedy = "Allow hosts like docs.example, docs.example:8080 or 10.0.0.5"
        raise OptionError(f"option allow_hosts: {entry!r} is no host", remedy=remedy) from error


def host_of(parts: SplitResult) -> str:
    """As the network knows it: ASCII, lower case, without the final dot. Raises ValueError if it is none."""
    host = parts.hostname or ""
    if not host.isascii():
        host = host.encode("idna").decode().lower()
    host = host.removesuffix(".")
    if "[" in parts.netloc and "%" not in host:
        return str(ipaddress.IPv6Address(host))
    if not _NAME.fullmatch(host):
        raise ValueError(f"{host!r} is no host")
    return host
