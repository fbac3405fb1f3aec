"""Page images to text by an InternVL engine: asked, watched for repetition, and asked again."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from internvl_llm.best_of import Consensus
from internvl_llm.engine import Engine
from internvl_llm.errors import EngineError, InternVLError
from internvl_llm.events import Finish, TextDelta, Usage
from internvl_llm.media.limits import MediaOptions
from internvl_llm.messages import Image, Message
from internvl_llm.request import Request, Sampling
from internvl_loaders.transcribe.answer.blocks import blocks
from internvl_loaders.transcribe.model import repetition
from internvl_loaders.transcribe.model.prompt import PROMPT, VERSION

if TYPE_CHECKING:
    import PIL.Image

    from internvl_loaders.options import ParseOptions
    from internvl_loaders.transcribe.model.choice import Choice

log = logging.getLogger("internvl_loaders")

Problem = Literal["repeats", "empty", "cut"]

GREEDY = Sampling()
VARIED = Sampling(temperature=0.4, top_p=0.95, repetition_penalty=1.05, seed=1)
"""Of a second try: near the first one, but off the track that led into a repetition."""
SAMPLED = Sampling(temperature=0.6, top_p=0.95, seed=1)
"""Of several answers to choose from."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`text` is without the repetition, where it `repeats`; `cut` is at `limit` tokens."""

    text: str
    limit: int
    problem: Problem | None = None
    repeated: str = ""
    usage: Usage | None = None

    @property
    def trouble(self) -> str:
        match self.problem:
            case "repeats":
                return f"the model repeated itself ({' '.join(self.repeated.split())[:40]!r} without end)"
            case "empty":
                return "the model said nothing of a page that is not blank"
            case "cut" if self.usage is not None and self.usage.completion_tokens < self.limit:
                return "the model's answer was cut off where its context ends"
            case "cut":
                return f"the model's answer was cut off at max_tokens = {self.limit:,}"
            case None:
                return ""


@dataclass(frozen=True, slots=True)
class Transcript:
    """What came of a page: the `whole` of it, a `part` (the answer was cut off), or `none` (it went wrong,
    and `text` is how it began). `reasons` tell why there was a second try, and what the result lacks."""

    text: str
    attempts: int
    outcome: Literal["whole", "part", "none"]
    reasons: tuple[str, ...] = ()


class Transcriber:
    """Asks one engine, opened when the first page needs it. Its coroutines belong to one event loop."""

    def __init__(self, choice: Choice, options: ParseOptions) -> None:
        self.choice = choice
        self.options = options
        self.failure: InternVLError | None = None
        """Why the engine could not be opened."""
        self._engine: Engine | None = None
        self._opening = asyncio.Lock()

    def settings(self) -> dict[str, Any]:
        """What a transcription depends on, besides the image."""
        spec = self.choice.spec
        names = ("max_tokens", "max_tiles", "best_of")
        return {name: getattr(self.options, name) for name in names} | {
            "prompt": VERSION,
            "sampling": repr((GREEDY, VARIED, SAMPLED)),
            "engine": spec.engine if spec is not None else type(self.choice.engine).__name__,
            "model": spec.model if spec is not None else self.choice.name,
            "base_url": spec.base_url if spec is not None else None,
            "files": _files(Path(spec.model)) if spec is not None else None,
        }

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
                if self.failure is not None and not self.choice.asked:
                    log.warning("internvl cannot be used, rapidocr reads instead: %s", self.failure)
        if self._engine is None:
            assert self.failure is not None
            raise self.failure
        return self._engine

    async def transcribe(self, image: PIL.Image.Image) -> Transcript:
        """One try, and a second where the first went wrong. Raises InternVLError if the engine does."""
        engine = await self.engine()
        first = await self._ask(engine, image, GREEDY, self.options.max_tokens)
        if first.problem is None:
            return Transcript(first.text, 1, "whole")
        cut = first.problem == "cut"
        limit = self._more(engine, first) if cut else self.options.max_tokens
        if cut and limit <= first.limit:
            return Transcript(first.text, 1, "part", (_lost(first),))
        try:
            second = await self._ask(engine, image, GREEDY if cut else VARIED, limit)
        except InternVLError as error:
            known = _lost(first) if cut else first.trouble
            return Transcript(
                first.text, 2, "part" if cut else "none", (known, f"asked again: {error.message}")
            )
        if second.problem is None:
            return Transcript(second.text, 2, "whole", (first.trouble,))
        told = _lost(second) if second.problem == "cut" else second.trouble
        reasons = (f"twice {told}",) if second.problem == first.problem else (first.trouble, told)
        return Transcript(second.text, 2, "part" if second.problem == "cut" else "none", reasons)

    def _more(self, engine: Engine, answer: Answer) -> int:
        """Twice the tokens, as far as the model's context goes."""
        prompt = answer.usage.prompt_tokens if answer.usage is not None else 0
        return min(2 * answer.limit, engine.capabilities.context_tokens - prompt)

    async def _ask(self, engine: Engine, image: PIL.Image.Image, sampling: Sampling, limit: int) -> Answer:
        best_of = self.options.best_of
        if best_of > 1:
            sampling = SAMPLED if sampling is GREEDY else replace(SAMPLED, seed=2)
        request = Request(
            Message.user(Image(image), PROMPT),
            replace(sampling, max_tokens=limit),
            n=best_of,
            critic=Consensus() if best_of > 1 else None,
            max_tiles=self.options.max_tiles,
            page=True,
            media=MediaOptions(limits=self.options.limits),
        )
        if best_of > 1:
            (result,) = await engine.agenerate([request])
            found = repetition.anywhere(result.text)
            return _judged(result.text, found, result.finish_reason, limit, result.usage)
        text, looked = "", 0
        async with aclosing(engine.astream(request)) as events:
            async for event in events:
                if isinstance(event, Finish):
                    return _judged(text, repetition.at_end(text), event.reason, limit, event.usage)
                if isinstance(event, TextDelta):
                    text += event.text
                if len(text) - looked >= repetition.STEP:
                    looked = len(text)
                    if found := repetition.at_end(text):
                        return _repeating(text, found, limit)
        raise EngineError("the engine ended its answer without a reason")


def _judged(text: str, found: repetition.Repetition | None, reason: str, limit: int, usage: Usage) -> Answer:
    if reason == "cancelled":
        raise EngineError("the engine gave the request up")
    if found is not None:
        return _repeating(text, found, limit)
    if reason == "length":
        return Answer(text, limit, "cut", usage=usage)
    said = any(block.text.strip() for block in blocks(text))
    return Answer(text, limit, None if said else "empty", usage=usage)


def _repeating(text: str, found: repetition.Repetition, limit: int) -> Answer:
    return Answer(text[: found.start + len(found.unit)], limit, "repeats", repeated=found.unit)


def _lost(answer: Answer) -> str:
    return f"{answer.trouble}; what follows is missing"


def _files(folder: Path) -> str | None:
    """Of a local model: a digest of its files' names, sizes and times."""
    if not folder.is_dir():
        return None
    held = sorted((f.name, (s := f.stat()).st_size, s.st_mtime_ns) for f in folder.iterdir() if f.is_file())
    return hashlib.sha256(repr(held).encode()).hexdigest()[:16]
