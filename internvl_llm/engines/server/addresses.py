"""Where servers are: their base URLs, which of them is asked next, and which are set aside."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from internvl_llm.errors import OptionError

_FIRST_REST, _LONGEST_REST = 1.0, 30.0
"""Seconds an address is set aside once it failed, twice as many each further time, and at most."""
_FORGIVEN = 3
"""Failures one after the other of an address where somebody is."""


def base_urls(text: str) -> tuple[str, ...]:
    """Of one or several, by commas; `/v1` is added to one without a path. Raises OptionError."""
    urls = tuple(dict.fromkeys(_base_url(part.strip()) for part in text.split(",") if part.strip()))
    if not urls:
        raise OptionError("base_url names no server", remedy="Give it as http://HOST:PORT/v1")
    return urls


def _base_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        whole = False
    if not whole or any(character.isspace() for character in text):
        shown = text.rpartition("@")[2][:80]
        raise OptionError(f"base_url cannot be {shown!r}", remedy="Give it as http://HOST:PORT/v1")
    if parts.username is not None or parts.password is not None:
        raise OptionError(
            f"the base_url of {parts.hostname} holds a name or password",
            remedy="Give the key as api_key or INTERNVL_API_KEY",
        )
    if parts.query or parts.fragment:
        raise OptionError(
            f"the base_url of {parts.hostname} has a query or fragment", remedy="End it with the path"
        )
    path = parts.path.rstrip("/").removesuffix("/chat/completions")
    return f"{parts.scheme}://{parts.netloc}{path or '/v1'}"


@dataclass(slots=True)
class Address:
    """One base URL. `rests` is until when it is set aside, by the clock of its Addresses."""

    url: str
    busy: int = 0
    failures: int = 0
    rests: float = 0.0
    used: int = 0

    @property
    def root(self) -> str:
        """Where endpoints that are not OpenAI's stand."""
        return self.url.removesuffix("/v1")


@dataclass(slots=True)
class Addresses:
    """Of servers of one model. Belongs to one event loop."""

    all: Sequence[Address]
    clock: Callable[[], float] = time.monotonic
    _turn: int = field(default=0, init=False)

    @contextmanager
    def use(self, besides: Address | None = None) -> Iterator[Address]:
        """The least busy one that is not set aside, in turn where several are; of those that are, the one
        whose rest ends first. `besides` is taken only where there is no other."""
        address = min(self.all, key=lambda one: self._order(one, besides))
        self._turn += 1
        address.used = self._turn
        address.busy += 1
        if address.rests:  # one that failed has one request to show that it is back
            address.rests = max(address.rests, self.clock() + _FIRST_REST)
        try:
            yield address
        finally:
            address.busy -= 1

    def worked(self, address: Address) -> None:
        address.failures, address.rests = 0, 0.0

    def failed(self, address: Address, *, reached: bool) -> None:
        """It could not be reached, or broke off, which any may do once or twice."""
        address.failures += 1
        over = address.failures if not reached else address.failures - _FORGIVEN
        if over > 0:
            address.rests = self.clock() + min(_LONGEST_REST, _FIRST_REST * 2 ** min(over - 1, 10))

    def _order(self, one: Address, besides: Address | None) -> tuple[bool, float, bool, int, int]:
        resting = one.rests > self.clock()
        return resting, one.rests if resting else 0.0, one is besides, one.busy, one.used
