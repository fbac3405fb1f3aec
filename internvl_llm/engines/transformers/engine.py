"""InternVL through transformers, in this process.

Each copy of the model belongs to one thread; all callers' requests run there together, joining and
leaving between two tokens. Prompts are prepared in the callers' threads.
"""

from __future__ import annotations

import asyncio
import atexit
import queue
import threading
import weakref
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from internvl_llm.engine import Capabilities, EngineSpec
from internvl_llm.engines import lark
from internvl_llm.engines.open import forget
from internvl_llm.engines.transformers.guidance import Constraint, Guidance
from internvl_llm.engines.transformers.job import Calls, Job, Listener, Picture, Prompted
from internvl_llm.engines.transformers.loading import load
from internvl_llm.engines.transformers.runner import Runner, Settings, Waiting, closed
from internvl_llm.errors import ContextError, MessageError, OptionError
from internvl_llm.events import Event, Finish, Result, Sample, TextDelta, TokenLogprob, ToolCallDelta, Usage
from internvl_llm.grammar import Exactly
from internvl_llm.media.load import load as load_media
from internvl_llm.prompt.chatml import render
from internvl_llm.prompt.dialects import FORMATS, gathered, told
from internvl_llm.prompt.encoder import Encoder
from internvl_llm.prompt.segments import IMAGE_CONTEXT, IMAGE_END, IMAGE_START
from internvl_llm.request import Request

_RESERVED = 2 * 10**9
"""Bytes of a GPU left to what passes through while tokens are computed."""


