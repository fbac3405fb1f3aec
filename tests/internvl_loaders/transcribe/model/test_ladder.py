"""The rungs as a table: what is asked after what was answered, and what comes of it. No engine."""

from __future__ import annotations

from typing import Any

import pytest

from internvl_llm.events import Usage
from internvl_llm.request import Sampling
from internvl_loaders.transcribe.model.ladder import (
    GREEDY,
    SAMPLED,
    VARIED,
    Answer,
    Attempt,
    Problem,
    Transcript,
    next_attempt,
    transcript,
)


def attempt(sampling: Sampling = GREEDY, tokens: int = 100, samples: int = 1) -> Attempt:
    fields = {name: getattr(sampling, name) for name in Sampling.__dataclass_fields__}
    return Attempt(Sampling(**fields | {"max_tokens": tokens}), samples)


def answer(problem: Problem | None = None, text: str = "text", tokens: int = 100, **more: Any) -> Answer:
    more.setdefault("usage", Usage(prompt_tokens=50, completion_tokens=tokens))
    return Answer(attempt(tokens=tokens), text, problem, **more)


FIRST, VARIATION = attempt(), attempt(VARIED)


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ([], FIRST),
        ([answer()], None),
        ([answer("repeats")], VARIATION),
        ([answer("empty")], VARIATION),
        ([answer("cut")], attempt(tokens=200)),
        ([answer("cut", usage=Usage(prompt_tokens=850, completion_tokens=100))], attempt(tokens=150)),
        ([answer("cut", usage=Usage(prompt_tokens=900, completion_tokens=100))], None),
        ([answer("cut", usage=None)], attempt(tokens=200)),
        *(([answer("repeats"), answer(problem)], None) for problem in (None, "repeats", "empty", "cut")),
        ([answer("cut"), answer("cut", tokens=200)], None),
        ([answer("empty"), answer("failed")], None),
    ],
)
def test_what_is_asked_next(history: list[Answer], expected: Attempt | None) -> None:
    assert next_attempt(history, max_tokens=100, context_tokens=1000) == expected


@pytest.mark.parametrize(
    ("history", "seed"), [([], 1), ([answer("repeats")], 2), ([answer("empty")], 2), ([answer("cut")], 1)]
)
def test_several_samples_are_always_varied(history: list[Answer], seed: int) -> None:
    found = next_attempt(history, max_tokens=100, context_tokens=1000, samples=3)
    assert found is not None
    assert (found.samples, found.sampling.seed) == (3, seed)
    assert found.sampling.temperature == SAMPLED.temperature


LOOP = answer("repeats", "begin", detail="the same")
LOOPS = "the model repeated itself ('the same' without end)"
EMPTY = "the model said nothing of a page that is not blank"


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ([answer()], Transcript("text", 1, "whole")),
        ([LOOP, answer()], Transcript("text", 2, "whole", (LOOPS,))),
        ([answer("empty", ""), LOOP], Transcript("begin", 2, "none", (EMPTY, LOOPS))),
        ([LOOP, LOOP], Transcript("begin", 2, "none", (f"twice {LOOPS}",))),
        (
            [answer("cut")],
            Transcript(
                "text", 1, "part",
                ("the model's answer was cut off at max_tokens = 100; what follows is missing",),
            ),
        ),
        (
            [answer("cut", "short"), answer("cut", "longer", 2000)],
            Transcript(
                "longer", 2, "part",
                ("twice the model's answer was cut off at max_tokens = 2,000; what follows is missing",),
            ),
        ),
        (
            [answer("cut"), answer("cut", "longer", 2000, usage=Usage(50, 10))],
            Transcript(
                "longer", 2, "part",
                ("twice the model's answer was cut off where its context ends; what follows is missing",),
            ),
        ),
        (
            [LOOP, answer("cut")],
            Transcript(
                "text", 2, "part",
                (LOOPS, "the model's answer was cut off at max_tokens = 100; what follows is missing"),
            ),
        ),
        (
            [answer("cut"), answer("failed", "", detail="gone")],
            Transcript(
                "text", 2, "part",
                (
                    "the model's answer was cut off at max_tokens = 100; what follows is missing",
                    "asked again: gone",
                ),
            ),
        ),
        (
            [LOOP, answer("failed", "", detail="gone")],
            Transcript("begin", 2, "none", (LOOPS, "asked again: gone")),
        ),
    ],
)  # fmt: skip
def test_what_comes_of_the_answers(history: list[Answer], expected: Transcript) -> None:
    assert transcript(history) == expected
