"""What comes of a request, from an engine's events to whole answers. Engines tell from their own threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol, TypeAlias

from internvl_llm.errors import AnswerTimeoutError
from internvl_llm.events import Event, Finish, Result, Sample, TextDelta, TokenLogprob, ToolCallDelta
from internvl_llm.prompt.call_parser import CallParser
from internvl_llm.prompt.calls import collect_calls
from internvl_llm.request import Request


class Again:
    """A sample begins anew: what was told of it is void."""


AGAIN = Again()

Listener: TypeAlias = Callable[[int, Event | Again | BaseException], None]
"""Takes what comes of a request: the number of the sample (from 0) and its next event. Each sample ends with
a Finish; an exception, whatever its number, ends the request. Never raises; may be called by any thread."""


class Deadline:
    """Of one request, from now on."""

    def __init__(self, request: Request) -> None:
        self._seconds = request.timeout
        self._until = None if request.timeout is None else time.monotonic() + request.timeout

    def left(self) -> float | None:
        """Seconds; None is without end."""
        return None if self._until is None else max(0.0, self._until - time.monotonic())

    def passed(self) -> AnswerTimeoutError:
        return AnswerTimeoutError(
            f"the answer was not complete within timeout = {self._seconds:g} s",
            remedy="Raise timeout, or ask for less: max_tokens, fewer pages",
        )


class Handle(Protocol):
    """A request that was started."""

    def cancel(self) -> None:
        """Nobody waits for it any more. Callable from any thread, and again, also when it has ended."""
        ...


class Starting:
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


class SampleEvents:
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
        self.events = SampleEvents(parser)
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


class Answer:
    """All samples of one request as they come in."""

    def __init__(self, request: Request, parser: Callable[[Request, int], CallParser | None]) -> None:
        self._request = request
        self._parser = parser
        self._samples = [_Sampled(parser(request, number)) for number in range(request.n)]
        self._left = request.n
        self._error: BaseException | None = None
        self._handle = Starting()
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._callbacks: list[Callable[[], None]] = []
        self.deadline = Deadline(request)

    def begin(self, start: Callable[[Request, Listener], Handle]) -> None:
        self._handle.begin(partial(start, self._request, self.listen))

    def listen(self, number: int, event: Event | Again | BaseException) -> None:
        callbacks: list[Callable[[], None]] = []
        with self._lock:
            if self._done.is_set():
                return
            if isinstance(event, Again):
                self._left += self._samples[number].finish is not None
                self._samples[number] = _Sampled(self._parser(self._request, number))
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

    def check(self) -> None:
        """Raises what ended it."""
        if self._error is not None:
            raise self._error

    def result(self) -> Result:
        """Once it is done. A critic may take its time."""
        self.check()
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
