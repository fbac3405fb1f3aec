"""What an answer must match, said without any framework."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from internvl_llm.errors import GrammarError
from internvl_llm.schema import check_pattern, check_text

_MOST_CHOICES = 5_000
_LONGEST_CHOICES = 500_000


@dataclass(frozen=True, slots=True)
class JsonSchema:
    """JSON that the schema (2020-12) accepts, with one blank at most after a comma or colon.

    Objects that list `properties` have these, in this order, and no others unless the schema says
    `additionalProperties`. `format` is kept to where it is one of `internvl_llm.schema.FORMATS`.
    """

    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class JsonObject:
    """Any JSON object."""


@dataclass(frozen=True, slots=True)
class Regex:
    """Matched as a whole; of Rust's `regex` syntax, which looks neither ahead nor back."""

    pattern: str

    def __post_init__(self) -> None:
        check_pattern(self.pattern, "the pattern")


@dataclass(frozen=True, slots=True)
class Choice:
    """One of these texts."""

    choices: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "choices", tuple(self.choices))
        if not self.choices or not all(isinstance(text, str) and text for text in self.choices):
            raise GrammarError("there is nothing to choose from", remedy="Give texts that are not empty")
        if len(self.choices) > _MOST_CHOICES or sum(map(len, self.choices)) > _LONGEST_CHOICES:
            raise GrammarError(
                f"{len(self.choices):,} choices of {sum(map(len, self.choices)):,} characters",
                remedy=f"Give {_MOST_CHOICES:,} at most, of {_LONGEST_CHOICES:,} characters together",
            )
        check_text("".join(self.choices), "the choice")


@dataclass(frozen=True, slots=True)
class Exactly:
    """This text, in the tokens that the tokenizer itself cuts it into, and then the end of the turn.

    With `logprobs`, the sum of those is the log probability that the model gives this answer. Not with tools.
    """

    text: str

    def __post_init__(self) -> None:
        check_text(self.text, "the answer")


Grammar: TypeAlias = JsonSchema | JsonObject | Regex | Choice | Exactly
"""An answer that `max_tokens` or a stop string cuts off matches no more: its finish reason is then `length`
or `stop`, its text the beginning of a match."""
