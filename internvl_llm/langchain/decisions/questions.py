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
_LABEL_LENGTH = 200
"""Characters of what is to be located that stand in a `<ref>`."""
_BOX_TOKENS = 64
"""Of `<ref></ref><box>[[1000, 1000, 1000, 1000]]</box>`, were each character one."""

_NOT_IN_LABELS = re.compile(r"[<>\x00-\x1f\x7f\ud800-\udfff]")
"""Tags, control characters, lone surrogates."""


@dataclass(frozen=True, slots=True)
class Query:
    """A question, and what the engine is asked about it."""

    name: str
    question: Question
    requests: tuple[Request, ...]
    """One for each answer that is allowed, in order; one for a Box."""


def to_query(name: str, question: Question, request: Request) -> Query:
    """`request` ends with the question's `wording`. Raises MessageError, OptionError, GrammarError."""
    if isinstance(question, Box):
        _check_one_image(name, request.messages[-1].parts)
    return Query(name, question, tuple(_requests(question, request)))


def wording(question: Question) -> Iterator[Piece]:
    if isinstance(question, Box):
        label, preface = _label(question)
        yield from preface
        yield Text(grounding.QUESTION.format(label), grounding=True)
        return
    yield from pieces(question.instructions)
    if isinstance(question, Noul):
        criteria = question.criteria
        meanings = [(_YES, criteria.true), (_NO, criteria.false)] if criteria else []
        yield from _listed(meanings if any(meaning is not None for _, meaning in meanings) else [])
        yield f"\nAnswer {_YES} or {_NO}."
    elif isinstance(question, Choice):
        yield from _listed(question.criteria.items())
        yield "\nAnswer with one of these labels, word for word."
    else:
        yield from _listed((str(level), meaning) for level, meaning in enumerate(question.criteria))
        yield "\nAnswer with the number of one of these levels."


def _listed(criteria: Iterable[tuple[str, Any]]) -> Iterator[Piece]:
    for name, meaning in criteria:
        yield f"\n- {name}"
        if meaning is not None:
            yield ": "
            yield from pieces(meaning)


def _label(question: Box) -> tuple[str, list[Piece]]:
    """What stands in the `<ref>`, and what comes before it where that is not all."""
    instructions = list(pieces(question.instructions))
    text = "".join(piece if isinstance(piece, str) else getattr(piece, "text", "") for piece in instructions)
    label = " ".join(_NOT_IN_LABELS.sub(" ", text).split())
    if not label:
        raise OptionError("a Box says nothing of what to locate", remedy="Give it instructions")
    whole = len(label) <= _LABEL_LENGTH and all(isinstance(piece, str) for piece in instructions)
    return label[:_LABEL_LENGTH].strip(), [] if whole else [*instructions, "\n"]


def _check_one_image(name: str, parts: Iterable[Part]) -> None:
    media = [part for part in parts if not isinstance(part, Text)]
    if len(media) != 1 or isinstance(media[0], Video):
        raise MessageError(
            f"the Box {name!r} needs one image, and {len(media)} images, pages and videos are shown",
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


def _requests(question: Question, request: Request) -> Iterator[Request]:
    """A text has no more tokens than bytes; the end of the turn is one more."""
    if isinstance(question, Box):
        label, _ = _label(question)
        sampling = Sampling(max_tokens=len(label.encode()) + _BOX_TOKENS, logprobs=0)
        yield replace(request, sampling=sampling, grammar=grounding.grammar(label))
        return
    for option in _options(question):
        sampling = Sampling(max_tokens=len(option.encode("utf-8", "surrogatepass")) + 1, logprobs=0)
        yield replace(request, sampling=sampling, grammar=Exactly(option))


def to_answer(query: Query, samples: Sequence[Sample]) -> Answer:
    for sample in samples:
        if sample.finish_reason != "stop":
            raise ContextError(
                f"the answer to {query.name!r} does not fit into the context",
                remedy="Show fewer pages or tiles (max_tiles), or a shorter state",
            )
        if not sample.logprobs:
            raise EngineError("the engine gives no log probabilities", remedy="Use engine='transformers'")
    question = query.question
    if isinstance(question, Box):
        return _box(samples[0])
    probabilities = _softmax([math.fsum(token.logprob for token in sample.logprobs) for sample in samples])
    highest = max(probabilities)
    if isinstance(question, Noul):
        return NoulAnswer(type="noul", noul=probabilities[0])
    if isinstance(question, Score):
        return ScoreAnswer(
            type="score",
            score=math.fsum(level * probability for level, probability in enumerate(probabilities)),
            legend=dict(enumerate(question.criteria)),
            probabilities=dict(enumerate(probabilities)),
            confidence=highest,
        )
    labels = list(question.criteria)
    return ChoiceAnswer(
        type="choice",
        choice=labels[probabilities.index(highest)],
        probabilities=dict(zip(labels, probabilities, strict=True)),
        confidence=highest,
    )


def _softmax(logprobs: Sequence[float]) -> list[float]:
    highest = max(logprobs)
    weights = [math.exp(logprob - highest) for logprob in logprobs]
    total = math.fsum(weights)
    return [weight / total for weight in weights]


def _box(sample: Sample) -> BoxAnswer:
    grounded = next(iter(grounding.boxes(sample.text)), None)
    if grounded is None:
        raise EngineError(
            f"the engine did not follow the grammar of a box: {sample.text[:100]!r}",
            remedy="Use engine='transformers'",
        )
    text, logprob = "", 0.0
    for token in reversed(sample.logprobs):
        if "<box>" in text:
            break
        text = token.token + text
        logprob += token.logprob if re.search("[0-9]", token.token) else 0.0
    box = BoxCoordinates(top=grounded.top, bottom=grounded.bottom, left=grounded.left, right=grounded.right)
    return BoxAnswer(type="box", box=box, confidence=math.exp(logprob / 4))
