"""ChatInternVL's plumbing on a scripted engine: no model answers here."""

from __future__ import annotations

import asyncio
import base64
import io
import pickle
import time
from typing import Any

import pytest

pytest.importorskip("langchain")

from blockbuster import blockbuster_ctx
from langchain.agents import create_agent
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler, UsageMetadataCallbackHandler
from langchain_core.exceptions import OutputParserException
from langchain_core.load import dumpd
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.messages.utils import trim_messages
from langchain_core.tools import tool
from langchain_tests.utils.stream_lifecycle import assert_valid_event_stream
from pydantic import BaseModel, ValidationError

from internvl_llm import __version__
from internvl_llm.errors import ContextError, GrammarError, MessageError, OptionError
from internvl_llm.events import Finish, TextDelta, ToolCallDelta, Usage
from internvl_llm.grammar import JsonObject, JsonSchema
from internvl_llm.langchain import ChatInternVL
from internvl_llm.messages import Image, ToolResult
from internvl_llm.request import Request
from tests.kit.checkpoints import built
from tests.kit.pictures import gradient
from tests.kit.scripted import USAGE, ScriptedEngine, says

CALLS = (("add", {"a": 1, "b": 2}), ("add", {"a": 30, "b": 4}))


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@tool
def photograph() -> list[dict[str, Any]]:
    """A picture of the invoice."""
    png = io.BytesIO()
    gradient().save(png, "PNG")
    data = base64.b64encode(png.getvalue()).decode()
    return [{"type": "text", "text": "Here:"}, {"type": "image", "base64": data, "mime_type": "image/png"}]


class Sum(BaseModel):
    """The sum."""

    total: int


def model(script: Any, **options: Any) -> tuple[ChatInternVL, ScriptedEngine]:
    engine = ScriptedEngine(script)
    return ChatInternVL(engine=engine, **options), engine


def always(*said: Any) -> Any:
    return lambda request: says(*said)


def whole(chunks: list[Any]) -> Any:
    full = chunks[0]
    for chunk in chunks[1:]:
        full += chunk
    return full


def test_construction_is_light() -> None:
    began = time.perf_counter()
    made = ChatInternVL(model=str(built("tiny")))
    assert time.perf_counter() - began < 0.05
    assert made.profile is not None
    assert made.profile["max_input_tokens"] == 32768
    assert made.profile["structured_output"] and made.profile["tool_calling"]
    assert not made.profile["audio_inputs"]
    if hasattr(made, "_add_version"):
        assert (made.metadata or {})["lc_versions"]["internvl-documents"] == __version__
    assert "max_input_tokens" not in (ChatInternVL(model="somebody/unknown").profile or {})
    assert pickle.loads(pickle.dumps(made))._identifying_params == made._identifying_params
    assert ChatInternVL(engine={"model": "8B", "precision": "int4"}).model == "8B"


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({}, "no model"),
        ({"model": "8B", "max_token": 3}, "max_token"),
        ({"model": "8B", "max_tokens": 0}, "max_tokens"),
        ({"model": "8B", "min_tiles": 3, "max_tiles": 2}, "tiles"),
        ({"model": "8B", "engine": {"gpu": 1}}, "gpu"),
        ({"model": "8B", "engine": 7}, "int"),
        ({"model": "8B", "n": 2}, "alike"),
    ],
)
def test_bad_options(options: dict[str, Any], what: str) -> None:
    with pytest.raises(OptionError, match=what):
        ChatInternVL(**options)


def test_nothing_of_an_engine_leaks() -> None:
    chat, _ = model(always("Hello"))
    assert "Scripted" not in repr(chat)
    assert dumpd(chat)["type"] == "not_implemented"
    assert chat.lc_secrets == {}
    assert "engine" not in chat.model_dump()


def test_an_answer() -> None:
    chat, engine = model(always("The total is 12."), stop=["END"], temperature=0.5)
    answer = chat.invoke("What is the total?", max_tokens=7, seed=3)
    assert answer.content == "The total is 12."
    assert answer.usage_metadata == {
        "input_tokens": 20,
        "output_tokens": 5,
        "total_tokens": 25,
        "input_token_details": {"cache_read": 3, "image": 8},
    }
    assert answer.response_metadata["finish_reason"] == "stop"
    assert answer.response_metadata["model_name"] == "scripted-1B"
    sampling = engine.requests[0].sampling
    assert (sampling.max_tokens, sampling.temperature, sampling.seed) == (7, 0.5, 3)
    assert sampling.stop == ("END",)
    chat.bind(stop=["X"]).invoke("Again")
    assert engine.requests[1].sampling.stop == ("X",)


