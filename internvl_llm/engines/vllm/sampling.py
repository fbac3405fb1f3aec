"""Requests as vLLM's SamplingParams. Grammars are the very ones of the transformers engine: llguidance reads
them there too."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import llguidance.hf
from vllm.sampling_params import (
    RepetitionDetectionParams,
    RequestOutputKind,
    SamplingParams,
    StructuredOutputsParams,
)

from internvl_llm.engine import EngineSpec
from internvl_llm.engines import lark
from internvl_llm.engines.prompting import UNSAID
from internvl_llm.engines.token_streams import Described
from internvl_llm.errors import MessageError
from internvl_llm.grammar import Exactly
from internvl_llm.prompt.dialects import FORMATS
from internvl_llm.request import Request

_NEVER = -100.0
"""Added to the logits of what is not said."""
_LONGEST_REPEAT = 64
"""Tokens that follow each other again and again."""


class Parameters:
    """Of requests to one model."""

    def __init__(self, spec: EngineSpec, described: Described) -> None:
        self._spec = spec
        self._described = described
        self._named: Mapping[str, int] | None = None
        self._naming = threading.Lock()

    def of(self, request: Request) -> SamplingParams:
        """Of all samples. Raises GrammarError or MessageError."""
        asked = request.sampling
        grammar = self._grammar(request)
        return SamplingParams(
            temperature=asked.temperature,
            top_p=asked.top_p,
            top_k=asked.top_k,
            repetition_penalty=asked.repetition_penalty,
            logprobs=asked.logprobs,
            stop_token_ids=sorted(self._described.ends),
            # Tokens become text, and stop strings end it, where those of every engine do.
            detokenize=False,
            output_kind=RequestOutputKind.DELTA,
            structured_outputs=None if grammar is None else StructuredOutputsParams(grammar=grammar),
            repetition_detection=self._repetition(),
            **self._unsaid(),
        )

    def _unsaid(self) -> Mapping[str, Any]:
        """vLLM takes no biases beside drafts, and what it takes instead costs more."""
        special = self._described.encoder.special
        names = [name for name in UNSAID if name in special and special[name] not in self._described.ends]
        if self._spec.draft_tokens:
            return {"bad_words": names}
        return {"logit_bias": {special[name]: _NEVER for name in names}}

    def _repetition(self) -> RepetitionDetectionParams | None:
        times = self._spec.repeat_limit
        if not times:
            return None
        return RepetitionDetectionParams(
            max_pattern_size=_LONGEST_REPEAT, min_pattern_size=1, min_count=max(2, times)
        )

    def _grammar(self, request: Request) -> str | None:
        if not request.tools and request.grammar is None:
            return None
        encoder = self._described.encoder
        if isinstance(request.grammar, Exactly) and not request.tools:
            return lark.exactly([*encoder.exactly(request.grammar.text), encoder.special["<|im_end|>"]])
        form = FORMATS.get(self._described.prompting.dialect)
        if request.tools and form is None:
            raise MessageError("this model knows no tools", remedy="Leave tools, tool calls and results out")
        return lark.grammar(request, form, self._named_by_id())

    def _named_by_id(self) -> Mapping[str, int]:
        """Added tokens that are no text to the tokenizer that vLLM makes of ours for grammars; looked at when
        first needed, which takes about a second."""
        with self._naming:
            if self._named is None:
                tokenizer = self._described.tokenizer
                known = llguidance.hf.from_tokenizer(tokenizer, len(tokenizer))
                special = self._described.encoder.special.items()
                self._named = {name: token for name, token in special if known.is_special_token(token)}
            return self._named


def of_sample(parameters: SamplingParams, request: Request, sample: int, max_tokens: int) -> SamplingParams:
    own = parameters.clone()
    own.max_tokens = max_tokens
    if request.sampling.seed is not None:
        own.seed = (request.sampling.seed + 7919 * sample) % 2**63
    return own
