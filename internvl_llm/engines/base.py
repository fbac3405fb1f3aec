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
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from internvl_llm.engine import Capabilities
from internvl_llm.engines.answers import Again, Answer, Deadline, Handle, Listener, SampleEvents, Starting
from internvl_llm.errors import AnswerLostError, AnswerTimeoutError, EngineError, OptionError
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

    _fingerprint: str | None = None
    """Where it is known when the engine is opened."""

    @property
    @abstractmethod
    def capabilities(self) -> Capabilities: ...

    @property
    def fingerprint(self) -> str:
        """Of this very engine: one that does not say what it depends on answers like no other."""
        own: str = vars(self).setdefault("_identity", uuid.uuid4().hex)
        return self._fingerprint or own

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
        done: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        try:
            for request in requests:
                answers.append(Answer(request, self._parser))
                answers[-1].when_done(partial(done.put, answers[-1]))
                answers[-1].begin(self.start)
            waiting = set(answers)
            while waiting:
                try:
                    answer = done.get(timeout=_soonest(waiting))
                except queue.Empty:
                    raise _overdue(waiting) from None
                answer.check()
                waiting.discard(answer)
            return [answer.result() for answer in answers]
        finally:
            for answer in answers:
                answer.cancel()

    async def agenerate(self, requests: Sequence[Request]) -> list[Result]:
        answers: list[Answer] = []
        done: asyncio.Queue[Answer] = asyncio.Queue()
        put = partial(_call_soon, asyncio.get_running_loop(), done.put_nowait)
        try:
            for request in requests:
                answers.append(Answer(request, self._parser))
                answers[-1].when_done(partial(put, answers[-1]))
                await asyncio.to_thread(answers[-1].begin, self.start)
            waiting = set(answers)
            while waiting:
                try:
                    answer = await asyncio.wait_for(done.get(), _soonest(waiting))
                except TimeoutError:
                    raise _overdue(waiting) from None
                answer.check()
                waiting.discard(answer)
            return [await asyncio.to_thread(answer.result) for answer in answers]  # critics take their time
        finally:
            for answer in answers:
                answer.cancel()

    def stream(self, request: Request) -> Generator[Event, None, None]:
        events: queue.SimpleQueue[Event | BaseException] = queue.SimpleQueue()
        handle, deadline = Starting(), Deadline(request)
        try:
            handle.begin(partial(self._stream_into, request, events.put))
            while True:
                try:
                    event = events.get(timeout=deadline.left())
                except queue.Empty:
                    raise deadline.passed() from None
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
        handle, deadline = Starting(), Deadline(request)
        try:
            await asyncio.to_thread(handle.begin, partial(self._stream_into, request, put))
            while True:
                try:
                    event = await asyncio.wait_for(events.get(), deadline.left())
                except TimeoutError:
                    raise deadline.passed() from None
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
        told = False

        def listen(sample: int, event: Event | Again | BaseException) -> None:
            nonlocal events, told
            if isinstance(event, Again):
                if not told:
                    events = SampleEvents(self._parser(request, 0))
                    return
                event = AnswerLostError(
                    "the connection was lost in the middle of the answer", remedy="Ask again"
                )
            for one in events.of(event):
                told = True
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
        names = frozenset(tool.name for tool in request.tools)
        return CallParser(form, salt, anywhere=request.grammar is None, quoted=quoted, names=names)


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


def _soonest(answers: Iterable[Answer]) -> float | None:
    """Seconds until one of them is overdue."""
    return min((left for answer in answers if (left := answer.deadline.left()) is not None), default=None)


def _overdue(answers: Iterable[Answer]) -> AnswerTimeoutError:
    return next(answer for answer in answers if answer.deadline.left() == 0).deadline.passed()
