"""Which engine: every edge takes the same forms, and refuses the same mistakes at once, in the same words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from internvl_llm.engine import EngineSpec
from internvl_llm.engines import open as engines
from internvl_llm.engines.open import resolve
from internvl_llm.errors import OptionError
from tests.kit.edges import EDGES, Edge
from tests.kit.scripted import ScriptedEngine, says

INT8 = EngineSpec("8B", precision="int8")


def scripted() -> Any:
    return ScriptedEngine(lambda request: says("Hello"))


FORMS: dict[str, tuple[dict[str, Any], EngineSpec]] = {
    "a model": ({"model": "8B"}, EngineSpec("8B")),
    "a path": ({"model": Path("8B")}, EngineSpec("8B")),
    "a name": ({"model": "8B", "engine": "transformers"}, EngineSpec("8B")),
    "fields": ({"engine": {"model": "8B", "precision": "int8"}}, INT8),
    "fields and a model": ({"model": "8B", "engine": {"precision": "int8"}}, INT8),
    "modules by hand": (
        {"model": "8B", "engine": {"device_map": {"vision": 1}}},
        EngineSpec("8B", device_map=(("vision", 1),)),
    ),
    "pairs of modules": (
        {"model": "8B", "engine": {"device_map": [["vision", 1]]}},
        EngineSpec("8B", device_map=(("vision", 1),)),
    ),
    "a spec": ({"engine": INT8}, INT8),
    "a spec and a model": ({"model": "2B", "engine": INT8}, EngineSpec("2B", precision="int8")),
    "a URL": ({"base_url": "http://a:80/v1/"}, EngineSpec(base_url="http://a:80/v1")),
    "a URL of chats": (
        {"base_url": "http://a/v1/chat/completions"},
        EngineSpec(base_url="http://a/v1"),
    ),
    "a URL without a path": ({"base_url": "http://a"}, EngineSpec(base_url="http://a/v1")),
    "several URLs": (
        {"base_url": "http://a/v1, http://b,http://a"},
        EngineSpec(base_url="http://a/v1,http://b/v1"),
    ),
    "a URL and a model": (
        {"model": "8B", "base_url": "http://a/v1"},
        EngineSpec("8B", engine="server", base_url="http://a/v1"),
    ),
    "a URL among fields": (
        {"engine": {"base_url": "http://a/v1", "concurrency": 3}},
        EngineSpec(base_url="http://a/v1", concurrency=3),
    ),
    "a name and a URL": ({"engine": "server", "base_url": "http://a/v1"}, EngineSpec(base_url="http://a/v1")),
}

MISTAKES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "a name and no model": {"engine": "transformers"},
    "fields and no model": {"engine": {"precision": "int8"}},
    "an empty model": {"model": ""},
    "a number": {"model": "8B", "engine": 7},
    "a list": {"model": "8B", "engine": ["transformers"]},
    "an unknown field": {"model": "8B", "engine": {"precison": "int8"}},
    "an unknown engine": {"model": "8B", "engine": "gguf"},
    "an unknown engine among fields": {"model": "8B", "engine": {"engine": "gguf"}},
    "an unknown precision": {"model": "8B", "engine": {"precision": "int3"}},
    "a URL without a server": {"model": "8B", "engine": {"engine": "gguf", "base_url": "http://a/v1"}},
    "a text for a number": {"model": "8B", "engine": {"max_batch": "4"}},
    "a truth for a number": {"model": "8B", "engine": {"replicas": True}},
    "a number for a text": {"model": "8B", "engine": {"dtype": 16}},
    "a list for a name": {"model": "8B", "engine": {"engine": ["transformers"]}},
    "a list for a precision": {"model": "8B", "engine": {"precision": ["int8"]}},
    "no URL for a server": {"model": "8B", "engine": "server"},
    "no scheme": {"base_url": "localhost:8000/v1"},
    "another scheme": {"base_url": "file:///etc/passwd"},
    "no host": {"base_url": "http:///v1"},
    "no port": {"base_url": "http://a:b/v1"},
    "a name and password": {"base_url": "http://me:secret@a/v1"},
    "a query": {"base_url": "http://a/v1?key=secret"},
    "a space": {"base_url": "http://a b/v1"},
    "commas": {"base_url": " , "},
    "a spec in process and a URL": {"engine": INT8, "base_url": "http://a/v1"},
    "an engine in process and a URL": {"model": "8B", "engine": "transformers", "base_url": "http://a/v1"},
    "what a server decides": {"engine": {"base_url": "http://a/v1", "dtype": "float16"}},
    "what only servers have": {"model": "8B", "engine": {"concurrency": 3}},
    "no concurrency": {"engine": {"base_url": "http://a/v1", "concurrency": 0}},
    "negative retries": {"engine": {"base_url": "http://a/v1", "max_retries": -1}},
    "no time": {"engine": {"base_url": "http://a/v1", "token_timeout": 0}},
    "a number for a key": {"engine": {"base_url": "http://a/v1", "api_key": 7}},
    "a text for a choice": {"engine": {"base_url": "http://a/v1", "native_tools": "yes"}},
    "a list for a URL": {"engine": {"model": "8B", "base_url": ["http://a/v1"]}},
    "a number for a model": {"engine": {"model": 8}},
    "nothing for a device": {"model": "8B", "engine": {"device": None}},
    "lists for devices": {"model": "8B", "engine": {"device_map": {"vision": [0]}}},
    "texts for modules": {"model": "8B", "engine": {"device_map": ["ab", "cd"]}},
    "a number for modules": {"model": "8B", "engine": {"device_map": 0}},
    "names that are numbers": {"model": "8B", "engine": {1: 2}},
    "another model than is open": {"model": "8B", "engine": scripted()},
    "a URL for what is open": {"base_url": "http://a/v1", "engine": scripted()},
}


@pytest.fixture(params=EDGES, ids=lambda edge: edge.name)
def edge(request: pytest.FixtureRequest) -> Edge:
    edge: Edge = request.param
    pytest.importorskip(edge.needs)
    return edge


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[EngineSpec]:
    """Specs whose engines were opened; no weights are loaded."""
    specs: list[EngineSpec] = []

    def made(spec: EngineSpec) -> Any:
        specs.append(spec)
        engine = scripted()
        engine.closed = False
        return engine

    monkeypatch.setattr(engines, "_open", {})
    monkeypatch.setattr(engines, "_made", made)
    return specs


@pytest.mark.parametrize("form", FORMS)
def test_every_edge_takes_every_form(edge: Edge, form: str, opened: list[EngineSpec]) -> None:
    named, spec = FORMS[form]
    made = edge.make(**named)
    assert opened == []
    edge.ask(made)
    edge.ask(made)
    assert opened == [spec]


def test_every_edge_takes_an_engine_that_is_open(edge: Edge, opened: list[EngineSpec]) -> None:
    for named in ({}, {"model": "scripted-1B"}):
        engine = scripted()
        edge.ask(edge.make(engine=engine, **named))
        assert len(engine.requests) > 0
    assert opened == []


@pytest.mark.parametrize("mistake", ["a name and password", "a query", "a number for a key"])
def test_no_secret_is_told(mistake: str) -> None:
    named = MISTAKES[mistake]
    with pytest.raises(OptionError) as caught:
        resolve(named.get("engine"), named.get("model"), named.get("base_url"))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_every_edge_refuses_the_same_mistakes_with_the_same_words(edge: Edge, mistake: str) -> None:
    named = MISTAKES[mistake]
    with pytest.raises(OptionError) as expected:
        resolve(named.get("engine"), named.get("model"), named.get("base_url"))
    with pytest.raises(OptionError) as caught:
        edge.make(**named)
    assert str(caught.value) == str(expected.value)
    assert caught.value.remedy
