"""What every engine takes and gives: requests, results, events; and `open_engine`, which shares engines."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Generator, Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

from internvl_llm.errors import MissingDependencyError, OptionError
from internvl_llm.grammar import Grammar
from internvl_llm.media import MediaOptions
from internvl_llm.messages import Message, ToolCall, conversation
from internvl_llm.prompt import DEFAULT_SYSTEM
from internvl_llm.tools import Tool, checked

EngineName = Literal["transformers", "vllm", "lmdeploy", "server"]
FinishReason = Literal["stop", "length", "tool_calls", "cancelled"]


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are chosen. `temperature` 0 is greedy, as InternVL's own examples are.

    `top_k` 0 is all; `logprobs` is how many alternatives to tell a token, None for no log
    probabilities at all; `seed` makes a sample repeatable whatever it is batched with (in float32).
    """

    max_tokens: int = 1024
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    logprobs: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "stop", (self.stop,) if isinstance(self.stop, str) else tuple(self.stop))
        rules = {
            "max_tokens": self.max_tokens >= 1,
            "temperature": 0 <= self.temperature < float("inf"),
            "top_p": 0 < self.top_p <= 1,
            "top_k": self.top_k >= 0,
            "repetition_penalty": 0 < self.repetition_penalty < float("inf"),
            "logprobs": self.logprobs is None or 0 <= self.logprobs <= 20,
            "stop": all(isinstance(text, str) and text for text in self.stop),
        }
        for name, holds in rules.items():
            if not holds:
                raise OptionError(f"{name} cannot be {getattr(self, name)!r}", remedy=_RANGES[name])


_RANGES = {
    "max_tokens": "Give 1 or more",
    "temperature": "Give 0 (greedy) or more",
    "top_p": "Give more than 0, 1 at most",
    "top_k": "Give 0 (all) or more",
    "repetition_penalty": "Give more than 0; 1 is none",
    "logprobs": "Give None, or 0 to 20",
    "stop": "Give strings that are not empty",
}


@runtime_checkable
class Critic(Protocol):
    """Chooses among several answers to one conversation."""

    def scores(self, messages: Sequence[Message], answers: Sequence[str]) -> list[float]:
        """One an answer; the highest wins, the first of equals."""
        ...


@dataclass(frozen=True, slots=True)
class Request:
    """One thing to answer. `n` answers are sampled, and `critic` chooses (Best-of-N).

    `tools` are what the model may call; `tool_choice` is `auto`, `any` (one at least), `none`, or a
    tool's name (one call of it). `grammar` is what the answer must match; with tools, the answer that is
    no call. Calls are always of these tools, with arguments that their schemas accept.

    `system` stands where the conversation begins without a system message; None is none at all.
    `page` cuts images into tiles as pages (A4 gets as many as Letter); `min_tiles` and `max_tiles`
    bound the 448 px tiles of every image that does not say.
    """

    messages: tuple[Message, ...]
    sampling: Sampling = field(default_factory=Sampling)
    system: str | None = DEFAULT_SYSTEM
    n: int = 1
    critic: Critic | None = None
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"
    parallel_tool_calls: bool = True
    grammar: Grammar | None = None
    min_tiles: int = 1
    max_tiles: int = 12
    page: bool = False
    media: MediaOptions = field(default_factory=MediaOptions)

    def __init__(
        self,
        messages: Message | str | Iterable[Message],
        sampling: Sampling | None = None,
        *,
        system: str | None = DEFAULT_SYSTEM,
        n: int = 1,
        critic: Critic | None = None,
        tools: Iterable[Tool] = (),
        tool_choice: str = "auto",
        parallel_tool_calls: bool = True,
        grammar: Grammar | None = None,
        min_tiles: int = 1,
        max_tiles: int = 12,
        page: bool = False,
        media: MediaOptions | None = None,
    ) -> None:
        if not 1 <= n <= 64:
            raise OptionError(f"n cannot be {n}", remedy="Ask for 1 to 64 answers")
        if critic is not None and n == 1:
            raise OptionError("a critic has nothing to choose from", remedy="Ask for several answers (n)")
        if not 1 <= min_tiles <= max_tiles:
            raise OptionError(f"{min_tiles} to {max_tiles} tiles", remedy="Give 1 <= min_tiles <= max_tiles")
        if n > 1 and not (sampling and sampling.temperature):
            raise OptionError("n answers would all be alike", remedy="Give sampling a temperature above 0")
        values = locals() | {
            "messages": conversation(messages),
            "sampling": sampling or Sampling(),
            "tools": checked(tools, tool_choice),
            "media": media or MediaOptions(),
        }
        for one in fields(self):
            object.__setattr__(self, one.name, values[one.name])


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens. `image_tokens` and `cached_tokens` (not computed anew) are among the `prompt_tokens`."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    image_tokens: int = 0
    cached_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """Natural logarithms; `top` are the likeliest tokens with theirs, the likeliest first."""

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class TextDelta:
    text: str
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """Part of call `index` (from 0). `id` and `name` come with its first part, `arguments` is JSON text.

    A call that is cut off ends in the middle of its arguments; the reason then is not `tool_calls`.
    """

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class Finish:
    """The last event of a stream."""

    reason: FinishReason
    usage: Usage


