"""What the base of engines makes of events, told by hand or by a scripted engine. No model answers here."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from internvl_llm.engine import Capabilities
from internvl_llm.engines.answers import Listener
from internvl_llm.engines.base import BaseEngine
from internvl_llm.errors import ContextError, EngineError, OptionError
from internvl_llm.events import Event, Finish, Result, TextDelta, TokenLogprob, ToolCallDelta, Usage
from internvl_llm.prompt.call_parser import CallParser
from internvl_llm.prompt.calls import collect_calls, merge
from internvl_llm.request import Request, Sampling
from internvl_llm.tools import Tool
from tests.kit.engine_contract import aeventually, eventually
from tests.kit.scripted import ScriptedEngine

HELLO = Request("Hello", Sampling(max_tokens=100))
WARM = Sampling(max_tokens=100, temperature=1.0)
LOOK = Tool("look", "", {"type": "object"})
CALLING = Request("Hello", tools=[LOOK])
CALL = '<tool_call>\n{"name": "look", "arguments": {"at": 1}}\n</tool_call>'
STOP = Finish("stop", Usage(7, 3))


class Puppet(BaseEngine):
    """An engine whose events the test tells, as `listeners[n](sample, event)`."""

    capabilities = Capabilities("puppet", 1000, dialect="hermes")

    def __init__(self) -> None:
        self.listeners: list[Listener] = []
        self.cancelled: list[int] = []
        self.before: Callable[[], object] = lambda: None

    def start(self, request: Request, listener: Listener) -> Any:
        self.before()
        number = len(self.listeners)
        self.listeners.append(listener)
        engine = self

        class Handle:
            def cancel(self) -> None:
                engine.cancelled.append(number)

        return Handle()

    def count_tokens(self, request: Request) -> Usage:
        return Usage()

    def close(self) -> None:
        self.closed = True


def told(*events: tuple[int, Event | Exception], request: Request) -> Result:
    """What `generate` makes of these, told from within `start`."""
    (result,) = Telling(*events).generate([request])
    return result


class Telling(Puppet):
    def __init__(self, *events: tuple[int, Event | Exception]) -> None:
        super().__init__()
        self.events = events

    def start(self, request: Request, listener: Listener) -> Any:
        handle = super().start(request, listener)
        for sample, event in self.events:
            listener(sample, event)
        return handle


def text(events: list[Any]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def test_interleaved_samples() -> None:
    result = told(
        (1, TextDelta("b")),
        (0, TextDelta("a")),
        (2, Finish("length", Usage(7, 0))),
        (1, TextDelta("bb")),
        (1, Finish("stop", Usage(7, 2, 4, 1))),
        (0, TextDelta("a", (TokenLogprob("a", -1.0),))),
        (0, Finish("length", Usage(7, 4, 4, 2), tokens=(5, 6))),
        request=Request("Hello", WARM, n=3),
    )
    assert [sample.text for sample in result.samples] == ["aa", "bbb", ""]
    assert [sample.finish_reason for sample in result.samples] == ["length", "stop", "length"]
    assert result.samples[0].logprobs == (TokenLogprob("a", -1.0),)
    assert result.samples[0].tokens == (5, 6)
    assert result.usage == Usage(7, 6, 4, 2)


def test_interleaved_calls() -> None:
    """Each sample has a parser and ids of its own."""
    pieces = [CALL[at : at + 7] for at in range(0, len(CALL), 7)]
    events = [(sample, TextDelta(piece)) for piece in pieces for sample in (1, 0)]
    result = told(*events, (0, STOP), (1, STOP), request=Request("Hello", WARM, n=2, tools=[LOOK]))
    first, second = (sample.tool_calls[0] for sample in result.samples)
    assert first.arguments == second.arguments == {"at": 1}
    assert first.id != second.id
    assert [sample.finish_reason for sample in result.samples] == ["tool_calls"] * 2


class Chosen:
    def __init__(self, *scores: float) -> None:
        self.chosen = scores

    def scores(self, messages: Any, answers: Any) -> list[float]:
        if not self.chosen:
            raise RuntimeError("no opinion")
        return list(self.chosen)


@pytest.mark.parametrize(("scores", "best"), [((1.0, 2.0), 1), ((2.0, 2.0), 0), ((0.0, -1.0), 0)])
def test_a_critic_chooses_the_first_of_the_best(scores: tuple[float, ...], best: int) -> None:
    request = Request("Hello", WARM, n=2, critic=Chosen(*scores))
    result = told((0, TextDelta("a")), (0, STOP), (1, STOP), request=request)
    assert result.best == best
    assert tuple(sample.score for sample in result.samples) == scores


@pytest.mark.parametrize("scores", [(), (1.0,)])
async def test_a_critic_that_fails_raises(scores: tuple[float, ...]) -> None:
    engine = Telling((0, STOP), (1, STOP))
    request = Request("Hello", WARM, n=2, critic=Chosen(*scores))
    with pytest.raises((RuntimeError, ValueError)):
        engine.generate([request])
    with pytest.raises((RuntimeError, ValueError)):
        await engine.agenerate([request])


# What goes wrong.


def failing(nth: int) -> Puppet:
    """Whose nth `start` raises."""
    engine = Puppet()

    def before() -> None:
        if len(engine.listeners) == nth:
            raise ContextError("too long")

    engine.before = before
    return engine


async def test_an_error_of_start() -> None:
    for nth in (0, 2):
        engine = failing(nth)
        with pytest.raises(ContextError):
            engine.generate([HELLO] * 4)
        assert engine.cancelled == list(range(nth))
        engine = failing(nth)
        with pytest.raises(ContextError):
            await engine.agenerate([HELLO] * 4)
        assert engine.cancelled == list(range(nth))
    with pytest.raises(ContextError):
        next(failing(0).stream(HELLO))
    with pytest.raises(ContextError):
        await anext(failing(0).astream(HELLO))


async def test_an_error_later() -> None:
    engine = Telling((0, TextDelta("Hel")), (0, EngineError("gone")))
    with pytest.raises(EngineError, match="gone"):
        engine.generate([HELLO])
    with pytest.raises(EngineError, match="gone"):
        await engine.agenerate([HELLO])
    stream = engine.stream(HELLO)
    assert next(stream) == TextDelta("Hel")
    with pytest.raises(EngineError, match="gone"):
        next(stream)
    astream = engine.astream(HELLO)
    assert await anext(astream) == TextDelta("Hel")
    with pytest.raises(EngineError, match="gone"):
        await anext(astream)
    assert set(engine.cancelled) == {0, 1, 2, 3}


@pytest.mark.parametrize("number", [0, 1, 2])
def test_an_error_after_some_samples_ended(number: int) -> None:
    engine = Telling((0, TextDelta("a")), (0, STOP), (number, EngineError("gone")), (1, STOP), (2, STOP))
    with pytest.raises(EngineError, match="gone"):
        engine.generate([Request("Hello", WARM, n=3)])
    assert 0 in engine.cancelled


def test_samples_beside_one_that_fails_are_cancelled_at_once() -> None:
    """Though the caller waits for an earlier request yet."""
    engine = Puppet()
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(engine.generate, [HELLO, Request("Hello", WARM, n=2)])
        eventually(lambda: len(engine.listeners) == 2)
        engine.listeners[1](1, EngineError("gone"))
        eventually(lambda: engine.cancelled == [1])
        assert not waiting.done()
        engine.listeners[0](0, STOP)
        with pytest.raises(EngineError, match="gone"):
            waiting.result(10)


def test_the_first_that_fails_raises_while_others_run() -> None:
    engine = Puppet()
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(engine.generate, [HELLO, HELLO, HELLO])
        eventually(lambda: len(engine.listeners) == 3)
        engine.listeners[0](0, STOP)
        engine.listeners[1](0, EngineError("gone"))
        with pytest.raises(EngineError, match="gone"):
            waiting.result(10)
    assert set(engine.cancelled) == {0, 1, 2}


async def test_the_first_that_fails_raises_while_others_run_asynchronously() -> None:
    engine = Puppet()
    task = asyncio.create_task(engine.agenerate([HELLO, HELLO, HELLO]))
    await aeventually(lambda: len(engine.listeners) == 3)
    engine.listeners[0](0, STOP)
    engine.listeners[1](0, EngineError("gone"))
    with pytest.raises(EngineError, match="gone"):
        await asyncio.wait_for(task, 10)
    assert set(engine.cancelled) == {0, 1, 2}


@pytest.mark.parametrize("end", [EngineError("gone"), STOP])
async def test_nothing_counts_after_the_end(end: Event | Exception) -> None:
    engine = Telling((0, TextDelta("a")), (0, end), (0, TextDelta("b")), (0, EngineError("late")), (0, STOP))
    ways: list[Callable[[], Any]] = [
        lambda: engine.generate([HELLO])[0].text,
        lambda: text(list(engine.stream(HELLO))),
    ]
    for way in ways:
        if end is STOP:
            assert way() == "a"
        else:
            with pytest.raises(EngineError, match="gone"):
                way()
    heard: list[Any] = []
    with pytest.raises(EngineError) if end is not STOP else _nothing():
        async for event in engine.astream(HELLO):
            heard.append(event)
    assert text(heard) == "a"


class _nothing:
    def __enter__(self) -> None: ...
    def __exit__(self, *error: object) -> None: ...


def test_a_sample_that_goes_on_after_its_end_harms_no_other() -> None:
    late = ((0, TextDelta("late")), (0, Finish("length", Usage(7, 99))))
    result = told(
        (0, TextDelta("a")),
        (0, STOP),
        *late,
        (1, TextDelta("b")),
        (1, STOP),
        request=Request("Hello", WARM, n=2),
    )
    assert [sample.text for sample in result.samples] == ["a", "b"]
    assert result.usage.completion_tokens == 6


async def test_what_the_parser_raises_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines take no exceptions of listeners: whoever asked would wait for ever."""

    def broken(self: Any, piece: str) -> Any:
        raise RecursionError("deep")

    monkeypatch.setattr(CallParser, "push", broken)
    engine = Telling((0, TextDelta("a")), (0, STOP))
    with pytest.raises(RecursionError):
        engine.generate([CALLING])
    with pytest.raises(RecursionError):
        list(engine.stream(CALLING))
    with pytest.raises(RecursionError):
        await engine.agenerate([CALLING])
    with pytest.raises(RecursionError):
        [event async for event in engine.astream(CALLING)]


