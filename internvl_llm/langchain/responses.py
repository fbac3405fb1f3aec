"""Our events and samples as LangChain's chunks and messages: pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.ai import InputTokenDetails, UsageMetadata
from langchain_core.messages.tool import invalid_tool_call, tool_call, tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from internvl_llm.events import Event, Finish, Result, Sample, TextDelta, ToolCallDelta, Usage
from internvl_llm.openai_forms import dump_logprobs
from internvl_llm.prompt.calls import collect_calls

PROVIDER = "internvl"

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)


class Chunks:
    """The chunks of one stream of events.

    Texts and calls are numbered together, as `output_version` v1 needs: the first text is block 0, the
    first call block 1 at least.
    """

    def __init__(self, model: str, output_version: str | None) -> None:
        self._model = model
        self._blocks = output_version == "v1"
        self._last = -1
        self._text: int | None = None
        """The block that is being written, where it is a text."""
        self._calls: dict[int, int] = {}
        self._deltas: list[ToolCallDelta] = []

    def of(self, event: Event) -> Iterator[ChatGenerationChunk]:
        if isinstance(event, TextDelta):
            details = {"logprobs": dump_logprobs(event.logprobs)} if event.logprobs else {}
            yield _chunk(AIMessageChunk(content=self._content(event.text), response_metadata=details))
        elif isinstance(event, ToolCallDelta):
            yield self._call(event)
        else:
            _, broken = collect_calls(self._deltas)
            for call in broken:
                yield self._call(ToolCallDelta(call.index, arguments=_spoiler(call.arguments)))
            yield self._end(event)

    def _call(self, event: ToolCallDelta) -> ChatGenerationChunk:
        self._deltas.append(event)
        if event.index not in self._calls:
            self._text = None
            self._last = self._calls[event.index] = max(self._last + 1, 1)
        delta = tool_call_chunk(
            name=event.name or None,
            args=event.arguments,
            id=event.id or None,
            index=self._calls[event.index],
        )
        return _chunk(AIMessageChunk(content=[] if self._blocks else "", tool_call_chunks=[delta]))

    def _content(self, text: str) -> Any:
        if not text:
            return [] if self._blocks else ""
        if self._text is None:
            self._last += 1
            self._text = self._last
        return [{"type": "text", "text": text, "index": self._text}] if self._blocks else text

    def _end(self, finish: Finish) -> ChatGenerationChunk:
        message = AIMessageChunk(
            content=[] if self._blocks else "",
            usage_metadata=usage(finish.usage),
            response_metadata=metadata(self._model, finish.reason),
            chunk_position="last",
        )
        return _chunk(message)


def to_result(result: Result, model: str) -> ChatResult:
    """The answer first, then the other samples; tokens are counted with the answer."""
    best = result.samples[result.best]
    others = [sample for index, sample in enumerate(result.samples) if index != result.best]
    answer = _generation(best, model, usage(result.usage))
    return ChatResult(generations=[answer, *(_generation(sample, model, None) for sample in others)])


def _generation(sample: Sample, model: str, usage_metadata: UsageMetadata | None) -> ChatGeneration:
    message = AIMessage(
        content=sample.text,
        tool_calls=[
            tool_call(name=call.name, args=dict(call.arguments), id=call.id) for call in sample.tool_calls
        ],
        invalid_tool_calls=[
            invalid_tool_call(name=call.name, args=call.arguments, id=call.id, error="cut off")
            for call in sample.broken_calls
        ],
        usage_metadata=usage_metadata,
        response_metadata=metadata(model, sample.finish_reason),
    )
    if sample.logprobs:
        message.response_metadata["logprobs"] = dump_logprobs(sample.logprobs)
    if sample.score is not None:
        message.response_metadata["score"] = sample.score
    return ChatGeneration(message=message, generation_info={"finish_reason": sample.finish_reason})


def metadata(model: str, reason: str) -> dict[str, Any]:
    return {"finish_reason": reason, "model_name": model, "model_provider": PROVIDER}


def usage(tokens: Usage) -> UsageMetadata:
    details: dict[str, int] = {"cache_read": tokens.cached_tokens, "image": tokens.image_tokens}
    return UsageMetadata(
        input_tokens=tokens.prompt_tokens,
        output_tokens=tokens.completion_tokens,
        total_tokens=tokens.total_tokens,
        input_token_details=InputTokenDetails(**details),  # type: ignore[typeddict-item]
    )


def _spoiler(arguments: str) -> str:
    """What makes arguments that are cut off unfit to be parsed, once it follows them.

    LangChain completes what chunks add up to, so that 356.65 cut off after 35 would be called with 35, and no
    arguments at all with none; an agent then acts on it. Such a call has to be among the invalid ones.
    """
    outside, quote, inside = _STRING.sub("", arguments).partition('"')
    opened: list[str] = []
    for bracket in re.findall(r"[][{}]", outside):
        if bracket in "[{":
            opened.append(bracket)
        elif opened:
            opened.pop()
    wrong = "}" if opened and opened[-1] == "[" else "]"
    escaping = (len(inside) - len(inside.rstrip("\\"))) % 2
    return "\\" * escaping + quote + wrong


def _chunk(message: AIMessageChunk) -> ChatGenerationChunk:
    return ChatGenerationChunk(message=message)
