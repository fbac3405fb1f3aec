"""Our events as LlamaIndex's responses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    LogProb,
    MessageRole,
    TextBlock,
    ToolCallBlock,
)
from pydantic_core import from_json

from internvl_llm.events import Event, Finish, TextDelta, TokenLogprob, ToolCallDelta
from internvl_llm.messages import ToolCall
from internvl_llm.openai_forms import dump_tool_call
from internvl_llm.prompt.calls import collect_calls


@dataclass(slots=True)
class Answer:
    """What has come so far."""

    model: str
    text: str = ""
    deltas: list[ToolCallDelta] = field(default_factory=list)
    logprobs: list[list[LogProb]] = field(default_factory=list)
    finish: Finish | None = None

    def take(self, event: Event) -> Self:
        if isinstance(event, Finish):
            self.finish = event
        elif isinstance(event, ToolCallDelta):
            self.deltas.append(event)
        else:
            self.text += event.text
            self.logprobs += map(_logprob, event.logprobs)
        return self

    def response(self, latest: Event | None = None) -> ChatResponse:
        """All of it; in a stream, `latest` is what is new."""
        response = self._message(self._partial_calls()) if self.finish is None else self._whole(self.finish)
        if latest is not None:
            response.delta = latest.text if isinstance(latest, TextDelta) else ""
        return response

    def _partial_calls(self) -> list[ToolCall]:
        """Calls with as many of their arguments as there are."""
        parts: dict[int, list[str]] = {}
        heads: dict[int, ToolCallDelta] = {}
        for delta in self.deltas:
            heads.setdefault(delta.index, delta)
            parts.setdefault(delta.index, []).append(delta.arguments)
        return [
            ToolCall(heads[index].id, heads[index].name, partial_json("".join(parts[index])))
            for index in sorted(heads)
        ]

    def _message(self, calls: Sequence[ToolCall]) -> ChatResponse:
        blocks: list[Any] = [TextBlock(text=self.text)] if self.text or not calls else []
        blocks += [
            ToolCallBlock(tool_call_id=call.id, tool_name=call.name, tool_kwargs=dict(call.arguments))
            for call in calls
        ]
        # LlamaIndex looks for calls in both places.
        additional = {"tool_calls": [dump_tool_call(call) for call in calls]} if calls else {}
        message = ChatMessage(role=MessageRole.ASSISTANT, blocks=blocks, additional_kwargs=additional)
        return ChatResponse(message=message)

    def _whole(self, finish: Finish) -> ChatResponse:
        complete, broken = collect_calls(self.deltas)
        response = self._message(complete)
        if broken:
            response.message.additional_kwargs["broken_tool_calls"] = [
                {"id": call.id, "name": call.name, "arguments": call.arguments} for call in broken
            ]
        usage = finish.usage
        counts = {
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "total_tokens": usage.total_tokens,
        }
        details = {"image_tokens": usage.image_tokens, "cached_tokens": usage.cached_tokens}
        response.raw = {"model": self.model, "finish_reason": finish.reason, "usage": counts | details}
        response.additional_kwargs = {**counts, "finish_reason": finish.reason}
        response.logprobs = self.logprobs or None
        return response


def partial_json(text: str) -> dict[str, Any]:
    """The object that the beginning of JSON text holds; empty where it is none yet."""
    try:
        value = from_json(text, allow_inf_nan=False, allow_partial="trailing-strings")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _logprob(token: TokenLogprob) -> list[LogProb]:
    """The likeliest tokens, the chosen one first."""
    others = [pair for pair in token.top if pair[0] != token.token]
    return [
        LogProb(token=text, logprob=value, bytes=list(text.encode()))
        for text, value in ((token.token, token.logprob), *others)
    ]


def to_completion(response: ChatResponse) -> CompletionResponse:
    return CompletionResponse(
        text=response.message.content or "",
        additional_kwargs=response.message.additional_kwargs | response.additional_kwargs,
        raw=response.raw,
        logprobs=response.logprobs,
        delta=response.delta,
    )
