"""Sync calls of the engine and the chat models and their async mirrors give the same, on a checkpoint.

The async ones never block the loop.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import AsyncIterable, Callable, Iterable, Iterator
from typing import Any

import pytest

pytest.importorskip("langchain_core")
pytest.importorskip("llama_index.core")

from blockbuster import blockbuster_ctx
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from llama_index.core.llms import ChatMessage
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel

from internvl_llm import Engine, EngineSpec, Request, Sampling, open_engine
from internvl_llm.langchain import ChatInternVL
from internvl_llm.llama_index import InternVL
from tests.kit.checkpoints import built

TOKENS = 12


class Person(BaseModel):
    """A person."""

    adult: bool


def older(years: int) -> int:
    """Make somebody older."""
    return years + 1


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    opened = open_engine(EngineSpec(str(built("tiny")), device="cpu", dtype="float32"))
    yield opened
    opened.close()


def names(kind: type) -> set[str]:
    return {name for name, _ in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")}


async def told(value: Any) -> Any:
    """What a call gave, awaited and read to its end, without what is new every time."""
    if inspect.isawaitable(value):
        value = await value
    if isinstance(value, AsyncIterable):
        value = [one async for one in value]
    elif isinstance(value, Iterable) and not isinstance(value, str | list | tuple | dict | BaseModel):
        value = list(value)
    return plain(value)


def plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, BaseModel):
        value = value.model_dump()
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    if isinstance(value, dict):
        new = ("id", "run", "usage_metadata", "usage", "prompt_tokens", "run_id", "parent_ids")
        return {key: plain(one) for key, one in value.items() if key not in new}
    return value if isinstance(value, str | int | float | bool | None) else repr(value)


async def alike(asked: Any, name: str, ask: Callable[[Any], Any]) -> None:
    expected = await told(ask(getattr(asked, name)))
    with blockbuster_ctx():
        found = await told(ask(getattr(asked, f"a{name}")))
    assert found == expected


REQUEST = Request("Hello", Sampling(max_tokens=TOKENS))
ENGINE: dict[str, Callable[[Any], Any]] = {
    "generate": lambda call: call([REQUEST] * 2),
    "stream": lambda call: call(REQUEST),
}


@pytest.mark.parametrize("name", ENGINE)
async def test_of_the_engine(engine: Engine, name: str) -> None:
    await alike(engine, name, ENGINE[name])


LANGCHAIN: dict[str, Callable[[Any], Any]] = {
    "invoke": lambda call: call("Hello"),
    "stream": lambda call: call("Hello"),
    "batch": lambda call: call(["Hello", "Bye"]),
    "generate": lambda call: call([[HumanMessage("Hello")]]),
}


@pytest.fixture
def chat(engine: Engine) -> ChatInternVL:
    return ChatInternVL(engine=engine, max_tokens=TOKENS)


@pytest.mark.parametrize("name", LANGCHAIN)
async def test_of_langchain(chat: ChatInternVL, name: str) -> None:
    await alike(chat, name, LANGCHAIN[name])


async def test_of_langchains_tools_and_schemas(chat: ChatInternVL) -> None:
    wide = chat.model_copy(update={"max_tokens": 200})
    for runnable in (
        wide.bind_tools([tool(older)], tool_choice="any", parallel_tool_calls=False),
        wide.with_structured_output(Person),
        wide.with_structured_output(Person, method="function_calling"),
    ):
        expected = plain(runnable.invoke("Hello"))
        with blockbuster_ctx():
            found = plain(await runnable.ainvoke("Hello"))
        assert found == expected


@pytest.fixture
def llm(engine: Engine) -> InternVL:
    return InternVL(engine=engine, max_tokens=200)


CHAT = [ChatMessage(role="user", content="Hello")]
ADDER = FunctionTool.from_defaults(older)
PROMPT = PromptTemplate("Who is {name}?")
LLAMA_INDEX: dict[str, Callable[[Any], Any]] = {
    "chat": lambda call: call(CHAT, max_tokens=TOKENS),
    "stream_chat": lambda call: call(CHAT, max_tokens=TOKENS),
    "complete": lambda call: call("Hello", max_tokens=TOKENS),
    "stream_complete": lambda call: call("Hello", max_tokens=TOKENS),
    "chat_with_tools": lambda call: call([ADDER], "Hello", tool_required=True),
    "stream_chat_with_tools": lambda call: call([ADDER], "Hello", tool_required=True),
    "predict_and_call": lambda call: call([ADDER], "Hello", tool_required=True),
    "predict": lambda call: call(PROMPT, name="Ada"),
    "stream": lambda call: call(PROMPT, name="Ada"),
    "structured_predict": lambda call: call(Person, PROMPT, name="Ada"),
    "stream_structured_predict": lambda call: call(Person, PROMPT, name="Ada"),
    "count_tokens": lambda call: call(CHAT),
}


@pytest.mark.parametrize("name", LLAMA_INDEX)
async def test_of_llama_index(llm: InternVL, name: str) -> None:
    await alike(llm, name, LLAMA_INDEX[name])


@pytest.mark.parametrize(
    ("kind", "asked"), [(Engine, ENGINE), (ChatInternVL, LANGCHAIN), (InternVL, LLAMA_INDEX)]
)
def test_no_mirror_is_left_out(kind: type, asked: dict[str, Any]) -> None:
    derived = {"generate_prompt", "stream_events", "batch_as_completed", "transform"}
    """What LangChain makes of those asked here."""
    have = names(kind)
    assert {name for name in have if f"a{name}" in have} == set(asked) | (derived & have)
