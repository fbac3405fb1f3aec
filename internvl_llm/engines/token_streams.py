"""Engines that another library runs in this process: it schedules and batches; token ids and tiled images go
in, tokens come out. What is asked and told is made of that here, once.

Requests are prepared in their callers' threads and followed on one event loop, which an engine names.
"""

from __future__ import annotations

import asyncio
import atexit
import threading
from abc import abstractmethod
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from internvl_llm.checkpoints import convert, family, files, hub
from internvl_llm.checkpoints.tokenizer import end_tokens, load_tokenizer
from internvl_llm.engine import PREFIX_BYTES, Capabilities, EngineSpec
from internvl_llm.engines.answers import Listener
from internvl_llm.engines.base import BaseEngine, close_at_exit, engine_closed
from internvl_llm.engines.detokenize import Detokenizer
from internvl_llm.engines.open import fingerprint
from internvl_llm.engines.prompting import Prompting, TokenizedPrompt, allowed_context
from internvl_llm.errors import EngineError, InternVLError, OptionError
from internvl_llm.events import Event, Finish, FinishReason, TextDelta, TokenLogprob, Usage
from internvl_llm.prompt.encoder import Encoder
from internvl_llm.request import Request


@dataclass(frozen=True, slots=True)
class Step:
    """What a sample went on by."""

    tokens: Sequence[int]
    logprobs: Sequence[Mapping[int, float]] = ()
    """Of each token, with its own among them; none where none were asked for."""
    ended: Literal["stop", "length"] | None = None
    """By the library; an end token or a stop string may have ended it before."""
    cached: int = 0
    """Tokens of the prompt that were not computed anew."""


Steps = AsyncGenerator[Step, None]
"""Of one sample. Closing it ends the sample in the library."""


@dataclass(frozen=True, slots=True)
class Described:
    """A checkpoint, as its files tell of it without its weights being loaded."""

    folder: Path
    format: files.Format
    member: family.Member | None
    config: Mapping[str, Any]
    """In the native format."""
    encoder: Encoder
    tokenizer: Any
    ends: frozenset[int]
    prompting: Prompting


def describe(spec: EngineSpec) -> Described:
    """Raises CheckpointError or OptionError."""
    folder, member = hub.locate(spec.model, spec.revision)
    found = files.check(folder)
    config = convert.native_settings(folder, found)
    tokenizer = load_tokenizer(folder)
    encoder = Encoder(tokenizer, int(config.get("image_seq_length") or 256))
    text = files.as_object(folder, config.get("text_config"), "text_config of config.json")
    context = text.get("max_position_embeddings") or (member.context if member else 32_768)
    name = member.name if member else folder.name
    dialect: Any = member.dialect if member else "hermes"
    prompting = Prompting(name, encoder, dialect, allowed_context(spec, name, int(context)))
    ends = end_tokens(folder, encoder.special)
    return Described(folder, found, member, config, encoder, tokenizer, ends, prompting)


def keeps_prefixes(spec: EngineSpec) -> bool:
    """Raises OptionError for a number of bytes: prefixes stay where the running sequences are."""
    if spec.prefix_bytes not in (0, PREFIX_BYTES):
        raise OptionError(
            f"{spec.engine} keeps prefixes in what running sequences leave, "
            f"not in {spec.prefix_bytes:,} bytes",
            remedy="Give prefix_bytes=0 for none, or leave it out",
        )
    return spec.prefix_bytes > 0


