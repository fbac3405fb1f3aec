"""An engine that asks a server. Requests are prepared in the callers' threads; the loop of the process sends
them, and tells what comes."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import threading
from contextlib import AbstractAsyncContextManager
from typing import Any

from internvl_llm.engine import Capabilities, EngineSpec
from internvl_llm.engines.answers import Listener
from internvl_llm.engines.base import BaseEngine, engine_closed
from internvl_llm.engines.server import probes
from internvl_llm.engines.server.addresses import Address, Addresses, base_urls
from internvl_llm.engines.server.asking import Asking
from internvl_llm.engines.server.body import Asks, Part, Plan, plan
from internvl_llm.engines.server.flavours import UNKNOWN
from internvl_llm.engines.server.identify import Served, identify, not_alike, words
from internvl_llm.engines.server.images import Sight
from internvl_llm.engines.server.loop import Limit, shared_loop
from internvl_llm.engines.server.refusals import Fault, said_of
from internvl_llm.engines.server.retries import pause
from internvl_llm.engines.server.wire import Wire
from internvl_llm.events import Usage
from internvl_llm.media.workers.pool import cores
from internvl_llm.prompt.call_parser import CallParser
from internvl_llm.request import Request
from internvl_llm.version import __version__

log = logging.getLogger("internvl_llm")

KEY = "INTERNVL_API_KEY"
"""Of the environment."""


class ServerEngine(BaseEngine):
    """See `Engine`. The server is asked what it is when the engine is opened; how it cuts images, when the
    first is shown."""

    def __init__(self, spec: EngineSpec) -> None:
        self.spec = spec
        self.loop = shared_loop()
        self._key = (spec.api_key.get_secret_value() if spec.api_key else "") or os.environ.get(KEY, "")
        self._running: set[Asking] = set()
        self._lock = threading.Lock()
        self._sight: Sight | None = None
        self._keeps_schemas: bool | None = None
        try:
            self.served = self.loop.run(self._open(base_urls(spec.base_url or "")))
        except Fault as fault:
            raise fault.error from None
        served = self.served
        dialect = served.member.dialect if served.member else "hermes"
        if spec.native_tools and dialect == "none":
            dialect = "hermes"  # as the server has it; nothing is parsed here
        context = spec.context_tokens or served.context
        self.asks = Asks(served.flavour, served.model, context, dialect, spec.native_tools)
        self._capabilities = Capabilities(
            served.model,
            context,
            images=served.images is not False,
            video=served.images is not False,
            repetition_penalty=bool(served.flavour.repetition_penalty),
            dialect=dialect,
            details=tuple(words(served)),
        )

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    @property
    def fingerprint(self) -> str:
        """By what the server says of itself, and how it cuts images; wherever it is."""
        seen = None
        if self.capabilities.images:
            try:
                seen = self.loop.run(self.sight())
            except Fault as fault:  # one that takes no images is a server, too
                if fault.again:
                    raise fault.error from None
        tiles = None if seen is None else (seen.max_tiles, seen.tokens_per_tile)
        parts = [__version__, dict(self.served.identity), tiles, self.spec.native_tools]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def start(self, request: Request, listener: Listener) -> Asking:
        """What the server cannot do is refused before media are looked at."""
        asking = Asking(self, self._plan(request), listener)
        with self._lock:
            if self.closed:
                raise engine_closed()
            self._running.add(asking)
        self.loop.call(asking.begin)
        return asking

    def count_tokens(self, request: Request) -> Usage:
        """As the server counts: where it has no way to, it is asked for an answer of one token."""
        try:
            return self.loop.run(self._count(self._plan(request)))
        except Fault as fault:
            raise fault.error from None

    def look(self) -> Sight:
        """How the server cuts images. Raises ServerError, also where it takes none."""
        try:
            return self.loop.run(self.sight())
        except Fault as fault:
            raise fault.error from None

    def close(self) -> None:
        with self._lock:
            closed, self.closed = self.closed, True
            running = list(self._running)
        for asking in running:
            asking.fail(engine_closed())
        if not closed:
            self.loop.spawn(self.wire.close())

    # What a request on its way needs, in the loop.

    def ended(self, asking: Asking) -> None:
        with self._lock:
            self._running.discard(asking)

    def place(self) -> AbstractAsyncContextManager[None]:
        """Among the requests that are asked at once."""
        return self._limit.place(self.spec.concurrency)

    def ahead(self) -> AbstractAsyncContextManager[None]:
        """Among those whose images are drawn: some more, so that no place waits for a drawing."""
        return self._drawn.place(self.spec.concurrency + cores() + 1)

    async def sight(self) -> Sight:
        """Raises Fault."""
        async with self._probing:
            if self._sight is None:
                if self.served.flavour.tiles == "own":
                    self._sight = Sight(None)
                else:
                    self._sight = await self._measured()
        return self._sight

    async def check(self, made: Plan) -> None:
        """Raises Fault where a server that nobody knows does not keep to schemas."""
        if self.served.flavour is not UNKNOWN or "response_format" not in made.constraint.fields:
            return
        async with self._probing:
            if self._keeps_schemas is None:
                self._keeps_schemas = await probes.keeps_schemas(self.answer)
        if not self._keeps_schemas:
            raise Fault(
                said_of(
                    self.addresses.all[0],
                    "does not keep to the form of an answer (response_format)",
                    "Ask for free text, or serve the model by vLLM, SGLang, LMDeploy or llama-server",
                )
            )

    async def answer(self, fields: dict[str, Any]) -> Any:
        """The whole answer to a body, not streamed. Raises Fault."""
        body = {"model": self.served.model, **fields}
        return await self._post(lambda address: f"{address.url}/chat/completions", body)

    async def _open(self, urls: tuple[str, ...]) -> Served:
        """Addresses that cannot be reached are set aside, if another one can."""
        self.addresses = Addresses([Address(url) for url in urls])
        self.wire = Wire(self.spec, self.spec.model, self._key)
        self._probing = asyncio.Lock()
        place = ",".join(sorted(urls))
        self._limit = self.loop.limits.setdefault(place, Limit())
        self._drawn = Limit()
        asked = [identify(self.wire, address, self.spec.model) for address in self.addresses.all]
        found = await asyncio.gather(*asked, return_exceptions=True)
        first: Served | None = None
        for address, served in zip(self.addresses.all, found, strict=True):
            if isinstance(served, Fault) and served.again and len(urls) > 1:
                log.warning("%s is set aside: %s", address.url, served)
                self.addresses.failed(address, reached=False)
            elif isinstance(served, BaseException):
                raise served
            elif first is None:
                first = served
            elif error := not_alike(first, served, address):
                raise error
        if first is None:
            raise next(one for one in found if isinstance(one, Fault))
        self.wire.model = first.model
        return first

    async def _measured(self) -> Sight:
        seen = await probes.sight(self._tokens)
        if self.served.flavour.tokenize and seen == Sight(1):  # it counts no tiles without an answer
            seen = await probes.sight(self._answered_tokens)
        log.info(
            "%s cuts images into %s",
            self.addresses.all[0].url,
            "a grid of its own" if seen.max_tiles is None else f"{seen.max_tiles} tiles at most",
        )
        return seen

    async def _count(self, made: Plan) -> Usage:
        sight = await self.sight() if made.images else Sight(None)
        images = sum(one.tokens(sight) for one in made.images)
        drawn = [asyncio.wrap_future(self.loop.threads.submit(one.url, sight)) for one in made.images]
        messages = made.messages(list(await asyncio.gather(*drawn)))
        fields = made.fields(Part(0, 1, None))
        tools = {"tools": fields["tools"]} if "tools" in fields else {}
        tokens = await self._tokens(messages, tools)
        if tokens < images:
            tokens = await self._answered_tokens(messages, tools)
        return Usage(tokens, 0, min(images, tokens))

    async def _tokens(self, messages: list[dict[str, Any]], more: dict[str, Any] | None = None) -> int:
        if self.served.flavour.tokenize:
            body = {"model": self.served.model, "messages": messages, **(more or {})}
            try:
                told = await self._post(lambda address: f"{address.root}/tokenize", body)
            except Fault as fault:
                if fault.status != 404:
                    raise
            else:
                count = told.get("count") if isinstance(told, dict) else None
                if isinstance(count, int):
                    return count
        return await self._answered_tokens(messages, more)

    async def _answered_tokens(
        self, messages: list[dict[str, Any]], more: dict[str, Any] | None = None
    ) -> int:
        fields = {"messages": messages, "max_tokens": 1, "temperature": 0.0, **(more or {})}
        return probes.prompt_tokens(await self.answer(fields))

    async def _post(self, url: Any, body: dict[str, Any]) -> Any:
        last: Address | None = None
        for failures in range(1, self.spec.max_retries + 2):
            try:
                async with self.place():
                    with self.addresses.use(besides=last) as last:
                        answer = await self.wire.json(last, url(last), body)
                        self.addresses.worked(last)
                        return answer
            except Fault as fault:
                if not fault.again or failures > self.spec.max_retries:
                    raise
                assert last is not None
                self.addresses.failed(last, reached=fault.reached)
                await asyncio.sleep(pause(failures, fault.seconds))
        raise AssertionError

    def _plan(self, request: Request) -> Plan:
        if self.closed:
            raise engine_closed()
        made = plan(request, self.asks)
        if made.images and not self.capabilities.images:
            raise said_of(
                self.addresses.all[0],
                f"takes no images: it has no vision part of {self.served.model}",
                "Serve it with that (llama-server: --mmproj)",
            )
        return made

    def _parser(self, request: Request, sample: int) -> CallParser | None:
        return None if self.spec.native_tools else super()._parser(request, sample)
