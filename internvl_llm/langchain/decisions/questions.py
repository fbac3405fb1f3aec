"""Typed questions as requests, and what an engine says to these as typed answers: pure functions."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from langchain_core.decisions import (
    Answer,
    Box,
    BoxAnswer,
    BoxCoordinates,
    Choice,
    ChoiceAnswer,
    Noul,
    NoulAnswer,
    Question,
    Score,
    ScoreAnswer,
)

from internvl_llm import grounding
from internvl_llm.errors import ContextError, EngineError, MessageError, OptionError
from internvl_llm.events import Sample
from internvl_llm.grammar import Exactly
from internvl_llm.langchain.decisions.state import Piece, pieces
from internvl_llm.messages import Part, Text, Video
from internvl_llm.request import Request, Sampling

_YES, _NO = "Yes", "No"
_LABEL = 200
"""Characters of what is to be located that stand in a `<ref>`."""
_BOX_TOKENS = 64
"""Of `<ref></ref><box>[[1000, 1000, 1000, 1000]]</box>`, were each character one."""

_UNSAID = re.compile(r"[<>\x00-\x1f\x7f\ud800-\udfff]")
"""In no label: tags, control characters, lone surrogates."""


@dataclass(frozen=True, slots=True)
class Asked:
    name: str
    question: Question
    requests: tuple[Request, ...]
    """One for each answer that is allowed, in order; one for a Box."""


def ask(name: str, question: Question, shown: Request) -> Asked:
    """`shown` ends with the question's `wording`. Raises MessageError, OptionError, GrammarError."""
    if isinstance(question, Box):
        _check_one_image(name, shown.messages[-1].parts)
    return Asked(name, question, tuple(_requests(question, shown)))


def wording(question: Question) -> Iterator[Piece]:
    if isinstance(question, Box):
        label, told = _label(question)
        yield from told
        yield Text(grounding.QUESTION.format(label), grounding=True)
        return
    yield from pieces(question.instructions)
    if isinstance(question, Noul):
        criteria = question.criteria
        means = [(_YES, criteria.true), (_NO, criteria.false)] if criteria else []
        yield from _listed(means if any(told is not None for _, told in means) else [])
        yield f"\nAnswer {_YES} or {_NO}."
    elif isinstance(question, Choice):
        yield from _listed(question.criteria.items())
        yield "\nAnswer with one of these labels, word for word."
    else:
        yield from _listed((str(level), told) for level, told in enumerate(question.criteria))
        yield "\nAnswer with the number of one of these levels."


def _listed(criteria: Iterable[tuple[str, Any]]) -> Iterator[Piece]:
    for name, told in criteria:
        yield f"\n- {name}"
        if told is not None:
            yield ": "
            yield from pieces(told)


def _label(question: Box) -> tuple[str, list[Piece]]:
    """What stands in the `<ref>`, and what is told before it where that is not all."""
    told = list(pieces(question.instructions))
    said = "".join(piece if isinstance(piece, str) else getattr(piece, "text", "") for piece in told)
    label = " ".join(_UNSAID.sub(" ", said).split())
    if not label:
        raise OptionError("a Box says nothing of what to locate", remedy="Give it instructions")
    whole = len(label) <= _LABEL and all(isinstance(piece, str) for piece in told)
    return label[:_LABEL].strip(), [] if whole else [*told, "\n"]


def _check_one_image(name: str, parts: Iterable[Part]) -> None:
    shown = [part for part in parts if not isinstance(part, Text)]
    if len(shown) != 1 or isinstance(shown[0], Video):
        raise MessageError(
            f"the Box {name!r} needs one image, and {len(shown)} images, pages and videos are shown",
            remedy="Show one image, or one page of a document, and ask of the others by themselves",
        )


def _options(question: Noul | Choice | Score) -> list[str]:
    if isinstance(question, Noul):
        return [_YES, _NO]
    if isinstance(question, Score):
        return [str(level) for level in range(len(question.criteria))]
    if not all(label.strip() for label in question.criteria):
        raise OptionError("a label is empty", remedy="Give every label a name, such as other")
    return list(question.criteria)


def _requests(question: Question, asked: Request) -> Iterator[Request]:
    """A text has no more tokens than bytes; the end of the turn is one more."""
    if isinstance(question, Box):
        label, _ = _label(question)
        room = Sampling(max_tokens=len(label.encode()) + _BOX_TOKENS, logprobs=0)
        yield replace(asked, sampling=room, grammar=grounding.grammar(label))
        return
    for option in _options(question):
        room = Sampling(max_tokens=len(option.encode("utf-8", "surrogatepass")) + 1, logprobs=0)
        yield replace(asked, sampling=room, grammar=Exactly(option))


def answer(asked: Asked, samples: Sequence[Sample]) -> Answer:
    for sample in samples:
        if sample.finish_reason != "stop":
            raise ContextError(
                f"the answer to {asked.name!r} does not fit into the context",
                remedy="Show fewer pages or tiles (max_tiles), or a shorter state",
            )
        if not sample.logprobs:
            raise EngineError("the engine tells no log probabilities", remedy="Use engine='transformers'")
    question = asked.question
    if isinstance(question, Box):
        return _box(samples[0])
    chances = _softmax([math.fsum(token.logprob for token in sample.logprobs) for sample in samples])
    sure = max(chances)
    if isinstance(question, Noul):
        return NoulAnswer(type="noul", noul=chances[0])
    if isinstance(question, Score):
        return ScoreAnswer(
            type="score",
            score=math.fsum(level * chance for level, chance in enumerate(chances)),
            legend=dict(enumerate(question.criteria)),
            probabilities=dict(enumerate(chances)),
            confidence=sure,
        )
    labels = list(question.criteria)
    return ChoiceAnswer(
        type="choice",
        choice=labels[chances.index(sure)],
        probabilities=dict(zip(labels, chances, strict=True)),
        confidence=sure,
    )


def _softmax(logs: Sequence[float]) -> list[float]:
    most = max(logs)
    weights = [math.exp(log - most) for log in logs]
    whole = math.fsum(weights)
    return [weight / whole for weight in weights]


def _box(sample: Sample) -> BoxAnswer:
    found = next(iter(grounding.boxes(sample.text)), None)
    if found is None:
        raise EngineError(
            f"the engine did not follow the grammar of a box: {sample.text[:100]!r}",
            remedy="Use engine='transformers'",
        )
    said, log = "", 0.0
    for token in reversed(sample.logprobs):
        if "<box>" in said:
            break
        said = token.token + said
        log += token.logprob if re.search("[0-9]", token.token) else 0.0
    box = BoxCoordinates(top=found.top, bottom=found.bottom, left=found.left, right=found.right)
    return BoxAnswer(type="box", box=box, confidence=math.exp(log / 4))
