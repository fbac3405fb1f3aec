"""LangChain: InternVL as a multimodal chat model with tools and structured output."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, closing
from typing import TYPE_CHECKING, Any, Literal

from internvl_llm.errors import MissingDependencyError, OptionError

try:
    from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
    from langchain_core.language_models import LanguageModelInput
    from langchain_core.language_models.base import LangSmithParams
    from langchain_core.language_models.chat_models import BaseChatModel
    from langchain_core.messages import AIMessage, BaseMessage
    from langchain_core.outputs import ChatGenerationChunk, ChatResult
    from langchain_core.runnables import Runnable
    from pydantic import Field
except ImportError as error:
    raise MissingDependencyError(
        "LangChain is not installed", remedy="Run pip install 'internvl-documents[langchain]'"
    ) from error

from internvl_llm.chat_options import OPTIONS, ChatFields, media_options, to_request
from internvl_llm.engine import Engine
from internvl_llm.engines.streams import aevents, events
from internvl_llm.langchain.messages import to_messages
from internvl_llm.langchain.profile import engine_identity, langchain_profile, plain
from internvl_llm.langchain.responses import PROVIDER, Chunks, to_result
from internvl_llm.langchain.tools import (
    METHODS,
    call_parser,
    json_parser,
    openai_tools,
    parsed,
    response_format,
)
from internvl_llm.openai_forms import parse_tool_choice
from internvl_llm.request import Request
from internvl_llm.version import __version__

if TYPE_CHECKING:
    from langchain_core.language_models import ModelProfile

__all__ = ["ChatInternVL"]

_HANDLED = ("model", "stream", "strict")
"""Of a call, and no options of a Request. What a grammar allows is strict anyway."""


class ChatInternVL(ChatFields, BaseChatModel):
    """A local InternVL checkpoint as a chat model. Its weights are loaded by the first call, once a process
    for all who ask for the same engine; concurrent callers, sync and async, are batched together.

    Fields but the engine's can be given to a call or to `bind` too, and so can `tools`, `tool_choice`,
    `response_format` (OpenAI's) and `grammar`. Tool calls and structured outputs are
    decoded under a grammar: they parse unless `max_tokens` or a stop string cut them off.

    Content blocks: text, images, PDFs and other documents, and videos, in the forms of LangChain, OpenAI and
    Anthropic, in tool messages too (videos aside), as base64 or as data: or http(s) URLs; as paths only below
    the folders of `media_root`.
    `min_tiles`, `max_tiles`, `pages`, `frames`, `start` and `end` may stand in a block or its `extras`, and
    `"grounding": True` in a text's, whose `<ref>` then asks for boxes: `internvl_llm.image_boxes` reads them.

    Example:
        ```python
        from internvl_llm.langchain import ChatInternVL

        model = ChatInternVL(model="OpenGVLab/InternVL3-8B", max_tokens=256)
        image = {"type": "image", "base64": encoded, "mime_type": "image/png"}
        answer = model.invoke([("human", [image, {"type": "text", "text": "What is the total?"}])])
        print(answer.content, answer.usage_metadata)
        ```

    Raises:
        OptionError: If the options make no sense.
    """

    streaming: bool = Field(default=False, description="Whether `invoke` streams, for its callbacks.")

    def __init__(self, **fields: Any) -> None:
        super().__init__(**fields)
        if hasattr(self, "_add_version"):  # not in langchain-core 1.0
            self._add_version("internvl-documents", __version__)

    @property
    def _llm_type(self) -> str:
        return PROVIDER

    @property
    def _identifying_params(self) -> dict[str, Any]:
        """All that changes an answer, as plain values: the key of LangChain's cache."""
        options = {name: plain(getattr(self, name)) for name in OPTIONS if name != "timeout"}
        # LangChain puts the stop of the call in the place of a "stop" in here.
        options["default_stop"] = options.pop("stop")
        return {"model": self.model, "engine": engine_identity(self._choice()), **options}

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = LangSmithParams(
            ls_provider=PROVIDER,
            ls_model_type="chat",
            ls_model_name=str(kwargs.get("model") or self.model),
            ls_temperature=kwargs.get("temperature", self.temperature),
            ls_max_tokens=kwargs.get("max_tokens", self.max_tokens),
        )
        if stop or self.stop:
            params["ls_stop"] = list(stop or self.stop or ())
        return params

    def _resolve_model_profile(self) -> ModelProfile | None:
        return langchain_profile(self._choice())  # type: ignore[return-value]

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        request, engine, model = self._prepare(messages, stop, kwargs)
        return to_result(engine.generate([request])[0], model)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        request, engine, model = await asyncio.to_thread(self._prepare, messages, stop, kwargs)
        return to_result((await engine.agenerate([request]))[0], model)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        request, engine, model = self._prepare(messages, stop, kwargs)
        chunks = Chunks(model, self.output_version)
        with closing(events(engine, request)) as stream:
            for event in stream:
                yield from chunks.of(event)

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        request, engine, model = await asyncio.to_thread(self._prepare, messages, stop, kwargs)
        chunks = Chunks(model, self.output_version)
        async with aclosing(aevents(engine, request)) as stream:
            async for event in stream:
                for chunk in chunks.of(event):
                    yield chunk

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | Any],
        *,
        tool_choice: Any = None,
        parallel_tool_calls: bool | None = None,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """`tool_choice` is auto, any (one call at least), none, a name, or OpenAI's or Anthropic's form.

        Raises:
            OptionError: If it names no tool, or a tool is not the model's to call.
            GrammarError: If no grammar can follow the schema of a tool.
        """
        choice = parse_tool_choice(tool_choice)
        bound = {"tools": openai_tools(tools, choice), "tool_choice": choice, **kwargs}
        if parallel_tool_calls is not None:
            bound["parallel_tool_calls"] = parallel_tool_calls
        return self.bind(**bound)

    def with_structured_output(
        self,
        schema: dict[str, Any] | type,
        *,
        method: Literal["json_schema", "function_calling", "json_mode"] = "json_schema",
        include_raw: bool = False,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, Any]:
        """Answers as the schema's class, or as dicts for a TypedDict or a JSON schema. `json_mode` lets the
        model write any object: the prompt has to say which. Grammars are always strict.

        Raises:
            OptionError: If there is no such method.
            GrammarError: If no grammar can follow the schema.
        """
        traced = {"kwargs": {"method": method, "strict": strict}, "schema": schema}
        if method == "function_calling":
            [tool] = openai_tools([schema], "auto")
            name = tool["function"]["name"]
            called = self.bind_tools(
                [tool],
                tool_choice=name,
                parallel_tool_calls=False,
                ls_structured_output_format=traced,
                **kwargs,
            )
            return parsed(called, call_parser(schema, name), include_raw)
        if method not in METHODS:
            raise OptionError(f"no such method: {method}", remedy=f"Use one of {', '.join(METHODS)}")
        form = {"type": "json_object"} if method == "json_mode" else response_format(schema, strict)
        bound = self.bind(response_format=form, ls_structured_output_format=traced, **kwargs)
        return parsed(bound, json_parser(schema), include_raw)

    def get_num_tokens(self, text: str) -> int:
        """Exact: those of a message that says it, less what a message has besides."""
        if self.custom_get_token_ids is not None or not text:
            return len(self.get_token_ids(text)) if text else 0
        engine = self._engine()
        of_one, of_text = (
            engine.count_tokens(Request(content, system=None)).prompt_tokens for content in ("x", text)
        )
        return of_text - of_one + 1

    def get_num_tokens_from_messages(
        self, messages: list[BaseMessage], tools: Sequence[Any] | None = None, **kwargs: Any
    ) -> int:
        """Of the whole prompt, exact: template, images, tools and the system's default included."""
        if not messages:
            return 0
        call = {**kwargs, "tools": openai_tools(tools, "auto")} if tools else kwargs
        request, engine, _ = self._prepare(messages, None, call)
        return engine.count_tokens(request).prompt_tokens

    def get_token_ids(self, text: str) -> list[int]:
        if self.custom_get_token_ids is not None:
            return self.custom_get_token_ids(text)
        raise OptionError(
            "engines count tokens, they do not name them",
            remedy="Use get_num_tokens, or give custom_get_token_ids",
        )

    def _prepare(
        self, messages: list[BaseMessage], stop: list[str] | None, kwargs: Mapping[str, Any]
    ) -> tuple[Request, Engine, str]:
        """The request, the engine that answers it, and the model's name. Loads weights where need be."""
        model = str(kwargs.get("model") or self.model)
        call = {name: value for name, value in kwargs.items() if name not in _HANDLED}
        call["stop"] = stop or kwargs.get("stop") or None
        request = to_request(to_messages(messages, media_options(self, call)), self, call)
        engine = self._engine(model)
        return request, engine, model or engine.capabilities.model
