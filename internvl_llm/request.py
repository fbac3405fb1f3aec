"""What engines are asked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from typing import Protocol, runtime_checkable

from internvl_llm.errors import OptionError
from internvl_llm.grammar import Grammar
from internvl_llm.media.limits import MediaOptions
from internvl_llm.messages import Message, conversation
from internvl_llm.prompt.chatml import DEFAULT_SYSTEM
from internvl_llm.tools import Tool, checked


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
