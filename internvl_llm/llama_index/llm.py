"""LlamaIndex: InternVL as a function-calling, multimodal LLM."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import aclosing, closing
from pathlib import Path
from typing import Any, TypeVar

from internvl_llm.errors import EngineError, MessageError, MissingDependencyError, OptionError

try:
    from llama_index.core.base.llms.types import (
        ChatMessage,
        ChatResponse,
        ChatResponseAsyncGen,
        ChatResponseGen,
        CompletionResponse,
        CompletionResponseAsyncGen,
        CompletionResponseGen,
        LLMMetadata,
        MessageRole,
    )
    from llama_index.core.bridge.pydantic import Field, PrivateAttr, field_serializer
    from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
    from llama_index.core.llms.llm import ToolSelection
except ImportError as error:
    raise MissingDependencyError(
        "LlamaIndex is not installed", remedy="Run pip install 'internvl-documents[llama-index]'"
    ) from error

from internvl_llm.engine import Engine, EngineSpec
from internvl_llm.engines.known import Known, of_engine, of_model
from internvl_llm.engines.open import open_engine
from internvl_llm.engines.streams import aevents, events
from internvl_llm.llama_index.messages import calls, choice_of, openai_tool, to_messages, to_tool
from internvl_llm.llama_index.responses import Answer, to_completion
from internvl_llm.llama_index.structured import StructuredPrediction
from internvl_llm.prompt.chatml import DEFAULT_SYSTEM
from internvl_llm.request import Request, Sampling

__all__ = ["InternVL"]

T = TypeVar("T")

_SAMPLING = tuple(one.name for one in dataclasses.fields(Sampling))
_REQUEST = ("min_tiles", "max_tiles", "page", "media", "n", "critic")
_CALL = ("system", "tools", "tool_choice", "parallel_tool_calls", "grammar")


class InternVL(StructuredPrediction):
    """A local InternVL checkpoint. Weights are loaded by the first call, once a process for all who ask for
    the same engine; callers, sync and async, are batched together.

    Every field but the engine's can be given to a call as well: `llm.chat(messages, max_tokens=64)`; and
    `system`, `grammar`, `tools`, `tool_choice` and `parallel_tool_calls` as in `Request`. The
    `<ref>` of a message with `additional_kwargs={"grounding": True}` asks for boxes, which
    `internvl_llm.image_boxes` reads from the answer.

    Example:
        ```python
        from llama_index.core.llms import ChatMessage, ImageBlock, TextBlock
        from internvl_llm.llama_index import InternVL

        llm = InternVL("OpenGVLab/InternVL3-8B")
        asked = [ImageBlock(path="invoice.png"), TextBlock(text="What is the total?")]
        print(llm.chat([ChatMessage(role="user", blocks=asked)]).message.content)
        ```

    Raises:
        OptionError: If the options make no sense.
    """

    model: str = Field(description="A family member in any spelling, a hub id, or a local folder.")
    engine: Any = Field(default="transformers", description="The name of an engine, or one that is open.")
    base_url: str | None = Field(default=None, description="Of a server engine.")
    engine_options: dict[str, Any] = Field(default_factory=dict, description="Other fields of EngineSpec.")
    context_window: int | None = Field(default=None, description="Tokens; None is what the model takes.")
    max_tokens: int = Field(default=1024, description="Of an answer.")
    temperature: float = Field(default=0.0, description="0 is greedy.")
    top_p: float = 1.0
    top_k: int = Field(default=0, description="0 is all.")
    repetition_penalty: float = 1.0
    seed: int | None = None
    stop: list[str] = Field(default_factory=list)
    logprobs: int | None = Field(default=None, description="Alternatives to tell a token; None tells none.")
    min_tiles: int = Field(default=1, description="Of an image, 448 px each.")
    max_tiles: int = 12
    page: bool = Field(default=False, description="Cut images into tiles as pages.")
    n: int = Field(default=1, description="Answers to sample, of which `critic` chooses one.")
    critic: Any = Field(default=None, exclude=True)
    media: Any = Field(default=None, exclude=True, description="MediaOptions: limits, hosts, frames.")

    _known: Known | None = PrivateAttr(default=None)

    def __init__(self, model: str | Path | None = None, **fields: Any) -> None:
        given = fields.get("engine")
        if model is None and isinstance(given, Engine):
            model = given.capabilities.model
        if model is None:
            raise OptionError("no model is named", remedy="Give a family member, a hub id or a local folder")
        unknown = sorted(set(fields) - set(type(self).model_fields))
        if unknown:
            raise OptionError(
                f"no such option: {', '.join(unknown)}", remedy="Options of the engine go into engine_options"
            )
        if isinstance(fields.get("stop"), str):
            fields["stop"] = [fields["stop"]]
        super().__init__(**{"model": str(model), **fields})
        self._request(_asked("-"), {})  # raises for what Sampling and Request refuse
        opened = isinstance(self.engine, Engine)
        self._known = of_engine(self.engine.capabilities) if opened else of_model(self.model)

    @classmethod
    def class_name(cls) -> str:
        return "InternVL"

    @field_serializer("engine")
    def _engine_name(self, engine: Any) -> str:
        """An open engine is not written down: what is read back opens `model` itself."""
        return engine if isinstance(engine, str) else "transformers"

    @property
    def metadata(self) -> LLMMetadata:
        known = self._known = self._known or of_engine(self._opened().capabilities)
        return LLMMetadata(
            context_window=min(self.context_window or known.context, known.context),
            num_output=self.max_tokens,
            is_chat_model=True,
            is_function_calling_model=known.tools,
            model_name=self.model,
        )

    def count_tokens(self, messages: Sequence[ChatMessage], **kwargs: Any) -> int:
        """Of the prompt, images included: exact, without running the model."""
        return self._opened().count_tokens(self._request(messages, kwargs)).prompt_tokens

    async def acount_tokens(self, messages: Sequence[ChatMessage], **kwargs: Any) -> int:
        return await asyncio.to_thread(self.count_tokens, messages, **kwargs)

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return self._last(messages, kwargs)

    @llm_chat_callback()
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return await self._alast(messages, kwargs)

    @llm_chat_callback()
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        return self._stream(messages, kwargs, _same)

    @llm_chat_callback()
    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseAsyncGen:
        return await self._astream(messages, kwargs, _same)

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return to_completion(self._last(_asked(prompt), kwargs))

    @llm_completion_callback()
    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return to_completion(await self._alast(_asked(prompt), kwargs))

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        return self._stream(_asked(prompt), kwargs, to_completion)

    @llm_completion_callback()
    async def astream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseAsyncGen:
        return await self._astream(_asked(prompt), kwargs, to_completion)

    def _prepare_chat_with_tools(
        self,
        tools: Sequence[Any],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,
        allow_parallel_tool_calls: bool = False,
        tool_required: bool = False,
        tool_choice: str | Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        asked = (
            ChatMessage(role=MessageRole.USER, content=user_msg) if isinstance(user_msg, str) else user_msg
        )
        return {
            "messages": [*(chat_history or ()), *((asked,) if asked is not None else ())],
            "tools": [openai_tool(tool) for tool in tools],
            "tool_choice": choice_of(tool_choice, required=tool_required),
            "parallel_tool_calls": allow_parallel_tool_calls,
            **kwargs,
        }

    def get_tool_calls_from_response(
        self, response: ChatResponse, error_on_no_tool_call: bool = True, **kwargs: Any
    ) -> list[ToolSelection]:
        """Raises EngineError for a call that was cut off: what it asks for is not known."""
        for call in response.message.additional_kwargs.get("broken_tool_calls", ()):
            raise EngineError(
                f"the call of {call['name']} ended in the middle of its arguments",
                remedy="Raise max_tokens, or leave stop strings out",
            )
        found = calls(response.message)
        if not found and error_on_no_tool_call:
            raise MessageError(
                "the answer calls no tool", remedy="Ask with tool_required=True, or name one as tool_choice"
            )
        return [
            ToolSelection(tool_id=call.id, tool_name=call.name, tool_kwargs=dict(call.arguments))
            for call in found
        ]

    def _last(self, messages: Sequence[ChatMessage], kwargs: Mapping[str, Any]) -> ChatResponse:
        request, engine = self._prepared(messages, kwargs)
        answer = Answer(engine.capabilities.model)
        with closing(events(engine, request)) as told:
            for event in told:
                answer.take(event)
        return answer.response()

    async def _alast(self, messages: Sequence[ChatMessage], kwargs: Mapping[str, Any]) -> ChatResponse:
        request, engine = await asyncio.to_thread(self._prepared, messages, kwargs)
        answer = Answer(engine.capabilities.model)
        async with aclosing(aevents(engine, request)) as told:
            async for event in told:
                answer.take(event)
        return answer.response()

    def _stream(
        self, messages: Sequence[ChatMessage], kwargs: Mapping[str, Any], form: Callable[[ChatResponse], T]
    ) -> Generator[T, None, None]:
        """What cannot be asked is said now, not when the stream is read."""
        request, engine = self._prepared(messages, kwargs)

        def told() -> Generator[T, None, None]:
            answer = Answer(engine.capabilities.model)
            with closing(events(engine, request)) as stream:
                for event in stream:
                    yield form(answer.take(event).response(event))

        return told()

    async def _astream(
        self, messages: Sequence[ChatMessage], kwargs: Mapping[str, Any], form: Callable[[ChatResponse], T]
    ) -> AsyncGenerator[T, None]:
        request, engine = await asyncio.to_thread(self._prepared, messages, kwargs)

        async def told() -> AsyncGenerator[T, None]:
            answer = Answer(engine.capabilities.model)
            async with aclosing(aevents(engine, request)) as stream:
                async for event in stream:
                    yield form(answer.take(event).response(event))

        return told()

    def _prepared(self, messages: Sequence[ChatMessage], kwargs: Mapping[str, Any]) -> tuple[Request, Engine]:
        return self._request(messages, kwargs), self._opened()

    def _request(self, messages: Sequence[ChatMessage], kwargs: Mapping[str, Any]) -> Request:
        unknown = sorted(set(kwargs) - {*_SAMPLING, *_REQUEST, *_CALL})
        if unknown:
            raise OptionError(
                f"a call knows no {', '.join(unknown)}",
                remedy=f"Give {', '.join((*_SAMPLING, *_REQUEST, *_CALL))}",
            )
        sampling = {name: kwargs.get(name, getattr(self, name)) for name in _SAMPLING}
        options = {name: kwargs.get(name, getattr(self, name)) for name in _REQUEST}
        return Request(
            to_messages(messages),
            Sampling(**sampling | {"stop": sampling["stop"] or ()}),
            system=kwargs.get("system", self.system_prompt or DEFAULT_SYSTEM),
            tools=[to_tool(tool) for tool in kwargs.get("tools") or ()],
            tool_choice=choice_of(kwargs.get("tool_choice")),
            parallel_tool_calls=kwargs.get("parallel_tool_calls", True),
            grammar=kwargs.get("grammar"),
            **options,
        )

    def _opened(self) -> Engine:
        if isinstance(self.engine, Engine):
            return self.engine
        spec = EngineSpec(self.model, self.engine, self.base_url)
        return open_engine(spec, **self.engine_options)


def _asked(prompt: str) -> list[ChatMessage]:
    return [ChatMessage(role=MessageRole.USER, content=prompt)]


def _same(response: ChatResponse) -> ChatResponse:
    return response
