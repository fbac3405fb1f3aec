"""What all engines share. An engine starts requests and tells what comes of them; whole answers, streams,
several samples, critics and tool calls are made of that here, once."""

from __future__ import annotations

import asyncio
import hashlib
import queue
import threading
import uuid
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, Protocol, TypeAlias

from internvl_llm.engine import Capabilities
from internvl_llm.errors import EngineError, OptionError
from internvl_llm.events import (
    Event,
    Finish,
    Result,
    Sample,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    Usage,
)
from internvl_llm.prompt.call_parser import CallParser, collect_calls
from internvl_llm.prompt.dialects import FORMATS
from internvl_llm.request import Request

Listener: TypeAlias = Callable[[int, Event | BaseException], None]
"""Takes what comes of a request: the number of the sample (from 0) and its next event. Each sample ends with
a Finish; an exception, whatever its number, ends the request. Never raises; may be called by any thread."""


class Handle(Protocol):
    """A request that was started."""

    def cancel(self) -> None:
        """Nobody waits for it any more. Callable from any thread, and again, also when it has ended."""
        ...


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
        answers: list[_Answer] = []
        try:
            for request in requests:
                answers.append(_Answer(request, self._parser))
                answers[-1].begin(self.start)
            return [answer.result() for answer in answers]
        finally:
            for answer in answers:
                answer.cancel()

    async def agenerate(self, requests: Sequence[Request]) -> list[Result]:
        answers: list[_Answer] = []
        results: list[Result] = []
        loop = asyncio.get_running_loop()
        try:
            for request in requests:
                answers.append(_Answer(request, self._parser))
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
        handle = _Starting()
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
        handle = _Starting()
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
        events = _Events(self._parser(request, 0))

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
        return CallParser(form, salt, anywhere=request.grammar is None)


class _Starting:
    """A request that another thread may be starting yet: cancelled before it runs, it ends once it does."""

    def __init__(self) -> None:
        self._started: Handle | None = None
        self._cancelled = False
        self._lock = threading.Lock()

    def begin(self, start: Callable[[], Handle]) -> None:
        started = start()
        with self._lock:
            self._started, cancelled = started, self._cancelled
        if cancelled:
            started.cancel()

    def cancel(self) -> None:
        with self._lock:
            self._cancelled, started = True, self._started
        if started is not None:
            started.cancel()


class _Events:
    """What is told of one sample, with the calls in its text parsed. Only an error may follow the end."""

    def __init__(self, parser: CallParser | None) -> None:
        self._parser = parser
        self._ended = False

    def of(self, event: Event | BaseException) -> list[Event | BaseException]:
        if isinstance(event, BaseException):  # of any sample of the request
            return [event]
        if self._ended:
            return []
        self._ended = isinstance(event, Finish)
        try:
            return [*self._of(event)]
        except Exception as error:  # whoever waits must hear of it: engines take no exceptions of listeners
            self._ended = True
            return [error]

    def _of(self, event: Event) -> Sequence[Event]:
        parser = self._parser
        if parser is None:
            return [event]
        if isinstance(event, TextDelta):
            return self._parsed(event)
        if isinstance(event, ToolCallDelta):  # an engine that parses calls itself
            self._parser = None
            return [*parser.finish(), event]
        reason = event.reason
        rest = parser.finish()
        if reason == "stop" and parser.completed:
            reason = "tool_calls"
        return [*rest, replace(event, reason=reason)]

    def _parsed(self, delta: TextDelta) -> list[Event]:
        """Log probabilities come with text, be it none."""
        assert self._parser is not None
        events: list[Event] = [*self._parser.push(delta.text)]
        if delta.logprobs:
            first = events[0] if events else None
            text = first.text if isinstance(first, TextDelta) else ""
            events[: 1 if text else 0] = [TextDelta(text, delta.logprobs)]
        return events


class _Sampled:
    """One sample as it comes in."""

    def __init__(self, parser: CallParser | None) -> None:
        self.events = _Events(parser)
        self.text: list[str] = []
        self.logprobs: list[TokenLogprob] = []
        self.calls: list[ToolCallDelta] = []
        self.finish: Finish | None = None

    def take(self, event: Event) -> None:
        if isinstance(event, TextDelta):
            self.text.append(event.text)
            self.logprobs.extend(event.logprobs)
        elif isinstance(event, ToolCallDelta):
            self.calls.append(event)
        else:
            self.finish = event

    def sample(self) -> Sample:
        assert self.finish is not None
        calls, broken = collect_calls(self.calls)
        return Sample(
            "".join(self.text),
            self.finish.reason,
            tuple(self.logprobs),
            self.finish.tokens,
            tool_calls=calls,
            broken_calls=broken,
        )


class _Answer:
    """All samples of one request as they come in."""

    def __init__(self, request: Request, parser: Callable[[Request, int], CallParser | None]) -> None:
        self._request = request
        self._samples = [_Sampled(parser(request, number)) for number in range(request.n)]
        self._left = request.n
        self._error: BaseException | None = None
        self._handle = _Starting()
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._callbacks: list[Callable[[], None]] = []

    def begin(self, start: Callable[[Request, Listener], Handle]) -> None:
        self._handle.begin(partial(start, self._request, self.listen))

    def listen(self, number: int, event: Event | BaseException) -> None:
        callbacks: list[Callable[[], None]] = []
        with self._lock:
            if self._done.is_set():
                return
            sample = self._samples[number]
            for one in sample.events.of(event):
                if isinstance(one, BaseException):
                    self._error, self._left = one, 0
                    break
                sample.take(one)
                self._left -= isinstance(one, Finish)
            if self._left == 0:
                self._done.set()
                callbacks, self._callbacks = self._callbacks, []
            failed = self._error is not None
        for callback in callbacks:
            callback()
        if failed:
            self.cancel()  # its other samples

    def when_done(self, callback: Callable[[], None]) -> None:
        with self._lock:
            if not self._done.is_set():
                self._callbacks.append(callback)
                return
        callback()

    def cancel(self) -> None:
        self._handle.cancel()

    def result(self) -> Result:
        self._done.wait()
        if self._error is not None:
            raise self._error
        samples = [sampled.sample() for sampled in self._samples]
        finishes = [sampled.finish for sampled in self._samples if sampled.finish is not None]
        usage = replace(
            finishes[0].usage, completion_tokens=sum(finish.usage.completion_tokens for finish in finishes)
        )
        best = 0
        if (critic := self._request.critic) is not None:
            scores = critic.scores(self._request.messages, [sample.text for sample in samples])
            samples = [replace(sample, score=score) for sample, score in zip(samples, scores, strict=True)]
            best = max(range(len(scores)), key=scores.__getitem__)
        return Result(tuple(samples), usage, best)


def engine_closed() -> EngineError:
    return EngineError("the engine is closed", remedy="Open it again with open_engine")


def _call_soon(loop: asyncio.AbstractEventLoop, function: Callable[..., object], *arguments: Any) -> None:
    with suppress(RuntimeError):  # the loop is closed: nobody listens any more
        loop.call_soon_threadsafe(function, *arguments)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
