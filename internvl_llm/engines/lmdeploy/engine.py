"""InternVL through LMDeploy's pipeline, as the checkpoints' cards show it, in either of their formats.

Prompts go in as its own preprocessing leaves them, token ids with pixel values, so neither its chat template
nor its tiling has a part in them, and text that looks like a special token stays text.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

import torch
from lmdeploy import GenerationConfig, PytorchEngineConfig, TurbomindEngineConfig, pipeline
from lmdeploy.serve.core.exceptions import ErrorCode, RequestError

from internvl_llm.engine import EngineSpec
from internvl_llm.engines.lmdeploy.formats import response_format
from internvl_llm.engines.prompting import UNSAID, TokenizedPrompt
from internvl_llm.engines.token_streams import (
    Described,
    Step,
    Steps,
    TokenStreamEngine,
    describe,
    keeps_prefixes,
)
from internvl_llm.errors import EngineError, GrammarError, InternVLError, OptionError
from internvl_llm.hardware import devices
from internvl_llm.hardware.footprint import footprint, of_settings
from internvl_llm.hardware.serving import MEMORY_SHARE, split
from internvl_llm.prompt.segments import IMAGE_CONTEXT
from internvl_llm.prompt.tiling import normalise
from internvl_llm.request import Request

for _handler in logging.getLogger("lmdeploy").handlers:  # answers go to standard output
    if isinstance(_handler, logging.StreamHandler) and _handler.stream is sys.stdout:
        _handler.setStream(sys.stderr)

_HOTTEST = 2.0
_REPEATED = 32
"""Tokens that come again and again."""


class LMDeployEngine(TokenStreamEngine):
    """See `Engine`. Loading happens here; `open_engine` shares what is loaded."""

    def __init__(self, spec: EngineSpec) -> None:
        if spec.dtype not in ("auto", "float16", "bfloat16"):
            raise OptionError(f"LMDeploy has no {spec.dtype}", remedy="Use dtype='bfloat16' or 'float16'")
        gpus = devices.gpus()
        if not gpus:
            raise EngineError(
                "LMDeploy runs on NVIDIA GPUs with CUDA, and torch sees none",
                source=spec.model,
                remedy="Run it on a machine with one, or use the transformers engine",
            )
        described = describe(spec)
        parallel = spec.tensor_parallel or _parallel(described, gpus)
        config = _config(spec, described, parallel)
        try:
            self._pipe = pipeline(
                str(described.folder), backend_config=config, log_level="WARNING", trust_remote_code=False
            )
        except Exception as error:
            raise EngineError(
                f"LMDeploy cannot start the model ({_first_line(error)})",
                source=str(described.folder),
                remedy="See what it wrote on standard error; "
                "lower context_tokens or memory_share, or raise tensor_parallel, where memory was short",
            ) from error
        self._engine = self._pipe.async_engine
        self._turbomind = self._engine.backend == "turbomind"
        try:
            self._refuse_what_the_backend_has_not(spec)
        except OptionError:
            self._pipe.close()
            raise
        prefixes = "kept" if self._pipe.backend_config.enable_prefix_caching else "not kept"
        details = (
            ("device", f"{parallel} x {gpus[0].name}"),
            ("backend", self._engine.backend),
            ("dtype", spec.dtype),
            ("prefixes", prefixes),
        )
        super().__init__(spec, described, self._pipe.internal_thread.loop, details)

    def parameters(self, request: Request) -> GenerationConfig:
        asked, special = request.sampling, self._described.encoder.special
        if asked.temperature > _HOTTEST:
            raise OptionError(
                f"LMDeploy has temperatures up to {_HOTTEST:g}, not {asked.temperature:g}", remedy="Lower it"
            )
        if asked.logprobs is not None and self._turbomind:
            raise OptionError(
                "TurboMind tells no log probabilities of the model's own distribution",
                remedy="Use backend='pytorch', or leave logprobs out",
            )
        greedy = asked.temperature == 0
        unsaid = [special[name] for name in UNSAID if name in special]
        repeats = self.spec.repeat_limit
        return GenerationConfig(
            # The likeliest of one: greedy decoding of its own leaves penalties out.
            do_sample=True,
            top_k=1 if greedy else asked.top_k,
            top_p=asked.top_p,
            temperature=1.0 if greedy else asked.temperature,
            repetition_penalty=asked.repetition_penalty,
            stop_token_ids=sorted(self._described.ends),
            bad_token_ids=[token for token in unsaid if token not in self._described.ends],
            skip_special_tokens=False,
            spaces_between_special_tokens=False,
            include_stop_str_in_output=True,
            logprobs=None if asked.logprobs is None else max(1, asked.logprobs),
            response_format=response_format(request, self._described),
            repetition_ngram_size=_REPEATED if repeats else 0,
            repetition_ngram_threshold=repeats,
        )

    def samples(
        self, request: Request, parameters: GenerationConfig, prompt: TokenizedPrompt, max_tokens: int
    ) -> list[Steps]:
        parameters.max_new_tokens = max_tokens
        images = self._images(prompt)
        return [self._steps(request, parameters, prompt, images, number) for number in range(request.n)]

    async def _steps(
        self,
        request: Request,
        parameters: GenerationConfig,
        prompt: TokenizedPrompt,
        images: list[dict[str, Any]],
        sample: int,
    ) -> AsyncGenerator[Step, None]:
        seed = request.sampling.seed
        parameters.random_seed = None if seed is None else (seed + 7919 * sample) % 2**63
        ready = await self._engine.preprocess(  # which copies the parameters
            messages=None, session_id=self._pipe.session(), gen_config=parameters, input_ids=list(prompt.ids)
        )
        if images:
            ready.inputs["multimodal"] = [dict(image) for image in images]
        outputs = self._engine.generate(ready, stream_response=True)
        async with aclosing(outputs):
            async for output in outputs:
                if output.input_token_len != len(prompt.ids):
                    raise EngineError(
                        f"LMDeploy made {output.input_token_len:,} tokens of a prompt of {len(prompt.ids):,}",
                        remedy="Use a version of LMDeploy that internvl-documents[lmdeploy] allows",
                    )
                tokens = output.token_ids or []
                yield Step(
                    tokens,
                    [dict(chances) for chances in (output.logprobs or ())[: len(tokens)]],
                    _ended(output.finish_reason),
                    output.cached_tokens,
                )

    def _images(self, prompt: TokenizedPrompt) -> list[dict[str, Any]]:
        """As its image processors give them to both backends; `offset` is the first of an image's tokens."""
        dtype = self._engine.vl_encoder.mm_feature_dtype or torch.float32
        token = self._described.encoder.special[IMAGE_CONTEXT]
        return [
            {
                "pixel_values": torch.from_numpy(normalise(image.tiles)).to(dtype),
                "image_tokens": stop - start,
                "image_token_id": token,
                "offset": start,
            }
            for image, (start, stop) in zip(prompt.images, prompt.spans, strict=True)
        ]

    def _refuse_what_the_backend_has_not(self, spec: EngineSpec) -> None:
        if spec.backend == "turbomind" and not self._turbomind:
            raise OptionError(
                "TurboMind does not run this model on this machine", remedy="Use backend='pytorch' or 'auto'"
            )
        if spec.repeat_limit and self._turbomind:
            raise OptionError(
                "TurboMind ends no answer that repeats itself",
                remedy="Use backend='pytorch', or leave repeat_limit out",
            )

    def explain(self, error: Exception) -> InternVLError:
        why = _first_line(error)
        refused = isinstance(error, RequestError) and error.code is ErrorCode.INVALID_REQUEST
        if refused and "response format" in why.lower():
            return GrammarError(f"LMDeploy cannot follow the grammar ({why})", remedy="Ask for less")
        return EngineError(f"LMDeploy cannot answer this ({why})", remedy="Leave this request out")

    def shut_down(self) -> None:
        self._pipe.close()


