"""An engine that says what a script tells it: events, one list an answer. No model behind it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any

from internvl_llm.engine import Capabilities
from internvl_llm.events import Event, Finish, Result, Sample, TextDelta, ToolCallDelta, Usage
from internvl_llm.messages import ToolCall
from internvl_llm.request import Request

USAGE = Usage(prompt_tokens=20, completion_tokens=5, image_tokens=8, cached_tokens=3)
Script = Callable[[Request], list[Event]]


def says(text: str, *calls: tuple[str, dict[str, Any]], usage: Usage = USAGE) -> list[Event]:
    """Text and parallel calls, in small pieces."""
    events: list[Event] = [TextDelta(text[at : at + 4]) for at in range(0, len(text), 4)]
    for index, (name, arguments) in enumerate(calls):
        told = json.dumps(arguments)
        events.append(ToolCallDelta(index, f"call-{name}-{index}", name))
        events += [ToolCallDelta(index, arguments=told[at : at + 5]) for at in range(0, len(told), 5)]
    return [*events, Finish("tool_calls" if calls else "stop", usage)]


class ScriptedEngine:
    """`script` is asked for the events of every answer, or a list of answers is said one after the other."""

    def __init__(self, script: Script | Sequence[list[Event]], *, seconds: float = 0.0) -> None:
        answers = iter(()) if callable(script) else iter(script)
        self.script: Script = script if callable(script) else lambda request: next(answers)
        self.seconds = seconds
        self.fingerprint = "scripted"
        self.capabilities = Capabilities("scripted-1B", 32_768, dialect="hermes")
        self.requests: list[Request] = []
        self.running = 0
        self._lock = threading.Lock()

    def generate(self, requests: Sequence[Request]) -> list[Result]:
        return [self._result(list(self.stream(request)), request.n) for request in requests]

    async def agenerate(self, requests: Sequence[Request]) -> list[Result]:
        return [
            self._result([event async for event in self.astream(request)], request.n) for request in requests
        ]

    def stream(self, request: Request) -> Generator[Event, None, None]:
        with self._place(request) as events:
            yield from events

    async def astream(self, request: Request) -> AsyncGenerator[Event, None]:
        with self._place(request) as events:
            for event in events:
                await asyncio.sleep(self.seconds)
                yield event

    def count_tokens(self, request: Request) -> Usage:
        """A word is a token, a message three more."""
        said = sum(3 + len(message.text.split()) for message in request.messages)
        return Usage(said + len((request.system or "").split()) + 10 * len(request.tools))

    def close(self) -> None:
        pass

    @contextmanager
    def _place(self, request: Request) -> Generator[list[Event], None, None]:
        with self._lock:
            self.requests.append(request)
            self.running += 1
        try:
            yield self.script(request)
        finally:
            with self._lock:
                self.running -= 1

    def _result(self, events: list[Event], n: int) -> Result:
        calls: dict[int, list[str]] = {}
        for event in events:
            if isinstance(event, ToolCallDelta):
                held = calls.setdefault(event.index, ["", "", ""])
                for at, piece in enumerate((event.id, event.name, event.arguments)):
                    held[at] += piece
        made: list[ToolCall] = []
        broken: list[ToolCallDelta] = []
        for index, (identity, name, arguments) in calls.items():
            try:
                made.append(ToolCall(identity, name, json.loads(arguments or "{}")))
            except ValueError:
                broken.append(ToolCallDelta(index, identity, name, arguments))
        text = "".join(event.text for event in events if isinstance(event, TextDelta))
        logprobs = tuple(told for event in events if isinstance(event, TextDelta) for told in event.logprobs)
        last = events[-1]
        assert isinstance(last, Finish)
        sample = Sample(text, last.reason, logprobs, tool_calls=tuple(made), broken_calls=tuple(broken))
        return Result((sample,) * n, last.usage)
