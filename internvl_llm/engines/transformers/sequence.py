"""One sequence on its way through the engine: its prompt, its tokens, and who listens."""

from __future__ import annotations

import logging
from collections.abc import Callable
from collections.abc import Sequence as Tokens
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from internvl_llm.engines.detokenize import Decode, Detokenizer
from internvl_llm.engines.prompting import Keys, TokenizedPrompt
from internvl_llm.events import Event, Finish, FinishReason, TextDelta, TokenLogprob, Usage

if TYPE_CHECKING:
    import torch

    from internvl_llm.engines.transformers.guidance import Constraint
    from internvl_llm.engines.transformers.sampling import Sampler
    from internvl_llm.request import Sampling

log = logging.getLogger("internvl_llm")

Emit: TypeAlias = Callable[[Event | BaseException], None]


@dataclass(slots=True, eq=False)
class Sequence:
    """A sample of a request. What becomes of it goes to `emit`: text, then a Finish, or an error, once."""

    prompt: TokenizedPrompt
    sampling: Sampling
    max_tokens: int
    """Those of the sampling, or what the context leaves."""
    emit: Emit
    decode: Decode
    sampler: Sampler
    constraint: Constraint | None = None
    output: list[int] = field(default_factory=list)
    """Tokens of the answer so far."""
    computed: int = 0
    """Positions whose keys and values are there."""
    cached: int | None = None
    """Positions that were taken over from a kept prefix when it was first scheduled."""
    features: dict[int, torch.Tensor] = field(default_factory=dict)
    """Of its images, as long as its prompt is being computed."""
    cancelled: bool = False
    finished: bool = False
    retried: bool = False
    """Whether memory ran out with nothing else running."""
    _detokenizer: Detokenizer = field(init=False)
    _prompt_keys: Keys = field(init=False)

    def __post_init__(self) -> None:
        self._detokenizer = Detokenizer(self.decode, self.sampling.stop)
        self._prompt_keys = self.prompt.keys()

    def cancel(self) -> None:
        self.cancelled = True

    @property
    def tokens(self) -> list[int]:
        return self.prompt.ids + self.output

    @property
    def keys(self) -> Keys:
        """What each of its `tokens` is."""
        return np.concatenate([self._prompt_keys, np.asarray(self.output, np.int64)])

    @property
    def max_positions(self) -> int:
        """It may come to."""
        return len(self.prompt.ids) + self.max_tokens

    def append(self, token: int, *, ends: bool, logprobs: Tokens[TokenLogprob] = ()) -> bool:
        """Take the next token, which `ends` the turn or does not; whether the sequence is finished."""
        self.output.append(token)
        if self.constraint is not None and not ends:
            self.constraint.take(token)
        self._emit_text("" if ends else self._detokenizer.push(token), logprobs)
        complete = self.constraint is not None and self.constraint.complete
        if ends or self._detokenizer.stopped or complete:
            self.finish("stop")
        elif len(self.output) >= self.max_tokens:
            self.finish("length")
        return self.finished

    def finish(self, reason: FinishReason) -> None:
        self._emit_text(self._detokenizer.finish())
        self._end(Finish(reason, self.usage, tuple(self.output)))

    def fail(self, error: BaseException) -> None:
        self._end(error)

    def _emit_text(self, text: str, logprobs: Tokens[TokenLogprob] = ()) -> None:
        """Log probabilities come with text, be it none."""
        if text or logprobs:
            self._emit(TextDelta(text, tuple(logprobs)))

    def _end(self, event: Finish | BaseException) -> None:
        if not self.finished:
            self.finished = True
            self._emit(event)

    def _emit(self, event: Event | BaseException) -> None:
        try:
            self.emit(event)
        except Exception:  # is no concern of the sequences beside it
            log.exception("a listener raised, so its request is cancelled")
            self.cancelled = True

    @property
    def usage(self) -> Usage:
        return Usage(len(self.prompt.ids), len(self.output), self.prompt.image_tokens, self.cached or 0)