class TransformersEngine:
    """See `Engine`. Loading happens here; `open_engine` shares what is loaded."""

    def __init__(self, spec: EngineSpec) -> None:
        self.spec = spec
        loaded = load(spec)
        self._tokenizer = loaded.tokenizer
        model = loaded.models[0]
        config = model.config
        self._encoder = Encoder(loaded.tokenizer, config.image_seq_length)
        self._context = int(config.text_config.max_position_embeddings)
        self._image_token = int(config.image_token_id)
        self._dialect: Any = loaded.member.dialect if loaded.member else "hermes"
        self._capabilities = Capabilities(
            model=loaded.name,
            context_tokens=self._context,
            dialect=self._dialect,
            details=loaded.choices,
        )
        self._guidance: Guidance | None = None
        self._guiding = threading.Lock()
        self._waiting = Waiting()
        self._runners = [
            Runner(one, self._settings(one), self._waiting, lambda token: self._decode([token]))
            for one in loaded.models
        ]
        self._ends = self._runners[0].settings.ends
        self._close_at_exit = _closer(self)

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    def generate(self, requests: Sequence[Request]) -> list[Result]:
        pending: list[_Answer] = []
        try:
            for request in requests:
                pending.append(self._ask(request))
            return [answer.result() for answer in pending]
        finally:
            for answer in pending:
                answer.cancel()

    async def agenerate(self, requests: Sequence[Request]) -> list[Result]:
        pending: list[_Answer] = []
        loop = asyncio.get_running_loop()
        try:
            for request in requests:
                pending.append(await asyncio.to_thread(self._ask, request))
            for answer in pending:
                done: asyncio.Future[None] = loop.create_future()
                answer.when_done(partial(_tell, loop, _settle, done))
                await done
            return [await asyncio.to_thread(answer.result) for answer in pending]
        finally:
            for answer in pending:
                answer.cancel()

    def stream(self, request: Request) -> Generator[Event, None, None]:
        events: queue.SimpleQueue[Event | BaseException] = queue.SimpleQueue()
        job = self._prepared(_streamed(request), events.put)[0]
        self._waiting.put(job)
        try:
            while True:
                event = events.get()
                if isinstance(event, BaseException):
                    raise event
                yield event
                if isinstance(event, Finish):
                    return
        finally:
            job.cancelled = True

    async def astream(self, request: Request) -> AsyncGenerator[Event, None]:
        loop = asyncio.get_running_loop()
        events: asyncio.Queue[Event | BaseException] = asyncio.Queue()

        def listen(event: Event | BaseException) -> None:
            _tell(loop, events.put_nowait, event)

        (job,) = await asyncio.to_thread(self._prepared, _streamed(request), listen)
        self._waiting.put(job)
        try:
            while True:
                event = await events.get()
                if isinstance(event, BaseException):
                    raise event
                yield event
                if isinstance(event, Finish):
                    return
        finally:
            job.cancelled = True

    def count_tokens(self, request: Request) -> Usage:
        prompted = self._prompted(request)
        return Usage(len(prompted.ids), 0, prompted.image_tokens)

    def close(self) -> None:
        forget(self)
        atexit.unregister(self._close_at_exit)
        for job in self._waiting.close():
            job.fail(closed())
        for runner in self._runners:
            if runner.thread is not threading.current_thread():
                runner.thread.join()
            runner.model = runner.language = runner.embed = None
            runner.prefixes.clear()
            runner.features.clear()

    def _ask(self, request: Request) -> _Answer:
        answer = _Answer(request)
        answer.jobs = self._prepared(request, *(answer.listener(n) for n in range(request.n)))
        for job in answer.jobs:
            self._waiting.put(job)
        return answer

    def _prepared(self, request: Request, *listeners: Listener) -> list[Job]:
        """A job a listener; they share one prompt. Grammars are refused before media are loaded."""
        constraints = [self._constraint(request) for _ in listeners]
        prompted = self._prompted(request)
        left = self._context - len(prompted.ids)
        if left < 1:
            raise ContextError(
                f"the prompt has {len(prompted.ids):,} tokens, {prompted.image_tokens:,} of them of images; "
                f"{self._capabilities.model} takes {self._context:,} with the answer",
                remedy="Show fewer pages or tiles (max_tiles), or drop earlier turns",
            )
        for picture in prompted.pictures:
            if all(runner.features.get(picture.key) is None for runner in self._runners):
                _ = picture.tiles  # cut here, so that the engine's thread need not
        most = min(left, request.sampling.max_tokens)
        calls = None
        if request.tools and request.tool_choice != "none":
            calls = Calls(FORMATS[self._dialect], anywhere=request.grammar is None)
        return [
            Job(prompted, request.sampling, most, listener, self._decode, number, constraint, calls)
            for number, (listener, constraint) in enumerate(zip(listeners, constraints, strict=True))
        ]

    def _constraint(self, request: Request) -> Constraint | None:
        if not request.tools and request.grammar is None:
            return None
        with self._guiding:
            if self._guidance is None:
                self._guidance = Guidance(self._tokenizer, self._encoder, self._ends)
        if isinstance(request.grammar, Exactly) and not request.tools:
            end = self._encoder.special["<|im_end|>"]
            return self._guidance.constraint(lark.exactly([*self._encoder.words(request.grammar.text), end]))
        form = FORMATS.get(self._dialect)
        if request.tools and form is None:
            raise MessageError("this model knows no tools", remedy="Leave tools, tool calls and results out")
        text = lark.grammar(request, form, self._guidance.special)
        return None if text is None else self._guidance.constraint(text)

    def _prompted(self, request: Request) -> Prompted:
        shown = load_media(request.messages, request.media)
        pictures = [Picture(loaded, request) for loaded in shown.images]
        prompt = render(
            request.messages,
            system=request.system,
            tools=told(request.tools, self._dialect),
            dialect=self._dialect,
            pictures=shown.counts,
        )
        encoded = self._encoder.encode(prompt, [picture.count for picture in pictures])
        return Prompted(encoded.ids, encoded.spans, pictures)

    def _decode(self, tokens: Sequence[int]) -> str:
        # Grounding tags are special tokens too, and part of what was said.
        text: str = self._tokenizer.decode(
            tokens, skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        return text

    def _settings(self, model: Any) -> Settings:
        import torch

        text = model.config.text_config
        head = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
        width = next(model.model.language_model.parameters()).element_size()
        token_bytes = 2 * text.num_hidden_layers * text.num_key_value_heads * head * width
        cuda = sorted({p.device.index for p in model.parameters() if p.device.type == "cuda"})
        budget = self.spec.kv_bytes
        if budget is None and cuda:
            # Layers are spread over the devices, and so are the keys and values.
            free = [max(0, torch.cuda.mem_get_info(index)[0] - _RESERVED) for index in cuda]
            budget = min(free) * len(cuda)
        special = self._encoder.special
        ends = {special["<|im_end|>"]}
        for source in (model.generation_config, text):
            told = getattr(source, "eos_token_id", None)
            ends |= set(told if isinstance(told, list) else [told] if told is not None else [])
        never = {special[IMAGE_START], special[IMAGE_END], special[IMAGE_CONTEXT], self._image_token}
        never |= {special[name] for name in ("<video>", "<|im_start|>", "<|endoftext|>") if name in special}
        never |= set(range(len(self._tokenizer), model.lm_head.weight.shape[0]))  # rows that are no tokens
        return Settings(
            max_batch=self.spec.max_batch or (128 if cuda else 16),
            kv_tokens=(budget or 4 * 2**30) // token_bytes,
            token_bytes=token_bytes,
            prefill_chunk=self.spec.prefill_chunk,
            vision_chunk=self.spec.vision_chunk,
            prefix_bytes=self.spec.prefix_bytes,
            feature_bytes=self.spec.feature_bytes,
            ends=frozenset(ends),
            never=tuple(sorted(never - ends)),
            prefill_attention=text._attn_implementation,
        )


class _Answer:
    """The samples of one request as they come in."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.jobs: list[Job] = []
        self._texts: list[list[str]] = [[] for _ in range(request.n)]
        self._calls: list[list[ToolCallDelta]] = [[] for _ in range(request.n)]
        self._logprobs: list[list[TokenLogprob]] = [[] for _ in range(request.n)]
        self._finishes: list[Finish | None] = [None] * request.n
        self._error: BaseException | None = None
        self._left = request.n
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._callbacks: list[Callable[[], None]] = []

    def listener(self, number: int) -> Listener:
        def listen(event: Event | BaseException) -> None:
            if isinstance(event, TextDelta):
                self._texts[number].append(event.text)
                self._logprobs[number].extend(event.logprobs)
                return
            if isinstance(event, ToolCallDelta):
                self._calls[number].append(event)
                return
            with self._lock:
                if isinstance(event, BaseException):
                    self._error, self._left = self._error or event, 0
                elif isinstance(event, Finish):
                    self._finishes[number] = event
                    self._left -= 1
                callbacks = []
                if self._left == 0:
                    self._done.set()
                    callbacks, self._callbacks = self._callbacks, []
            for callback in callbacks:
                callback()

        return listen

    def when_done(self, callback: Callable[[], None]) -> None:
        with self._lock:
            if not self._done.is_set():
                self._callbacks.append(callback)
                return
        callback()

    def cancel(self) -> None:
        for job in self.jobs:
            job.cancelled = True

    def result(self) -> Result:
        self._done.wait()
        if self._error is not None:
            raise self._error
        finishes = [finish for finish in self._finishes if finish is not None]
        samples = []
        for text, finish, logprobs, deltas, job in zip(
            self._texts, finishes, self._logprobs, self._calls, self.jobs, strict=True
        ):
            calls, broken = gathered(deltas)
            samples.append(
                Sample(
                    "".join(text),
                    finish.reason,
                    tuple(logprobs),
                    tuple(job.said),
                    tool_calls=calls,
                    broken_calls=broken,
                )
            )
        first = finishes[0].usage
        usage = replace(first, completion_tokens=sum(f.usage.completion_tokens for f in finishes))
        best = 0
        if self.request.critic is not None:
            scores = self.request.critic.scores(self.request.messages, [s.text for s in samples])
            samples = [replace(s, score=score) for s, score in zip(samples, scores, strict=True)]
            best = max(range(len(scores)), key=scores.__getitem__)
        return Result(tuple(samples), usage, best)


def _streamed(request: Request) -> Request:
    if request.n > 1:
        raise OptionError("a stream has one answer", remedy="Use generate for n answers, or n=1")
    return request


def _tell(loop: asyncio.AbstractEventLoop, what: Callable[..., object], *told: object) -> None:
    with suppress(RuntimeError):  # the loop is closed: nobody listens any more
        loop.call_soon_threadsafe(what, *told)


def _settle(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)


def _closer(engine: TransformersEngine) -> Callable[[], None]:
    """Ends an engine's threads before the interpreter goes; does not keep the engine alive."""
    known = weakref.ref(engine)

    def close() -> None:
        if (alive := known()) is not None:
            alive.close()

    atexit.register(close)
    return close
