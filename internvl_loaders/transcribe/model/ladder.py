"""What a model is asked about a page after its answers so far, and what comes of all of them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from internvl_llm.events import Usage
from internvl_llm.request import Sampling
from internvl_loaders.transcribe.model.joining import Piece, joined
from internvl_loaders.values import AttemptRecord

Problem = Literal["repeats", "empty", "cut", "late", "failed"]

GREEDY = Sampling()
VARIED = Sampling(temperature=0.4, top_p=0.95, seed=1)
"""Off the track that led astray. A penalty of repetition breaks what pages do repeat: digits, rows."""
SAMPLED = Sampling(temperature=0.6, top_p=0.95, seed=1)
"""Of several answers to choose from."""
_OF_BANDS = (GREEDY, Sampling(temperature=0.2, top_p=0.95, seed=1), VARIED)
"""Of halves, quarters and eighths of a page: another picture is another question."""
_FEWER = 2 / 3
"""Share of its tiles that a page is shown in when it is asked about again."""


class Band(NamedTuple):
    """A stretch of a page, from `top` to `bottom` of its height."""

    top: float
    bottom: float

    def halves(self) -> tuple[Band, Band]:
        middle = (self.top + self.bottom) / 2
        return Band(self.top, middle), Band(middle, self.bottom)


WHOLE = Band(0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Budget:
    """Of a page: tokens of an answer and tiles of a picture, and how many attempts, tokens of all answers and
    seconds there may be in all."""

    max_tokens: int = 4096
    max_tiles: int = 24
    attempts: int = 4
    tokens: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """How a page is asked about, all `bands` of it at once: `samples` answers of `sampling.max_tokens` tokens
    each, at most."""

    sampling: Sampling
    samples: int = 1
    min_tiles: int = 1
    max_tiles: int = 24
    bands: tuple[Band, ...] = (WHOLE,)

    @property
    def of_bands(self) -> bool:
        return self.bands != (WHOLE,)

    @property
    def what(self) -> str:
        """In words."""
        words = [_counted(len(self.bands), "band") + " of the page"] if self.of_bands else []
        words.append(f"temperature {self.sampling.temperature:g}" if self.sampling.temperature else "greedy")
        if self.samples > 1:
            words.append(f"the best of {self.samples}")
        tiles = f"{self.min_tiles} to {self.max_tiles}" if self.min_tiles > 1 else f"up to {self.max_tiles}"
        return ", ".join([*words, f"{tiles} tiles", f"up to {self.sampling.max_tokens:,} tokens"])


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an attempt. `text` is as far as it is good; `detail` says what went wrong with one that
    `repeats` (or ran away) or `failed`. `parts` are the answers about each band, where there are bands; then
    the problem is the first of theirs. `tokens` are those of the answer, counted or estimated."""

    attempt: Attempt
    text: str = ""
    problem: Problem | None = None
    detail: str = ""
    usage: Usage | None = None
    tokens: int = 0
    seconds: float = 0.0
    parts: tuple[Part, ...] = ()

    @property
    def limit(self) -> int:
        return self.attempt.sampling.max_tokens

    @property
    def reason(self) -> str:
        """What is wrong with it, in words."""
        if self.parts:
            bad = [part.answer for part in self.parts if part.answer.problem is not None]
            told = f" in {_counted(len(bad), 'band')} of {len(self.parts)}"
            return bad[0].reason + told if bad else ""
        match self.problem:
            case "repeats":
                return f"the model {self.detail}"
            case "empty":
                return "the model said nothing of a page that is not blank"
            case "cut" if self.usage is not None and self.usage.completion_tokens < self.limit:
                return "the model's answer was cut off where its context ends"
            case "cut":
                return f"the model's answer was cut off at max_tokens = {self.limit:,}"
            case "late":
                return "the model's answer took too long"
            case "failed":
                return f"asked again: {self.detail}"
            case None:
                return ""

    @property
    def record(self) -> AttemptRecord:
        return AttemptRecord(
            what=self.attempt.what, problem=self.reason, tokens=self.tokens, seconds=round(self.seconds, 3)
        )


class Part(NamedTuple):
    """A band of a page, the share of its height that the band above shows too, and the answer about it."""

    band: Band
    overlap: float
    answer: Answer


@dataclass(frozen=True, slots=True)
class Transcript:
    """What came of a page: the `whole` of it, a `part` (the answer was cut off), or `none` (it went wrong,
    and `text` is what was good). `reasons` tell why there was a second try, and what the result lacks."""

    text: str
    attempts: int
    outcome: Literal["whole", "part", "none"]
    reasons: tuple[str, ...] = ()
    history: tuple[AttemptRecord, ...] = ()


def next_attempt(
    history: Sequence[Answer],
    *,
    budget: Budget = Budget(),
    context_tokens: int = 32_768,
    samples: int = 1,
    min_tiles: int = 1,
) -> Attempt | None:
    """The attempt after those in `history`; None where there is nothing to gain from another, or no budget
    left for it. None is like one before it.

    The first is greedy. What was only cut off is asked for with twice the tokens, as far as the context goes;
    what went wrong otherwise is asked for with some variation and another number of tiles. Then come the
    halves of the page, and the halves of those of them that went wrong. `samples` answers are sampled at all
    times.
    """
    rung = _first(budget, min_tiles) if not history else _after(history, budget, context_tokens)
    if rung is None or not _affordable(history, budget):
        return None
    if samples > 1:  # each as varied as the others; other seeds give other answers
        seed = 1 + sum(answer.problem != "cut" for answer in history)
        sampling = replace(SAMPLED, seed=seed, max_tokens=rung.sampling.max_tokens)
        rung = replace(rung, sampling=sampling, samples=samples)
    if budget.tokens is None:
        return rung
    left = (budget.tokens - sum(answer.tokens for answer in history)) // (len(rung.bands) * samples)
    most = max(1, min(rung.sampling.max_tokens, left))
    return replace(rung, sampling=replace(rung.sampling, max_tokens=most))