# Who goes before it is over.


async def astreamed(engine: BaseEngine) -> list[Event]:
    return [event async for event in engine.astream(HELLO)]


@pytest.mark.parametrize("way", [lambda engine: engine.agenerate([HELLO]), astreamed])
async def test_cancelled_while_it_starts(way: Callable[[BaseEngine], Any]) -> None:
    """What a thread is starting when its task is cancelled is cancelled as soon as it has begun."""
    engine = Puppet()
    starting, go_on = threading.Event(), threading.Event()
    engine.before = lambda: (starting.set(), go_on.wait(10))
    task = asyncio.create_task(way(engine))
    assert await asyncio.to_thread(starting.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert engine.cancelled == []
    go_on.set()
    await aeventually(lambda: engine.cancelled == [0])


async def test_cancelled_while_it_runs() -> None:
    engine = Puppet()
    tasks = [asyncio.create_task(engine.agenerate([HELLO])), asyncio.create_task(astreamed(engine))]
    await aeventually(lambda: len(engine.listeners) == 2)
    for task in tasks:
        task.cancel()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(one) for one in done] == [asyncio.CancelledError] * 2
    await aeventually(lambda: sorted(engine.cancelled) == [0, 1])


async def test_a_stream_that_is_not_read_is_not_started() -> None:
    engine = Puppet()
    engine.stream(HELLO).close()
    await engine.astream(HELLO).aclose()
    assert engine.listeners == []


