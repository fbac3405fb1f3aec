"""Critics for Best-of-N: agreement among the answers, or the judgement of a model trained for it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from internvl_llm.engine import Engine
from internvl_llm.errors import EngineError, OptionError
from internvl_llm.events import Result
from internvl_llm.media.limits import MediaOptions
from internvl_llm.messages import Message, Part, Text, ToolCall, ToolResult
from internvl_llm.request import Request, Sampling

_GOOD, _BAD = "+", "-"
_TOP_LOGPROBS = 20
"""Those two have to be among them."""


@dataclass(frozen=True, slots=True)
class Consensus:
    """The answer that differs least from the others: 1 - the mean normalised edit distance to them."""

    def scores(self, messages: Sequence[Message], answers: Sequence[str]) -> list[float]:
        from rapidfuzz.distance import Levenshtein

        if len(answers) < 2:
            return [1.0] * len(answers)
        similarity = [[0.0] * len(answers) for _ in answers]
        for row, answer in enumerate(answers):
            for column in range(row):
                similarity[row][column] = similarity[column][row] = Levenshtein.normalized_similarity(
                    answer, answers[column]
                )
        # fsum does not depend on the order, so equal answers get equal scores and the first of them wins.
        return [math.fsum(row) / (len(answers) - 1) for row in similarity]


@dataclass(frozen=True, slots=True)
class InternVLCritic:
    """A process reward model in InternVL's format, such as OpenGVLab/VisualPRM-8B.

    As its checkpoint's `generate_steps_with_soft_score` (arXiv 2503.10291): the steps of an answer, split at
    blank lines and joined again to `max_steps` at most, are shown one a turn; each turn is answered with `+`,
    and a step's score is the probability of `+` against `-` there. An answer's is the mean over its steps.
    Empty steps are left out. Of a conversation of several turns, the question is all of it.

    The engine's prefix cache spares computing a conversation anew for each of its steps.
    """

    engine: Engine = field(repr=False)
    max_steps: int = 12
    max_tiles: int = 12
    page: bool = False
    """Cut images into tiles as pages."""
    media: MediaOptions = field(default_factory=MediaOptions)

    def __post_init__(self) -> None:
        if self.max_steps < 1:
            raise OptionError(f"max_steps cannot be {self.max_steps}", remedy="Give 1 or more")

    def scores(self, messages: Sequence[Message], answers: Sequence[str]) -> list[float]:
        """Raises EngineError where the model judges with neither `+` nor `-`, so is no such critic."""
        return [math.fsum(steps) / len(steps) for steps in self.step_scores(messages, answers)]

    def step_scores(self, messages: Sequence[Message], answers: Sequence[str]) -> list[list[float]]:
        """One list an answer, one score a step; equal answers are judged once."""
        question = tuple(_question(messages))
        requests = {answer: list(self._requests(question, answer)) for answer in answers}
        results = iter(self.engine.generate([request for steps in requests.values() for request in steps]))
        scores = {answer: [_score(next(results)) for _ in steps] for answer, steps in requests.items()}
        return [scores[answer] for answer in answers]

    def _requests(self, question: tuple[Part, ...], answer: str) -> Iterator[Request]:
        """One a step; each conversation begins with the one before."""
        turns: list[Message] = []
        for step in _steps(answer, self.max_steps):
            parts: tuple[Part, ...] = (Text(step),)
            if not turns:
                first_step = Text(f"\n\n### Solution Process:\n{step}")
                parts = (Text("### Question:\n"), *question, first_step)
            turns += [Message("user", parts), Message.assistant(_GOOD)]
            yield Request(
                turns[:-1],
                Sampling(max_tokens=1, logprobs=_TOP_LOGPROBS),
                max_tiles=self.max_tiles,
                page=self.page,
                media=self.media,
            )


def _steps(answer: str, max_steps: int) -> list[str]:
    steps = [step for step in answer.split("\n\n") if step.strip()] or [answer]
    size = math.ceil(len(steps) / max_steps)
    return ["\n\n".join(steps[start : start + size]) for start in range(0, len(steps), size)]


def _question(messages: Sequence[Message]) -> Iterator[Part]:
    """The conversation as parts of one user message; of several turns, each says whose it is."""
    turns = [message for message in messages if message.role != "system"]
    for index, turn in enumerate(turns):
        if len(turns) > 1:
            yield Text(f"{'' if index == 0 else chr(10)}{turn.role.capitalize()}: ")
        for part in turn.parts:
            if isinstance(part, ToolResult):
                yield from part.parts
            elif isinstance(part, ToolCall):
                yield Text(json.dumps({"name": part.name, "arguments": part.arguments}, ensure_ascii=False))
            else:
                yield part


def _score(result: Result) -> float:
    """P(+) / (P(+) + P(-)). A token that is not among the likeliest counts as the last of them."""
    tokens = result.samples[0].logprobs
    top = tokens[0].top if tokens else ()
    logprobs: dict[str, float] = {}
    for token, logprob in top:
        logprobs.setdefault(token, logprob)
    if _GOOD not in logprobs and _BAD not in logprobs:
        raise EngineError(
            f"the critic judges with neither {_GOOD!r} nor {_BAD!r}",
            remedy="Give InternVLCritic a process reward model, such as OpenGVLab/VisualPRM-8B",
        )
    least = top[-1][1]
    return 1 / (1 + math.exp(logprobs.get(_BAD, least) - logprobs.get(_GOOD, least)))