@pytest.mark.parametrize("version", ["v0", "v1"])
async def test_streams_are_the_answer(version: str) -> None:
    chat, engine = model(always("Let me add.", *CALLS), output_version=version)
    bound = chat.bind_tools([add])
    expected = bound.invoke("Add")
    streamed = list(bound.stream("Add"))
    astreamed = [chunk async for chunk in bound.astream("Add")]
    for answer in (whole(streamed), whole(astreamed), await bound.ainvoke("Add")):
        assert isinstance(answer, AIMessage)
        assert answer.tool_calls == expected.tool_calls
        assert [(call["name"], call["args"]) for call in answer.tool_calls] == list(CALLS)
        assert answer.text == expected.text == "Let me add."
        assert answer.usage_metadata == expected.usage_metadata
        assert answer.response_metadata["finish_reason"] == "tool_calls"
        kinds = [block["type"] for block in answer.content_blocks]
        assert kinds == ["text", "tool_call", "tool_call"]
    assert sum(bool(chunk.usage_metadata) for chunk in streamed) == 1
    assert len([chunk for chunk in streamed if chunk.tool_call_chunks]) > 4
    assert engine.running == 0


v3_events = pytest.mark.skipif(
    not hasattr(ChatInternVL, "stream_events"), reason="this langchain-core has no v3 events"
)


@v3_events
@pytest.mark.parametrize("version", ["v0", "v1"])
@pytest.mark.parametrize("said", [("Text first.", *CALLS), ("", *CALLS), ("Only text.",), ("",)])
async def test_event_streams_are_valid(said: Any, version: str) -> None:
    """By LangChain's own validator of its v3 events."""
    chat, _ = model(always(*said), output_version=version)
    bound = chat.bind_tools([add])
    stream = bound.stream_events("Add", version="v3")
    assert_valid_event_stream(list(stream))
    assert [(call["name"], call["args"]) for call in stream.output.tool_calls] == list(said[1:])
    assert stream.output.text == said[0]
    astream = await bound.astream_events("Add", version="v3")
    assert_valid_event_stream([event async for event in astream])


def test_text_after_calls_keeps_its_place() -> None:
    script = [*says("One", CALLS[0])[:-1], TextDelta("Two"), Finish("stop", USAGE)]
    chat, _ = model(lambda request: script, output_version="v1")
    answer = whole(list(chat.stream("Go")))
    assert [block["type"] for block in answer.content_blocks if block["type"] == "text"] == ["text", "text"]
    assert [call["args"] for call in answer.tool_calls] == [CALLS[0][1]]


def test_a_call_that_is_cut_off() -> None:
    cut = [ToolCallDelta(0, "1", "add"), ToolCallDelta(0, arguments='{"a": 1, "b'), Finish("length", USAGE)]
    chat, _ = model(lambda request: cut)
    answer = chat.invoke("Add")
    assert answer.tool_calls == []
    assert answer.invalid_tool_calls[0]["args"] == '{"a": 1, "b'
    assert answer.response_metadata["finish_reason"] == "length"


ARGUMENTS = r'{"a": [{"b": 35.5}, "c\\"\\\\", ["}"]], "d": "e\\u00e9]\\""}'


@pytest.mark.parametrize("version", ["v0", "v1"])
@pytest.mark.parametrize("end", range(len(ARGUMENTS)))
def test_a_stream_that_ends_in_a_call(version: str, end: int) -> None:
    """LangChain completes partial JSON, wherever it ends."""
    cut = [ToolCallDelta(0, "1", "add"), ToolCallDelta(0, arguments=ARGUMENTS[:end]), Finish("length", USAGE)]
    chat, _ = model(lambda request: cut, output_version=version)
    answer = whole(list(chat.stream("Add")))
    assert answer.tool_calls == []
    [invalid] = answer.invalid_tool_calls
    assert invalid["name"] == "add" and invalid["args"].startswith(ARGUMENTS[:end])


