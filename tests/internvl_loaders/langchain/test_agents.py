"""Document tools in LangChain's agents. The model is scripted unless a name says smollm2; tools are real."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any, Literal

import pytest

pytest.importorskip("langchain")
pytest.importorskip("langchain_tests")
pytest.importorskip("llguidance")

from blockbuster import blockbuster_ctx
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolCall, ToolMessage
from langchain_core.tools import BaseTool
from langchain_tests.integration_tests import ToolsIntegrationTests
from langchain_tests.unit_tests import ToolsUnitTests
from langgraph.graph import MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from pydantic import create_model

from internvl_llm.langchain import ChatInternVL
from internvl_llm.messages import Image
from internvl_loaders.agents import DocumentTools
from internvl_loaders.langchain import document_tools
from tests.kit.agents import ATTACK, OUTSIDE, QUESTION, RIGHT, clerk, documents, results, told
from tests.kit.checkpoints import SMOLLM2_SYSTEM, built
from tests.kit.scripted import ScriptedEngine, says

NAMES = ["list_documents", "parse_document", "read_page", "search_in_document"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return documents(tmp_path)


def call(name: str, identity: str = "1", **args: Any) -> ToolCall:
    return {"type": "tool_call", "id": identity, "name": name, "args": args}


def by_name(folder: Path, **options: Any) -> dict[str, BaseTool]:
    return {tool.name: tool for tool in document_tools(DocumentTools(folder), **options)}


class Suite:
    @pytest.fixture(autouse=True)
    def _folder(self, folder: Path) -> None:
        self.tools = by_name(folder)

    @property
    def tool_constructor(self) -> BaseTool:
        return self.tools["read_page"]

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return {"path": "invoice.pdf", "page": 2}


class TestUnit(Suite, ToolsUnitTests):
    pass


class TestIntegration(Suite, ToolsIntegrationTests):
    pass


def test_what_a_model_is_told(folder: Path) -> None:
    tools = by_name(folder)
    assert list(tools) == NAMES
    page = tools["read_page"].tool_call_schema.model_json_schema()  # type: ignore[union-attr]
    assert page["required"] == ["path", "page"]
    assert page["properties"]["page"]["minimum"] == 1
    assert "list_documents" in page["properties"]["path"]["description"]
    assert tools["read_page"].description == DocumentTools.read_page.__doc__
    assert "ask_page" in [
        tool.name for tool in document_tools(DocumentTools(folder, engine=ScriptedEngine([])))
    ]


@pytest.mark.parametrize("path", OUTSIDE)
async def test_nothing_outside_is_reached(folder: Path, path: str) -> None:
    for name, tool in by_name(folder, images=True).items():
        if name == "list_documents":
            continue
        asked = call(name, path=path, page=1, query="secret")
        for said in (tool.invoke(asked), await tool.ainvoke(asked)):
            assert said.status == "error"
            assert said.content.startswith(f"{path}: ")
            assert "list_documents" in said.content
            assert "42" not in said.content and "root" not in said.content


@pytest.mark.parametrize(
    ("name", "args", "said"),
    [
        ("read_page", {"path": "invoice.pdf", "page": 3}, r"^invoice\.pdf: has 2 pages"),
        ("read_page", {"path": "invoice.pdf", "page": 0}, "page: Input should be greater"),
        ("read_page", {"path": "invoice.pdf"}, "page: Field required"),
        ("read_page", {"path": "x" * 9999, "page": 1}, "no path"),
        ("read_page", {"path": "\ud800", "page": 1}, "no path"),
        ("parse_document", {"path": "invoice.pdf", "pages": "all"}, "Write pages like"),
        ("search_in_document", {"path": "invoice.pdf", "query": " "}, "Say what to look for"),
        ("ask_page", {"path": "invoice.pdf", "page": 1, "question": "?"}, "out of order"),
    ],
)
async def test_errors_tell_the_model_what_to_do(folder: Path, name: str, args: Any, said: str) -> None:
    from internvl_llm.errors import EngineError

    def broken(request: Any) -> Any:
        raise EngineError("out of order", remedy="Ask again")

    node = tool_node(document_tools(DocumentTools(folder, engine=ScriptedEngine(broken))))
    asked = {"messages": [AIMessage("", tool_calls=[call(name, **args)])]}
    for done in (node.invoke(asked), await node.ainvoke(asked)):
        result = done["messages"][-1]
        assert result.status == "error"
        assert re.search(said, result.content)
        result.content.encode()


def tool_node(tools: list[Any]) -> Any:
    """ToolNode as it comes: it ends the run for an error that a tool does not handle itself."""
    graph = StateGraph(MessagesState)
    graph.add_node("tools", ToolNode(tools))
    graph.set_entry_point("tools")
    return graph.compile()


def test_parallel_calls_in_a_tool_node(folder: Path) -> None:
    calls = [call("read_page", "1", path="invoice.pdf", page=2), call("list_documents", "2")]
    calls.append(call("read_page", "3", path="../secret.pdf", page=1))
    _, *said = tool_node(document_tools(DocumentTools(folder))).invoke(
        {"messages": [AIMessage("", tool_calls=calls)]}
    )["messages"]
    assert [(one.tool_call_id, one.status) for one in said] == [
        ("1", "success"),
        ("2", "success"),
        ("3", "error"),
    ]
    assert "Total due: 356.65 EUR" in said[0].content
    assert said[1].content == "invoice.pdf\nletter.pdf"


@pytest.mark.parametrize("how", ["invoke", "ainvoke", "stream", "astream"])
async def test_a_scripted_agent_ends_with_the_right_answer(folder: Path, how: str) -> None:
    engine = ScriptedEngine(clerk)
    agent: Any = create_agent(ChatInternVL(engine=engine), document_tools(DocumentTools(folder)))
    asked = {"messages": [HumanMessage(QUESTION)]}
    if how in ("invoke", "ainvoke"):
        done = agent.invoke(asked) if how == "invoke" else await agent.ainvoke(asked)
        assert done["messages"][-1].text == RIGHT
        assert {m.status for m in done["messages"] if isinstance(m, ToolMessage)} == {"success"}
    elif how == "stream":
        pieces = [piece for piece, _ in agent.stream(asked, stream_mode="messages")]
        assert text(pieces) == f"Let me see. {RIGHT}"
    else:
        pieces = [piece async for piece, _ in agent.astream(asked, stream_mode="messages")]
        assert text(pieces) == f"Let me see. {RIGHT}"
    last = results(engine.requests[-1])
    assert [result.name for result in last] == [NAMES[0], *[NAMES[3]] * 2, NAMES[2]]
    assert len(engine.requests) == 4


def text(pieces: list[Any]) -> str:
    return "".join(piece.text for piece in pieces if isinstance(piece, AIMessageChunk))


async def test_a_scripted_agent_never_blocks_the_loop(folder: Path) -> None:
    tools = document_tools(DocumentTools(folder), images=True)
    agent: Any = create_agent(ChatInternVL(engine=ScriptedEngine(clerk)), tools)
    with blockbuster_ctx():
        done = await agent.ainvoke({"messages": [HumanMessage(QUESTION)]})
        for tool in tools:
            await tool.ainvoke(call(tool.name, path="invoice.pdf", page=1, query="Invoice"))
            await tool.ainvoke(call(tool.name, path="../secret.pdf", page=1, query="Invoice"))
    assert done["messages"][-1].text == RIGHT


@pytest.mark.parametrize("path", OUTSIDE)
def test_a_scripted_agent_that_is_refused_goes_on(folder: Path, path: str) -> None:
    script = [says("", ("read_page", {"path": path, "page": 1})), says("I may not read that.")]
    engine = ScriptedEngine(script)
    agent: Any = create_agent(ChatInternVL(engine=engine), document_tools(DocumentTools(folder)))
    done = agent.invoke({"messages": [HumanMessage(f"Read {path}")]})
    assert done["messages"][-1].text == "I may not read that."
    (refused,) = results(engine.requests[-1])
    assert refused.is_error
    assert "42" not in told(refused) and "root" not in told(refused)


def test_a_page_that_gives_orders_is_text_to_a_scripted_agent(folder: Path) -> None:
    engine = ScriptedEngine([says("", ("read_page", {"path": "letter.pdf", "page": 1})), says("A letter.")])
    agent: Any = create_agent(ChatInternVL(engine=engine), document_tools(DocumentTools(folder)))
    done = agent.invoke({"messages": [HumanMessage("What is in letter.pdf?")]})
    (read,) = results(engine.requests[-1])
    assert told(read).startswith(ATTACK.split("\n")[0])
    assert '"path": "../secret.pdf"' in told(read)
    assert [turn.role for turn in engine.requests[-1].messages] == ["user", "assistant", "tool"]
    assert [m.type for m in done["messages"]] == ["human", "ai", "tool", "ai"]
    assert not done["messages"][-1].tool_calls


def test_a_scripted_agent_is_shown_a_page(folder: Path) -> None:
    engine = ScriptedEngine([says("", ("show_page", {"path": "invoice.pdf", "page": 2})), says("I see it.")])
    tools = document_tools(DocumentTools(folder), images=True)
    agent: Any = create_agent(ChatInternVL(engine=engine), tools)
    done = agent.invoke({"messages": [HumanMessage("Look at page 2")]})
    (shown,) = results(engine.requests[-1])
    assert "Total due: 356.65 EUR" in told(shown)
    image = shown.parts[1]
    assert isinstance(image, Image) and isinstance(image.source, bytes)
    assert image.source[:4] == b"\x89PNG"
    block = done["messages"][2].content_blocks[1]
    assert base64.b64decode(block["base64"]) == image.source and block["mime_type"] == "image/png"


class ReadFirst(AgentMiddleware[Any, Any, Any]):
    """The first turn must read a page, the second answer, in few words: a CPU is slow."""

    def wrap_model_call(self, request: Any, handler: Any) -> Any:
        if any(isinstance(message, ToolMessage) for message in request.messages):
            return handler(request.override(tool_choice="none", model_settings={"max_tokens": 4}))
        return handler(request.override(tool_choice="read_page"))


@pytest.mark.slow
def test_smollm2_calls_what_it_must(folder: Path) -> None:
    """Little wit: its choices are narrowed to what is there. The call is its own."""
    pytest.importorskip("torch")
    narrow = create_model("read_page", path=(Literal["invoice.pdf"], ...), page=(Literal[2], ...))
    read_page = by_name(folder)["read_page"].model_copy(update={"args_schema": narrow})
    chat = ChatInternVL(
        model=str(built("smollm2")), system=SMOLLM2_SYSTEM, max_tokens=32, parallel_tool_calls=False
    )
    agent: Any = create_agent(chat, [read_page], middleware=[ReadFirst()])
    done = agent.invoke({"messages": [HumanMessage("What is the total due on page 2 of invoice.pdf?")]})
    _, called, read, answer = done["messages"]
    made = [(one["name"], one["args"]) for one in called.tool_calls]
    assert made == [("read_page", {"path": "invoice.pdf", "page": 2})]
    assert not called.invalid_tool_calls
    assert read.status == "success" and "Total due: 356.65 EUR" in read.content
    assert isinstance(answer, AIMessage) and answer.text and not answer.tool_calls
