"""Page images to text by an InternVL engine: asked, watched while it answers, and asked again."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from internvl_llm.best_of import Consensus
from internvl_llm.engine import Engine
from internvl_llm.errors import AnswerLostError, EngineError, InternVLError
from internvl_llm.events import Finish, Result, TextDelta, Usage
from internvl_llm.media.limits import MediaOptions
from internvl_llm.messages import Image, Message
from internvl_llm.request import Request
from internvl_loaders import prompts
from internvl_loaders.transcribe.answer.blocks import blocks
from internvl_loaders.transcribe.model import bands
from internvl_loaders.transcribe.model.guard import Degeneration, Guard
from internvl_loaders.transcribe.model.ladder import (
    Answer,
    Attempt,
    Budget,
    Part,
    Problem,
    Transcript,
    next_attempt,
    transcript,
)

if TYPE_CHECKING:
    import PIL.Image

    from internvl_loaders.options import ParseOptions
    from internvl_loaders.transcribe.model.choice import Choice

log = logging.getLogger("internvl_loaders")

_LOST = 8
"""Times that an answer may be lost on its way, and is asked for again."""


_TILES_IF_HARD = 2 / 3
"""Share of `max_tiles` that a page which is hard to read gets at least."""


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

    async def transcribe(
        self, image: PIL.Image.Image, *, witness: int | None = None, hard: bool = False
    ) -> Transcript:
        """`witness` is how many letters and digits another reading of the page has, if there is one. What is
        `hard` to read, by hand or blurred, is shown in more tiles than its shape alone would give it.

        Raises InternVLError if the engine fails at the first attempt; later ones may fail.
        """
        engine = await self.engine()
        history: list[Answer] = []
        min_tiles = max(1, int(self.options.max_tiles * _TILES_IF_HARD)) if hard else 1
        while (attempt := self._next(engine, history, min_tiles)) is not None:
            started = time.monotonic()
            try:
                answer = await self._attempt(engine, image, attempt, witness, self._left(history))
            except InternVLError as error:
                if not history:
                    raise
                answer = Answer(attempt, problem="failed", detail=error.message)
            history.append(replace(answer, seconds=time.monotonic() - started))
        return transcript(history)

    def _next(self, engine: Engine, history: list[Answer], min_tiles: int) -> Attempt | None:
        return next_attempt(
            history,
            budget=self.budget,
            context_tokens=engine.capabilities.context_tokens,
            samples=self.options.best_of,
            min_tiles=min_tiles,
        )

    @cached_property
    def budget(self) -> Budget:
        options = self.options
        return Budget(
            max_tokens=options.max_tokens,
            max_tiles=options.max_tiles,
            attempts=options.max_attempts,
            tokens=options.max_page_tokens,
            seconds=options.max_page_seconds,
        )

    def _left(self, history: list[Answer]) -> float | None:
        """Seconds."""
        if self.budget.seconds is None:
            return None
        return max(0.0, self.budget.seconds - sum(answer.seconds for answer in history))

    async def _attempt(
        self,
        engine: Engine,
        image: PIL.Image.Image,
        attempt: Attempt,
        witness: int | None,
        seconds: float | None,
    ) -> Answer:
        """About the page, or its bands, all at once. What is asked for when the time is up is `late`."""
        if not attempt.of_bands:
            return await self._in_time(engine, image, attempt, witness, seconds)
        crops = await asyncio.to_thread(bands.crops, image, attempt.bands)
        tasks = [
            asyncio.create_task(self._in_time(engine, crop.image, attempt, None, seconds)) for crop in crops
        ]
        try:
            answers = await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
        return _of_bands(attempt, [crop.overlap for crop in crops], answers)

    async def _in_time(
        self,
        engine: Engine,
        image: PIL.Image.Image,
        attempt: Attempt,
        witness: int | None,
        seconds: float | None,
    ) -> Answer:
        guard = Guard(witness)
        try:
            async with asyncio.timeout(seconds) as limit:
                return await self._ask(engine, image, attempt, guard)
        except TimeoutError:
            if not limit.expired():
                raise
            return Answer(attempt, guard.text, "late", tokens=guard.tokens)

    async def _ask(self, engine: Engine, image: PIL.Image.Image, attempt: Attempt, guard: Guard) -> Answer:
        """What was lost on its way is asked for again: it says nothing of the page."""
        for _ in range(_LOST):
            try:
                return await self._answer(engine, image, attempt, guard)
            except AnswerLostError as error:
                log.debug("asked again: %s", error)
                guard.reset()
        return await self._answer(engine, image, attempt, guard)

    async def _answer(self, engine: Engine, image: PIL.Image.Image, attempt: Attempt, guard: Guard) -> Answer:
        """A stream is ended as soon as it is seen to degenerate."""
        request = Request(
            Message.user(Image(image), prompts.text_of(self.options.prompt)),
            attempt.sampling,
            n=attempt.samples,
            critic=Consensus() if attempt.samples > 1 else None,
            min_tiles=attempt.min_tiles,
            max_tiles=attempt.max_tiles,
            page=True,
            media=MediaOptions(limits=self.options.limits),
        )
        if attempt.samples > 1:
            (result,) = await engine.agenerate([request])
            found = guard.add(result.text) or guard.close(stopped=_early(attempt, result))
            return _judge(attempt, guard, found, result.finish_reason, result.usage)
        async with aclosing(engine.astream(request)) as events:
            async for event in events:
                if isinstance(event, Finish):
                    found = guard.close(stopped=_early(attempt, event))
                    return _judge(attempt, guard, found, event.reason, event.usage)
                if isinstance(event, TextDelta) and (wrong := guard.add(event.text)):
                    return _degenerate(attempt, guard, wrong)
        raise EngineError("the engine ended its answer without a reason")


def _early(attempt: Attempt, end: Finish | Result) -> bool:
    """Whether an answer was cut off before it had its tokens: where its context ends, or by an engine that
    saw it repeat itself (`repeat_limit`)."""
    reason = end.reason if isinstance(end, Finish) else end.finish_reason
    return reason == "length" and end.usage.completion_tokens < attempt.sampling.max_tokens


def _judge(attempt: Attempt, guard: Guard, found: Degeneration | None, reason: str, usage: Usage) -> Answer:
    if reason == "cancelled":
        raise EngineError("the engine gave the request up")
    if found is not None:
        return _degenerate(attempt, guard, found, usage)
    tokens = usage.completion_tokens
    problem: Problem | None = None
    if reason == "length":
        problem = "cut"
    elif not any(block.text.strip() for block in blocks(guard.text)):
        problem = "empty"
    return Answer(attempt, guard.text, problem, usage=usage, tokens=tokens)


def _degenerate(attempt: Attempt, guard: Guard, found: Degeneration, usage: Usage | None = None) -> Answer:
    tokens = guard.tokens if usage is None else usage.completion_tokens
    return Answer(attempt, guard.text[: found.start], "repeats", found.what, usage, tokens)


def _of_bands(attempt: Attempt, overlaps: Sequence[float], answers: Sequence[Answer]) -> Answer:
    """A band of a page may well be blank, but not all of them."""
    if not all(answer.problem == "empty" for answer in answers):
        answers = [
            replace(answer, problem=None, text="") if answer.problem == "empty" else answer
            for answer in answers
        ]
    parts = tuple(map(Part, attempt.bands, overlaps, answers))
    problem = next((answer.problem for answer in answers if answer.problem is not None), None)
    return Answer(attempt, problem=problem, tokens=sum(answer.tokens for answer in answers), parts=parts)