@v3_events
@pytest.mark.parametrize("version", ["v0", "v1"])
@pytest.mark.parametrize("end", range(len(ARGUMENTS)))
def test_events_that_end_in_a_call(version: str, end: int) -> None:
    cut = [ToolCallDelta(0, "1", "add"), ToolCallDelta(0, arguments=ARGUMENTS[:end]), Finish("length", USAGE)]
    chat, _ = model(lambda request: cut, output_version=version)
    stream = chat.stream_events("Add", version="v3")
    assert_valid_event_stream(list(stream))
    assert stream.output.tool_calls == []


async def test_an_agent_never_acts_on_half_a_call() -> None:
    cut = [
        ToolCallDelta(0, "1", "add"),
        ToolCallDelta(0, arguments='{"a": 1, "b": 3'),
        Finish("length", USAGE),
    ]
    chat, engine = model([cut, says("I could not add.")])
    agent: Any = create_agent(chat, [add])
    seen = [part async for part in agent.astream({"messages": [HumanMessage("Add")]}, stream_mode="messages")]
    results = [message for message, _ in seen if isinstance(message, ToolMessage)]
    assert all(result.content != "4" for result in results)
    assert engine.running == 0


async def test_the_loop_is_never_blocked() -> None:
    chat, _ = model(always("Hi", *CALLS))
    bound = chat.bind_tools([add])
    with blockbuster_ctx():
        await bound.ainvoke("Add")
        [_ async for _ in bound.astream("Add")]
        await bound.abatch(["Add"] * 3)


async def test_cancelling_frees_the_place() -> None:
    engine = ScriptedEngine(always("word " * 1000), seconds=0.01)
    chat = ChatInternVL(engine=engine)
    task = asyncio.create_task(chat.ainvoke("Go"))
    await asyncio.sleep(0.1)
    assert engine.running == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert engine.running == 0
    stream = chat.astream("Go")
    await anext(stream)
    assert engine.running == 1
    await stream.aclose()
    assert engine.running == 0
    sync = chat.stream("Go")
    next(sync)
    sync.close()
    assert engine.running == 0


def test_callbacks() -> None:
    class Tokens(BaseCallbackHandler):
        seen = ""

        def on_llm_new_token(self, token: Any, **_: Any) -> None:
            self.seen += token

    tokens, counted = Tokens(), UsageMetadataCallbackHandler()
    chat, _ = model(always("Hello there"))
    list(chat.stream("Hi", config={"callbacks": [tokens, counted]}))
    assert tokens.seen == "Hello there"
    assert counted.usage_metadata["scripted-1B"]["total_tokens"] == 25


def test_the_cache_is_keyed_by_all_that_matters() -> None:
    engine = ScriptedEngine(always("Hello"))
    cache = InMemoryCache()
    changes: list[dict[str, Any]] = [
        {},
        {"max_tokens": 5},
        {"temperature": 1.0},
        {"seed": 1},
        {"max_tiles": 3},
        {"page": True},
        {"parallel_tool_calls": False},
        {"system": "Other"},
        {"stop": ["a"]},
        {"repetition_penalty": 2.0},
    ]
    for options in changes * 2:
        ChatInternVL(engine=engine, cache=cache, **options).invoke("Hi")
    assert len(engine.requests) == len(changes)


@pytest.mark.parametrize("choice", ["any", "required", True, {"type": "any"}])
def test_choices_of_tools(choice: Any) -> None:
    chat, engine = model(always("", CALLS[0]))
    chat.bind_tools([add], tool_choice=choice, parallel_tool_calls=False).invoke("Add")
    assert engine.requests[0].tool_choice == "any"
    assert not engine.requests[0].parallel_tool_calls
    assert engine.requests[0].tools[0].name == "add"
    for named in ("add", {"type": "function", "function": {"name": "add"}}, {"type": "tool", "name": "add"}):
        chat.bind_tools([add], tool_choice=named).invoke("Add")
        assert engine.requests[-1].tool_choice == "add"


