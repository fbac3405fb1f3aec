"""An engine that answers from a script: no model, but every promise of the protocol kept."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Sequence

import PIL.Image

from internvl_llm.engine import Capabilities
from internvl_llm.events import Event, Finish, FinishReason, Result, Sample, TextDelta, Usage
from internvl_llm.media.load import load
from internvl_llm.messages import Image, media
from internvl_llm.request import Request

Script = Callable[[PIL.Image.Image, Request], "str | Exception"]


class ScriptedEngine:
    """`script` sees the picture and the request, and says or raises the answer, `seconds` later.

    A token is four characters, so answers are cut off at the request's `max_tokens`.
    """

    def __init__(self, script: str | Script, *, seconds: float = 0.0, context: int = 32_768) -> None:
        self.script: Script = script if callable(script) else lambda image, request: script
        self.seconds = seconds
        self.fingerprint = "scripted"
        self.capabilities = Capabilities("scripted-1B", context)
        self.requests: list[Request] = []
        self.running = self.most = self.cancelled = 0
        self.said = 0
        """Characters given to whoever asked."""
        self._lock = threading.Lock()

    async def astream(self, request: Request) -> AsyncGenerator[Event, None]:
        with self._lock:
            self.requests.append(request)
            self.running += 1
            self.most = max(self.most, self.running)
        try:
            await asyncio.sleep(self.seconds)
            text, reason = self._answer(request)
            for start in range(0, len(text), 40):
                await asyncio.sleep(0)
                self.said += len(text[start : start + 40])
                yield TextDelta(text[start : start + 40])
            yield Finish(reason, Usage(100, len(text) // 4, 100))
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled += 1
            raise
        finally:
            with self._lock:
                self.running -= 1

    async def agenerate(self, requests: Sequence[Request]) -> list[Result]:
        self.requests += requests
        return [self._result(request) for request in requests]

    def generate(self, requests: Sequence[Request]) -> list[Result]:
        return [self._result(request) for request in requests]

    def stream(self, request: Request) -> Generator[Event, None, None]:
        text, reason = self._answer(request)
        yield TextDelta(text)
        yield Finish(reason, Usage())

    def count_tokens(self, request: Request) -> Usage:
        return Usage(100)

    def close(self) -> None:
        pass

    def _result(self, request: Request) -> Result:
        samples = tuple(Sample(*self._answer(request)) for _ in range(request.n))
        best = 0
        if request.critic is not None:
            scores = request.critic.scores(request.messages, [sample.text for sample in samples])
            best = max(range(len(scores)), key=scores.__getitem__)
        return Result(samples, Usage(100, 10, 100), best)

    def _answer(self, request: Request) -> tuple[str, FinishReason]:
        (shown,) = media(request.messages)
        assert isinstance(shown, Image)
        (loaded,) = load(request.messages).images
        said = self.script(loaded.image, request)
        if isinstance(said, Exception):
            raise said
        most = 4 * min(request.sampling.max_tokens, self.capabilities.context_tokens - 100)
        return (said, "stop") if len(said) <= most else (said[:most], "length")
