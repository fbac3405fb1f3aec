"""Our events as LlamaIndex's responses."""

from __future__ import annotations

import json
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
from internvl_llm.prompt.call_parser import collect_calls


@dataclass(slots=True)
class Answer:
    """What has been said so far."""

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
        made = self._message(self._begun()) if self.finish is None else self._finished(self.finish)
        if latest is not None:
            made.delta = latest.text if isinstance(latest, TextDelta) else ""
        return made

    def _begun(self) -> list[ToolCall]:
        """Calls with as many of their arguments as there are."""
        parts: dict[int, list[str]] = {}
        heads: dict[int, ToolCallDelta] = {}
        for delta in self.deltas:
            heads.setdefault(delta.index, delta)
            parts.setdefault(delta.index, []).append(delta.arguments)
        return [ToolCall(heads[at].id, heads[at].name, partial("".join(parts[at]))) for at in sorted(heads)]

    def _message(self, calls: Sequence[ToolCall]) -> ChatResponse:
        blocks: list[Any] = [TextBlock(text=self.text)] if self.text or not calls else []
        blocks += [
            ToolCallBlock(tool_call_id=call.id, tool_name=call.name, tool_kwargs=dict(call.arguments))
            for call in calls
        ]
        # LlamaIndex looks for calls in both places.
        beside = {"tool_calls": [_openai_call(call) for call in calls]} if calls else {}
        message = ChatMessage(role=MessageRole.ASSISTANT, blocks=blocks, additional_kwargs=beside)
        return ChatResponse(message=message)

    def _finished(self, finish: Finish) -> ChatResponse:
        complete, broken = collect_calls(self.deltas)
        response = self._message(complete)
        if broken:
            response.message.additional_kwargs["broken_tool_calls"] = [
                {"id": call.id, "name": call.name, "arguments": call.arguments} for call in broken
            ]
        used = finish.usage
        counts = {
            "prompt_tokens": used.prompt_tokens,
            "completion_tokens": used.completion_tokens,
            "total_tokens": used.total_tokens,
        }
        usage = counts | {"image_tokens": used.image_tokens, "cached_tokens": used.cached_tokens}
        response.raw = {"model": self.model, "finish_reason": finish.reason, "usage": usage}
        response.additional_kwargs = {**counts, "finish_reason": finish.reason}
        response.logprobs = self.logprobs or None
        return response


def partial(text: str) -> dict[str, Any]:
    """The object that the beginning of JSON text holds; empty where it is none yet."""
    try:
        value = from_json(text, allow_inf_nan=False, allow_partial="trailing-strings")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _openai_call(call: ToolCall) -> dict[str, Any]:
    arguments = json.dumps(call.arguments, ensure_ascii=False)
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _logprob(token: TokenLogprob) -> list[LogProb]:
    """The likeliest tokens, the one that was said first."""
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
