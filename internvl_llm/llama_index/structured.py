"""Objects of a pydantic class for LlamaIndex: the engine's grammar lets nothing else be said."""

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
from internvl_llm.llama_index.messages import with_schema
from internvl_llm.llama_index.responses import partial

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
            found: BaseModel = super().structured_predict(output_cls, prompt, llm_kwargs, **prompt_args)
            return found
        _started(output_cls, prompt, prompt_args)
        messages, kwargs = self._asked_for(output_cls, prompt, llm_kwargs, prompt_args)
        return _ended(output_cls, self.chat(messages, **kwargs))

    async def astructured_predict(
        self,
        output_cls: type[BaseModel],
        prompt: BasePromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> BaseModel:
        if not self._by_grammar():
            found: BaseModel = await super().astructured_predict(
                output_cls, prompt, llm_kwargs, **prompt_args
            )
            return found
        _started(output_cls, prompt, prompt_args)
        messages, kwargs = self._asked_for(output_cls, prompt, llm_kwargs, prompt_args)
        return _ended(output_cls, await self.achat(messages, **kwargs))

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
        _started(output_cls, prompt, prompt_args)
        messages, kwargs = self._asked_for(output_cls, prompt, llm_kwargs, prompt_args)
        growing = _Growing(output_cls)
        with closing(self.stream_chat(messages, **kwargs)) as stream:
            for response in stream:
                yield from growing.seen(response)
        yield _ended(output_cls, response)

    async def astream_structured_predict(
        self,
        output_cls: type[BaseModel],
        prompt: BasePromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> AsyncGenerator[BaseModel, None]:
        if not self._by_grammar():
            found: AsyncGenerator[BaseModel, None] = await super().astream_structured_predict(
                output_cls, prompt, llm_kwargs, **prompt_args
            )
            return found
        _started(output_cls, prompt, prompt_args)
        messages, kwargs = self._asked_for(output_cls, prompt, llm_kwargs, prompt_args)
        responses = await self.astream_chat(messages, **kwargs)

        async def told() -> AsyncGenerator[BaseModel, None]:
            growing = _Growing(output_cls)
            async with aclosing(responses) as stream:
                async for response in stream:
                    for grown in growing.seen(response):
                        yield grown
            yield _ended(output_cls, response)

        return told()

    def _by_grammar(self) -> bool:
        return self.pydantic_program_mode == PydanticProgramMode.DEFAULT

    def _asked_for(
        self,
        output_cls: type[BaseModel],
        prompt: BasePromptTemplate,
        llm_kwargs: Mapping[str, Any] | None,
        prompt_args: Mapping[str, Any],
    ) -> tuple[list[ChatMessage], dict[str, Any]]:
        schema = output_cls.model_json_schema()
        messages = self._extend_messages(prompt.format_messages(llm=self, **prompt_args))
        kept = {name: value for name, value in (llm_kwargs or {}).items() if name not in _OF_PROGRAMS}
        return with_schema(messages, schema), kept | {"grammar": JsonSchema(schema)}


class _Growing:
    """The object that a stream has told so far, whenever it is another one."""

    def __init__(self, output_cls: type[BaseModel]) -> None:
        self._whole, self._part = output_cls, create_flexible_model(output_cls)
        self._last: dict[str, Any] = {}

    def seen(self, response: ChatResponse) -> Generator[BaseModel, None, None]:
        value = partial(response.message.content or "")
        if value == self._last or response.raw is not None:
            return
        self._last = value
        try:
            grown: BaseModel = self._whole.model_validate(value)
        except ValidationError:
            grown = self._part.model_validate(value)
        _dispatcher.event(LLMStructuredPredictInProgressEvent(output=grown))
        yield grown


def _started(output_cls: type[BaseModel], prompt: Any, prompt_args: dict[str, Any]) -> None:
    _dispatcher.event(
        LLMStructuredPredictStartEvent(output_cls=output_cls, template=prompt, template_args=prompt_args)
    )


def _ended(output_cls: type[BaseModel], response: ChatResponse) -> BaseModel:
    text = response.message.content or ""
    try:
        found = output_cls.model_validate_json(text)
    except ValidationError as error:
        if response.additional_kwargs["finish_reason"] == "stop" and _is_json(text):
            raise  # the class asks for more than its schema says
        raise EngineError(
            f"the answer was cut off before the {output_cls.__name__} was whole",
            remedy="Raise max_tokens, or leave stop strings out",
        ) from error
    _dispatcher.event(LLMStructuredPredictEndEvent(output=found))
    return found


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
