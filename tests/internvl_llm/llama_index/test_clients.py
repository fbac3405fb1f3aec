"""InternVL under LlamaIndex's own agents, programs, query engines and memories.

Agents run on a scripted engine: that the loop ends with the right answer shows plumbing, no wit. Structured
output runs on random weights, retrieval on SmolLM2-135M, which answers what it can.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any, Literal

import PIL.Image
import pytest
from blockbuster import blockbuster_ctx
from pydantic import BaseModel, Field, field_validator

pytest.importorskip("llama_index.core")

from llama_index.core import Document, MockEmbedding, VectorStoreIndex
from llama_index.core.agent.workflow import AgentStream, AgentWorkflow, FunctionAgent, ToolCallResult
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, TextBlock
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.program import FunctionCallingProgram
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.core.types import PydanticProgramMode

from internvl_llm.engines.open import open_engine
from internvl_llm.errors import EngineError, GrammarError
from internvl_llm.events import Event
from internvl_llm.grammar import JsonSchema
from internvl_llm.llama_index import InternVL
from internvl_llm.messages import Image, ToolResult
from internvl_llm.request import Request
from tests.kit.checkpoints import SMOLLM2_SYSTEM, built
from tests.kit.scripted import ScriptedEngine, says


class Line(BaseModel):
    name: str = Field(max_length=12)
    amount: int = Field(ge=0, le=99)


class Invoice(BaseModel):
    """An invoice."""

    kind: Literal["invoice", "receipt"]
    paid: bool
    lines: list[Line] = Field(max_length=2)


PROMPT = PromptTemplate("The invoice of {who}.")
SAID = '{"kind": "receipt", "paid": true, "lines": [{"name": "tea", "amount": 3}]}'


def add(a: int, b: int) -> int:
    """Adds."""
    return a + b


def photo() -> list[Any]:
    """Takes a picture."""
    held = io.BytesIO()
    PIL.Image.new("RGB", (8, 8), "red").save(held, "PNG")
    return [TextBlock(text="Here it is"), ImageBlock(image=held.getvalue())]


def results(request: Request) -> list[ToolResult]:
    return [part for message in request.messages for part in message.parts if isinstance(part, ToolResult)]


def sums(request: Request) -> list[Event]:
    """A script: two sums at once, then the sum of what they gave, then the answer."""
    told = [int(result.parts[0].text) for result in results(request)]  # type: ignore[union-attr]
    if not told:
        return says("Both at once.", ("add", {"a": 1, "b": 2}), ("add", {"a": 3, "b": 4}))
    if len(told) == 2:
        return says("", ("add", {"a": told[0], "b": told[1]}))
    return says(f"It is {told[2]}.")


@pytest.mark.parametrize("streaming", [True, False])
async def test_function_agent(streaming: bool) -> None:
    llm = InternVL(engine=ScriptedEngine(sums))
    agent = FunctionAgent(tools=[add], llm=llm, system_prompt="You calculate.", streaming=streaming)
    handler = agent.run("What is 1 + 2 + 3 + 4?")
    events = [event async for event in handler.stream_events()]
    assert str(await handler) == "It is 10."
    outputs = [event.tool_output.raw_output for event in events if isinstance(event, ToolCallResult)]
    assert sorted(outputs) == [3, 7, 10]
    if streaming:
        said = "".join(event.delta for event in events if type(event) is AgentStream)
        assert said == "Both at once.It is 10."
    first, *_, last = llm.engine.requests
    assert first.messages[0].text == "You calculate."
    assert [result.name for result in results(last)] == ["add"] * 3
    assert first.parallel_tool_calls


async def test_function_agent_does_not_block_the_loop() -> None:
    llm = InternVL(engine=ScriptedEngine(sums))
    with blockbuster_ctx("internvl_llm"):
        assert str(await FunctionAgent(tools=[add], llm=llm).run("What is 1 + 2 + 3 + 4?")) == "It is 10."


async def test_an_agent_that_must_call_first() -> None:
    llm = InternVL(engine=ScriptedEngine(sums))
    agent = FunctionAgent(tools=[add], llm=llm, initial_tool_choice="add")
    assert str(await agent.run("What is 1 + 2 + 3 + 4?")) == "It is 10."
    assert [request.tool_choice for request in llm.engine.requests] == ["add", "auto", "auto"]


async def test_an_image_in_a_tool_result() -> None:
    def script(request: Request) -> list[Event]:
        return says("A red square.") if results(request) else says("", ("photo", {}))

    llm = InternVL(engine=ScriptedEngine(script))

    class Camera(FunctionTool):
        """Its output is blocks."""

    tool = Camera.from_defaults(photo)
    tool._parse_tool_output = lambda raw: raw  # type: ignore[method-assign]
    assert str(await FunctionAgent(tools=[tool], llm=llm).run("What do you see?")) == "A red square."
    (result,) = results(llm.engine.requests[-1])
    assert [type(part) for part in result.parts][1:] == [Image]


async def test_an_agent_whose_call_is_cut_off_says_so() -> None:
    from internvl_llm.events import Finish, ToolCallDelta, Usage

    cut = [ToolCallDelta(0, "c", "add", '{"a": 1, "b'), Finish("length", Usage(9, 9))]
    llm = InternVL(engine=ScriptedEngine([cut]))
    with pytest.raises(Exception, match=r"add ended in the middle of its arguments.*max_tokens"):
        await FunctionAgent(tools=[add], llm=llm).run("Add")


async def test_agent_workflow_hands_over() -> None:
    def script(request: Request) -> list[Event]:
        names = {tool.name for tool in request.tools}
        if "add" not in names:
            return says("", ("handoff", {"to_agent": "adder", "reason": "It is a sum."}))
        done = [result for result in results(request) if result.name == "add"]
        if not done:
            return says("", ("add", {"a": 20, "b": 22}))
        return says(f"It is {done[0].parts[0].text}.")  # type: ignore[union-attr]

    llm = InternVL(engine=ScriptedEngine(script))
    greeter = FunctionAgent(name="greeter", description="Greets.", llm=llm, can_handoff_to=["adder"])
    adder = FunctionAgent(name="adder", description="Adds.", llm=llm, tools=[add])
    workflow = AgentWorkflow(agents=[greeter, adder], root_agent="greeter")
    assert str(await workflow.run("What is 20 + 22?")) == "It is 42."


async def every_way(llm: InternVL, **kwargs: Any) -> list[Any]:
    """Sync, async, and the last of both streams."""
    streamed = list(llm.stream_structured_predict(Invoice, PROMPT, kwargs, who="Ada"))
    astreamed = [
        one async for one in await llm.astream_structured_predict(Invoice, PROMPT, kwargs, who="Ada")
    ]
    return [
        llm.structured_predict(Invoice, PROMPT, kwargs, who="Ada"),
        await llm.astructured_predict(Invoice, PROMPT, kwargs, who="Ada"),
        streamed[-1],
        astreamed[-1],
    ]


async def test_structured_predict_asks_by_grammar() -> None:
    llm = InternVL(engine=ScriptedEngine([says(SAID)] * 5), system_prompt="Be exact")
    expected = Invoice.model_validate_json(SAID)
    assert await every_way(llm) == [expected] * 4
    for request in llm.engine.requests:
        assert request.grammar == JsonSchema(Invoice.model_json_schema())
        system, user = request.messages
        assert system.text.startswith("Be exact\n\nAnswer with JSON")
        assert system.text.endswith(json.dumps(Invoice.model_json_schema()))
        assert user.text == "The invoice of Ada."
    grown = list(llm.stream_structured_predict(Invoice, PROMPT, who="Ada"))
    kinds = [getattr(one, "kind", None) for one in grown]
    assert kinds[0] is None or kinds[0] != "receipt"
    assert len(grown) > 3 and isinstance(grown[-1], Invoice)
    assert grown[-1] == expected


async def test_structured_llm() -> None:
    llm = InternVL(engine=ScriptedEngine([says(SAID)] * 4)).as_structured_llm(Invoice)
    asked = [ChatMessage(role="user", content="The invoice")]
    expected = Invoice.model_validate_json(SAID)
    assert [llm.chat(asked).raw, (await llm.achat(asked)).raw] == [expected] * 2
    assert list(llm.stream_chat(asked))[-1].raw == expected
    assert [response.raw async for response in await llm.astream_chat(asked)][-1] == expected


async def test_structured_predict_by_functions() -> None:
    call = says("", ("Invoice", json.loads(SAID)))
    llm = InternVL(engine=ScriptedEngine([call] * 5), pydantic_program_mode=PydanticProgramMode.FUNCTION)
    expected = Invoice.model_validate_json(SAID)
    assert await every_way(llm) == [expected] * 4
    assert [request.tool_choice for request in llm.engine.requests].count("any") == 2
    program = FunctionCallingProgram.from_defaults(Invoice, "The invoice of {who}.", llm=llm)
    assert program(who="Ada") == expected


class Even(BaseModel):
    number: int

    @field_validator("number")
    @classmethod
    def even(cls, number: int) -> int:
        if number % 2:
            raise ValueError("it is odd")
        return number


class Distinct(BaseModel):
    numbers: set[int]


def test_structured_output_that_fails() -> None:
    from internvl_llm.events import Finish, TextDelta, Usage

    cut: list[Event] = [TextDelta(SAID[:30]), Finish("length", Usage(9, 9))]
    llm = InternVL(engine=ScriptedEngine([cut, cut, says('{"number": 3}')]))
    with pytest.raises(EngineError, match=r"cut off before the Invoice.*max_tokens"):
        llm.structured_predict(Invoice, PROMPT, who="Ada")
    with pytest.raises(EngineError, match=r"cut off before the Invoice.*max_tokens"):
        list(llm.stream_structured_predict(Invoice, PROMPT, who="Ada"))
    with pytest.raises(ValueError, match="it is odd"):
        llm.structured_predict(Even, PROMPT, who="Ada")


@pytest.fixture(scope="module")
def tiny() -> Iterator[InternVL]:
    engine = open_engine(built("tiny"), dtype="float32", max_batch=8)
    yield InternVL(engine=engine, max_tokens=200)
    engine.close()


async def test_random_weights_always_parse(tiny: InternVL) -> None:
    greedy = await every_way(tiny)
    assert all(isinstance(one, Invoice) for one in greedy)
    assert all(one == greedy[0] for one in greedy)
    for seed in range(2):
        warm = {"temperature": 1.0, "seed": seed}
        assert isinstance(tiny.structured_predict(Invoice, PROMPT, warm, who="Ada"), Invoice)


async def test_structured_prediction_does_not_block_the_loop(tiny: InternVL) -> None:
    with blockbuster_ctx():
        await tiny.astructured_predict(Invoice, PROMPT, who="Ada")
        async for _ in await tiny.astream_structured_predict(Invoice, PROMPT, who="Ada"):
            pass


async def test_random_weights_call_what_they_must(tiny: InternVL) -> None:
    called = tiny.chat_with_tools(
        [FunctionTool.from_defaults(add)], "Add", tool_required=True, temperature=1.0
    )
    (call,) = tiny.get_tool_calls_from_response(called)
    assert call.tool_name == "add" and {type(v) for v in call.tool_kwargs.values()} <= {int}


def test_a_schema_that_no_grammar_follows(tiny: InternVL) -> None:
    with pytest.raises(GrammarError, match="uniqueItems"):
        tiny.structured_predict(Distinct, PROMPT, who="Ada")


@pytest.fixture(scope="module")
def smollm2() -> Iterator[InternVL]:
    engine = open_engine(built("smollm2"))
    yield InternVL(engine=engine, max_tokens=16, system_prompt=SMOLLM2_SYSTEM)
    engine.close()


def test_query_engine(smollm2: InternVL) -> None:
    """Retrieval is mocked (all embeddings are alike), the answer is SmolLM2's."""
    documents = [Document(text="The invoice 4711 of Miller Ltd is over 250 euros and was paid in March.")]
    index = VectorStoreIndex.from_documents(documents, embed_model=MockEmbedding(embed_dim=8))
    question = "How many euros is the invoice over?"
    whole = index.as_query_engine(llm=smollm2).query(question)
    assert "250" in str(whole)
    assert whole.source_nodes[0].node.get_content().startswith("The invoice 4711")
    streamed = index.as_query_engine(llm=smollm2, streaming=True).query(question)
    assert "".join(streamed.response_gen) == str(whole)


def test_chat_engine_remembers() -> None:
    llm = InternVL(engine=ScriptedEngine([says("Hello Ada."), says("Ada.")]))
    chat = SimpleChatEngine.from_defaults(llm=llm)
    chat.chat("My name is Ada.")
    assert str(chat.chat("What is my name?")) == "Ada."
    told = [message.text for message in llm.engine.requests[-1].messages]
    assert told == ["My name is Ada.", "Hello Ada.", "What is my name?"]