def _config(
    spec: EngineSpec, described: Described, parallel: int
) -> TurbomindEngineConfig | PytorchEngineConfig:
    arguments: dict[str, Any] = {
        "dtype": spec.dtype,
        "tp": parallel,
        "session_len": described.prompting.context_tokens,
        "enable_prefix_caching": keeps_prefixes(spec),
        "enable_metrics": False,
    }
    optional: Mapping[str, Any] = {
        "max_batch_size": spec.max_batch,
        "cache_max_entry_count": spec.memory_share,
        "max_prefill_token_num": spec.prefill_chunk,
    }
    arguments |= {name: value for name, value in optional.items() if value is not None}
    if spec.backend == "pytorch":
        return PytorchEngineConfig(logprobs_mode="raw_logprobs", **arguments)
    return TurbomindEngineConfig(**arguments)


def _parallel(described: Described, gpus: tuple[devices.Gpu, ...]) -> int:
    model = described.prompting.model
    return split(
        footprint(described.member) if described.member else of_settings(described.config, model),
        described.config["text_config"]["num_attention_heads"],
        memory=min(gpu.free for gpu in gpus),
        gpus=len(gpus),
        share=MEMORY_SHARE,
        context=described.prompting.context_tokens,
    ).tensor_parallel


def _ended(reason: str | None) -> Any:
    if reason in (None, "stop", "length"):
        return reason
    raise EngineError(f"LMDeploy gave the answer up ({reason})", remedy="Ask again")


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__
