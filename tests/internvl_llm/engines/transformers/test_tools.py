"""Grammars and tools through the engine: random weights at temperature 1 say nothing that does not parse."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
import torch

from internvl_llm.engine import EngineSpec
from internvl_llm.engines.transformers.engine import TransformersEngine
from internvl_llm.errors import EngineError, GrammarError
from internvl_llm.events import Event, Finish, TextDelta, ToolCallDelta
from internvl_llm.grammar import Choice, JsonObject, JsonSchema, Regex
from internvl_llm.messages import Message, ToolResult
from internvl_llm.prompt.calls import collect_calls
from internvl_llm.prompt.dialects import describe
from internvl_llm.request import Request, Sampling
from internvl_llm.tools import Tool
from tests.kit.checkpoints import built
from tests.kit.schemas import schema

PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "maxLength": 8},
        "days": {"type": "integer", "minimum": 1, "maximum": 9},
        "unit": {"enum": ["C", "F"]},
    },
    "required": ["city", "unit"],
}
WEATHER = Tool("weather", "The weather of a city.", PARAMETERS)
BOX: dict[str, Any] = {"type": "object", "properties": {"box": {"$ref": "#/$defs/b"}}, "required": ["box"]}
BOX["$defs"] = {
    "b": {"type": "array", "items": {"type": "integer", "maximum": 9}, "minItems": 2, "maxItems": 2}
}
CROP = Tool("crop", "Cuts a box out.", BOX)
SCHEMAS = {"weather": PARAMETERS, "crop": BOX}


def warm(seed: int = 0, most: int = 160, **more: Any) -> Sampling:
    return Sampling(max_tokens=most, temperature=1.0, seed=seed, **more)


def fresh(kind: Any = "tiny", **changes: Any) -> TransformersEngine:
    return TransformersEngine(EngineSpec(str(built(kind)), **changes))


@pytest.fixture(scope="module")
def engine() -> Iterator[TransformersEngine]:
    made = fresh()
    yield made
    made.close()


def asked() -> list[Request]:
    """With and without constraints, sampled and greedy."""
    tools = (WEATHER, CROP)
    return [
        Request("One", warm(1), tools=tools, tool_choice="any"),
        Request("Two", warm(2), grammar=JsonSchema(BOX)),
        Request("Three", warm(3, 20)),
        Request("Four", Sampling(max_tokens=60), tools=tools, tool_choice="crop"),
        Request("Five", Sampling(max_tokens=9)),
        Request("Six", warm(6, 30), tools=tools),
        Request("Seven", warm(7), grammar=Choice(("yes", "no"))),
        Request("Eight", warm(8), tools=tools, grammar=JsonSchema(BOX)),
    ]


def tokens(results: list[Any]) -> list[tuple[int, ...]]:
    return [result.samples[0].tokens for result in results]


def test_schemas(engine: TransformersEngine) -> None:
    """`python -m benchmarks.schema_conformance` asks more of them."""
    wanted = [schema(seed) for seed in range(1000, 1030)]
    requests = [Request("Go", warm(at, 250), grammar=JsonSchema(one)) for at, one in enumerate(wanted)]
    checker, ended = jsonschema.Draft202012Validator.FORMAT_CHECKER, 0
    for one, result in zip(wanted, engine.generate(requests), strict=True):
        if result.finish_reason == "stop":
            ended += 1
            value = json.loads(result.text)
            jsonschema.Draft202012Validator(one, format_checker=checker).validate(value)
        else:
            assert result.finish_reason == "length"
    assert ended >= 18


@pytest.mark.parametrize("choice", ["any", "weather", "crop"])
@pytest.mark.parametrize("parallel", [True, False])
def test_forced_calls_always_parse(engine: TransformersEngine, choice: str, parallel: bool) -> None:
    requests = [
        Request(
            "Go", warm(seed, 400), tools=[WEATHER, CROP], tool_choice=choice, parallel_tool_calls=parallel
        )
        for seed in range(12)
    ]
    counts = []
    for result in engine.generate(requests):
        sample = result.samples[0]
        counts.append(len(result.tool_calls))
        assert sample.text == ""
        assert sample.finish_reason == "tool_calls" or (sample.finish_reason == "length" and parallel)
        assert not sample.broken_calls or sample.finish_reason == "length"
        for at, call in enumerate(result.tool_calls):
            assert call.name == choice or choice == "any"
            assert call.id.startswith(f"call_{at}_")
            jsonschema.validate(call.arguments, SCHEMAS[call.name])
    assert min(counts) >= 1
    assert max(counts) == 1 or (parallel and choice == "any")


def test_streamed_as_whole(engine: TransformersEngine) -> None:
    for request in asked():
        whole = engine.generate([request])[0]
        events = list(engine.stream(request))
        deltas = [event for event in events if isinstance(event, ToolCallDelta)]
        assert collect_calls(deltas) == (whole.tool_calls, whole.samples[0].broken_calls)
        assert "".join(event.text for event in events if isinstance(event, TextDelta)) == whole.text
        assert events[-1] == Finish(whole.finish_reason, events[-1].usage)  # type: ignore[union-attr]
        firsts = [delta for delta in deltas if delta.id]
        assert [delta.index for delta in firsts] == list(range(len(firsts)))
        if request.tool_choice == "crop":
            assert len(deltas) > 3  # as they come


async def test_asynchronously(engine: TransformersEngine) -> None:
    request = asked()[0]
    events: list[Event] = [event async for event in engine.astream(request)]
    [whole] = await engine.agenerate([request])
    deltas = [event for event in events if isinstance(event, ToolCallDelta)]
    assert collect_calls(deltas)[0] == whole.tool_calls == engine.generate([request])[0].tool_calls


def test_together_and_in_pieces_as_alone(engine: TransformersEngine) -> None:
    alone = [tokens(engine.generate([request]))[0] for request in asked()]
    assert tokens(engine.generate(asked())) == alone
    assert tokens(engine.generate(asked())) == alone  # from what was kept
    with ThreadPoolExecutor(8) as threads:
        assert [tokens(one)[0] for one in threads.map(lambda r: engine.generate([r]), asked())] == alone
    small = fresh(prefill_chunk=7, max_batch=2, prefix_bytes=0)
    assert tokens(small.generate(asked())) == alone
    small.close()


def test_when_memory_runs_out(engine: TransformersEngine) -> None:
    """Jobs that had to wait in the middle of their grammar go on where they were."""
    poor = fresh()
    runner, refused = poor._cores[0].runner, 0
    forward = runner._forward

    def scarce(embedded: torch.Tensor, *more: Any) -> torch.Tensor:
        nonlocal refused
        if len(embedded) > 2:
            refused += 1
            raise torch.OutOfMemoryError("scripted")
        return forward(embedded, *more)

    runner._forward = scarce  # type: ignore[method-assign]
    assert tokens(poor.generate(asked())) == tokens(engine.generate(asked()))
    assert refused
    poor.close()


def test_n_samples_are_each_constrained(engine: TransformersEngine) -> None:
    request = Request("Go", warm(4), n=6, tools=[WEATHER], tool_choice="any", parallel_tool_calls=False)
    [result] = engine.generate([request])
    assert len({str(sample.tool_calls[0].arguments) for sample in result.samples}) > 1
    assert len({sample.tool_calls[0].id for sample in result.samples}) == 6
    [again] = engine.generate([request])
    assert [sample.tool_calls for sample in again.samples] == [sample.tool_calls for sample in result.samples]


def test_answers_end_with_their_grammar(engine: TransformersEngine) -> None:
    [result] = engine.generate([Request("Go", warm(), grammar=Regex("[a-z]{3}-[0-9]{4}"))])
    assert result.finish_reason == "stop"
    assert len(result.text) == 8
    [bare] = engine.generate([Request("Go", warm(), grammar=JsonObject())])
    assert bare.text.startswith("{")


def test_cut_off(engine: TransformersEngine) -> None:
    """Nothing is lost, and nothing pretends to be whole."""
    [short] = engine.generate([Request("Go", warm(1, 14), grammar=JsonSchema(PARAMETERS))])
    assert short.finish_reason == "length"
    assert short.text.startswith('{"city"')
    with pytest.raises(ValueError, match="Unterminated|Expecting|delimiter"):
        json.loads(short.text)
    [call] = engine.generate([Request("Go", warm(1, 24), tools=[WEATHER], tool_choice="any")])
    assert call.finish_reason == "length"
    assert call.tool_calls == ()
    [broken] = call.samples[0].broken_calls
    assert broken.name == "weather" and broken.arguments.startswith('{"ci')
    [stopped] = engine.generate([Request("Go", warm(stop=("unit",)), tools=[WEATHER], tool_choice="any")])
    assert stopped.finish_reason == "stop"
    assert stopped.samples[0].broken_calls[0].arguments.endswith('"')


def test_logprobs_are_the_models_own(engine: TransformersEngine) -> None:
    """Of a choice the model would not have made by itself, too, and all of them finite."""
    sampling = Sampling(max_tokens=8, logprobs=3)
    [free] = engine.generate([Request("Go", replace(sampling, max_tokens=1))])
    [held] = engine.generate([Request("Go", sampling, grammar=Choice(("zebra",)))])
    given = held.samples[0].logprobs
    assert held.text == "zebra" == "".join(one.token for one in given)
    assert [token for token, _ in given[0].top] == [token for token, _ in free.samples[0].logprobs[0].top]
    assert all(value > -1e9 for one in given for value in (one.logprob, *(v for _, v in one.top)))
    called = Request("Go", replace(sampling, max_tokens=60), tools=[CROP], tool_choice="crop")
    [call] = engine.generate([called])
    assert len(call.samples[0].logprobs) == call.usage.completion_tokens
    streamed = [event for event in engine.stream(called) if isinstance(event, TextDelta)]
    tokens_told = [one.token for event in streamed for one in event.logprobs]
    assert tokens_told == [one.token for one in call.samples[0].logprobs]


def test_greedy_and_penalised(engine: TransformersEngine) -> None:
    for sampling in (Sampling(max_tokens=80), Sampling(max_tokens=80, repetition_penalty=1.3)):
        [result] = engine.generate([Request("Go", sampling, tools=[CROP], tool_choice="crop")])
        jsonschema.validate(result.tool_calls[0].arguments, BOX)


def test_refusals_come_before_the_model(engine: TransformersEngine) -> None:
    bad = Request("Go", grammar=JsonSchema({"type": "object", "properties": {"a": {"not": {}}}}))
    runner = engine._cores[0].runner
    forward = runner._forward
    runner._forward = lambda *_: pytest.fail("the model ran")  # type: ignore[method-assign]
    try:
        with pytest.raises(GrammarError, match="not at #/properties/a"):
            engine.generate([bad])
        with pytest.raises(GrammarError):
            next(engine.stream(bad))
    finally:
        runner._forward = forward  # type: ignore[method-assign]


def test_a_grammar_that_fails_fails_alone(
    engine: TransformersEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = Request("Go", warm(), grammar=Choice(("never",)))
    constraint = engine._constraint

    def lost(request: Request) -> Any:
        made = constraint(request)
        if request is wrong and made is not None:
            made.matcher.consume_token(0)  # which the grammar does not allow
        return made

    monkeypatch.setattr(engine, "_constraint", lost)
    with ThreadPoolExecutor(2) as threads:
        bad = threads.submit(engine.generate, [wrong])
        good = threads.submit(engine.generate, [asked()[0]])
        with pytest.raises(EngineError, match="cannot be followed"):
            bad.result()
        assert good.result()[0].tool_calls


def test_tools_are_counted_and_told(engine: TransformersEngine) -> None:
    without, with_ = (engine.count_tokens(Request("Go", tools=tools)) for tools in ((), (WEATHER,)))
    assert with_.prompt_tokens > without.prompt_tokens + 100
    assert describe([WEATHER], "hermes")[0].text.startswith("# Tools")


def test_a_loop_of_calls_and_results_keeps_its_prefix() -> None:
    clean = fresh()
    request = Request("Go", warm(3), tools=[WEATHER], tool_choice="weather")
    [first] = clean.generate([request])
    result = ToolResult(first.tool_calls[0].id, "weather", ("22",))  # type: ignore[arg-type]
    turns = [*request.messages, Message.assistant(*first.tool_calls), Message.tool(result)]
    [second] = clean.generate([Request(turns, warm(4), tools=[WEATHER], tool_choice="weather")])
    assert second.usage.cached_tokens >= first.usage.prompt_tokens
    assert second.tool_calls[0].id != first.tool_calls[0].id
    clean.close()


@pytest.mark.slow
def test_a_model_that_speaks() -> None:
    """SmolLM2, whose tags are text of several tokens: what it calls fits, be it free to call or not."""
    speaking = fresh("smollm2")
    must, may = (
        Request(
            "What is the weather in Paris in C?",
            Sampling(max_tokens=60),
            tools=[WEATHER],
            tool_choice=choice,
            parallel_tool_calls=False,
        )
        for choice in ("any", "auto")
    )
    forced, free = speaking.generate([must, may])
    assert forced.tool_calls and forced.finish_reason == "tool_calls"
    assert free.tool_calls or free.text
    for call in (*forced.tool_calls, *free.tool_calls):
        jsonschema.validate(call.arguments, PARAMETERS)
    speaking.close()
