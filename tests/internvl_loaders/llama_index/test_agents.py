"""Document tools in LlamaIndex's agents. The model is scripted unless a name says smollm2; tools are real."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest

pytest.importorskip("llama_index.core")
pytest.importorskip("llguidance")

from blockbuster import blockbuster_ctx
from llama_index.core.agent.workflow import AgentStream, AgentWorkflow, FunctionAgent, ToolCallResult
from llama_index.core.tools import FunctionTool, ToolMetadata
from llama_index.core.tools.calling import acall_tool, call_tool
from pydantic import create_model

from internvl_llm.errors import EngineError, InternVLError
from internvl_llm.llama_index import InternVL
from internvl_llm.messages import Image
from internvl_loaders.agents import DocumentTools
from internvl_loaders.errors import OptionError, SourceError
from internvl_loaders.llama_index import DocumentToolSpec
from tests.kit.agents import ATTACK, OUTSIDE, QUESTION, RIGHT, clerk, documents, results, told
from tests.kit.checkpoints import SMOLLM2_SYSTEM, built
from tests.kit.scripted import ScriptedEngine, says

NAMES = ["list_documents", "parse_document", "read_page", "search_in_document"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return documents(tmp_path)


def tools_of(folder: Path, **options: Any) -> list[FunctionTool]:
    return DocumentToolSpec(DocumentTools(folder), **options).to_tool_list()


def by_name(folder: Path, **options: Any) -> dict[str | None, FunctionTool]:
    return {tool.metadata.name: tool for tool in tools_of(folder, **options)}


async def test_what_a_model_is_told(folder: Path) -> None:
    tools = by_name(folder)
    assert list(tools) == NAMES
    page = tools["read_page"].metadata.get_parameters_dict()
    assert page["required"] == ["path", "page"]
    assert page["properties"]["page"]["minimum"] == 1
    assert "list_documents" in page["properties"]["path"]["description"]
    assert tools["read_page"].metadata.description == DocumentTools.read_page.__doc__
    asking = DocumentToolSpec(DocumentTools(folder, engine=ScriptedEngine([])))
    assert [tool.metadata.name for tool in await asking.to_tool_list_async()] == [*NAMES, "ask_page"]
    assert [tool.metadata.name for tool in asking.to_tool_list(["read_page"])] == ["read_page"]


async def test_sync_and_async_alike(folder: Path) -> None:
    spec = DocumentToolSpec(DocumentTools(folder))
    for name, args in [
        ("list_documents", {}),
        ("read_page", {"path": "invoice.pdf", "page": 2}),
        ("parse_document", {"path": "invoice.pdf", "pages": None}),
        ("search_in_document", {"path": "invoice.pdf", "query": "total due"}),
    ]:
        tool = by_name(folder)[name]
        said = tool.call(**args).content
        assert said and said == (await tool.acall(**args)).content
        assert said == getattr(spec, name)(*args.values())
        assert said == await getattr(spec, f"a{name}")(**args)


@pytest.mark.parametrize("path", OUTSIDE)
async def test_nothing_outside_is_reached(folder: Path, path: str) -> None:
    for name, tool in by_name(folder, images=True).items():
        if name == "list_documents":
            continue
        rest = {"parse_document": {}, "search_in_document": {"query": "secret"}}.get(str(name), {"page": 1})
        asked = {"path": path, **rest}
        with pytest.raises(SourceError):
            tool(**asked)
        for output in (call_tool(tool, asked), await acall_tool(tool, asked)):
            assert output.is_error
            assert f"{path}: " in output.content and "list_documents" in output.content
            assert "42" not in output.content and "root" not in output.content


@pytest.mark.parametrize(
    ("name", "args", "said"),
    [
        ("read_page", {"path": "invoice.pdf", "page": 3}, r"^invoice\.pdf: has 2 pages"),
        ("read_page", {"path": "invoice.pdf", "page": 0}, "page: Input should be greater"),
        ("read_page", {"path": "invoice.pdf", "page": "two"}, "page: Input should be a valid integer"),
        ("read_page", {"path": "invoice.pdf"}, "page: Missing required"),
        ("read_page", {"path": "invoice.pdf", "page": 1, "zoom": 2}, "zoom: Unexpected"),
        ("read_page", {"path": "x" * 9999, "page": 1}, "no path"),
        ("read_page", {"path": "\ud800", "page": 1}, "no path"),
        ("parse_document", {"path": "invoice.pdf", "pages": "all"}, "Write pages like"),
        ("search_in_document", {"path": "invoice.pdf", "query": " "}, "Say what to look for"),
        ("ask_page", {"path": "invoice.pdf", "page": 1, "question": "?"}, "out of order"),
    ],
)
async def test_errors_tell_the_model_what_to_do(folder: Path, name: str, args: Any, said: str) -> None:
    def broken(request: Any) -> Any:
        raise EngineError("out of order", remedy="Ask again")

    spec = DocumentToolSpec(DocumentTools(folder, engine=ScriptedEngine(broken)))
    with pytest.raises(InternVLError, match=said) as caught:
        getattr(spec, name)(**args)
    str(caught.value).encode()
    with pytest.raises(InternVLError, match=said):
        await getattr(spec, f"a{name}")(**args)


def agent_of(engine: ScriptedEngine, tools: list[FunctionTool], **options: Any) -> FunctionAgent:
    return FunctionAgent(llm=InternVL(engine=engine), tools=tools, **options)


async def ran(agent: Any, question: str) -> tuple[str, list[ToolCallResult], str]:
    """The answer, what tools gave, and the text that was streamed."""
    handler = agent.run(question)
    called, streamed = [], ""
    async for event in handler.stream_events():
        if isinstance(event, ToolCallResult):
            called.append(event)
        elif isinstance(event, AgentStream):
            streamed += event.delta
    return str(await handler), called, streamed


@pytest.mark.parametrize("streaming", [True, False])
async def test_a_scripted_function_agent_ends_with_the_right_answer(folder: Path, streaming: bool) -> None:
    engine = ScriptedEngine(clerk)
    answer, called, streamed = await ran(agent_of(engine, tools_of(folder), streaming=streaming), QUESTION)
    assert answer == RIGHT
    assert streamed == (f"Let me see. {RIGHT}" if streaming else "")
    assert sorted(event.tool_name for event in called) == sorted([NAMES[0], NAMES[2], *[NAMES[3]] * 2])
    assert not any(event.tool_output.is_error for event in called)
    assert len(engine.requests) == 4


async def test_a_scripted_workflow_hands_over_and_ends_with_the_right_answer(folder: Path) -> None:
    def script(request: Any) -> Any:
        if any(tool.name == "read_page" for tool in request.tools):
            return clerk(request)
        return says("", ("handoff", {"to_agent": "clerk", "reason": "It is about an invoice."}))

    llm = InternVL(engine=ScriptedEngine(script))
    desk = FunctionAgent(name="desk", description="Receives.", llm=llm, can_handoff_to=["clerk"])
    reads = FunctionAgent(name="clerk", description="Reads.", llm=llm, tools=tools_of(folder))
    answer, called, _ = await ran(AgentWorkflow(agents=[desk, reads], root_agent="desk"), QUESTION)
    assert answer == RIGHT
    assert [called[0].tool_name, called[-1].tool_name] == ["handoff", "read_page"]


async def test_a_scripted_agent_never_blocks_the_loop(folder: Path) -> None:
    tools = tools_of(folder, images=True)
    agent = agent_of(ScriptedEngine(clerk), tools)
    with blockbuster_ctx():
        answer = str(await agent.run(QUESTION))
        for tool in tools:
            for path in ("invoice.pdf", "../secret.pdf"):
                given = {"path": path, "page": 1, "query": "Invoice"}
                wanted = tool.metadata.get_parameters_dict()["properties"]
                await acall_tool(tool, {name: given[name] for name in wanted if name in given})
    assert answer == RIGHT


@pytest.mark.parametrize("path", OUTSIDE)
async def test_a_scripted_agent_that_is_refused_goes_on(folder: Path, path: str) -> None:
    script = [says("", ("read_page", {"path": path, "page": 1})), says("I may not read that.")]
    engine = ScriptedEngine(script)
    answer, (called,), _ = await ran(agent_of(engine, tools_of(folder)), f"Read {path}")
    assert answer == "I may not read that."
    assert called.tool_output.is_error
    assert isinstance(called.tool_output.exception, SourceError)
    (refused,) = results(engine.requests[-1])
    assert "list_documents" in told(refused)
    assert "42" not in told(refused) and "root" not in told(refused)


async def test_a_scripted_agent_that_calls_badly_goes_on(folder: Path) -> None:
    bad: list[dict[str, Any]] = [{"path": "invoice.pdf", "page": "two"}, {"path": "invoice.pdf"}]
    engine = ScriptedEngine([says("", *[("read_page", args) for args in bad]), says("Sorry.")])
    answer, called, _ = await ran(agent_of(engine, tools_of(folder)), "Read page 2")
    assert answer == "Sorry."
    assert all(isinstance(event.tool_output.exception, OptionError) for event in called)
    assert all("page" in told(result) for result in results(engine.requests[-1]))


async def test_a_page_that_gives_orders_is_text_to_a_scripted_agent(folder: Path) -> None:
    engine = ScriptedEngine([says("", ("read_page", {"path": "letter.pdf", "page": 1})), says("A letter.")])
    answer, called, _ = await ran(agent_of(engine, tools_of(folder)), "What is in letter.pdf?")
    assert answer == "A letter."
    assert len(called) == 1
    (read,) = results(engine.requests[-1])
    assert told(read).startswith(ATTACK.split("\n")[0])
    assert '"path": "../secret.pdf"' in told(read)
    assert [turn.role for turn in engine.requests[-1].messages] == ["user", "assistant", "tool"]


async def test_a_scripted_agent_is_shown_a_page(folder: Path) -> None:
    engine = ScriptedEngine([says("", ("show_page", {"path": "invoice.pdf", "page": 2})), says("I see it.")])
    answer, _, _ = await ran(agent_of(engine, tools_of(folder, images=True)), "Look at page 2")
    assert answer == "I see it."
    (shown,) = results(engine.requests[-1])
    assert "Total due: 356.65 EUR" in told(shown)
    image = shown.parts[1]
    assert isinstance(image, Image) and isinstance(image.source, bytes)
    assert image.source[:4] == b"\x89PNG"


@pytest.mark.slow
async def test_smollm2_calls_what_it_must(folder: Path) -> None:
    """Little wit: its choices are narrowed to what is there. The call is its own."""
    pytest.importorskip("torch")
    narrow = create_model("read_page", path=(Literal["invoice.pdf"], ...), page=(Literal[2], ...))
    metadata = ToolMetadata(name="read_page", description="Read a page.", fn_schema=narrow)
    spec = DocumentToolSpec(DocumentTools(folder))
    tools = spec.to_tool_list([("read_page", "aread_page")], {"read_page": metadata})
    llm = InternVL(str(built("smollm2")), max_tokens=32, system_prompt=SMOLLM2_SYSTEM)
    agent = FunctionAgent(
        llm=llm, tools=tools, initial_tool_choice="read_page", allow_parallel_tool_calls=False
    )
    handler = agent.run("What is the total due on page 2 of invoice.pdf?")
    async for event in handler.stream_events():
        if isinstance(event, ToolCallResult):
            break
    await handler.cancel_run()
    assert (event.tool_name, event.tool_kwargs) == ("read_page", {"path": "invoice.pdf", "page": 2})
    assert not event.tool_output.is_error
    assert "Total due: 356.65 EUR" in event.tool_output.content