class TokenStreamEngine(BaseEngine):
    """See `Engine`. An engine of this kind implements `parameters`, `samples`, `explain` and `shut_down`, and
    calls `__init__` when what it runs is up."""

    def __init__(
        self,
        spec: EngineSpec,
        described: Described,
        loop: asyncio.AbstractEventLoop,
        details: Sequence[tuple[str, str]],
    ) -> None:
        self.spec = spec
        self.prompting = described.prompting
        self._described = described
        self._loop = loop
        self._fingerprint = fingerprint(spec)
        self._capabilities = Capabilities(
            model=self.prompting.model,
            context_tokens=self.prompting.context_tokens,
            dialect=self.prompting.dialect,
            details=tuple(details),
        )
        self._tasks: dict[asyncio.Task[None], _Sample] = {}
        """Those that are followed, on the loop alone."""
        self._closing = threading.Lock()
        self._shut = False
        self._death: InternVLError | None = None
        self._close_at_exit = close_at_exit(self)

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    @abstractmethod
    def parameters(self, request: Request) -> Any:
        """What `samples` needs of the request besides its prompt. Raises for what cannot be asked."""

    @abstractmethod
    def samples(
        self, request: Request, parameters: Any, prompt: TokenizedPrompt, max_tokens: int
    ) -> list[Steps]:
        """One a sample, none begun. Raises what makes them impossible."""

    @abstractmethod
    def explain(self, error: Exception) -> InternVLError:
        """An error of the library's, in our words."""

    @abstractmethod
    def shut_down(self) -> None:
        """End the library's engine; nothing runs there any more."""

    def start(self, request: Request, listener: Listener) -> _Started:
        """Grammars are refused before media are looked at, and prompts too long before they are drawn."""
        if self.closed:
            raise self._gone()
        parameters = self.parameters(request)
        prompt = self.prompting.tokenize(request)
        max_tokens = self.prompting.room(prompt, request.sampling.max_tokens)
        streams = self.samples(request, parameters, prompt, max_tokens)
        samples = [
            _Sample(self._described, request, prompt, max_tokens, partial(listener, number))
            for number in range(len(streams))
        ]
        started = _Started(self, tuple(samples))
        try:
            self._loop.call_soon_threadsafe(self._follow, samples, streams)
        except RuntimeError as error:  # the loop is gone
            raise self._gone() from error
        if self.closed:  # meanwhile, and the loop may not have come to it
            raise self._gone()
        return started

    def count_tokens(self, request: Request) -> Usage:
        prompt = self.prompting.tokenize(request)
        return Usage(len(prompt.ids), 0, prompt.image_tokens)

    def close(self) -> None:
        self.closed = True
        with self._closing:
            if self._shut:
                return
            self._shut = True
            atexit.unregister(self._close_at_exit)
            ended = asyncio.run_coroutine_threadsafe(self._end_all(), self._loop)
            ended.result()
            self.shut_down()

    def die(self, why: InternVLError) -> InternVLError:
        """The library's engine is no more: who opens it again gets another."""
        self._death = self._death or why
        if not self.closed:
            self.closed = True
            threading.Thread(target=self.close, name="internvl-closing").start()
        return self._death

    def _gone(self) -> InternVLError:
        return self._death or engine_closed()

    def cancel(self, samples: Sequence[_Sample]) -> None:
        with suppress(RuntimeError):  # the loop is gone, and with it what ran
            self._loop.call_soon_threadsafe(self._cancel, samples)

    # On the loop.

    def _follow(self, samples: Sequence[_Sample], streams: Sequence[Steps]) -> None:
        for sample, steps in zip(samples, streams, strict=True):
            if self.closed:
                sample.fail(self._gone())
            elif not sample.ended:  # nobody waits any more
                task = self._loop.create_task(self._tell(sample, steps))
                self._tasks[task] = sample
                task.add_done_callback(self._tasks.pop)

    async def _tell(self, sample: _Sample, steps: Steps) -> None:
        try:
            async with aclosing(steps):
                async for step in steps:
                    sample.take(step)
                    if sample.ended:
                        return
            sample.fail(EngineError("the answer broke off", remedy="Ask again"))
        except Exception as error:
            sample.fail(error if isinstance(error, InternVLError) else self._explained(error))

    def _explained(self, error: Exception) -> InternVLError:
        explained = self.explain(error)
        explained.__cause__ = error
        return explained

    def _cancel(self, samples: Sequence[_Sample]) -> None:
        for task, sample in list(self._tasks.items()):
            if sample in samples:
                task.cancel()

    async def _end_all(self) -> None:
        tasks = dict(self._tasks)
        for task, sample in tasks.items():
            sample.fail(self._gone())
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class _Started:
    """The samples of a request."""

    engine: TokenStreamEngine
    samples: tuple[_Sample, ...]

    def cancel(self) -> None:
        for sample in self.samples:
            sample.ended = True
        self.engine.cancel(self.samples)


class _Sample:
    """One on its way: its tokens become text until an end token, a stop string or the last it may have."""

    def __init__(
        self,
        described: Described,
        request: Request,
        prompt: TokenizedPrompt,
        max_tokens: int,
        emit: Callable[[Event | BaseException], None],
    ) -> None:
        self.ended = False
        self._emit = emit
        self._ends = described.ends
        self._tokenizer = described.tokenizer
        self._detokenizer = Detokenizer(self._decode, request.sampling.stop)
        self._alternatives = request.sampling.logprobs
        self._prompt = prompt
        self._max_tokens = max_tokens
        self._tokens: list[int] = []
        self._cached = 0

    def take(self, step: Step) -> None:
        self._cached = max(self._cached, step.cached)
        text, told = "", list[TokenLogprob]()
        reason: FinishReason | None = None
        for at, token in enumerate(step.tokens):
            self._tokens.append(token)
            ends = token in self._ends
            text += "" if ends else self._detokenizer.push(token)
            if step.logprobs:
                told.append(self._logprob(token, step.logprobs[at]))
            if ends or self._detokenizer.stopped:
                reason = "stop"
                break
            if len(self._tokens) == self._max_tokens:
                reason = "length"
                break
        reason = reason or step.ended
        if reason is not None:
            text += self._detokenizer.finish()
            reason = "stop" if self._detokenizer.stopped else reason
        if text or told:
            self._tell(TextDelta(text, tuple(told)))
        if reason is not None:
            self._end(Finish(reason, self._usage, tuple(self._tokens)))

    def fail(self, error: BaseException) -> None:
        self._end(error)

    @property
    def _usage(self) -> Usage:
        return Usage(len(self._prompt.ids), len(self._tokens), self._prompt.image_tokens, self._cached)

    def _tell(self, event: Event | BaseException) -> None:
        if not self.ended:
            self._emit(event)

    def _end(self, event: Event | BaseException) -> None:
        self._tell(event)
        self.ended = True

    def _decode(self, tokens: Sequence[int]) -> str:
        # Grounding tags are special tokens too, and part of what was said.
        text: str = self._tokenizer.decode(
            tokens, skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        return text

    def _logprob(self, token: int, chances: Mapping[int, float]) -> TokenLogprob:
        ordered = sorted(chances.items(), key=lambda chance: -chance[1])[: self._alternatives or 0]
        top = tuple((self._decode([other]), chance) for other, chance in ordered)
        return TokenLogprob(self._decode([token]), chances[token], top)


class LoopThread:
    """An event loop in a thread of its own."""

    def __init__(self, name: str) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()
