"""One request to a server and its answer: prepared in the caller's thread, asked in the loop."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from internvl_llm.engines.answers import AGAIN, Listener
from internvl_llm.engines.server.addresses import Address
from internvl_llm.engines.server.body import Part, Plan
from internvl_llm.engines.server.chunks import Samples
from internvl_llm.engines.server.refusals import Fault
from internvl_llm.engines.server.retries import pause
from internvl_llm.errors import EngineError, InternVLError
from internvl_llm.events import Event, Finish

if TYPE_CHECKING:
    from internvl_llm.engines.server.engine import ServerEngine

log = logging.getLogger("internvl_llm")


class Asking:
    """A request on its way. It is over once all is told, an error is, or nobody waits any more."""

    def __init__(self, engine: ServerEngine, plan: Plan, listener: Listener) -> None:
        self.engine = engine
        self.plan = plan
        self._listener = listener
        self._task: asyncio.Task[None] | None = None
        self._over = False
        self._left = plan.request.n
        self._telling = threading.RLock()

    def cancel(self) -> None:
        self._end()

    def fail(self, error: BaseException) -> None:
        with self._telling:
            if not self._over:
                self._end()
                self._listener(0, error)

    def begin(self) -> None:
        """In the loop."""
        if not self._over:
            self._task = asyncio.get_running_loop().create_task(self._run())

    def _end(self) -> None:
        with self._telling:
            if self._over:
                return
            self._over = True
        self.engine.ended(self)
        self.engine.loop.call(self._stop)

    def _stop(self) -> None:
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()

    def _tell(self, sample: int, event: Event) -> None:
        with self._telling:
            if self._over:
                return
            if isinstance(event, Finish):
                self._left -= 1
                if not self._left:
                    self._end()  # first, as whoever is told may look
            self._listener(sample, event)

    async def _run(self) -> None:
        try:
            async with self.engine.ahead(), asyncio.TaskGroup() as group:
                await self.engine.check(self.plan)
                urls, image_tokens = await self._urls()
                for part in self.plan.parts:
                    group.create_task(self._part(part, urls, image_tokens))
        except BaseExceptionGroup as errors:
            self._failed(errors.exceptions[0])
        except asyncio.CancelledError:
            self.fail(EngineError("the request was given up", remedy="Ask again"))
            raise
        except Exception as error:
            self._failed(error)

    def _failed(self, error: BaseException) -> None:
        if isinstance(error, Fault):
            error = error.error
        if not isinstance(error, InternVLError):
            log.debug("a request failed", exc_info=error)
            error = EngineError(f"the request failed ({type(error).__name__}: {error})")
        self.fail(error)

    async def _urls(self) -> tuple[list[str], int]:
        """The images as they are sent, and the tokens of their tiles."""
        images = self.plan.images
        if not images:
            return [], 0
        sight = await self.engine.sight()
        drawn = [asyncio.wrap_future(self.engine.loop.threads.submit(one.url, sight)) for one in images]
        return list(await asyncio.gather(*drawn)), sum(one.tokens(sight) for one in images)

    async def _part(self, part: Part, urls: list[str], image_tokens: int) -> None:
        """Asks until there is an answer, or no use in asking."""
        engine, fields = self.engine, self.plan.fields(part)
        body = await self._encoded(fields, urls)
        last: Address | None = None
        failures = 0

        def tell(sample: int, event: Event) -> None:
            if isinstance(event, Finish):
                usage = replace(event.usage, image_tokens=min(image_tokens, event.usage.prompt_tokens))
                event = replace(event, usage=usage)
            self._tell(sample, event)

        while True:
            told = False
            try:
                async with engine.place():
                    with engine.addresses.use(besides=last) as last:
                        samples = self.plan.samples(engine.wire.asked(last), tell, part)
                        try:
                            await self._once(last, body, samples)
                        finally:
                            told = samples.told
                return
            except Fault as fault:
                if fault.room is not None and fields["max_tokens"] > fault.room:
                    fields["max_tokens"] = fault.room
                    body = await self._encoded(fields, urls)
                    continue
                failures += 1
                if not fault.again or failures > engine.spec.max_retries:
                    if failures > 1:
                        fault.error.message += f", {failures} times"
                    raise
                log.debug("asked again: %s", fault)
                elsewhere = failures < len(engine.addresses.all)
                seconds = 0.0 if elsewhere else pause(failures, fault.seconds)
            if told:
                self._again(range(part.first, part.first + part.count))
            await asyncio.sleep(seconds)

    async def _once(self, address: Address, body: bytes, samples: Samples) -> None:
        """Raises Fault."""
        addresses = self.engine.addresses
        async with aclosing(self.engine.wire.chunks(address, body)) as chunks:
            try:
                async for chunk in chunks:
                    addresses.worked(address)
                    samples.take(chunk)
                    if samples.complete:
                        break
            except Fault as fault:
                if fault.again:
                    addresses.failed(address, reached=fault.reached)
                if not (fault.again and samples.finished):
                    raise
            samples.end()

    async def _encoded(self, fields: dict[str, Any], urls: list[str]) -> bytes:
        def encoded() -> bytes:
            return json.dumps(fields | {"messages": self.plan.messages(urls)}, ensure_ascii=False).encode()

        return await asyncio.get_running_loop().run_in_executor(self.engine.loop.threads, encoded)

    def _again(self, samples: range) -> None:
        with self._telling:
            for sample in samples if not self._over else ():
                self._listener(sample, AGAIN)
