"""Options of chat models are the fields of Sampling and Request, in both frameworks, per call and bound."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import fields
from typing import Any

import pytest
from pydantic import BaseModel

from internvl_llm.best_of import Consensus
from internvl_llm.chat_options import OPTIONS, PROMPT_OPTIONS, ChatFields, fields_model, to_request
from internvl_llm.errors import OptionError
from internvl_llm.grammar import JsonObject, JsonSchema
from internvl_llm.media.limits import MediaOptions
from internvl_llm.messages import Message
from internvl_llm.request import Request, Sampling
from internvl_llm.tools import Tool
from tests.kit.scripted import ScriptedEngine, says

OTHERS: dict[str, Any] = {
    "max_tokens": 7,
    "temperature": 0.5,
    "top_p": 0.5,
    "top_k": 3,
    "repetition_penalty": 1.5,
    "seed": 4,
    "stop": ("END",),
    "logprobs": 2,
    "system": "Be brief.",
    "n": 2,
    "critic": Consensus(),
    "parallel_tool_calls": False,
    "min_tiles": 2,
    "max_tiles": 3,
    "page": True,
    "media": MediaOptions(dpi=100),
    "timeout": 30.0,
}
"""One value an option that is not its default."""
TOGETHER: dict[str, dict[str, Any]] = {
    "n": {"temperature": 0.5},
    "critic": {"temperature": 0.5, "n": 2},
}


def engine() -> Any:
    return ScriptedEngine(lambda request: says("Hello"))


def langchain(**options: Any) -> Any:
    pytest.importorskip("langchain_core")
    from internvl_llm.langchain import ChatInternVL

    return ChatInternVL(engine=engine(), **options)


def llama_index(**options: Any) -> Any:
    pytest.importorskip("llama_index.core")
    from internvl_llm.llama_index import InternVL

    return InternVL(engine=engine(), **options)


CHATS = [pytest.param(langchain, id="langchain"), pytest.param(llama_index, id="llama_index")]


def invoked(chat: Any, **call: Any) -> Request:
    """The request a call becomes."""
    if hasattr(chat, "invoke"):
        chat.invoke("Hi", **call)
    else:
        chat.complete("Hi", **call)
    request: Request = chat.engine.requests[-1]
    return request


def value(request: Request, name: str) -> Any:
    return getattr(request.sampling if hasattr(request.sampling, name) else request, name)


def test_options_are_all_that_users_set() -> None:
    assert set(OPTIONS) == set(OTHERS)
    own = {field.name for values in (Sampling, Request) for field in fields(values)}
    assert own - set(OPTIONS) == {"messages", "sampling", "tools", "tool_choice", "grammar"}
    described = {name: info.description for name, info in ChatFields.model_fields.items()}
    assert all(described[name] for name in OPTIONS)


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("chat", CHATS)
def test_an_option_of_a_model_and_of_a_call(chat: Any, name: str) -> None:
    more = TOGETHER.get(name, {})
    assert value(invoked(chat()), name) != OTHERS[name]
    assert value(invoked(chat(**{name: OTHERS[name]}, **more)), name) == OTHERS[name]
    assert value(invoked(chat(), **{name: OTHERS[name]}, **more), name) == OTHERS[name]


def test_bound_options() -> None:
    chat = langchain(max_tokens=5)
    chat.bind(max_tokens=6, stop=["A"]).invoke("Hi")
    assert chat.engine.requests[-1].sampling == Sampling(max_tokens=6, stop=("A",))


@pytest.mark.parametrize("chat", CHATS)
def test_none_leaves_an_option_as_it_is(chat: Any) -> None:
    """But for those that can be None."""
    made = chat(max_tokens=None, stop=None, media=None, seed=3)
    assert invoked(made) == Request(Message.user("Hi"), Sampling(seed=3))
    assert invoked(made, max_tokens=None, media=None, seed=None) == Request(Message.user("Hi"))
    assert invoked(made, system=None).system is None


@pytest.mark.parametrize("chat", CHATS)
def test_options_that_there_are_not(chat: Any) -> None:
    with pytest.raises(OptionError, match=r"no such option: max_token\. .*engine=\{\.\.\.\}"):
        chat(max_token=3)
    with pytest.raises(OptionError, match="no such option of a call: max_token.*max_tokens"):
        invoked(chat(), max_token=3)
    with pytest.raises(OptionError, match="temperature cannot be -1"):
        chat(temperature=-1)
    with pytest.raises(OptionError, match="temperature cannot be -1"):
        invoked(chat(), temperature=-1)


@pytest.mark.parametrize("chat", CHATS)
def test_objects_are_neither_shown_nor_written_down(chat: Any) -> None:
    made = chat(critic=Consensus(), n=2, temperature=1.0, media=MediaOptions(dpi=100))
    assert not {"critic", "media"} & set(made.model_dump())
    assert "Consensus" not in repr(made) and "dpi" not in repr(made)
    assert made.model_dump()["stop"] == []


@pytest.mark.parametrize("chat", CHATS)
def test_what_a_call_has_beside(chat: Any) -> None:
    form = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    request = invoked(chat(), tools=[form, Tool("g", "", {})], tool_choice="required")
    assert [tool.name for tool in request.tools] == ["f", "g"]
    assert request.tool_choice == "any"
    assert invoked(chat(), response_format={"type": "json_object"}).grammar == JsonObject()


@pytest.mark.parametrize("chat", CHATS)
def test_schemas_stand_in_the_system_turn(chat: Any) -> None:
    request = invoked(chat(system="Be brief."), grammar=JsonSchema({"type": "object"}))
    assert request.messages == (Message.user("Hi"),)
    assert request.system == (
        'Be brief.\n\nAnswer with JSON that this JSON schema accepts:\n{"type": "object"}'
    )


def test_schemas_and_system_messages() -> None:
    model, call = ChatFields(model="8B"), {"grammar": JsonSchema({"type": "object"})}
    request = to_request((Message.system("s"), Message.user("h")), model, call)
    assert request.system == model.system
    assert [message.role for message in request.messages] == ["system", "user"]
    assert request.messages[0].text == (
        's\n\nAnswer with JSON that this JSON schema accepts:\n{"type": "object"}'
    )
    bare = to_request((Message.user("h"),), model, call | {"system": None})
    assert bare.system == 'Answer with JSON that this JSON schema accepts:\n{"type": "object"}'


def test_a_part_of_the_options() -> None:
    class Some(fields_model(PROMPT_OPTIONS)):  # type: ignore[misc]
        pass

    assert {"system", "min_tiles", "max_tiles", "page", "media"} <= set(Some.model_fields)
    assert not {"n", "critic", "parallel_tool_calls", "temperature"} & set(Some.model_fields)
    some = Some(system="Be brief.", page=True)
    assert isinstance(some, BaseModel)
    assert to_request("Hi", some, {}) == Request("Hi", system="Be brief.", page=True)


NEW = """
import json
import typing
from dataclasses import dataclass
from pydantic import Field
from internvl_llm import request

