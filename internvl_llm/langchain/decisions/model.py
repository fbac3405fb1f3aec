"""LangChain: InternVL as a decision model, its probabilities read from the model's own logits."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice

from internvl_llm.errors import MissingDependencyError, OptionError

try:
    from langchain_core.decisions import BaseDecisionModel, ClassifierResponse, Question, State
    from pydantic import TypeAdapter, ValidationError
except ImportError as error:
    raise MissingDependencyError(
        "decision models came with langchain-core 1.8", remedy="Run pip install 'langchain-core>=1.8'"
    ) from error

from internvl_llm.chat_options import PROMPT_OPTIONS, EngineFields, fields_model, to_request
from internvl_llm.engine import Engine
from internvl_llm.events import Result, Usage
from internvl_llm.langchain.decisions.questions import Query, to_answer, to_query, wording
from internvl_llm.langchain.decisions.state import Piece, pieces
from internvl_llm.langchain.responses import PROVIDER, usage
from internvl_llm.media.load import Shown, load
from internvl_llm.messages import Document, Image, Message
from internvl_llm.request import Request

__all__ = ["InternVLDecisions"]

_questions: TypeAdapter[dict[str, Question]] = TypeAdapter(dict[str, Question])


class InternVLDecisions(fields_model(PROMPT_OPTIONS), EngineFields, BaseDecisionModel):  # type: ignore[misc]
    """Typed questions about text, messages, images, PDFs and videos, answered by a local InternVL checkpoint.

    Nothing is sampled. The answers a question allows (Yes and No, the labels, the numbers of the levels) each
    have the probability that the model says it, all tokens and the end of the turn, over the sum of these;
    `confidence` is that of the likeliest. A box is the model's grounding of the one image that is shown, and
    its confidence the geometric mean of the probabilities of its four coordinates. None is calibrated:
    choose thresholds on your own data.

    Every answer is a request of its own, all questions' together in one batch; they share what is computed
    of the state. `usage` counts every request. Media are those of ChatInternVL, anywhere in state,
    instructions and criteria; where a document is shown, images are cut into tiles as its pages are.

    Example:
        ```python
        from langchain_core.decisions import Box, Choice
        from internvl_llm.langchain_decisions import InternVLDecisions

        model = InternVLDecisions(model="OpenGVLab/InternVL3-8B")
        kinds = {"invoice": "Asks for payment.", "receipt": "Confirms payment.", "other": None}
        kind = Choice(instructions="What is this?", criteria=kinds)
        image = {"type": "image", "base64": encoded, "mime_type": "image/png"}
        questions = {"kind": kind, "total": Box(instructions="the total")}
        answer = model.invoke({"state": [image], "questions": questions})
        print(answer.choices["kind"].probabilities, answer.boxes["total"].box)
        ```

    Raises:
        OptionError: If options or questions make no sense.
        MessageError: If InternVL cannot be shown the state, or a Box is asked of other than one image.
    """

    @property
    def _provider(self) -> str:
        return PROVIDER

    def _classify(self, state: State, questions: dict[str, Question]) -> ClassifierResponse:
        engine, queries = self._prepare(state, questions)
        return self._response(queries, engine.generate(_requests(queries)))

    async def _aclassify(self, state: State, questions: dict[str, Question]) -> ClassifierResponse:
        engine, queries = await asyncio.to_thread(self._prepare, state, questions)
        return self._response(queries, await engine.agenerate(_requests(queries)))

    def _prepare(self, state: State, questions: Mapping[str, Question]) -> tuple[Engine, list[Query]]:
        """Loads media, and weights where need be."""
        if not questions:
            raise OptionError("nothing is asked", remedy="Give one question at least")
        try:
            typed = _questions.validate_python(dict(questions))
        except ValidationError as error:
            raise OptionError(
                f"no such question ({error.errors()[0]['msg']})", remedy="Give Noul, Choice, Score and Box"
            ) from error
        has_pages, context = self._load(pieces(state))
        queries = [self._query(name, question, has_pages, context) for name, question in typed.items()]
        return self._engine(), queries

    def _query(self, name: str, question: Question, has_pages: bool, context: Sequence[Piece]) -> Query:
        own_pages, instructions = self._load(wording(question))
        between = ["\n\n"] if context and isinstance(context[-1], str) else []
        request = to_request([Message.user(*context, *between, *instructions)], self, {})
        return to_query(name, question, replace(request, page=self.page or has_pages or own_pages))

    def _load(self, pieces: Iterable[Piece]) -> tuple[bool, list[Piece]]:
        """Images and pages measured, once for all answers; whether there were pages."""
        unloaded = list(pieces)
        media = [piece for piece in unloaded if isinstance(piece, Document | Image)]
        shown = load(Message.user(*media), self.media) if media else Shown((), ())
        images, counts, loaded = iter(shown.images), iter(shown.counts), list[Piece]()
        for piece in unloaded:
            if isinstance(piece, Document | Image):
                drawn = islice(images, next(counts))
                loaded += [Image(one, one.min_tiles, one.max_tiles) for one in drawn]
            else:
                loaded.append(piece)
        return any(isinstance(piece, Document) for piece in media), loaded

    def _response(self, queries: Sequence[Query], results: Iterable[Result]) -> ClassifierResponse:
        remaining, total, answers = iter(results), Usage(), {}
        for query in queries:
            own = [next(remaining) for _ in query.requests]
            total = sum((result.usage for result in own), total)
            answers[query.name] = to_answer(query, [result.samples[0] for result in own])
        return ClassifierResponse(model=self.model, answers=answers, usage=usage(total))


def _requests(queries: Iterable[Query]) -> list[Request]:
    return [request for query in queries for request in query.requests]
