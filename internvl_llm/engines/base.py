"""What all engines share. An engine starts requests and tells what comes of them; every way to ask is made
of that here, once."""

from __future__ import annotations

import asyncio
import atexit
import hashlib
import queue
import uuid
import weakref
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from internvl_llm.engine import Capabilities
from internvl_llm.engines.answers import Answer, Handle, Listener, SampleEvents, Starting
from internvl_llm.errors import EngineError, OptionError
from internvl_llm.events import Event, Finish, Result, Usage
from internvl_llm.prompt.call_parser import CallParser
from internvl_llm.prompt.dialects import FORMATS
from internvl_llm.prompt.quoted import Quoted
from internvl_llm.request import Request


class BaseEngine(ABC):
    """See `Engine`. An engine of one's own implements `start`, `capabilities`, `count_tokens` and `close`.

    Text in which the dialect of `capabilities` writes calls is told as it comes: it is parsed here.
    """

    closed = False
    """Whether `close` was called; such an engine is not shared any more."""

    @property
    @abstractmethod
    def capabilities(self) -> Capabilities: ...

    @property
    def fingerprint(self) -> str:
        """Of this very engine: one that does not say what it depends on answers like no other."""
        own: str = vars(self).setdefault("_identity", uuid.uuid4().hex)
        return own

    @abstractmethod
    def start(self, request: Request, listener: Listener) -> Handle:
        """Begin `n` samples of the request. Raises what makes it impossible; what goes wrong later is told.

        May take as long as its media take to be drawn. Thread-safe.
        """

    @abstractmethod
    def count_tokens(self, request: Request) -> Usage: ...

    @abstractmethod
    def close(self) -> None: ...

    def generate(self, requests: Sequence[Request]) -> list[Result]:
        answers: list[Answer] = []
        try:
            for request in requests:
                answers.append(Answer(request, self._parser))
                answers[-1].begin(self.start)
            return [answer.result() for answer in answers]
        finally:
            for answer in answers:
                answer.cancel()

    async def agenerate(self, requests: Sequence[Request]) -> list[Result]:
        answers: list[Answer] = []
        results: list[Result] = []
        loop = asyncio.get_running_loop()
        try:
            for request in requests:
                answers.append(Answer(request, self._parser))
                await asyncio.to_thread(answers[-1].begin, self.start)
            for answer in answers:
                done: asyncio.Future[None] = loop.create_future()
                answer.when_done(partial(_call_soon, loop, _resolve, done))
                await done
                results.append(await asyncio.to_thread(answer.result))  # a critic may take its time
            return results
        finally:
            for answer in answers:
                answer.cancel()

    def stream(self, request: Request) -> Generator[Event, None, None]:
        events: queue.SimpleQueue[Event | BaseException] = queue.SimpleQueue()
        handle = Starting()
        try:
            handle.begin(partial(self._stream_into, request, events.put))
            while True:
                event = events.get()
                if isinstance(event, BaseException):
                    raise event
                yield event
                if isinstance(event, Finish):
                    return
        finally:
            handle.cancel()

    async def astream(self, request: Request) -> AsyncGenerator[Event, None]:
        loop = asyncio.get_running_loop()
        events: asyncio.Queue[Event | BaseException] = asyncio.Queue()
        put = partial(_call_soon, loop, events.put_nowait)
        handle = Starting()
        try:
            await asyncio.to_thread(handle.begin, partial(self._stream_into, request, put))
            while True:
                event = await events.get()
                if isinstance(event, BaseException):
                    raise event
                yield event
                if isinstance(event, Finish):
                    return
        finally:
            handle.cancel()

    def _stream_into(self, request: Request, put: Callable[[Event | BaseException], object]) -> Handle:
        if request.n > 1:
            raise OptionError("a stream has one answer", remedy="Use generate for n answers, or n=1")
        events = SampleEvents(self._parser(request, 0))

        def listen(sample: int, event: Event | BaseException) -> None:
            for one in events.of(event):
                put(one)

        return self.start(request, listen)

    def _parser(self, request: Request, sample: int) -> CallParser | None:
        """Of calls in the text of an answer, where there may be any."""
        form = FORMATS.get(self.capabilities.dialect)  # type: ignore[call-overload]
        if form is None or not request.tools or request.tool_choice == "none":
            return None
        salt = hashlib.sha256(f"{sample} {request.messages!r}".encode("utf-8", "replace")).hexdigest()[:12]
        # Who names a tool wants its call, whatever the conversation holds.
        quoted = Quoted(request.messages) if request.tool_choice in ("auto", "any") else None
        return CallParser(form, salt, anywhere=request.grammar is None, quoted=quoted)


def close_at_exit(engine: BaseEngine) -> Callable[[], None]:
    """Ends an engine's threads and processes before the interpreter goes; does not keep the engine alive.
    The function is registered with atexit."""
    known = weakref.ref(engine)

    def close() -> None:
        if (alive := known()) is not None and not alive.closed:  # as one is that a forked child inherits
            alive.close()

    atexit.register(close)
    return close


def engine_closed() -> EngineError:
    return EngineError("the engine is closed", remedy="Open it again with open_engine")


def _call_soon(loop: asyncio.AbstractEventLoop, function: Callable[..., object], *arguments: Any) -> None:
    with suppress(RuntimeError):  # the loop is closed: nobody listens any more
        loop.call_soon_threadsafe(function, *arguments)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