def test_tools_that_cannot_be() -> None:
    chat, _ = model(always(""))
    with pytest.raises(OptionError, match=r"subtract.*Use auto.*add"):
        chat.bind_tools([add], tool_choice="subtract")
    with pytest.raises(OptionError, match="web_search"):
        chat.bind_tools([{"type": "web_search"}])
    with pytest.raises(OptionError, match="tool"):
        chat.bind_tools([7])
    schema = {"type": "object", "properties": {"a": {"type": "string", "unevaluatedProperties": False}}}
    with pytest.raises(GrammarError, match="unevaluatedProperties"):
        chat.bind_tools([{"name": "f", "description": "", "parameters": schema}])
    with pytest.raises(OptionError, match="no such option of a call: max_token"):
        chat.invoke("Hi", max_token=3)
    with pytest.raises(OptionError, match="not other"):
        chat.invoke("Hi", model="other")


@pytest.mark.parametrize("method", ["json_schema", "function_calling", "json_mode"])
async def test_structured_output(method: Any) -> None:
    said = ("", ("Sum", {"total": 3})) if method == "function_calling" else ('{"total": 3}',)
    chat, engine = model(always(*said))
    assert chat.with_structured_output(Sum, method=method).invoke("Add") == Sum(total=3)
    asked = engine.requests[0]
    if method == "function_calling":
        assert asked.tool_choice == "Sum" and not asked.parallel_tool_calls
    elif method == "json_schema":
        assert isinstance(asked.grammar, JsonSchema) and asked.grammar.schema["required"] == ["total"]
        assert asked.system is not None and '"total"' in asked.system
    else:
        assert isinstance(asked.grammar, JsonObject)
    schema = Sum.model_json_schema()
    assert await chat.with_structured_output(schema, method=method, strict=True).ainvoke("Add") == {
        "total": 3
    }
    raw = chat.with_structured_output(Sum, method=method, include_raw=True).invoke("Add")
    assert raw["parsed"] == Sum(total=3) and raw["parsing_error"] is None
    assert isinstance(raw["raw"], AIMessage)
    broken, _ = model(always("no JSON"))
    failed = broken.with_structured_output(Sum, method="json_schema", include_raw=True).invoke("Add")
    assert failed["parsed"] is None and failed["parsing_error"] is not None


@pytest.mark.parametrize("method", ["json_schema", "function_calling", "json_mode"])
async def test_structured_output_that_is_cut_off(method: Any) -> None:
    calls = method == "function_calling"
    cut = [ToolCallDelta(0, "1", "Sum"), ToolCallDelta(0, arguments='{"total": 3')]
    text = [TextDelta('{"total": '), TextDelta("3")]
    ended = Finish("length", USAGE)
    chat, _ = model(lambda request: [*(cut if calls else text), ended])
    for schema in (Sum, Sum.model_json_schema()):
        bound = chat.with_structured_output(schema, method=method)
        with pytest.raises(OutputParserException, match="cut off.*max_tokens"):
            bound.invoke("Add")
        with pytest.raises(OutputParserException, match="cut off.*max_tokens"):
            await bound.ainvoke("Add")
        with pytest.raises(OutputParserException, match="cut off.*max_tokens"):
            list(bound.stream("Add"))
        with pytest.raises(OutputParserException, match="cut off.*max_tokens"):
            [_ async for _ in bound.astream("Add")]
        told = chat.with_structured_output(schema, method=method, include_raw=True).invoke("Add")
        assert isinstance(told["parsing_error"], OutputParserException) and told["parsed"] is None
        assert told["raw"].response_metadata["finish_reason"] == "length"


def test_structured_output_that_cannot_be() -> None:
    chat, _ = model(always(""))
    with pytest.raises(OptionError, match="no such method"):
        chat.with_structured_output(Sum, method="guess")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="response_format"):
        chat.invoke("Hi", response_format={"type": "xml"})


def test_tokens_are_counted_by_the_engine() -> None:
    chat, _ = model(always(""), system="one two")
    assert chat.get_num_tokens("three words here") == 3
    assert chat.get_num_tokens("") == 0
    turns: list[Any] = [HumanMessage("one two"), AIMessage("three"), HumanMessage("four")]
    assert chat.get_num_tokens_from_messages(turns) == 2 + 3 * 3 + 4
    assert chat.get_num_tokens_from_messages(turns, tools=[add]) == 2 + 3 * 3 + 4 + 10
    assert trim_messages(turns, max_tokens=7, token_counter=chat, start_on="human") == turns[-1:]
    with pytest.raises(OptionError, match="get_num_tokens"):
        chat.get_token_ids("x")


