"""What engines are asked. Descriptions of fields are those that commands and chat models show, too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Annotated, Protocol, overload, runtime_checkable

from pydantic import Field

from internvl_llm.errors import OptionError
from internvl_llm.grammar import Grammar
from internvl_llm.media.limits import MediaOptions
from internvl_llm.messages import (
    MAX_TILES,
    Message,
    brief,
    conversation,
    is_integer,
    is_number,
    is_tile_count,
)
from internvl_llm.prompt.chatml import DEFAULT_SYSTEM
from internvl_llm.tools import Tool, check_tools

_GREEDY = 1e-5
"""A temperature below it is 0: logits divided by it would pass what float32 can hold."""
_MOST_STOPS = 256
_LONGEST_STOP = 1000


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are chosen; greedily by default, as InternVL's own examples are."""

    max_tokens: Annotated[int, Field(description="Of an answer.")] = 1024
    temperature: Annotated[float, Field(description="0 is greedy: always the likeliest token.")] = 0.0
    top_p: Annotated[
        float, Field(description="Probability of the likeliest tokens that are drawn from; 1 is all.")
    ] = 1.0
    top_k: Annotated[int, Field(description="How many of the likeliest tokens are drawn from; 0 is all.")] = 0
    repetition_penalty: Annotated[
        float, Field(description="Of tokens that were there before; 1 is none.")
    ] = 1.0
    seed: Annotated[
        int | None, Field(description="Makes a sample repeatable, whatever it is batched with (in float32).")
    ] = None
    stop: Annotated[
        tuple[str, ...], Field(description="Strings that end the answer, and are no part of it.")
    ] = ()
    logprobs: Annotated[
        int | None,
        Field(description="Alternatives to tell with each token, 0 to 20; None is no log probabilities."),
    ] = None

    def __post_init__(self) -> None:
        stop = (self.stop,) if isinstance(self.stop, str) else self.stop
        object.__setattr__(self, "stop", tuple(stop) if isinstance(stop, Iterable) else (stop,))
        penalty, most = self.repetition_penalty, 2**31 - 1
        rules = {
            "max_tokens": (is_integer(self.max_tokens, 1, most), f"Give 1 to {most:,}"),
            "temperature": (
                is_number(self.temperature) and 0 <= self.temperature <= 100,
                "Give 0 (greedy) or more, 100 at most",
            ),
            "top_p": (is_number(self.top_p) and 0 < self.top_p <= 1, "Give more than 0, 1 at most"),
            "top_k": (is_integer(self.top_k, 0, most), f"Give 0 (all) or more, {most:,} at most"),
            "repetition_penalty": (
                is_number(penalty) and 0.01 <= penalty <= 1e9,
                "Give 0.01 to 1e9; 1 is none",
            ),
            "seed": (
                self.seed is None or is_integer(self.seed, -(2**63), 2**64 - 1),
                "Give 64 bits, or None",
            ),
            "logprobs": (self.logprobs is None or is_integer(self.logprobs, 0, 20), "Give None, or 0 to 20"),
            "stop": (
                len(self.stop) <= _MOST_STOPS
                and all(isinstance(text, str) and 0 < len(text) <= _LONGEST_STOP for text in self.stop),
                f"Give strings that are not empty: {_MOST_STOPS} at most, of {_LONGEST_STOP:,} characters",
            ),
        }
        for name, (holds, remedy) in rules.items():
            if not holds:
                raise OptionError(f"{name} cannot be {brief(getattr(self, name))}", remedy=remedy)
        if self.temperature < _GREEDY:
            object.__setattr__(self, "temperature", 0.0)


@runtime_checkable
class Critic(Protocol):
    """Chooses among several answers to one conversation."""

    def scores(self, messages: Sequence[Message], answers: Sequence[str]) -> list[float]:
        """One an answer; the highest wins, the first of equals."""
        ...


DEFAULT_MEDIA = MediaOptions()


class _Conversation:
    """The field `messages`: a message or a string is a conversation of one."""

    @overload
    def __get__(self, request: None, owner: type) -> _Conversation: ...
    @overload
    def __get__(self, request: Request, owner: type) -> tuple[Message, ...]: ...
    def __get__(self, request: Request | None, owner: type) -> _Conversation | tuple[Message, ...]:
        if request is None:
            raise AttributeError("messages")  # by which dataclasses know that there is no default
        messages: tuple[Message, ...] = vars(request)["messages"]
        return messages

    def __set__(self, request: Request, messages: Message | str | Iterable[Message]) -> None:
        vars(request)["messages"] = conversation(messages)


@dataclass(frozen=True)
class Request:
    """One thing to answer. `n` answers are sampled, and `critic` chooses (Best-of-N).

    `tools` are what the model may call; `tool_choice` is `auto`, `any` (one at least), `none`, or a
    tool's name (one call of it). `grammar` is what the answer must match; with tools, the answer that is
    no call. Calls are always of these tools, with arguments that their schemas accept.
    """

    messages: _Conversation = _Conversation()
    sampling: Sampling = Sampling()
    _: KW_ONLY
    system: Annotated[
        str | None,
        Field(description="Of conversations that begin without a system message; None is none at all."),
    ] = DEFAULT_SYSTEM
    n: Annotated[int, Field(description="Answers to sample, 64 at most; the critic chooses one.")] = 1
    critic: Annotated[Critic | None, Field(description="Chooses among `n` answers.")] = None
    tools: Sequence[Tool] = ()
    tool_choice: str = "auto"
    parallel_tool_calls: Annotated[bool, Field(description="Whether an answer may hold several calls.")] = (
        True
    )
    grammar: Grammar | None = None
    min_tiles: Annotated[int, Field(description="448 px tiles of an image that does not say, at least.")] = 1
    max_tiles: Annotated[int, Field(description="448 px tiles of an image that does not say, at most.")] = 12
    page: Annotated[bool, Field(description="Cut images into tiles as pages: A4 gets as many as Letter.")] = (
        False
    )
    media: Annotated[
        MediaOptions, Field(description="Limits, hosts, dpi and frames of what messages show.")
    ] = DEFAULT_MEDIA
    timeout: Annotated[
        float | None, Field(description="Seconds until the answer must be complete; None waits for it.")
    ] = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "tools", check_tools(self.tools, self.tool_choice))
        if not is_integer(self.n, 1, 64):
            raise OptionError(f"n cannot be {brief(self.n)}", remedy="Ask for 1 to 64 answers")
        if self.timeout is not None and not (is_number(self.timeout) and 0 < self.timeout <= 1e7):
            raise OptionError(f"timeout cannot be {brief(self.timeout)}", remedy="Give seconds, or None")
        if self.critic is not None and self.n == 1:
            raise OptionError("a critic has nothing to choose from", remedy="Ask for several answers (n)")
        bounds = (self.min_tiles, self.max_tiles)
        if not all(map(is_tile_count, bounds)) or self.min_tiles > self.max_tiles:
            raise OptionError(
                f"{brief(self.min_tiles)} to {brief(self.max_tiles)} tiles",
                remedy=f"Give 1 <= min_tiles <= max_tiles <= {MAX_TILES}",
            )
        if self.n > 1 and not self.sampling.temperature:
            raise OptionError("n answers would all be alike", remedy="Give sampling a temperature above 0")