@dataclass(frozen=True, slots=True)
class Sampling(request.Sampling):
    min_p: typing.Annotated[float, Field(description="How likely a token is at least.")] = 0.0

@dataclass(frozen=True)
class Request(request.Request):
    lenses: typing.Annotated[tuple[str, ...], Field(description="What images are seen through.")] = ()

request.Sampling, request.Request = Sampling, Request
from tests.kit.scripted import ScriptedEngine, says
engine = ScriptedEngine(lambda request: says("Hello"))
new = {"min_p": 0.5, "lenses": ["wide"]}
"""
ASK = {
    "langchain_core": """
from internvl_llm.langchain import ChatInternVL as Chat
Chat(engine=engine).invoke("Hi", **new)
Chat(engine=engine).bind(**new).invoke("Hi")
Chat(engine=engine, **new).invoke("Hi")
""",
    "llama_index.core": """
from internvl_llm.llama_index import InternVL as Chat
Chat(engine=engine).complete("Hi", **new)
Chat(engine=engine, **new).complete("Hi")
Chat.from_dict(Chat(engine=engine, **new).to_dict() | {"engine": engine}).complete("Hi")
""",
}


@pytest.mark.parametrize("framework", ASK)
def test_a_new_field_is_an_option_everywhere(framework: str) -> None:
    pytest.importorskip(framework)
    end = """
print(json.dumps([[r.sampling.min_p, list(r.lenses)] for r in engine.requests]))
print(Chat.model_fields["min_p"].description)
"""
    code = NEW + ASK[framework] + end
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    values, description = run.stdout.splitlines()
    assert json.loads(values) == [[0.5, ["wide"]]] * 3
    assert description == "How likely a token is at least."
