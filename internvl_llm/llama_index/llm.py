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

from internvl_llm.chat_options import ChatFields, media_options, to_request
from internvl_llm.engine import Engine, EngineSpec
from internvl_llm.engines.open import to_spec
from internvl_llm.engines.profile import ModelProfile, model_profile
from internvl_llm.engines.streams import aevents, events
from internvl_llm.llama_index.messages import to_messages, to_tool, tool_calls
from internvl_llm.llama_index.responses import Answer, to_completion
from internvl_llm.llama_index.structured import StructuredPrediction
from internvl_llm.openai_forms import dump_tool, parse_tool_choice
from internvl_llm.request import Request

__all__ = ["InternVL"]

T = TypeVar("T")


class InternVL(ChatFields, StructuredPrediction):
    """A local InternVL checkpoint. Weights are loaded by the first call, once a process for all who ask for
    the same engine; callers, sync and async, are batched together.

    Blocks name no files (`path`, or a `url` that is none) unless `media_root` has the folders that they may
    be read from: messages may come as JSON.

    Every field but the engine's can be given to a call as well: `llm.chat(messages, max_tokens=64)`; and so
    can `grammar`, `tools` and `tool_choice` as in `Request`, and OpenAI's `response_format`. The `<ref>` of
    a message with `additional_kwargs={"grounding": True}` asks for boxes, which `internvl_llm.image_boxes`
    reads from the answer.

    Example:
        ```python
        from pathlib import Path
        from llama_index.core.llms import ChatMessage, ImageBlock, TextBlock
        from internvl_llm.llama_index import InternVL

        llm = InternVL("OpenGVLab/InternVL3-8B")
        blocks = [ImageBlock(image=Path("invoice.png").read_bytes()), TextBlock(text="What is the total?")]
        print(llm.chat([ChatMessage(role="user", blocks=blocks)]).message.content)
        ```

    Raises:
        OptionError: If the options make no sense.
    """

    engine: Any = Field(
        default=None,
        description="The name of an engine, an EngineSpec or fields of one, or an engine that is open.",
    )
    engine_options: dict[str, Any] = Field(default_factory=dict, description="Other fields of EngineSpec.")
    context_window: int | None = Field(default=None, description="Tokens; None is what the model takes.")

    _profile: ModelProfile | None = PrivateAttr(default=None)

    def __init__(self, model: str | Path | None = None, **fields: Any) -> None:
        super().__init__(**{**fields, "model": model})
        self._profile = model_profile(self._choice())

    @classmethod
    def _choose(cls, fields: Mapping[str, Any]) -> Engine | EngineSpec:
        choice = super()._choose(fields)
        options = fields.get("engine_options")
        if not options:
            return choice
        if not isinstance(choice, EngineSpec):
            raise OptionError("an open engine has its options", remedy="Leave engine_options out")
        return to_spec(dataclasses.asdict(choice) | options, choice.model)

    @classmethod
    def class_name(cls) -> str:
        return "InternVL"

    @field_serializer("engine")
    def _engine_json(self, engine: Any) -> str | dict[str, Any]:
        """An open engine is not written down: what is read back opens `model` itself."""
        if isinstance(engine, EngineSpec):
            return engine.plain()
        if isinstance(engine, Mapping):
            return _without_key(engine)
        return engine if isinstance(engine, str) else "server" if self.base_url else "transformers"

    @field_serializer("engine_options")
    def _options_json(self, options: Mapping[str, Any]) -> dict[str, Any]:
        return _without_key(options)

    @property
    def metadata(self) -> LLMMetadata:
        profile = self._profile = self._profile or model_profile(self._engine())
        assert profile is not None, "an engine that is open knows its model"
        return LLMMetadata(
            context_window=min(self.context_window or profile.context_tokens, profile.context_tokens),
            num_output=self.max_tokens,
            is_chat_model=True,
            is_function_calling_model=profile.tool_calls,
            model_name=self.model or self._engine().capabilities.model,
        )

    def count_tokens(self, messages: Sequence[ChatMessage], **kwargs: Any) -> int:
        """Of the prompt, images included: exact, without running the model."""
        request, engine = self._prepare(messages, kwargs)
        return engine.count_tokens(request).prompt_tokens

    async def acount_tokens(self, messages: Sequence[ChatMessage], **kwargs: Any) -> int:
        return await asyncio.to_thread(self.count_tokens, messages, **kwargs)

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return self._answer(messages, kwargs)

    @llm_chat_callback()
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return await self._aanswer(messages, kwargs)

    @llm_chat_callback()
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        return self._stream(messages, kwargs, _unchanged)

    @llm_chat_callback()
    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseAsyncGen:
        return await self._astream(messages, kwargs, _unchanged)

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return to_completion(self._answer(_user(prompt), kwargs))

    @llm_completion_callback()
    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return to_completion(await self._aanswer(_user(prompt), kwargs))

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        return self._stream(_user(prompt), kwargs, to_completion)

    @llm_completion_callback()
    async def astream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseAsyncGen:
        return await self._astream(_user(prompt), kwargs, to_completion)

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
        last = _user(user_msg) if isinstance(user_msg, str) else [] if user_msg is None else [user_msg]
        choice = parse_tool_choice(tool_choice)
        return {
            "messages": [*(chat_history or ()), *last],
            "tools": [dump_tool(to_tool(tool)) for tool in tools],  # plain data, for handlers of events
            "tool_choice": "any" if tool_required and choice == "auto" else choice,
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
        calls = tool_calls(response.message)
        if not calls and error_on_no_tool_call:
            raise MessageError(
                "the answer calls no tool", remedy="Ask with tool_required=True, or name one as tool_choice"
            )
        return [
            ToolSelection(tool_id=call.id, tool_name=call.name, tool_kwargs=dict(call.arguments))
            for call in calls
        ]

    def _answer(self, messages: Sequence[ChatMessage], kwargs: Mapping[str, Any]) -> ChatResponse:
        request, engine = self._prepare(messages, kwargs)
        answer = Answer(engine.capabilities.model)
        with closing(events(engine, request)) as stream:
            for event in stream:
                answer.take(event)
        return answer.response()

    async def _aanswer(self, messages: Sequence[ChatMessage], kwargs: Mapping[str, Any]) -> ChatResponse:
        request, engine = await asyncio.to_thread(self._prepare, messages, kwargs)
        answer = Answer(engine.capabilities.model)
        async with aclosing(aevents(engine, request)) as stream:
            async for event in stream:
                answer.take(event)
        return answer.response()

    def _stream(
        self, messages: Sequence[ChatMessage], kwargs: Mapping[str, Any], form: Callable[[ChatResponse], T]
    ) -> Generator[T, None, None]:
        """What cannot be asked is refused now, not when the stream is read."""
        request, engine = self._prepare(messages, kwargs)

        def responses() -> Generator[T, None, None]:
            answer = Answer(engine.capabilities.model)
            with closing(events(engine, request)) as stream:
                for event in stream:
                    yield form(answer.take(event).response(event))

        return responses()

    async def _astream(
        self, messages: Sequence[ChatMessage], kwargs: Mapping[str, Any], form: Callable[[ChatResponse], T]
    ) -> AsyncGenerator[T, None]:
        request, engine = await asyncio.to_thread(self._prepare, messages, kwargs)

        async def responses() -> AsyncGenerator[T, None]:
            answer = Answer(engine.capabilities.model)
            async with aclosing(aevents(engine, request)) as stream:
                async for event in stream:
                    yield form(answer.take(event).response(event))

        return responses()

    def _prepare(self, messages: Sequence[ChatMessage], kwargs: Mapping[str, Any]) -> tuple[Request, Engine]:
        """The request, and the engine that answers it. Loads weights where need be."""
        call = {**kwargs, "tools": [to_tool(tool) for tool in kwargs.get("tools") or ()]}
        if self.system_prompt:
            call.setdefault("system", self.system_prompt)
        return to_request(to_messages(messages, media_options(self, call)), self, call), self._engine()


def _without_key(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name != "api_key"}


def _user(prompt: str) -> list[ChatMessage]:
    return [ChatMessage(role=MessageRole.USER, content=prompt)]


def _unchanged(response: ChatResponse) -> ChatResponse:
    return response