def test_conversations_that_cannot_be() -> None:
    def full(request: Request) -> Any:
        raise ContextError("too long", remedy="Show fewer pages")

    with pytest.raises(ContextError, match="fewer pages"):
        model(full)[0].invoke("Hi")
    chat, engine = model(always("Hi"))
    with pytest.raises(MessageError, match="empty"):
        chat.invoke([])
    with pytest.raises(MessageError, match="empty"):
        chat.invoke("")
    with pytest.raises(MessageError, match="'audio'.*transcript"):
        chat.invoke([HumanMessage([{"type": "audio", "base64": "QQ==", "mime_type": "audio/wav"}])])
    assert not engine.requests


@pytest.mark.parametrize("strategy", [ToolStrategy, ProviderStrategy, lambda schema: schema])
async def test_agents(strategy: Any) -> None:
    """A scripted model: parallel calls, an image in a tool's result, then the answer as a schema."""
    answer = says("", ("Sum", {"total": 37})) if strategy is ToolStrategy else says('{"total": 37}')
    script = [says("Adding.", *CALLS, ("photograph", {})), answer]
    for call in ("invoke", "ainvoke"):
        chat, engine = model(script)
        agent: Any = create_agent(chat, [add, photograph], response_format=strategy(Sum))
        asked = {"messages": [HumanMessage("What is 1 + 2, and 30 + 4?")]}
        done = await agent.ainvoke(asked) if call == "ainvoke" else agent.invoke(asked)
        assert done["structured_response"] == Sum(total=37)
        first, second = engine.requests
        assert first.tool_choice == ("any" if strategy is ToolStrategy else "auto")
        assert isinstance(first.grammar, JsonSchema) == (strategy is not ToolStrategy)
        results = [part for turn in second.messages for part in turn.parts if isinstance(part, ToolResult)]
        assert [result.name for result in results] == ["add", "add", "photograph"]
        assert isinstance(results[2].parts[1], Image)
        assert [m.content for m in done["messages"] if isinstance(m, ToolMessage)][:2] == ["3", "34"]


async def test_agents_streamed() -> None:
    """LangGraph streams messages of what is invoked."""
    chat, _ = model([says("Adding.", *CALLS), says("They are 3 and 34.")])
    agent: Any = create_agent(chat, [add])
    asked = {"messages": [HumanMessage("Add")]}
    text = ""
    async for message, _ in agent.astream(asked, stream_mode="messages"):
        if isinstance(message, AIMessageChunk):
            text += message.text
    assert text == "Adding.They are 3 and 34."


async def test_sync_and_async_alike() -> None:
    for said in (("Hello",), ("", *CALLS), ("Both", *CALLS)):
        chat, _ = model(always(*said))
        one, other = chat.invoke("Hi"), await chat.ainvoke("Hi")
        assert one.model_dump(exclude={"id"}) == other.model_dump(exclude={"id"})
        pieces = [chunk.model_dump(exclude={"id"}) for chunk in chat.stream("Hi")]
        assert pieces == [chunk.model_dump(exclude={"id"}) async for chunk in chat.astream("Hi")]


def test_several_samples() -> None:
    chat, engine = model(always("Hello"), n=3, temperature=1.0)
    generations = chat.generate([[HumanMessage("Hi")]]).generations[0]
    assert [generation.text for generation in generations] == ["Hello"] * 3
    assert [bool(g.message.usage_metadata) for g in generations] == [True, False, False]  # type: ignore[union-attr]
    assert engine.requests[0].n == 3
    [answer, *end] = chat.stream("Hi")  # the best comes at once
    assert answer.text == "Hello" and engine.requests[1].n == 3
    assert [chunk.text for chunk in end] == [""]


def test_types_are_checked() -> None:
    with pytest.raises(ValidationError):
        ChatInternVL(model="8B", max_tokens="many")


def test_usage_is_of_the_request() -> None:
    chat, _ = model(lambda request: says("Hi", usage=Usage(7, 1)))
    told = chat.invoke("Hi").usage_metadata
    assert told is not None and told["input_tokens"] == 7
