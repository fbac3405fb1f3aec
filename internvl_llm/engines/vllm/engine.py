"""InternVL through vLLM's AsyncLLM, whose engine runs in processes that it starts."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from vllm.exceptions import VLLMValidationError
from vllm.platforms import current_platform
from vllm.sampling_params import SamplingParams
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError

from internvl_llm.engine import EngineSpec
from internvl_llm.engines.prompting import TokenizedPrompt
from internvl_llm.engines.token_streams import LoopThread, Step, Steps, TokenStreamEngine, describe
from internvl_llm.engines.vllm.inputs import Inputs
from internvl_llm.engines.vllm.sampling import Parameters, of_sample
from internvl_llm.engines.vllm.settings import settings
from internvl_llm.errors import EngineError, GrammarError, InternVLError, OptionError
from internvl_llm.request import Request


class VLLMEngine(TokenStreamEngine):
    """See `Engine`. Loading happens here; `open_engine` shares what is loaded."""

    def __init__(self, spec: EngineSpec) -> None:
        device = current_platform.device_type
        if not device:
            raise EngineError(
                "vLLM finds no device that it can run on",
                source=spec.model,
                remedy="Run it on a machine with an NVIDIA GPU and CUDA, or use the transformers engine",
            )
        if spec.device not in ("auto", device):
            raise OptionError(
                f"the vllm that is installed runs on {device}, not on {spec.device}",
                remedy="Leave device out, or use the transformers engine",
            )
        described = describe(spec)
        chosen = settings(spec, described)
        self._thread = LoopThread("internvl-vllm")
        starting = asyncio.run_coroutine_threadsafe(_started(chosen.arguments), self._thread.loop)
        try:
            self._llm = starting.result()
        except Exception as error:
            self._thread.close()
            raise EngineError(
                f"vLLM cannot start the model ({_first_line(error)})",
                source=str(described.folder),
                remedy="See what it wrote on standard error; "
                "lower context_tokens or memory_share, or raise tensor_parallel, where memory was short",
            ) from error
        config = self._llm.vllm_config
        self._inputs = Inputs(
            described.format,
            described.encoder,
            config.model_config.dtype,
            self._llm.input_processor.mm_encoder_cache_size,
        )
        self._parameters = Parameters(spec, described)
        super().__init__(spec, described, self._thread.loop, chosen.details)

    def parameters(self, request: Request) -> SamplingParams:
        return self._parameters.of(request)

    def samples(
        self, request: Request, parameters: SamplingParams, prompt: TokenizedPrompt, max_tokens: int
    ) -> list[Steps]:
        inputs = self._inputs.of(prompt)
        return [
            self._steps(inputs, of_sample(parameters, request, number, max_tokens), prompt)
            for number in range(request.n)
        ]

    async def _steps(
        self, inputs: Mapping[str, Any], parameters: SamplingParams, prompt: TokenizedPrompt
    ) -> AsyncGenerator[Step, None]:
        outputs = self._llm.generate(inputs, parameters, uuid.uuid4().hex)
        async with aclosing(outputs):
            async for output in outputs:
                if output.prompt_token_ids is not None:
                    self._check(output.prompt_token_ids, prompt)
                (told,) = output.outputs
                yield Step(
                    told.token_ids,
                    [
                        {token: chance.logprob for token, chance in chances.items()}
                        for chances in told.logprobs or ()
                    ],
                    _ended(told.finish_reason),
                    output.num_cached_tokens or 0,
                )

    def _check(self, ids: list[int], prompt: TokenizedPrompt) -> None:
        """vLLM saw the prompt that we made."""
        if len(ids) != len(prompt.ids):
            raise EngineError(
                f"vLLM made {len(ids):,} tokens of a prompt of {len(prompt.ids):,}",
                remedy="Use a version of vLLM that internvl-documents[vllm] allows",
            )

    def explain(self, error: Exception) -> InternVLError:
        if isinstance(error, EngineDeadError):
            return self.die(
                EngineError(
                    "vLLM's engine process has ended",
                    remedy="See what it wrote on standard error, and open the engine again",
                )
            )
        why = _first_line(error.__cause__ if isinstance(error.__cause__, Exception) else error)
        if isinstance(error, VLLMValidationError) and "rammar" in why:
            return GrammarError(f"vLLM cannot follow the grammar ({why})", remedy="Ask for something simpler")
        return EngineError(f"vLLM cannot answer this ({why})", remedy="Leave this request out")

    def shut_down(self) -> None:
        asyncio.run_coroutine_threadsafe(_stopped(self._llm), self._thread.loop).result()
        del self._llm  # whose end would come with the interpreter's
        self._thread.close()


async def _stopped(llm: AsyncLLM) -> None:
    """On its loop, where nothing then misses its processes."""
    llm.shutdown()


async def _started(arguments: Any) -> AsyncLLM:
    """Its tasks belong to the loop that this runs on."""
    return AsyncLLM.from_engine_args(arguments)


def _ended(reason: str | None) -> Any:
    """vLLM's reasons are stop, length, repetition, abort and error; what was repeated had no end."""
    if reason in (None, "stop", "length"):
        return reason
    if reason == "repetition":
        return "length"
    raise EngineError(f"vLLM gave the answer up ({reason})", remedy="Ask again")


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__
