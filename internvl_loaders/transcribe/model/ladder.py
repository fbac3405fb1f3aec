"""What a model is asked about a page after its answers so far, and what comes of all of them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from internvl_llm.events import Usage
from internvl_llm.request import Sampling

Problem = Literal["repeats", "empty", "cut", "failed"]

GREEDY = Sampling()
VARIED = Sampling(temperature=0.4, top_p=0.95, repetition_penalty=1.05, seed=1)
"""Near the greedy answer, but off the track that led into a repetition."""
SAMPLED = Sampling(temperature=0.6, top_p=0.95, seed=1)
"""Of several answers to choose from."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """How a page is asked about: `samples` answers of at most `sampling.max_tokens` tokens."""

    sampling: Sampling
    samples: int = 1


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an attempt. `text` is without the repetition, where it `repeats`; of one that `failed`,
    `detail` is the error's message."""

    attempt: Attempt
    text: str = ""
    problem: Problem | None = None
    detail: str = ""
    usage: Usage | None = None

    @property
    def limit(self) -> int:
        return self.attempt.sampling.max_tokens

    @property
    def reason(self) -> str:
        """What is wrong with it, in words."""
        match self.problem:
            case "repeats":
                return f"the model repeated itself ({' '.join(self.detail.split())[:40]!r} without end)"
            case "empty":
                return "the model said nothing of a page that is not blank"
            case "cut" if self.usage is not None and self.usage.completion_tokens < self.limit:
                return "the model's answer was cut off where its context ends"
            case "cut":
                return f"the model's answer was cut off at max_tokens = {self.limit:,}"
            case "failed":
                return f"asked again: {self.detail}"
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


def next_attempt(
    history: Sequence[Answer], *, max_tokens: int, context_tokens: int, samples: int = 1
) -> Attempt | None:
    """The attempt after those in `history`; None where there is nothing to gain from another.

    The first is greedy. What was cut off is asked for with twice the tokens, as far as the context goes; what
    went wrong otherwise is asked for with some variation. `samples` answers are sampled at all times.
    """
    if not history:
        return _attempt(GREEDY, max_tokens, samples, seed=1)
    last = history[-1]
    if last.problem is None or len(history) > 1:
        return None
    if last.problem != "cut":
        return _attempt(VARIED, max_tokens, samples, seed=2)
    prompt = last.usage.prompt_tokens if last.usage is not None else 0
    more = min(2 * last.limit, context_tokens - prompt)
    return _attempt(GREEDY, more, samples, seed=1) if more > last.limit else None


def _attempt(alone: Sampling, max_tokens: int, samples: int, seed: int) -> Attempt:
    """Of several answers each is as varied as the others; other seeds give other answers."""
    sampling = alone if samples == 1 else replace(SAMPLED, seed=seed)
    return Attempt(replace(sampling, max_tokens=max_tokens), samples)


def transcript(history: Sequence[Answer]) -> Transcript:
    """What comes of the answers, of which there is one at least; only later ones may have failed."""
    last = history[-1]
    if last.problem is None:
        return Transcript(last.text, len(history), "whole", tuple(answer.reason for answer in history[:-1]))
    best = next(answer for answer in reversed(history) if answer.problem != "failed")
    reasons = [_lost(best) if answer is best else answer.reason for answer in history]
    if len(history) > 1 and last.problem == history[-2].problem:
        reasons[-2:] = [f"twice {reasons[-1]}"]
    return Transcript(best.text, len(history), "part" if best.problem == "cut" else "none", tuple(reasons))


def _lost(answer: Answer) -> str:
    return f"{answer.reason}; what follows is missing" if answer.problem == "cut" else answer.reason