def test_events_that_come_when_the_loop_has_gone() -> None:
    engine = Puppet()

    async def leave() -> None:
        tasks = [asyncio.create_task(engine.agenerate([HELLO])), asyncio.create_task(astreamed(engine))]
        await aeventually(lambda: len(engine.listeners) == 2)
        for task in tasks:
            task.cancel()

    asyncio.run(leave())
    for listener in engine.listeners:
        listener(0, TextDelta("a"))
        listener(0, STOP)


# Text and calls.


async def test_one_answer_streams() -> None:
    engine = Puppet()
    for n in (2, 64):
        with pytest.raises(OptionError, match="one answer"):
            next(engine.stream(Request("Hello", WARM, n=n)))
        with pytest.raises(OptionError, match="one answer"):
            await anext(engine.astream(Request("Hello", WARM, n=n)))
    assert engine.listeners == []


@pytest.mark.parametrize("size", range(1, len(CALL) + 1))
def test_calls_come_of_pieces_of_any_size(size: int) -> None:
    said = f"Let me see. {CALL}\n{CALL}"
    pieces = [TextDelta(said[at : at + size]) for at in range(0, len(said), size)]
    engine = ScriptedEngine(lambda request: [*pieces, STOP])
    events = list(engine.stream(CALLING))
    (result,) = engine.generate([CALLING])
    assert text(events) == result.text == "Let me see. "
    calls, broken = collect_calls(event for event in events if isinstance(event, ToolCallDelta))
    assert calls == result.tool_calls and not broken
    assert [(call.name, call.arguments) for call in calls] == [("look", {"at": 1})] * 2
    assert len({call.id for call in calls}) == 2
    assert events[-1] == Finish("tool_calls", STOP.usage)


