"""An engine that answers from a script, for tests of faults and plumbing only: no model is behind it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Any, TypeAlias

import PIL.Image

from internvl_llm.engine import Capabilities
from internvl_llm.engines.answers import Listener
from internvl_llm.engines.base import BaseEngine, engine_closed
from internvl_llm.errors import ContextError
from internvl_llm.events import Event, Finish, TextDelta, TokenLogprob, ToolCallDelta, Usage
from internvl_llm.media.load import load
from internvl_llm.messages import media
from internvl_llm.request import Request

Answer: TypeAlias = str | Exception | Sequence[Event | Exception]
Script: TypeAlias = Callable[[Request], Answer]

TOKEN = 4
"""Characters."""
USAGE = Usage(prompt_tokens=20, completion_tokens=5, image_tokens=8, cached_tokens=3)
"""Of `says`."""


def says(text: str, *calls: tuple[str, dict[str, Any]], usage: Usage = USAGE) -> list[Event]:
    """Text and parallel calls, in small pieces."""
    events: list[Event] = [TextDelta(piece) for piece in _pieces(text, TOKEN)]
    for index, (name, arguments) in enumerate(calls):
        events.append(ToolCallDelta(index, f"call-{name}-{index}", name))
        events += [ToolCallDelta(index, arguments=piece) for piece in _pieces(json.dumps(arguments), 5)]
    return [*events, Finish("tool_calls" if calls else "stop", usage)]


def shown(request: Request) -> PIL.Image.Image:
    """The one image of a request."""
    (loaded,) = load(request.messages, request.media).images
    return loaded.draw()


class ScriptedEngine(BaseEngine):
    """`script` is asked for each sample, or is what it would say: one answer to all, or a list in turn.

    A string is answered as a model would: a token is four characters, so `max_tokens`, the context, stop
    strings and log probabilities hold. Events are told as they are. An exception ends the request; one that
    `script` raises is raised by `start`. `seconds` pass before each event; without them `start` tells all.
    """

    capabilities = Capabilities("scripted-1B", 32_768, dialect="hermes")
    fingerprint = ""

    def __init__(
        self, script: str | Script | Sequence[Answer], *, seconds: float = 0.0, context: int = 32_768
    ) -> None:
        self.script = script if callable(script) else _told(script)
        self.seconds = seconds
        self.fingerprint = super().fingerprint
        self.capabilities = replace(self.capabilities, context_tokens=context)
        self.requests: list[Request] = []
        self.running = self.most = self.cancelled = 0
        """Requests: now, at once, and those nobody waited for any more."""
        self.said = 0
        """Characters."""
        self.lock = threading.Lock()
        self._open: list[_Running] = []

    def start(self, request: Request, listener: Listener) -> _Running:
        running = _Running(self, listener)
        with self.lock:
            if self.closed:
                raise engine_closed()
            self.requests.append(request)
            self._open.append(running)
            self.running += 1
            self.most = max(self.most, self.running)
        try:
            answers = [self._events(self.script(request), request) for _ in range(request.n)]
        except BaseException:
            running.end()
            raise
        if self.seconds:
            threading.Thread(target=running.tell, args=(answers,), name="scripted", daemon=True).start()
        else:
            running.tell(answers)
        return running

    def count_tokens(self, request: Request) -> Usage:
        """A word is a token, a message three more, a tool ten, an image 256."""
        words = sum(3 + len(message.text.split()) for message in request.messages)
        words += len((request.system or "").split()) + 10 * len(request.tools)
        images = 256 * len(list(media(request.messages)))
        return Usage(words + images, 0, images)

    def close(self) -> None:
        with self.lock:
            self.closed = True
            running = list(self._open)
        for one in running:
            one.fail(engine_closed())

    def ended(self, running: _Running, *, cancelled: bool) -> bool:
        """Whether it was running until now."""
        with self.lock:
            if running not in self._open:
                return False
            self._open.remove(running)
            self.running -= 1
            self.cancelled += cancelled
            return True

    def _events(self, answer: Answer, request: Request) -> Sequence[Event | Exception]:
        if isinstance(answer, Exception):
            return [answer]
        if not isinstance(answer, str):
            assert isinstance(answer[-1], Finish | Exception), "nobody would ever know that it has ended"
            return answer
        sampling, prompt = request.sampling, self.count_tokens(request)
        most = min(sampling.max_tokens, self.capabilities.context_tokens - prompt.prompt_tokens)
        if most < 1:
            raise ContextError(f"the prompt has {prompt.prompt_tokens:,} tokens", remedy="Show less")
        stops = [at for stop in sampling.stop if (at := answer.find(stop)) >= 0]
        pieces = _pieces(answer[: min(stops, default=len(answer))], TOKEN)
        deltas = [TextDelta(piece, _logprobs(piece, sampling.logprobs)) for piece in pieces[:most]]
        reason = "stop" if len(pieces) <= most else "length"
        return [*deltas, Finish(reason, replace(prompt, completion_tokens=len(deltas)))]


class _Running:
    """A request on its way: the samples' events in turn, as long as somebody waits."""

    def __init__(self, engine: ScriptedEngine, listener: Listener) -> None:
        self._engine = engine
        self._listener = listener
        self._over = threading.Event()
        self._telling = threading.RLock()

    def tell(self, answers: Sequence[Sequence[Event | Exception]]) -> None:
        turns = [
            (sample, event)
            for events in zip_longest(*answers)
            for sample, event in enumerate(events)
            if event is not None
        ]
        for at, (sample, event) in enumerate(turns, 1):
            if self._engine.seconds:
                self._over.wait(self._engine.seconds)
            with self._telling:
                if self._over.is_set():
                    return
                if at == len(turns) or isinstance(event, Exception):
                    self.end()  # first, as whoever is told may look
                self._listener(sample, event)
            if isinstance(event, TextDelta):
                self._engine.said += len(event.text)

    def fail(self, error: Exception) -> None:
        with self._telling:
            if self.end():
                self._listener(0, error)

    def cancel(self) -> None:
        self.end(cancelled=True)

    def end(self, *, cancelled: bool = False) -> bool:
        self._over.set()
        return self._engine.ended(self, cancelled=cancelled)


def _told(answers: str | Sequence[Answer]) -> Script:
    if isinstance(answers, str):
        return lambda request: answers
    left = iter(answers)

    def script(request: Request) -> Answer:
        for answer in left:
            return answer
        raise AssertionError("the script has no more answers")

    return script


def _pieces(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def _logprobs(token: str, alternatives: int | None) -> tuple[TokenLogprob, ...]:
    if alternatives is None:
        return ()
    return (TokenLogprob(token, -0.5, tuple((token + "'" * n, -0.5 - n) for n in range(alternatives))),)
