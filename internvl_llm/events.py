"""What engines answer: the events of a stream, and whole results."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Literal, TypeAlias

from internvl_llm.messages import ToolCall

FinishReason = Literal["stop", "length", "tool_calls", "cancelled"]


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
        return Usage(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))


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
    """The last event of a stream. `tokens` are those of the answer, where an engine tells them."""

    reason: FinishReason
    usage: Usage
    tokens: tuple[int, ...] = field(default=(), compare=False, repr=False)


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
