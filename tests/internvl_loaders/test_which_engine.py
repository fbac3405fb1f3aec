"""All edges take an engine in all its forms, and say alike what cannot be, before a document is opened."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from internvl_llm import EngineSpec, OptionError
from internvl_llm.engines.open import resolve
from internvl_loaders import ParseOptions, parse
from internvl_loaders.agents import DocumentTools
from internvl_loaders.transcribe.model.choice import choose
from tests.kit.pdfs import pdf
from tests.kit.scripted import ScriptedEngine

OPEN = ScriptedEngine("")

FORMS: list[tuple[dict[str, Any], Any]] = [
    ({"engine": "transformers", "model": "8B"}, EngineSpec("8B")),
    ({"model": "8B"}, EngineSpec("8B")),
    ({"engine": {"precision": "int8"}, "model": "8B"}, EngineSpec("8B", precision="int8")),
    (
        {"engine": {"model": "2B", "device_map": {"lm_head": 0}}},
        EngineSpec("2B", device_map=(("lm_head", 0),)),
    ),
    ({"engine": EngineSpec("2B", dtype="float32")}, EngineSpec("2B", dtype="float32")),
    ({"engine": EngineSpec("2B", dtype="float32"), "model": "8B"}, EngineSpec("8B", dtype="float32")),
    ({"engine": OPEN}, OPEN),
    ({"engine": OPEN, "model": "scripted-1B"}, OPEN),
]
MISTAKES: list[dict[str, Any]] = [
    {"engine": "warp", "model": "8B"},
    {"engine": {"modle": "8B"}},
    {"engine": {"precision": "int8"}},
    {"engine": {"model": "8B", "precision": "int2"}},
    {"engine": {"model": "8B", "engine": "warp"}},
    {"engine": {"model": "8B", "max_batch": "4"}},
    {"engine": {"model": "8B", "dtype": 16}},
    {"engine": {"model": "8B", "device_map": {"vision": [0]}}},
    {"engine": {"engine": ["transformers"], "model": "8B"}},
    {"engine": {"model": 8}},
    {"engine": 8, "model": "8B"},
    {"engine": object()},
    {"engine": "transformers"},
    {"engine": OPEN, "model": "8B"},
    {"engine": OPEN, "base_url": "http://localhost:8000/v1"},
]


def langchain_loader(**options: Any) -> Any:
    loaders = pytest.importorskip("internvl_loaders.langchain")
    return loaders.InternVLLoader("a.pdf", **options).options


def langchain_parser(**options: Any) -> Any:
    loaders = pytest.importorskip("internvl_loaders.langchain")
    return loaders.InternVLBlobParser(**options).options


def reader(**options: Any) -> Any:
    readers = pytest.importorskip("internvl_loaders.llama_index")
    return readers.InternVLReader(**options).options


def tools(**options: Any) -> Any:
    return DocumentTools(Path(__file__).parent, **options).options


EDGES = [ParseOptions.of, langchain_loader, langchain_parser, reader]


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize(("options", "expected"), FORMS)
def test_every_form_is_taken(
    edge: Callable[..., ParseOptions], options: dict[str, Any], expected: Any
) -> None:
    made = edge(**options)
    assert made.chosen_engine() == expected
    choice, _ = choose(
        ParseOptions.of(**{name: getattr(made, name) for name in ("engine", "model", "base_url")})
    )
    assert choice is not None
    assert choice.engine == expected


@pytest.mark.parametrize("edge", [*EDGES, tools, lambda **options: parse(pdf("x"), **options)])
@pytest.mark.parametrize("options", MISTAKES)
def test_every_mistake_is_told_alike(edge: Callable[..., Any], options: dict[str, Any]) -> None:
    if edge is tools and options.get("engine") is OPEN:
        return  # model and base_url are those of the pages
    with pytest.raises(OptionError) as first:
        resolve(**options)
    with pytest.raises(OptionError) as told:
        edge(**options)
    assert str(told.value) == str(first.value)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"engine": "transformers", "model": "8B"}, EngineSpec("8B")),
        ({"engine": {"precision": "int8"}, "model": "8B"}, EngineSpec("8B", precision="int8")),
        ({"engine": {"model": "2B"}, "model": "8B"}, EngineSpec("2B")),
        ({"engine": EngineSpec("2B"), "model": "8B"}, EngineSpec("2B")),
        ({"engine": OPEN}, OPEN),
        ({"engine": OPEN, "model": "8B"}, OPEN),
        ({"model": "8B"}, None),
        ({}, None),
    ],
)
def test_document_tools_ask_an_engine_of_their_own(options: dict[str, Any], expected: Any) -> None:
    """`model` is of the options; it is that of the tools' engine where that has none."""
    assert DocumentTools(Path(__file__).parent, **options).engine == expected


@pytest.mark.parametrize("mistake", [{"engine": "warp", "model": "8B"}, {"engine": {"model": "2B", "x": 1}}])
def test_document_tools_say_at_once_what_cannot_be(mistake: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="no such engine option|no engine 'warp'"):
        DocumentTools(Path(__file__).parent, **mistake)


def test_a_spec_is_opened_when_a_page_is_asked_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.pdf").write_bytes(pdf("Total 42"))
    opened: list[Any] = []
    monkeypatch.setattr(
        "internvl_llm.engines.open.open_engine", lambda spec: opened.append(spec) or ScriptedEngine("42")
    )
    documents = DocumentTools(tmp_path, engine={"model": "8B", "dtype": "float32"})
    assert opened == []
    assert "ask_page" in [function.__name__ for function in documents.functions()]
    assert documents.ask_page("a.pdf", 1, "Total?") == "42"
    assert opened == [EngineSpec("8B", dtype="float32")]


@pytest.mark.parametrize(("options", "expected"), [form for form in FORMS if form[1] is not OPEN])
def test_options_with_a_spec_hash_pickle_and_go_through_json(options: dict[str, Any], expected: Any) -> None:
    made = ParseOptions.of(**options)
    assert {made: 1}[pickle.loads(pickle.dumps(made))] == 1
    again = ParseOptions.of(**json.loads(made.model_dump_json()))
    assert again == made
    assert again.chosen_engine() == expected


def test_a_reader_written_down_keeps_the_spec_and_leaves_an_open_engine_out() -> None:
    readers = pytest.importorskip("internvl_loaders.llama_index")
    reader = readers.InternVLReader(engine={"model": "8B", "precision": "int8"}, pages="2")
    again = readers.InternVLReader.from_dict(json.loads(json.dumps(reader.to_dict())))
    assert again.options == reader.options
    assert again.options.chosen_engine() == EngineSpec("8B", precision="int8")
    assert readers.InternVLReader(engine=OPEN).to_dict()["options"]["engine"] is None
