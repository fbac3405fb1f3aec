"""LangChain: InternVL as a decision model, its probabilities read from the model's own logits."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from internvl_llm.errors import MissingDependencyError, OptionError

try:
    from langchain_core.decisions import BaseDecisionModel, ClassifierResponse, Question, State
    from pydantic import Field, TypeAdapter, ValidationError
except ImportError as error:
    raise MissingDependencyError(
        "decision models came with langchain-core 1.8", remedy="Run pip install 'langchain-core>=1.8'"
    ) from error

from internvl_llm.engine import Engine
from internvl_llm.engines.open import open_engine
from internvl_llm.events import Result, Usage
from internvl_llm.langchain.decisions.questions import Asked, answer, ask, wording
from internvl_llm.langchain.decisions.state import Piece, pieces
from internvl_llm.langchain.profile import settled, to_spec
from internvl_llm.langchain.responses import PROVIDER, usage
from internvl_llm.media.load import Shown, load
from internvl_llm.messages import Document, Image, Message
from internvl_llm.prompt.chatml import DEFAULT_SYSTEM
from internvl_llm.request import Request

__all__ = ["InternVLDecisions"]

_REQUEST = ("system", "min_tiles", "max_tiles", "media")
_questions: TypeAdapter[dict[str, Question]] = TypeAdapter(dict[str, Question])


class InternVLDecisions(BaseDecisionModel):
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
        asked = {"kind": kind, "total": Box(instructions="the total")}
        answer = model.invoke({"state": [image], "questions": asked})
        print(answer.choices["kind"].probabilities, answer.boxes["total"].box)
        ```

    Raises:
        OptionError: If options or questions make no sense.
        MessageError: If InternVL cannot be shown the state, or a Box is asked of other than one image.
    """

    model: str = Field(default="", description="A family member in any spelling, a hub id, a local folder.")
    engine: Any = Field(
        default="transformers",
        exclude=True,
        repr=False,
        description="The name of an engine, an EngineSpec or fields of one, or an engine that is open.",
    )
    base_url: str | None = Field(default=None, description="Of a server engine.")
    system: str | None = DEFAULT_SYSTEM
    min_tiles: int = Field(default=1, description="Of an image, 448 px each.")
    max_tiles: int = 12
    page: bool = Field(default=False, description="Cut images into tiles as pages.")
    media: Any = Field(default=None, exclude=True, repr=False, description="MediaOptions: limits, hosts.")

    def __init__(self, **fields: Any) -> None:
        super().__init__(**settled(fields, type(self).model_fields))
        if not isinstance(self.engine, Engine):
            to_spec(self.engine, self.model, self.base_url)
        Request("-", page=self.page, **self._told)

    @property
    def _provider(self) -> str:
        return PROVIDER

    @property
    def _told(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _REQUEST}

    def _classify(self, state: State, questions: dict[str, Question]) -> ClassifierResponse:
        engine, asked = self._asked(state, questions)
        return self._response(asked, engine.generate([request for one in asked for request in one.requests]))

    async def _aclassify(self, state: State, questions: dict[str, Question]) -> ClassifierResponse:
        engine, asked = await asyncio.to_thread(self._asked, state, questions)
        results = await engine.agenerate([request for one in asked for request in one.requests])
        return self._response(asked, results)

    def _asked(self, state: State, questions: Mapping[str, Question]) -> tuple[Engine, list[Asked]]:
        """Loads media, and weights where need be."""
        if not questions:
            raise OptionError("nothing is asked", remedy="Give one question at least")
        try:
            known = _questions.validate_python(dict(questions))
        except ValidationError as error:
            raise OptionError(
                f"no such question ({error.errors()[0]['msg']})", remedy="Give Noul, Choice, Score and Box"
            ) from error
        paged, shown = self._loaded(pieces(state))
        asked = [self._ask(name, question, paged, shown) for name, question in known.items()]
        if isinstance(self.engine, Engine):
            return self.engine, asked
        return open_engine(to_spec(self.engine, self.model, self.base_url)), asked

    def _ask(self, name: str, question: Question, paged: bool, shown: Sequence[Piece]) -> Asked:
        pages, told = self._loaded(wording(question))
        between = ["\n\n"] if shown and isinstance(shown[-1], str) else []
        message = Message.user(*shown, *between, *told)
        return ask(name, question, Request(message, page=self.page or paged or pages, **self._told))

    def _loaded(self, given: Iterable[Piece]) -> tuple[bool, list[Piece]]:
        """Images and pages measured, once for all answers; whether there were pages."""
        held = list(given)
        media = [piece for piece in held if isinstance(piece, Document | Image)]
        found = load(Message.user(*media), self.media) if media else Shown((), ())
        images, counts, loaded = iter(found.images), iter(found.counts), list[Piece]()
        for piece in held:
            if isinstance(piece, Document | Image):
                drawn = islice(images, next(counts))
                loaded += [Image(one, one.min_tiles, one.max_tiles) for one in drawn]
            else:
                loaded.append(piece)
        return any(isinstance(piece, Document) for piece in media), loaded

    def _response(self, asked: Sequence[Asked], results: Iterable[Result]) -> ClassifierResponse:
        left, counted, answers = iter(results), Usage(), {}
        for one in asked:
            found = [next(left) for _ in one.requests]
            counted = sum((result.usage for result in found), counted)
            answers[one.name] = answer(one, [result.samples[0] for result in found])
        return ClassifierResponse(model=self.model, answers=answers, usage=usage(counted))