def _first(budget: Budget, min_tiles: int) -> Attempt:
    sampling = replace(GREEDY, max_tokens=budget.max_tokens)
    return Attempt(sampling, 1, min(min_tiles, budget.max_tiles), budget.max_tiles)


def _after(history: Sequence[Answer], budget: Budget, context_tokens: int) -> Attempt | None:
    first, last = history[0].attempt, history[-1]
    if last.problem is None or last.problem in ("failed", "late"):
        return None
    if last.attempt.of_bands:
        bad = [part.band for part in last.parts if part.answer.problem is not None]
        return _banded(first, budget, bad)
    if last.problem == "cut" and last.limit <= budget.max_tokens:
        prompt = last.usage.prompt_tokens if last.usage is not None else 0
        more = min(2 * last.limit, context_tokens - prompt)
        if more > last.limit:
            return replace(last.attempt, sampling=replace(last.attempt.sampling, max_tokens=more))
    if last.problem != "cut" and len({_manner(answer.attempt) for answer in history}) == 1:
        most = max(1, int(first.max_tiles * _FEWER))
        sampling = replace(VARIED, max_tokens=budget.max_tokens)
        return Attempt(sampling, 1, min(first.min_tiles, max(1, most // 2)), most)
    if all(answer.problem == "empty" for answer in history):
        return None
    return _banded(first, budget, [WHOLE])


def _manner(attempt: Attempt) -> tuple[object, ...]:
    """How it is asked, but for the length of the answer."""
    return attempt.max_tiles, attempt.sampling.temperature, attempt.sampling.seed


def _banded(first: Attempt, budget: Budget, bad: Iterable[Band]) -> Attempt | None:
    bands = tuple(half for band in bad for half in band.halves())
    if not bands:
        return None
    depth = round(1 / (bands[0].bottom - bands[0].top)).bit_length() - 2
    if depth >= len(_OF_BANDS):
        return None
    sampling = replace(_OF_BANDS[depth], max_tokens=budget.max_tokens)
    return Attempt(sampling, 1, first.min_tiles, budget.max_tiles, bands)


def _affordable(history: Sequence[Answer], budget: Budget) -> bool:
    return (
        len(history) < budget.attempts
        and (budget.tokens is None or sum(answer.tokens for answer in history) < budget.tokens)
        and (budget.seconds is None or sum(answer.seconds for answer in history) < budget.seconds)
    )


def transcript(history: Sequence[Answer]) -> Transcript:
    """What comes of the answers, of which there is one at least; only later ones may have failed."""
    last, records = history[-1], tuple(answer.record for answer in history)
    if last.problem is None:
        text = _read_in_bands(history)[0] if last.attempt.of_bands else last.text
        reasons = [answer.reason for answer in history[:-1]]
        if last.attempt.of_bands:
            reasons.append("it was then read in bands, one below the other")
        return Transcript(text, len(history), "whole", tuple(reasons), records)
    reasons = [answer.reason for answer in history]
    whole = [answer for answer in history if not answer.attempt.of_bands]
    cut = [answer for answer in whole if answer.problem == "cut"]
    text, only_cut = _read_in_bands(history)
    if cut and not only_cut:
        best = max(cut, key=lambda answer: len(answer.text))
        text, reasons[history.index(best)] = best.text, f"{best.reason}; what follows is missing"
    elif only_cut:
        reasons[-1] = f"{reasons[-1]}; what follows there is missing"
    text = text or next((answer.text for answer in reversed(whole) if answer.text.strip()), "")
    outcome: Literal["part", "none"] = "part" if cut or only_cut else "none"
    return Transcript(text, len(history), outcome, tuple(_together(reasons)), records)


def _read_in_bands(history: Sequence[Answer]) -> tuple[str, bool]:
    """The text of all bands that are read to their end, or were cut off for good; whether there are no
    others."""
    left: dict[Band, Part] = {}
    for answer in history:
        for part in answer.parts:
            for above in [band for band in left if band.top <= part.band.top < band.bottom]:
                del left[above]  # it was asked about again, in halves
            left[part.band] = part
    good = [left[band] for band in sorted(left) if left[band].answer.problem in (None, "cut")]
    text = joined([Piece(part.answer.text, part.overlap) for part in good])
    return text, bool(good) and len(good) == len(left)


def _together(reasons: Sequence[str]) -> list[str]:
    """What went wrong in the same way one time after the other is said once."""
    told: list[str] = []
    times: list[int] = []
    for reason in reasons:
        if told and told[-1] == reason:
            times[-1] += 1
        else:
            told.append(reason)
            times.append(1)
    words = {1: "", 2: "twice "}
    return [words.get(count, f"{count} times ") + reason for reason, count in zip(told, times, strict=True)]


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"
