"""The events of one request, whatever its number of samples; closing the generator cancels it."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import aclosing, closing
from dataclasses import replace

from internvl_llm.engine import Engine
from internvl_llm.events import Event, Finish, Result, TextDelta, ToolCallDelta
from internvl_llm.request import Request


def events(engine: Engine, request: Request) -> Generator[Event, None, None]:
    """Several answers cannot be streamed: the best comes at once."""
    if request.n > 1:
        yield from _as_events(engine.generate([request])[0])
        return
    with closing(engine.stream(request)) as stream:
        yield from stream


async def aevents(engine: Engine, request: Request) -> AsyncGenerator[Event, None]:
    if request.n > 1:
        for event in _as_events((await engine.agenerate([request]))[0]):
            yield event
        return
    async with aclosing(engine.astream(request)) as stream:
        async for event in stream:
            yield event


def _as_events(result: Result) -> Iterator[Event]:
    best = result.samples[result.best]
    if best.text:
        yield TextDelta(best.text, best.logprobs)
    for index, call in enumerate(best.tool_calls):
        yield ToolCallDelta(index, call.id, call.name, json.dumps(call.arguments, ensure_ascii=False))
    for index, broken in enumerate(best.broken_calls, len(best.tool_calls)):
        yield replace(broken, index=index)
    yield Finish(best.finish_reason, result.usage)
