"""What engines are asked. Descriptions of fields are those that commands and chat models show, too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Annotated, Protocol, overload, runtime_checkable

from pydantic import Field

from internvl_llm.errors import OptionError
from internvl_llm.grammar import Grammar
from internvl_llm.media.limits import MediaOptions
from internvl_llm.messages import Message, conversation
from internvl_llm.prompt.chatml import DEFAULT_SYSTEM
from internvl_llm.tools import Tool, check_tools


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
        object.__setattr__(self, "stop", (self.stop,) if isinstance(self.stop, str) else tuple(self.stop))
        rules = {
            "max_tokens": (self.max_tokens >= 1, "Give 1 or more"),
            "temperature": (0 <= self.temperature < float("inf"), "Give 0 (greedy) or more"),
            "top_p": (0 < self.top_p <= 1, "Give more than 0, 1 at most"),
            "top_k": (self.top_k >= 0, "Give 0 (all) or more"),
            "repetition_penalty": (
                0 < self.repetition_penalty < float("inf"),
                "Give more than 0; 1 is none",
            ),
            "logprobs": (self.logprobs is None or 0 <= self.logprobs <= 20, "Give None, or 0 to 20"),
            "stop": (
                all(isinstance(text, str) and text for text in self.stop),
                "Give strings that are not empty",
            ),
        }
        for name, (holds, remedy) in rules.items():
            if not holds:
                raise OptionError(f"{name} cannot be {getattr(self, name)!r}", remedy=remedy)


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

    def __post_init__(self) -> None:
        object.__setattr__(self, "tools", check_tools(self.tools, self.tool_choice))
        if not 1 <= self.n <= 64:
            raise OptionError(f"n cannot be {self.n}", remedy="Ask for 1 to 64 answers")
        if self.critic is not None and self.n == 1:
            raise OptionError("a critic has nothing to choose from", remedy="Ask for several answers (n)")
        if not 1 <= self.min_tiles <= self.max_tiles:
            raise OptionError(
                f"{self.min_tiles} to {self.max_tiles} tiles", remedy="Give 1 <= min_tiles <= max_tiles"
            )
        if self.n > 1 and not self.sampling.temperature:
            raise OptionError("n answers would all be alike", remedy="Give sampling a temperature above 0")
