"""InternVL through transformers, in this process.

Each copy of the model belongs to one thread; all callers' requests run there together, joining and
leaving between two tokens. Prompts are prepared in the callers' threads.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Sequence as Sequences
from dataclasses import dataclass
from functools import partial
from typing import Any

from internvl_llm.engine import Capabilities, EngineSpec
from internvl_llm.engines import lark
from internvl_llm.engines.answers import Listener
from internvl_llm.engines.base import BaseEngine, close_at_exit, engine_closed
from internvl_llm.engines.open import fingerprint
from internvl_llm.engines.prompting import UNSAID, Prompting, allowed_context
from internvl_llm.engines.transformers.core import EngineCore
from internvl_llm.engines.transformers.guidance import Constraint, Guidance
from internvl_llm.engines.transformers.loading import load
from internvl_llm.engines.transformers.model_runner import ModelRunner, RunnerConfig
from internvl_llm.engines.transformers.sampling import Sampler
from internvl_llm.engines.transformers.scheduler import WaitingQueue
from internvl_llm.engines.transformers.sequence import Sequence
from internvl_llm.errors import MessageError
from internvl_llm.events import Usage
from internvl_llm.grammar import Exactly
from internvl_llm.prompt.dialects import FORMATS
from internvl_llm.prompt.encoder import Encoder
from internvl_llm.request import Request

_RESERVED = 2 * 10**9
"""Bytes of a GPU left to what passes through while tokens are computed."""


@dataclass(frozen=True, slots=True)
class _Started:
    """The samples of a request."""

    sequences: tuple[Sequence, ...]

    def cancel(self) -> None:
        for sequence in self.sequences:
            sequence.cancel()


class TransformersEngine(BaseEngine):
    """See `Engine`. Loading happens here; `open_engine` shares what is loaded."""

    def __init__(self, spec: EngineSpec) -> None:
        self.spec = spec
        loaded = load(spec)
        self._fingerprint = fingerprint(spec)
        self._tokenizer = loaded.tokenizer
        config = loaded.models[0].config
        self._encoder = Encoder(loaded.tokenizer, config.image_seq_length)
        dialect: Any = loaded.member.dialect if loaded.member else "hermes"
        self.prompting = Prompting(
            loaded.name,
            self._encoder,
            dialect,
            allowed_context(spec, loaded.name, int(config.text_config.max_position_embeddings)),
        )
        self._capabilities = Capabilities(
            model=loaded.name,
            context_tokens=self.prompting.context_tokens,
            dialect=dialect,
            details=loaded.choices,
        )
        self._guidance: Guidance | None = None
        self._guiding = threading.Lock()
        self._waiting = WaitingQueue()
        self._cores: list[EngineCore] = []
        try:
            for model in loaded.models:
                self._cores.append(self._core(model))
        except BaseException:
            self._waiting.close()  # which ends the threads there are, and with them their models
            raise
        self._close_at_exit = close_at_exit(self)

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    def start(self, request: Request, listener: Listener) -> _Started:
        """Grammars are refused before media are looked at, and prompts too long before they are drawn."""
        if self.closed:
            raise engine_closed()
        constraints = [self._constraint(request) for _ in range(request.n)]
        prompt = self.prompting.tokenize(request)
        max_tokens = self.prompting.room(prompt, request.sampling.max_tokens)
        for image in prompt.images:
            if any(image.key not in core.runner.features for core in self._cores):
                _ = image.tiles  # cut here, so that the engine's threads need not
        sequences = tuple(
            Sequence(
                prompt,
                request.sampling,
                max_tokens,
                partial(listener, number),
                self._decode,
                Sampler(request.sampling, prompt.ids, number),
                constraint,
            )
            for number, constraint in enumerate(constraints)
        )
        for sequence in sequences:
            self._waiting.put(sequence)
        return _Started(sequences)

    def count_tokens(self, request: Request) -> Usage:
        prompt = self.prompting.tokenize(request)
        return Usage(len(prompt.ids), 0, prompt.image_tokens)

    def close(self) -> None:
        self.closed = True
        atexit.unregister(self._close_at_exit)
        for sequence in self._waiting.close():
            sequence.fail(engine_closed())
        for core in self._cores:
            core.close()

    def _constraint(self, request: Request) -> Constraint | None:
        if not request.tools and request.grammar is None:
            return None
        with self._guiding:
            if self._guidance is None:
                self._guidance = Guidance(self._tokenizer, self._encoder, self._cores[0].end_tokens)
        if isinstance(request.grammar, Exactly) and not request.tools:
            end = self._encoder.special["<|im_end|>"]
            return self._guidance.constraint(
                lark.exactly([*self._encoder.exactly(request.grammar.text), end])
            )
        form = FORMATS.get(self.prompting.dialect)
        if request.tools and form is None:
            raise MessageError("this model knows no tools", remedy="Leave tools, tool calls and results out")
        text = lark.grammar(request, form, self._guidance.special)
        return None if text is None else self._guidance.constraint(text)

    def _decode(self, tokens: Sequences[int]) -> str:
        # Grounding tags are special tokens too, and part of what was said.
        text: str = self._tokenizer.decode(
            tokens, skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        return text

    def _core(self, model: Any) -> EngineCore:
        special = self._encoder.special
        end_tokens = {special["<|im_end|>"]}
        for source in (model.generation_config, model.config.text_config):
            named = getattr(source, "eos_token_id", None)
            end_tokens |= set(named if isinstance(named, list) else [named] if named is not None else [])
        suppressed = {special[name] for name in UNSAID if name in special}
        suppressed.add(int(model.config.image_token_id))
        suppressed |= set(
            range(len(self._tokenizer), model.lm_head.weight.shape[0])
        )  # rows that are no tokens
        return EngineCore(
            ModelRunner(model, self._runner_config(model), model.config.text_config._attn_implementation),
            self._waiting,
            lambda token: self._decode([token]),
            end_tokens=frozenset(end_tokens),
            suppressed_tokens=tuple(sorted(suppressed - end_tokens)),
        )

    def _runner_config(self, model: Any) -> RunnerConfig:
        import torch

        text = model.config.text_config
        head = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
        width = next(model.model.language_model.parameters()).element_size()
        token_bytes = 2 * text.num_hidden_layers * text.num_key_value_heads * head * width
        cuda = sorted({p.device.index for p in model.parameters() if p.device.type == "cuda"})
        budget = self.spec.kv_bytes
        if budget is None and cuda:
            # Layers are spread over the devices, and so are the keys and values.
            free = [max(0, torch.cuda.mem_get_info(index)[0] - _RESERVED) for index in cuda]
            budget = min(free) * len(cuda)
        return RunnerConfig(
            max_batch=self.spec.max_batch or (128 if cuda else 16),
            kv_tokens=(budget or 4 * 2**30) // token_bytes,
            token_bytes=token_bytes,
            prefill_chunk=self.spec.prefill_chunk or 2048,
            vision_chunk=self.spec.vision_chunk,
            prefix_bytes=self.spec.prefix_bytes,
            feature_bytes=self.spec.feature_bytes,
        )
