"""What any engine must do, whatever runs behind it. An engine passes by a subclass of `EngineContract`."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, closing
from typing import Any

import pytest
from blockbuster import blockbuster_ctx

from internvl_llm.engine import Capabilities, Engine, EngineSpec
from internvl_llm.engines.base import BaseEngine
from internvl_llm.engines.open import open_engine
from internvl_llm.errors import ContextError, EngineError, InternVLError, OptionError
from internvl_llm.events import Event, Finish, Result, TextDelta, ToolCallDelta
from internvl_llm.messages import Image, Message
from internvl_llm.prompt.calls import collect_calls
from internvl_llm.request import Request, Sampling
from internvl_llm.tools import Tool
from tests.kit.pictures import gradient

PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"enum": ["Bern", "Ulm"]}, "days": {"type": "integer", "enum": [1, 2, 3]}},
    "required": ["city", "days"],
}
WEATHER = Tool("weather", "The weather of a city.", PARAMETERS)
CROP = Tool("crop", "Cuts a box out.", {"type": "object", "properties": {"box": {"enum": ["left", "right"]}}})
TOO_LONG = Request("word " * 40_000)
ENDLESS = 30_000
"""Tokens that take longer than any test waits."""


def requests(max_tokens: int = 12) -> list[Request]:
    """Text, images and several turns; answers of different lengths."""
    image = Image(gradient(), max_tiles=1)
    turns = [Message.user(image, "What?"), Message.assistant("A table."), Message.user("Which?")]
    asked: list[tuple[Any, int]] = [
        ("Hello there", 5),
        (Message.user(image, "What is this?"), 9),
        (turns, 12),
        ("word " * 60, 8),
    ]
    return [Request(messages, Sampling(max_tokens=min(most, max_tokens))) for messages, most in asked]


def endless(text: str = "Hello there", **options: Any) -> Request:
    return Request(text, Sampling(max_tokens=ENDLESS, **options))


def warm(text: str = "Hello there", max_tokens: int = 12, **options: Any) -> Request:
    return Request(text, Sampling(max_tokens=max_tokens, temperature=1.5, seed=3), **options)


def calling(choice: str = "any", max_tokens: int = 400, **options: Any) -> Request:
    return Request(
        "What is the weather?",
        Sampling(max_tokens=max_tokens),
        tools=[WEATHER],
        tool_choice=choice,
        **options,
    )


def eventually(holds: Callable[[], object], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


async def aeventually(holds: Callable[[], object]) -> None:
    await asyncio.to_thread(eventually, holds)


def answer(events: list[Event]) -> tuple[Any, ...]:
    """Of a stream, as `whole` is of a result."""
    *deltas, last = events
    assert isinstance(last, Finish) and not any(isinstance(delta, Finish) for delta in deltas)
    text = "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))
    calls = collect_calls(delta for delta in deltas if isinstance(delta, ToolCallDelta))
    return text, *calls, last.reason, last.usage.prompt_tokens, last.usage.completion_tokens


def whole(result: Result) -> tuple[Any, ...]:
    (sample,) = result.samples
    calls = sample.tool_calls, sample.broken_calls
    return (
        sample.text,
        *calls,
        sample.finish_reason,
        result.usage.prompt_tokens,
        result.usage.completion_tokens,
    )


class Longest:
    def scores(self, messages: Any, answers: Any) -> list[float]:
        return [float(len(answer)) for answer in answers]


class EngineContract:
    """Subclasses say how an engine is made and looked into. Its answers are greedy unless asked otherwise,
    the same for the same request, and longer than `ENDLESS` tokens where that is asked."""

    @classmethod
    def make(cls, **options: Any) -> BaseEngine:
        """An engine of its own; `options` are fields of a spec, where there is one."""
        raise NotImplementedError

    @classmethod
    def another(cls) -> BaseEngine:
        """One that answers differently."""
        raise NotImplementedError

    @classmethod
    def running(cls, engine: Any) -> int:
        """Sequences or requests that take a place, running or waiting."""
        raise NotImplementedError

    @pytest.fixture
    def spec(self, monkeypatch: pytest.MonkeyPatch) -> EngineSpec:
        """By which `open_engine` opens one."""
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def engine(cls) -> Iterator[BaseEngine]:
        engine = cls.make()
        yield engine
        engine.close()

    @pytest.fixture
    def own(self) -> Iterator[BaseEngine]:
        """To be closed."""
        engine = self.make()
        yield engine
        engine.close()

    def test_it_is_an_engine(self, engine: BaseEngine) -> None:
        assert isinstance(engine, Engine)
        assert isinstance(engine.capabilities, Capabilities)
        assert engine.capabilities.context_tokens > 0
        assert not engine.closed

    # One answer, whatever the way.

    async def test_every_way_says_the_same(self, engine: BaseEngine) -> None:
        for request in [*requests(), calling()]:
            (result,) = engine.generate([request])
            said = whole(result)
            assert said[0] or said[1]
            assert answer(list(engine.stream(request))) == said
            assert answer([event async for event in engine.astream(request)]) == said
            (again,) = await engine.agenerate([request])
            assert whole(again) == said

    async def test_several_answers_come_in_order(self, engine: BaseEngine) -> None:
        alone = [whole(engine.generate([request])[0]) for request in requests()]
        assert len(set(alone)) == len(alone)
        assert [whole(result) for result in engine.generate(requests())] == alone
        assert [whole(result) for result in await engine.agenerate(requests())] == alone
        assert engine.generate([]) == await engine.agenerate([]) == []

    async def test_threads_and_tasks_together(self, engine: BaseEngine) -> None:
        asked = requests()
        alone = [whole(engine.generate([request])[0]) for request in asked]

        async def streamed(request: Request) -> tuple[Any, ...]:
            return answer([event async for event in engine.astream(request)])

        with ThreadPoolExecutor(8) as threads:
            generated = [threads.submit(engine.generate, [request]) for request in asked * 2]
            streams = [threads.submit(lambda r: answer(list(engine.stream(r))), request) for request in asked]
            first, *middle, last = await asyncio.gather(
                engine.agenerate(asked), *map(streamed, asked), engine.agenerate(asked)
            )
            assert [whole(one.result()[0]) for one in generated] == alone * 2
            assert [one.result() for one in streams] == alone
        assert [whole(result) for result in first] == middle == [whole(result) for result in last] == alone
        eventually(lambda: not self.running(engine))

    async def test_the_loop_is_never_blocked(self, engine: BaseEngine) -> None:
        with blockbuster_ctx():
            await engine.agenerate(requests())
            async for _ in engine.astream(calling()):
                pass
            async with aclosing(engine.astream(endless())) as stream:
                await anext(stream)
            with pytest.raises(ContextError):
                await engine.agenerate([TOO_LONG])
            task = asyncio.create_task(engine.agenerate([endless()]))
            while not self.running(engine):
                await asyncio.sleep(0.005)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        await aeventually(lambda: not self.running(engine))

    # What is asked for is what comes.

    def test_max_tokens(self, engine: BaseEngine) -> None:
        (result,) = engine.generate([Request("Hello there", Sampling(max_tokens=3))])
        assert (result.finish_reason, result.usage.completion_tokens) == ("length", 3)

    def test_stop_strings(self, engine: BaseEngine) -> None:
        (free,) = engine.generate([Request("Hello there", Sampling(max_tokens=30))])
        at = len(free.text) // 2
        stop = free.text[at : at + 3]
        request = Request("Hello there", Sampling(max_tokens=30, stop=(stop, "\0never")))
        (stopped,) = engine.generate([request])
        assert stopped.finish_reason == "stop"
        assert stopped.text == free.text[: free.text.index(stop)]
        assert stopped.usage.completion_tokens <= free.usage.completion_tokens
        assert answer(list(engine.stream(request))) == whole(stopped)

    def test_usage(self, engine: BaseEngine) -> None:
        for request in [*requests(), calling()]:
            counted = engine.count_tokens(request)
            (result,) = engine.generate([request])
            usage = result.usage
            assert (usage.prompt_tokens, usage.image_tokens) == (counted.prompt_tokens, counted.image_tokens)
            assert counted.completion_tokens == 0 < usage.completion_tokens <= request.sampling.max_tokens
            assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
            assert usage.image_tokens + usage.cached_tokens <= 2 * usage.prompt_tokens
        text, image, *_ = requests()
        assert engine.count_tokens(text).image_tokens == 0 < engine.count_tokens(image).image_tokens
        assert (
            engine.count_tokens(calling()).prompt_tokens
            > engine.count_tokens(calling("none")).prompt_tokens - 1
        )

    def test_log_probabilities_come_with_their_text(self, engine: BaseEngine) -> None:
        for request in (
            Request("Hello there", Sampling(max_tokens=6, logprobs=3)),
            Request("Go", Sampling(max_tokens=400, logprobs=3), tools=[WEATHER], tool_choice="any"),
        ):
            (result,) = engine.generate([request])
            told = result.samples[0].logprobs
            assert len(told) == result.usage.completion_tokens
            for token in told:
                assert len(token.top) == 3
                assert token.logprob <= 0
                values = [value for _, value in token.top]
                assert values == sorted(values, reverse=True)
            events = [event for event in engine.stream(request) if isinstance(event, TextDelta)]
            streamed = [one for event in events for one in event.logprobs]
            assert [one.token for one in streamed] == [one.token for one in told]
            assert [one.logprob for one in streamed] == pytest.approx([one.logprob for one in told], abs=1e-3)
        (bare,) = engine.generate([Request("Hello there", Sampling(max_tokens=6))])
        assert bare.samples[0].logprobs == ()
        (chosen,) = engine.generate([Request("Hello there", Sampling(max_tokens=6, logprobs=0))])
        assert [one.top for one in chosen.samples[0].logprobs] == [()] * chosen.usage.completion_tokens

    # Several samples.

    async def test_a_critic_chooses(self, engine: BaseEngine) -> None:
        request = warm(n=5, critic=Longest())
        for (result,) in (engine.generate([request]), await engine.agenerate([request])):
            texts = [sample.text for sample in result.samples]
            assert len(texts) == 5 and len(set(texts)) > 1
            assert result.text == max(texts, key=len)
            assert [sample.score for sample in result.samples] == [len(text) for text in texts]
            assert 5 < result.usage.completion_tokens <= 5 * 12
            assert result.usage.prompt_tokens == engine.count_tokens(request).prompt_tokens
        (plain,) = engine.generate([warm(n=2)])
        assert (plain.best, [sample.score for sample in plain.samples]) == (0, [None, None])

    async def test_several_samples_are_no_stream(self, engine: BaseEngine) -> None:
        with pytest.raises(OptionError, match="one answer"):
            next(engine.stream(warm(n=2)))
        with pytest.raises(OptionError, match="one answer"):
            await anext(engine.astream(warm(n=2)))

    # Calls.

    def test_calls(self, engine: BaseEngine) -> None:
        request = calling("weather")
        (result,) = engine.generate([request])
        (call,) = result.tool_calls
        assert (result.text, result.finish_reason, call.name) == ("", "tool_calls", "weather")
        assert call.arguments["city"] in ("Bern", "Ulm") and call.arguments["days"] in (1, 2, 3)
        (again,) = engine.generate([request])
        assert again.tool_calls == result.tool_calls
        deltas = [event for event in engine.stream(request) if isinstance(event, ToolCallDelta)]
        assert [(delta.index, delta.id, delta.name) for delta in deltas if delta.id] == [
            (0, call.id, "weather")
        ]
        assert len(deltas) > 2  # as they come

    def test_ids_are_unique(self, engine: BaseEngine) -> None:
        both = [WEATHER, CROP]
        asked = [
            Request(f"Go {n}", Sampling(max_tokens=120), tools=both, tool_choice="any") for n in range(4)
        ]
        asked.append(warm("Go", 120, n=4, tools=both, tool_choice="any"))
        results = engine.generate(asked)
        samples = [sample for result in results for sample in result.samples]
        ids = [call.id for sample in samples for call in (*sample.tool_calls, *sample.broken_calls)]
        assert len(set(ids)) == len(ids) >= 8

    def test_a_call_that_is_cut_off(self, engine: BaseEngine) -> None:
        (full,) = engine.generate([calling("weather")])
        for most in range(full.usage.completion_tokens - 12, full.usage.completion_tokens - 6):
            request = calling("weather", most)
            (cut,) = engine.generate([request])
            assert (cut.finish_reason, cut.usage.completion_tokens) == ("length", most)
            sample = cut.samples[0]
            assert len(sample.tool_calls) + len(sample.broken_calls) <= 1
            for broken in sample.broken_calls:
                assert broken.name == "weather" and broken.id == full.tool_calls[0].id
            assert answer(list(engine.stream(request))) == whole(cut)
            if sample.broken_calls:
                return
        raise AssertionError("no call was cut off in its arguments")

    def test_no_calls_where_there_may_be_none(self, engine: BaseEngine) -> None:
        (result,) = engine.generate([calling("none", 12)])
        assert result.tool_calls == () and result.finish_reason in ("stop", "length")

    # What goes wrong, and what nobody waits for.

    async def test_a_request_that_cannot_be_raises(self, engine: BaseEngine) -> None:
        with pytest.raises(ContextError):
            engine.generate([TOO_LONG])
        with pytest.raises(ContextError):
            next(engine.stream(TOO_LONG))
        with pytest.raises(ContextError):
            await engine.agenerate([TOO_LONG])
        with pytest.raises(ContextError):
            await anext(engine.astream(TOO_LONG))

    async def test_the_first_that_fails_raises_and_the_others_are_given_up(self, engine: BaseEngine) -> None:
        for wrong in ([endless(), TOO_LONG], [TOO_LONG, endless()], [endless(), endless("Go"), TOO_LONG]):
            with pytest.raises(ContextError):
                engine.generate(wrong)
            eventually(lambda: not self.running(engine))
            with pytest.raises(ContextError):
                await engine.agenerate(wrong)
            await aeventually(lambda: not self.running(engine))

    async def test_closing_a_stream_frees_its_place(self, engine: BaseEngine) -> None:
        with closing(engine.stream(endless())) as stream:
            next(stream)
            assert self.running(engine) == 1
        eventually(lambda: not self.running(engine))
        async with aclosing(engine.astream(endless())) as astream:
            await anext(astream)
            assert self.running(engine) == 1
        await aeventually(lambda: not self.running(engine))

    async def test_cancelling_a_task_frees_its_place(self, engine: BaseEngine) -> None:
        async def streamed() -> None:
            async for _ in engine.astream(endless()):
                pass

        both: list[Awaitable[Any]] = [engine.agenerate([endless(), endless("Go")]), streamed()]
        tasks = [asyncio.ensure_future(one) for one in both]
        while self.running(engine) < 3:
            await asyncio.sleep(0.005)
        for task in tasks:
            task.cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(one) for one in done] == [asyncio.CancelledError] * 2
        await aeventually(lambda: not self.running(engine))

    @pytest.mark.parametrize("after", [0.0, 0.001, 0.01, 0.05])
    async def test_cancelling_while_it_starts_frees_its_place(self, engine: BaseEngine, after: float) -> None:
        for _ in range(5):
            task = asyncio.ensure_future(engine.agenerate([endless(), endless("Go")]))
            await asyncio.sleep(after)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        await asyncio.sleep(0.1)
        await aeventually(lambda: not self.running(engine))

    def test_nothing_follows_the_end(self, engine: BaseEngine) -> None:
        told: dict[int, list[list[Any]]] = {}

        def start(number: int, request: Request) -> Any:
            samples = told.setdefault(number, [[] for _ in range(request.n)])
            return engine.start(request, lambda sample, event: samples[sample].append(event))

        asked = [*requests(), warm(n=3), calling(), endless(), endless("Go")]
        handles = [start(number, request) for number, request in enumerate(asked)]
        eventually(lambda: all(samples[0] for samples in told.values()))
        for handle in handles[-2:]:
            handle.cancel()
            handle.cancel()
        eventually(lambda: not self.running(engine))
        for handle in handles:
            handle.cancel()
        (result,) = engine.generate([requests()[0]])  # time for what would come late
        assert result.text
        for number, samples in told.items():
            for events in samples:
                ends = [event for event in events if isinstance(event, Finish | BaseException)]
                assert events[-1:] == ends or (number >= len(asked) - 2 and not ends)

    def test_closing_an_engine(self, own: BaseEngine) -> None:
        ways: list[Callable[[], object]] = [
            lambda: own.generate([endless(), endless("Go")]),
            lambda: list(own.stream(endless())),
            lambda: asyncio.run(_agenerate(own)),
            lambda: asyncio.run(_drained(own.astream(endless()))),
        ]
        with ThreadPoolExecutor(4) as threads:
            waiting = [threads.submit(way) for way in ways]
            eventually(lambda: self.running(own) >= 5)
            closers = [threading.Thread(target=own.close) for _ in range(2)]
            for closer in closers:
                closer.start()
            errors = [one.exception(30) for one in waiting]
            for closer in closers:
                closer.join(30)
        assert own.closed
        for error in errors:
            assert isinstance(error, EngineError) and "closed" in str(error)
        for way in ways:
            with pytest.raises(EngineError, match="closed"):
                way()
        own.close()
        assert self.running(own) == 0

    def test_a_closed_engine_is_not_shared(self, spec: EngineSpec) -> None:
        first = open_engine(spec)
        try:
            assert open_engine(spec) is first
            first.close()
            second = open_engine(spec)
            assert second is not first
            assert second.generate([requests()[0]])[0].text
        finally:
            first.close()
            second.close()

    def test_fingerprints(self, engine: BaseEngine) -> None:
        assert engine.fingerprint and engine.fingerprint == engine.fingerprint
        other = self.another()
        try:
            said = [engine.generate([request])[0].text for request in requests()]
            assert [other.generate([request])[0].text for request in requests()] != said
            assert other.fingerprint != engine.fingerprint
        finally:
            other.close()

    def test_errors_are_ours(self, engine: BaseEngine) -> None:
        with pytest.raises(InternVLError) as raised:
            engine.generate([TOO_LONG])
        assert raised.value.remedy


async def _agenerate(engine: BaseEngine) -> list[Result]:
    return await engine.agenerate([endless()])


async def _drained(stream: AsyncIterator[Event]) -> list[Event]:
    return [event async for event in stream]
