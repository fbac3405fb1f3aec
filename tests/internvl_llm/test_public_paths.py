"""Public classes say the path that users import them by, and so does what is pickled of them."""

from __future__ import annotations

import importlib
import pickle
from typing import Any

import pytest

PUBLIC = {
    "ChatInternVL": ("internvl_llm.langchain", "langchain_core"),
    "InternVLDecisions": ("internvl_llm.langchain_decisions", "langchain_core.decisions"),
    "InternVL": ("internvl_llm.llama_index", "llama_index.core"),
}


def public(name: str) -> Any:
    module, needs = PUBLIC[name]
    pytest.importorskip(needs)
    return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize("name", PUBLIC)
def test_classes_and_pickles(name: str) -> None:
    kind, path = public(name), PUBLIC[name][0]
    assert (kind.__module__, kind.__qualname__) == (path, name)
    pickled = pickle.dumps(kind(model="8B", max_tiles=3, engine={"precision": "int8"}))
    assert f"{path}\n".encode() in pickle.dumps(kind, 0)
    again = pickle.loads(pickled)
    assert (type(again), again.model, again.max_tiles) == (kind, "8B", 3)
    assert again.engine == {"precision": "int8"}


@pytest.mark.parametrize("name", ["ChatInternVL", "InternVLDecisions"])
def test_langchain_names(name: str) -> None:
    kind, path = public(name), PUBLIC[name][0]
    from langchain_core.load import dumpd

    identity = [*path.split("."), name]
    assert kind.lc_id() == identity
    assert (dumpd(kind(model="8B"))["type"], dumpd(kind(model="8B"))["id"]) == ("not_implemented", identity)


def test_llama_index_names() -> None:
    from internvl_llm.engine import EngineSpec

    kind = public("InternVL")
    assert kind.class_name() == kind(model="8B").to_dict()["class_name"] == "InternVL"
    spec = EngineSpec("8B", precision="int8", device_map=(("vision", 1),))
    for engine in ("transformers", {"precision": "int8"}, spec, None):
        llm = kind(model="8B", engine=engine, engine_options={"max_batch": 3}, stop="END")
        for again in (kind.from_dict(llm.to_dict()), kind.from_json(llm.to_json())):
            assert again.to_dict() == llm.to_dict()
            assert again._choice() == llm._choice()
            assert again._choice().max_batch == 3
