"""Page images to text by an InternVL engine: asked, watched for repetition, and asked again."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from internvl_llm.best_of import Consensus
from internvl_llm.engine import Engine
from internvl_llm.errors import AnswerLostError, EngineError, InternVLError
from internvl_llm.events import Finish, TextDelta, Usage
from internvl_llm.media.limits import MediaOptions
from internvl_llm.messages import Image, Message
from internvl_llm.request import Request
from internvl_loaders.transcribe.answer.blocks import blocks
from internvl_loaders.transcribe.model import repetition
from internvl_loaders.transcribe.model.ladder import Answer, Attempt, Transcript, next_attempt, transcript
from internvl_loaders.transcribe.model.prompt import PROMPT

if TYPE_CHECKING:
    import PIL.Image

    from internvl_loaders.options import ParseOptions
    from internvl_loaders.transcribe.model.choice import Choice

log = logging.getLogger("internvl_loaders")

_LOST = 8
"""Times that an answer may be lost on its way, and is asked for again."""


class Transcriber:
    """Asks one engine, opened when the first page needs it. Its coroutines belong to one event loop."""

    def __init__(self, choice: Choice, options: ParseOptions) -> None:
        self.choice = choice
        self.options = options
        self.failure: InternVLError | None = None
        """Why the engine could not be opened."""
        self._engine: Engine | None = None
        self._opening = asyncio.Lock()

    @property
    def fingerprint(self) -> str | None:
        """Of the engine, or of the one there will be; None while that cannot be known."""
        return self._expected if self._engine is None else self._engine.fingerprint

    @cached_property
    def _expected(self) -> str | None:
        return self.choice.fingerprint()

    async def engine(self) -> Engine:
        """Raises what opening it raised, for every page."""
        async with self._opening:
            if self._engine is None and self.failure is None:
                try:
                    self._engine = await asyncio.to_thread(self.choice.open)
                except InternVLError as error:
                    self.failure = error
                except Exception as error:  # of whatever library the engine stands on
                    self.failure = EngineError(
                        f"{self.choice.name} cannot be opened ({type(error).__name__}: {error})"
                    )
                if self.failure is not None and not self.choice.named:
                    log.warning("internvl cannot be used, rapidocr reads instead: %s", self.failure)
        if self._engine is None:
            assert self.failure is not None
            raise self.failure
        return self._engine

    async def transcribe(self, image: PIL.Image.Image) -> Transcript:
        """Raises InternVLError if the engine fails at the first attempt; later ones may fail."""
        engine = await self.engine()
        history: list[Answer] = []
        while (attempt := self._next(engine, history)) is not None:
            try:
                history.append(await self._ask(engine, image, attempt))
            except InternVLError as error:
                if not history:
                    raise
                history.append(Answer(attempt, problem="failed", detail=error.message))
        return transcript(history)

    def _next(self, engine: Engine, history: list[Answer]) -> Attempt | None:
        attempt = next_attempt(
            history,
            max_tokens=self.options.max_tokens,
            context_tokens=engine.capabilities.context_tokens,
            samples=self.options.best_of,
        )
        if attempt is None or engine.capabilities.repetition_penalty:
            return attempt
        return replace(attempt, sampling=replace(attempt.sampling, repetition_penalty=1.0))

    async def _ask(self, engine: Engine, image: PIL.Image.Image, attempt: Attempt) -> Answer:
        """What was lost on its way is asked for again: it says nothing of the page."""
        for _ in range(_LOST):
            try:
                return await self._answer(engine, image, attempt)
            except AnswerLostError as error:
                log.debug("asked again: %s", error)
        return await self._answer(engine, image, attempt)

    async def _answer(self, engine: Engine, image: PIL.Image.Image, attempt: Attempt) -> Answer:
        """A stream is ended as soon as it repeats itself."""
        request = Request(
            Message.user(Image(image), PROMPT),
            attempt.sampling,
            n=attempt.samples,
            critic=Consensus() if attempt.samples > 1 else None,
            max_tiles=self.options.max_tiles,
            page=True,
            media=MediaOptions(limits=self.options.limits),
        )
        if attempt.samples > 1:
            (result,) = await engine.agenerate([request])
            loop = repetition.anywhere(result.text)
            return _judge(attempt, result.text, loop, result.finish_reason, result.usage)
        text, checked = "", 0
        async with aclosing(engine.astream(request)) as events:
            async for event in events:
                if isinstance(event, Finish):
                    return _judge(attempt, text, repetition.at_end(text), event.reason, event.usage)
                if isinstance(event, TextDelta):
                    text += event.text
                if len(text) - checked >= repetition.STEP:
                    checked = len(text)
                    if loop := repetition.at_end(text):
                        return _repeating(attempt, text, loop)
        raise EngineError("the engine ended its answer without a reason")


def _judge(
    attempt: Attempt, text: str, loop: repetition.Repetition | None, reason: str, usage: Usage
) -> Answer:
    if reason == "cancelled":
        raise EngineError("the engine gave the request up")
    if loop is not None:
        return _repeating(attempt, text, loop)
    if reason == "length":
        return Answer(attempt, text, "cut", usage=usage)
    says_something = any(block.text.strip() for block in blocks(text))
    return Answer(attempt, text, None if says_something else "empty", usage=usage)


def _repeating(attempt: Attempt, text: str, loop: repetition.Repetition) -> Answer:
    return Answer(attempt, text[: loop.start + len(loop.unit)], "repeats", detail=loop.unit)
