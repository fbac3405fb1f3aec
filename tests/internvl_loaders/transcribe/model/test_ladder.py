"""The rungs as a table: what is asked after what was answered, and what comes of it. No engine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from internvl_llm.events import Usage
from internvl_llm.request import Sampling
from internvl_loaders.transcribe.model.ladder import (
    GREEDY,
    SAMPLED,
    VARIED,
    WHOLE,
    Answer,
    Attempt,
    Band,
    Budget,
    Part,
    Problem,
    next_attempt,
    transcript,
)

BUDGET = Budget(max_tokens=100, max_tiles=24)
HALVES = WHOLE.halves()


def attempt(sampling: Sampling = GREEDY, tokens: int = 100, samples: int = 1, **more: Any) -> Attempt:
    return Attempt(replace(sampling, max_tokens=tokens), samples, **more)


def answer(problem: Problem | None = None, text: str = "text", tokens: int = 100, **more: Any) -> Answer:
    more.setdefault("usage", Usage(prompt_tokens=50, completion_tokens=tokens))
    return Answer(attempt(tokens=tokens), text, problem, tokens=tokens, **more)


def varied(problem: Problem | None) -> Answer:
    return replace(answer(problem), attempt=VARIATION)


def in_bands(given: Attempt, *problems: Problem | None) -> Answer:
    parts = [
        Part(band, 0.0, Answer(given, f"band from {band.top:g}", problem, tokens=10))
        for band, problem in zip(given.bands, problems, strict=True)
    ]
    problem = next((one for one in problems if one), None)
    return Answer(given, problem=problem, parts=tuple(parts), tokens=10 * len(parts))


FIRST, VARIATION = attempt(), attempt(VARIED, min_tiles=1, max_tiles=16)
IN_HALVES = attempt(bands=HALVES)
IN_QUARTERS = attempt(Sampling(temperature=0.2, top_p=0.95, seed=1), bands=HALVES[1].halves())


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ([], FIRST),
        ([answer()], None),
        ([answer("repeats")], VARIATION),
        ([answer("empty")], VARIATION),
        ([answer("cut")], attempt(tokens=200)),
        ([answer("cut", usage=Usage(prompt_tokens=850, completion_tokens=100))], attempt(tokens=150)),
        ([answer("cut", usage=Usage(prompt_tokens=900, completion_tokens=100))], IN_HALVES),
        ([answer("cut", usage=None)], attempt(tokens=200)),
        ([answer("cut"), answer("cut", tokens=200)], IN_HALVES),
        ([answer("cut"), answer("repeats", tokens=200)], VARIATION),
        ([answer("repeats"), varied(None)], None),
        ([answer("repeats"), varied("repeats")], IN_HALVES),
        ([answer("repeats"), varied("empty")], IN_HALVES),
        ([answer("repeats"), varied("cut")], replace(VARIATION, sampling=replace(VARIED, max_tokens=200))),
        ([answer("empty"), varied("empty")], None),
        ([answer("repeats"), varied("failed")], None),
        ([answer("late")], None),
        ([answer("repeats"), varied("repeats"), in_bands(IN_HALVES, None, None)], None),
        ([answer("repeats"), varied("repeats"), in_bands(IN_HALVES, None, "repeats")], IN_QUARTERS),
        ([answer("repeats"), varied("repeats"), in_bands(IN_HALVES, None, "cut")], IN_QUARTERS),
    ],
)
def test_what_is_asked_next(history: list[Answer], expected: Attempt | None) -> None:
    assert next_attempt(history, budget=BUDGET, context_tokens=1000) == expected


def test_garbage_is_asked_for_in_other_ways_to_the_end() -> None:
    """Every attempt is another, none has a penalty, and there is an end."""
    history: list[Answer] = []
    budget = Budget(attempts=99)
    while (asked := next_attempt(history, budget=budget, context_tokens=32_768)) is not None:
        if asked.of_bands:
            history.append(in_bands(asked, *["repeats"] * len(asked.bands)))
        else:
            history.append(Answer(asked, "", "repeats"))
    assert [len(one.attempt.bands) for one in history] == [1, 1, 2, 4, 8]
    assert len({one.attempt for one in history}) == len(history)
    assert len({one.attempt.max_tiles for one in history[:2]}) == 2
    assert {one.attempt.sampling.repetition_penalty for one in history} == {1.0}
    assert [one.attempt.sampling.temperature for one in history] == [0, 0.4, 0, 0.2, 0.4]


@pytest.mark.parametrize(
    ("budget", "asked"),
    [
        (replace(BUDGET, attempts=1), None),
        (replace(BUDGET, attempts=2), VARIATION),
        (replace(BUDGET, tokens=100), None),
        (replace(BUDGET, tokens=130), replace(VARIATION, sampling=replace(VARIED, max_tokens=30))),
        (replace(BUDGET, seconds=5.0), None),
        (replace(BUDGET, seconds=5.5), VARIATION),
    ],
)
def test_budgets(budget: Budget, asked: Attempt | None) -> None:
    history = [answer("repeats", seconds=5.0)]
    assert next_attempt(history, budget=budget, context_tokens=1000) == asked


def test_halves_share_what_is_left_of_the_tokens() -> None:
    asked = next_attempt(
        [answer("repeats"), varied("repeats")], budget=replace(BUDGET, tokens=240), context_tokens=1000
    )
    assert asked is not None and asked.sampling.max_tokens == 20


@pytest.mark.parametrize("least", [1, 16, 40])
def test_what_is_hard_to_read_gets_more_tiles(least: int) -> None:
    asked = next_attempt([], budget=BUDGET, context_tokens=1000, min_tiles=least)
    assert asked is not None
    assert (asked.min_tiles, asked.max_tiles) == (min(least, 24), 24)
    again = next_attempt([Answer(asked, "", "repeats")], budget=BUDGET, context_tokens=1000)
    assert again is not None
    assert again.min_tiles <= again.max_tiles < 24


@pytest.mark.parametrize(
    ("history", "seed"), [([], 1), ([answer("repeats")], 2), ([answer("empty")], 2), ([answer("cut")], 1)]
)
def test_several_samples_are_always_varied(history: list[Answer], seed: int) -> None:
    found = next_attempt(history, budget=BUDGET, context_tokens=1000, samples=3)
    assert found is not None
    assert (found.samples, found.sampling.seed) == (3, seed)
    assert found.sampling.temperature == SAMPLED.temperature


LOOP = answer("repeats", "begin", detail="repeated itself ('so' without end)")
LOOPS = "the model repeated itself ('so' without end)"
EMPTY = "the model said nothing of a page that is not blank"
CONTEXT = "the model's answer was cut off where its context ends"
CUT = "the model's answer was cut off at max_tokens = {:,}"


@pytest.mark.parametrize(
    ("history", "text", "outcome", "reasons"),
    [
        ([answer()], "text", "whole", ()),
        ([LOOP, answer()], "text", "whole", (LOOPS,)),
        ([answer("empty", ""), LOOP], "begin", "none", (EMPTY, LOOPS)),
        ([LOOP, LOOP], "begin", "none", (f"twice {LOOPS}",)),
        ([LOOP, LOOP, LOOP], "begin", "none", (f"3 times {LOOPS}",)),
        ([answer("cut")], "text", "part", (f"{CUT.format(100)}; what follows is missing",)),
        (
            [answer("cut", "short"), answer("cut", "longer", 2000)],
            "longer", "part",
            (CUT.format(100), f"{CUT.format(2000)}; what follows is missing"),
        ),
        (
            [answer("cut"), answer("cut", "longer", 2000, usage=Usage(50, 10))],
            "longer", "part",
            (CUT.format(100), f"{CONTEXT}; what follows is missing"),
        ),
        ([LOOP, answer("cut")], "text", "part", (LOOPS, f"{CUT.format(100)}; what follows is missing")),
        (
            [answer("cut"), answer("failed", "", detail="gone")],
            "text", "part",
            (f"{CUT.format(100)}; what follows is missing", "asked again: gone"),
        ),
        ([LOOP, answer("failed", "", detail="gone")], "begin", "none", (LOOPS, "asked again: gone")),
        ([answer("late", "so far")], "so far", "none", ("the model's answer took too long",)),
        (
            [LOOP, in_bands(IN_HALVES, None, None)],
            "band from 0\n\nband from 0.5", "whole",
            (LOOPS, "it was then read in bands, one below the other"),
        ),
        (
            [LOOP, in_bands(IN_HALVES, None, "repeats"), in_bands(IN_QUARTERS, None, None)],
            "band from 0\n\nband from 0.5\n\nband from 0.75", "whole",
            (LOOPS, "the model  in 1 band of 2", "it was then read in bands, one below the other"),
        ),
        (
            [LOOP, in_bands(IN_HALVES, None, "repeats")],
            "band from 0", "none",
            (LOOPS, "the model  in 1 band of 2"),
        ),
        (
            [LOOP, in_bands(IN_HALVES, None, "cut")],
            "band from 0\n\nband from 0.5", "part",
            (LOOPS, f"{CUT.format(100)} in 1 band of 2; what follows there is missing"),
        ),
    ],
)  # fmt: skip
def test_what_comes_of_the_answers(
    history: list[Answer], text: str, outcome: str, reasons: tuple[str, ...]
) -> None:
    found = transcript(history)
    assert (found.text, found.outcome, found.reasons) == (text, outcome, reasons)
    assert found.attempts == len(found.history) == len(history)


def test_every_attempt_is_recorded() -> None:
    found = transcript([replace(LOOP, seconds=1.5), varied("repeats"), in_bands(IN_HALVES, None, None)])
    assert [record.what for record in found.history] == [
        "greedy, up to 24 tiles, up to 100 tokens",
        "temperature 0.4, up to 16 tiles, up to 100 tokens",
        "2 bands of the page, greedy, up to 24 tiles, up to 100 tokens",
    ]
    assert found.history[0].problem == LOOPS and found.history[-1].problem == ""
    assert (found.history[0].tokens, found.history[0].seconds) == (100, 1.5)


def test_bands_are_halved_without_a_gap() -> None:
    quarters = [quarter for half in HALVES for quarter in half.halves()]
    assert [band.top for band in quarters] == [0, 0.25, 0.5, 0.75]
    assert [band.bottom for band in quarters[:-1]] == [band.top for band in quarters[1:]]
    assert quarters[-1] == Band(0.75, 1.0)
