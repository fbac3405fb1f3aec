"""Objects of a pydantic class for LlamaIndex: the engine's grammar allows nothing else."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import aclosing, closing
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, ChatResponse
from llama_index.core.bridge.pydantic import BaseModel, ValidationError
from llama_index.core.instrumentation.events.llm import (
    LLMStructuredPredictEndEvent,
    LLMStructuredPredictInProgressEvent,
    LLMStructuredPredictStartEvent,
)
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.program.utils import create_flexible_model
from llama_index.core.prompts import BasePromptTemplate
from llama_index.core.types import PydanticProgramMode
from llama_index_instrumentation import get_dispatcher

from internvl_llm.errors import EngineError
from internvl_llm.grammar import JsonSchema
from internvl_llm.llama_index.responses import partial_json

_dispatcher = get_dispatcher(__name__)
_OF_PROGRAMS = ("tool_required", "tool_choice", "allow_parallel_tool_calls")
"""What LlamaIndex's programs drop from `llm_kwargs`."""


class StructuredPrediction(FunctionCallingLLM):
    """In `pydantic_program_mode` DEFAULT a grammar does it; in other modes LlamaIndex's own programs do.

    An answer that `max_tokens` or a stop string cut off raises EngineError.
    """

    def structured_predict(
        self,
        output_cls: type[BaseModel],
        prompt: BasePromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> BaseModel:
        if not self._by_grammar():
            value: BaseModel = super().structured_predict(output_cls, prompt, llm_kwargs, **prompt_args)
            return value
        _emit_start(output_cls, prompt, prompt_args)
        messages, kwargs = self._structured_call(output_cls, prompt, llm_kwargs, prompt_args)
        return _parse(output_cls, self.chat(messages, **kwargs))

    async def astructured_predict(
        self,
        output_cls: type[BaseModel],
        prompt: BasePromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> BaseModel:
        if not self._by_grammar():
            value: BaseModel = await super().astructured_predict(
                output_cls, prompt, llm_kwargs, **prompt_args
            )
            return value
        _emit_start(output_cls, prompt, prompt_args)
        messages, kwargs = self._structured_call(output_cls, prompt, llm_kwargs, prompt_args)
        return _parse(output_cls, await self.achat(messages, **kwargs))

    def stream_structured_predict(
        self,
        output_cls: type[BaseModel],
        prompt: BasePromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Generator[BaseModel, None, None]:
        """The object as it grows, its missing fields None; the last one is whole."""
        if not self._by_grammar():
            yield from super().stream_structured_predict(output_cls, prompt, llm_kwargs, **prompt_args)
            return
        _emit_start(output_cls, prompt, prompt_args)
        messages, kwargs = self._structured_call(output_cls, prompt, llm_kwargs, prompt_args)
        objects = _PartialObjects(output_cls)
        with closing(self.stream_chat(messages, **kwargs)) as stream:
            for response in stream:
                yield from objects.update(response)
        yield _parse(output_cls, response)

    async def astream_structured_predict(
        self,
        output_cls: type[BaseModel],
        prompt: BasePromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> AsyncGenerator[BaseModel, None]:
        if not self._by_grammar():
            values: AsyncGenerator[BaseModel, None] = await super().astream_structured_predict(
                output_cls, prompt, llm_kwargs, **prompt_args
            )
            return values
        _emit_start(output_cls, prompt, prompt_args)
        messages, kwargs = self._structured_call(output_cls, prompt, llm_kwargs, prompt_args)
        responses = await self.astream_chat(messages, **kwargs)

        async def objects_so_far() -> AsyncGenerator[BaseModel, None]:
            objects = _PartialObjects(output_cls)
            async with aclosing(responses) as stream:
                async for response in stream:
                    for value in objects.update(response):
                        yield value
            yield _parse(output_cls, response)

        return objects_so_far()

    def _by_grammar(self) -> bool:
        return self.pydantic_program_mode == PydanticProgramMode.DEFAULT

    def _structured_call(
        self,
        output_cls: type[BaseModel],
        prompt: BasePromptTemplate,
        llm_kwargs: Mapping[str, Any] | None,
        prompt_args: Mapping[str, Any],
    ) -> tuple[list[ChatMessage], dict[str, Any]]:
        messages = self._extend_messages(prompt.format_messages(llm=self, **prompt_args))
        call = {name: value for name, value in (llm_kwargs or {}).items() if name not in _OF_PROGRAMS}
        return messages, call | {"grammar": JsonSchema(output_cls.model_json_schema())}


class _PartialObjects:
    """The object that a stream holds so far, whenever it has changed."""

    def __init__(self, output_cls: type[BaseModel]) -> None:
        self._whole, self._partial = output_cls, create_flexible_model(output_cls)
        self._last: dict[str, Any] = {}

    def update(self, response: ChatResponse) -> Generator[BaseModel, None, None]:
        fields = partial_json(response.message.content or "")
        if fields == self._last or response.raw is not None:
            return
        self._last = fields
        try:
            value: BaseModel = self._whole.model_validate(fields)
        except ValidationError:
            value = self._partial.model_validate(fields)
        _dispatcher.event(LLMStructuredPredictInProgressEvent(output=value))
        yield value


def _emit_start(output_cls: type[BaseModel], prompt: Any, prompt_args: dict[str, Any]) -> None:
    _dispatcher.event(
        LLMStructuredPredictStartEvent(output_cls=output_cls, template=prompt, template_args=prompt_args)
    )


def _parse(output_cls: type[BaseModel], response: ChatResponse) -> BaseModel:
    text = response.message.content or ""
    try:
        value = output_cls.model_validate_json(text)
    except ValidationError as error:
        if response.additional_kwargs["finish_reason"] == "stop" and _is_json(text):
            raise  # the class asks for more than its schema says
        raise EngineError(
            f"the answer was cut off before the {output_cls.__name__} was whole",
            remedy="Raise max_tokens, or leave stop strings out",
        ) from error
    _dispatcher.event(LLMStructuredPredictEndEvent(output=value))
    return value


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