def test_calls_are_text_where_there_are_no_tools() -> None:
    for request in (HELLO, Request("Hello", tools=[LOOK], tool_choice="none")):
        result = told((0, TextDelta(CALL)), (0, STOP), request=request)
        assert (result.text, result.tool_calls, result.finish_reason) == (CALL, (), "stop")


@pytest.mark.parametrize("reason", ["length", "stop", "cancelled"])
def test_a_call_that_is_cut_off_is_broken(reason: Any) -> None:
    result = told((0, TextDelta(CALL[:-20])), (0, Finish(reason, Usage())), request=CALLING)
    assert result.tool_calls == () and result.finish_reason == reason
    assert [call.name for call in result.samples[0].broken_calls] == ["look"]


def test_a_whole_call_is_no_reason_to_forget_that_it_was_cut_off() -> None:
    result = told((0, TextDelta(CALL + CALL[:-20])), (0, Finish("length", Usage())), request=CALLING)
    assert result.finish_reason == "length"
    assert len(result.tool_calls) == len(result.samples[0].broken_calls) == 1


def test_calls_that_the_engine_parses_itself_keep_their_place() -> None:
    """Text before them is not held back as though a call of ours might follow."""
    events = [
        TextDelta("See: <tool"),
        ToolCallDelta(0, "x", "look"),
        ToolCallDelta(0, arguments='{"at": 2}'),
        TextDelta(CALL),
        Finish("tool_calls", Usage()),
    ]
    engine = ScriptedEngine(lambda request: events)
    before, call, *after = merge(engine.stream(CALLING))  # type: ignore[arg-type]
    assert before == events[0]
    assert call == ToolCallDelta(0, "x", "look", '{"at": 2}')
    assert after == events[3:]
    (result,) = engine.generate([CALLING])
    assert [call.id for call in result.tool_calls] == ["x"]
    assert result.text == f"See: <tool{CALL}"


def test_log_probabilities_of_text_that_is_held_back() -> None:
    """They come with their token, though its text comes later or never, being a call's."""
    tokens = ["Well", " <", "tool", "_call>", '\n{"name": "look", "argu', 'ments": {}}\n</tool_call>', ""]
    logprobs = [TokenLogprob(token, -float(at)) for at, token in enumerate(tokens)]
    deltas = [TextDelta(token, (told,)) for token, told in zip(tokens, logprobs, strict=True)]
    engine = ScriptedEngine(lambda request: [*deltas, STOP])
    events = list(engine.stream(CALLING))
    streamed = [event for event in events if isinstance(event, TextDelta)]
    assert [one for event in streamed for one in event.logprobs] == logprobs
    assert [len(event.logprobs) for event in streamed if event.logprobs] == [1] * len(tokens)
    assert text(events) == "Well "
    (result,) = engine.generate([CALLING])
    assert list(result.samples[0].logprobs) == logprobs
    assert [call.name for call in result.tool_calls] == ["look"]


def test_log_probabilities_of_no_text() -> None:
    """As of a token that ends a turn, or half a character."""
    nothing = TextDelta("", (TokenLogprob("<|im_end|>", -0.1),))
    for request in (HELLO, CALLING):
        result = told((0, TextDelta("a")), (0, nothing), (0, STOP), request=request)
        assert (result.text, result.samples[0].logprobs) == ("a", nothing.logprobs)


def test_ids_of_calls_are_those_of_the_request() -> None:
    def ids(request: Request) -> list[str]:
        result = told((0, TextDelta(f"{CALL}\n{CALL}")), (0, STOP), request=request)
        return [call.id for call in result.tool_calls]

    assert ids(CALLING) == ids(Request("Hello", tools=[LOOK]))
    assert not set(ids(CALLING)) & set(ids(Request("Hello again", tools=[LOOK])))


def test_fingerprints() -> None:
    one, other = Puppet(), Puppet()
    assert one.fingerprint == one.fingerprint != other.fingerprint
    with ThreadPoolExecutor(8) as threads:
        fresh = Puppet()
        assert len(set(threads.map(lambda _: fresh.fingerprint, range(64)))) == 1