Event: TypeAlias = TextDelta | ToolCallDelta | Finish


@dataclass(frozen=True, slots=True)
class Sample:
    """`text` is what is said besides the calls."""

    text: str
    finish_reason: FinishReason
    logprobs: tuple[TokenLogprob, ...] = ()
    tokens: tuple[int, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    broken_calls: tuple[ToolCallDelta, ...] = ()
    """Whose arguments are no JSON object: cut off by `max_tokens` or a stop string."""
    score: float | None = None
    """The critic's."""


@dataclass(frozen=True, slots=True)
class Result:
    """The samples, and which of them is the answer."""

    samples: tuple[Sample, ...]
    usage: Usage
    best: int = 0

    @property
    def text(self) -> str:
        return self.samples[self.best].text

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        return self.samples[self.best].tool_calls

    @property
    def finish_reason(self) -> FinishReason:
        return self.samples[self.best].finish_reason


@dataclass(frozen=True, slots=True)
class Capabilities:
    model: str
    context_tokens: int
    images: bool = True
    video: bool = True
    logprobs: bool = True
    dialect: str = "none"
    """Of tool calls."""
    details: tuple[tuple[str, str], ...] = ()
    """What runs where, and why: (what, sentence)."""


@runtime_checkable
class Engine(Protocol):
    """Runs one checkpoint. Thread-safe: callers of all methods, sync and async, are batched together."""

    @property
    def capabilities(self) -> Capabilities: ...

    def generate(self, requests: Sequence[Request]) -> list[Result]:
        """One result a request. The first request that fails raises; the others are given up."""
        ...

    async def agenerate(self, requests: Sequence[Request]) -> list[Result]: ...

    def stream(self, request: Request) -> Generator[Event, None, None]:
        """Text as it comes, one Finish at the end. Closing it frees its place in the batch."""
        ...

    def astream(self, request: Request) -> AsyncGenerator[Event, None]: ...

    def count_tokens(self, request: Request) -> Usage:
        """Of the prompt: exact, without running the model."""
        ...

    def close(self) -> None:
        """End it for all who share it; what is running raises EngineError."""
        ...


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """What to run and how. `model` is a family member in any spelling, a hub id, or a local folder.

    `precision` int8 and int4 need bitsandbytes. `device_map` places modules by hand; without it the
    parts are laid out over the GPUs there are, `replicas` copies of the model (None: as many as fit).
    """

    model: str
    engine: EngineName = "transformers"
    base_url: str | None = None
    device: str = "auto"
    dtype: str = "auto"
    attention: str = "auto"
    precision: Literal["bf16", "int8", "int4"] = "bf16"
    device_map: tuple[tuple[str, int | str], ...] | None = None
    replicas: int | None = None
    revision: str | None = None
    max_batch: int | None = None
    """Sequences at once; None is 16 on a CPU, 128 on GPUs."""
    kv_bytes: int | None = None
    """Of running sequences, a copy of the model; None is what is free on GPUs, 4 GiB on a CPU."""
    prefix_bytes: int = 2**30
    """Of keys and values kept for prompts that begin alike; 0 keeps none."""
    feature_bytes: int = 2**28
    """Of image features kept; 0 keeps none."""
    prefill_chunk: int = 2048
    """Prompt tokens computed between two steps of the running sequences."""
    vision_chunk: int = 8
    """Tiles the vision tower sees at once."""


_engines: dict[EngineSpec, Engine] = {}
_opening = threading.Lock()


def open_engine(spec: EngineSpec | str | Path, **changes: Any) -> Engine:
    """The engine of that spec; the same one for the same spec in a process, so weights are loaded once.

    A model's name or folder alone is a spec too; `changes` are fields of EngineSpec.
    """
    if isinstance(changes.get("device_map"), dict):
        changes["device_map"] = tuple(changes["device_map"].items())
    try:
        spec = replace(spec, **changes) if isinstance(spec, EngineSpec) else EngineSpec(str(spec), **changes)
    except TypeError as error:
        raise OptionError(f"no such engine option: {error}", remedy="See EngineSpec") from error
    with _opening:
        if spec not in _engines:
            _engines[spec] = _started(spec)
        return _engines[spec]


def forget(engine: Engine) -> None:
    """A closed engine is not given to anybody any more."""
    with _opening:
        for spec in [spec for spec, known in _engines.items() if known is engine]:
            del _engines[spec]


def _started(spec: EngineSpec) -> Engine:
    if spec.engine == "transformers":
        try:
            from internvl_llm.engines.transformers import TransformersEngine
        except ImportError as error:
            raise MissingDependencyError(
                f"the transformers engine needs torch, transformers and accelerate ({error})",
                remedy="pip install 'internvl-documents[transformers]'",
            ) from error
        return TransformersEngine(spec)
    raise OptionError(
        f"this version has no engine {spec.engine!r}", remedy="Use engine='transformers', in process"
    )
