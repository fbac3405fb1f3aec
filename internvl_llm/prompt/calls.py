"""Tool calls made of what is told of them, piece by piece."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import groupby
from typing import Any

from internvl_llm.events import TextDelta, ToolCallDelta
from internvl_llm.messages import ToolCall


def merge(events: Iterable[TextDelta | ToolCallDelta]) -> list[TextDelta | ToolCallDelta]:
    """Neighbours of one text or one call together."""
    joined: list[TextDelta | ToolCallDelta] = []
    for (kind, index), neighbours in groupby(events, lambda one: (type(one), getattr(one, "index", -1))):
        several: list[Any] = list(neighbours)
        if kind is TextDelta:
            logprobs = tuple(logprob for one in several for logprob in one.logprobs)
            joined.append(TextDelta("".join(one.text for one in several), logprobs))
        elif kind is ToolCallDelta:
            joined.append(_together(index, several))
        else:  # whatever else an engine tells
            joined += several
    return joined


def collect_calls(
    deltas: Iterable[ToolCallDelta],
) -> tuple[tuple[ToolCall, ...], tuple[ToolCallDelta, ...]]:
    """Calls, and those whose arguments are no JSON object: cut off, or written without a grammar."""
    parts: dict[int, list[ToolCallDelta]] = {}
    for delta in deltas:
        parts.setdefault(delta.index, []).append(delta)
    calls, broken = [], []
    for index, several in parts.items():
        call = _together(index, several)
        try:
            calls.append(ToolCall(call.id, call.name, strict_json(call.arguments)))
        except (ValueError, RecursionError):  # MessageError is a ValueError
            broken.append(call)
    return tuple(calls), tuple(broken)


def _together(index: int, deltas: list[ToolCallDelta]) -> ToolCallDelta:
    return ToolCallDelta(index, deltas[0].id, deltas[0].name, "".join(delta.arguments for delta in deltas))


def strict_json(text: str) -> Any:
    """JSON as the standard has it: no NaN, no infinity. Raises ValueError or RecursionError."""

    def none(name: str) -> Any:
        raise ValueError(f"{name} is no JSON")

    return json.loads(text, parse_constant=none)
