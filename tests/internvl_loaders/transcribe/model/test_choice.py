"""Which engine is used, decided without weights, network, torch or a GPU."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from internvl_llm.engine import EngineSpec
from internvl_llm.errors import CheckpointError, InternVLError, OptionError
from internvl_loaders import ParseOptions, parse
from internvl_loaders.transcribe.model import choice
from internvl_loaders.transcribe.model.choice import choose
from tests.kit.pdfs import pdf
from tests.kit.scripted import ScriptedEngine


@pytest.fixture(autouse=True)
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache, and no GPU."""
    folder = tmp_path / "hub"
    monkeypatch.setenv("HF_HUB_CACHE", str(folder))
    monkeypatch.setattr(choice, "_gpu_there", lambda: False)
    return folder


def weights(hub: Path, repository: str, revision: str = "abc") -> Path:
    folder = hub / f"models--{repository.replace('/', '--')}" / "snapshots" / revision
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"")
    return folder


def chosen(**options: Any) -> EngineSpec | None:
    found, _ = choose(ParseOptions.of(**options))
    if found is None:
        return None
    assert isinstance(found.engine, EngineSpec)
    return found.engine


def test_nothing_named_and_no_gpu_is_rapidocr(hub: Path) -> None:
    weights(hub, "OpenGVLab/InternVL3-8B-hf")
    found, told = choose(ParseOptions())
    assert found is None
    assert told.endswith("go to rapidocr, as no engine or model is named and there is no GPU")


def test_a_gpu_and_weights_are_used_unasked(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "_gpu_there", lambda: True)
    assert "no InternVL weights" in choose(ParseOptions())[1]
    small, large = weights(hub, "OpenGVLab/InternVL3-1B-hf"), weights(hub, "OpenGVLab/InternVL3-8B")
    monkeypatch.setattr(choice, "_gpu_memory", lambda: 80 * 2**30)
    assert chosen() == EngineSpec(str(large))
    monkeypatch.setattr(choice, "_gpu_memory", lambda: None)
    assert chosen() == EngineSpec(str(large))
    monkeypatch.setattr(choice, "_gpu_memory", lambda: 8 * 2**30)
    found, told = choose(ParseOptions())
    assert found is not None and found.engine == EngineSpec(str(small)) and not found.named
    assert told.endswith("go to internvl (InternVL3-1B, engine transformers: a GPU and the weights are here)")
    monkeypatch.setattr(choice, "_gpu_memory", lambda: 2**30)
    assert "fits" in choose(ParseOptions())[1]


def test_an_unasked_engine_that_cannot_be_opened_is_replaced_and_said(
    hub: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(choice, "_gpu_there", lambda: True)
    monkeypatch.setattr(choice, "_gpu_memory", lambda: None)
    weights(hub, "OpenGVLab/InternVL3-1B-hf")  # damaged ones

    def refuse(spec: EngineSpec) -> Any:
        raise CheckpointError("damaged weights")

    monkeypatch.setattr("internvl_llm.engines.open.open_engine", refuse)
    from tests.internvl_loaders.transcribe.model.test_transcriber import scan

    first, second = parse(scan(400, 410))
    assert (first.status, first.method, first.text) == ("fallback", "rapidocr", "Total 42")
    assert "no engine: damaged weights" in first.reason
    assert second.text == "Total 42"
    assert sum("cannot be used" in record.getMessage() for record in caplog.records) == 1


def test_internvl_without_a_model_takes_what_is_here(hub: Path) -> None:
    with pytest.raises(OptionError, match="no InternVL model is named.*--model"):
        chosen(transcriber="internvl")
    folder = weights(hub, "OpenGVLab/InternVL3-2B-hf")
    assert chosen(transcriber="internvl") == EngineSpec(str(folder))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"model": "InternVL3-8C"}, "InternVL3-8B"),
        ({"model": "acme/model"}, "InternVL3-8B"),
        ({"model": "/nowhere/model"}, "no such folder"),
        ({"model": "./nowhere"}, "no such folder"),
        ({"engine": "transformers"}, "no model is named.*--model"),
        ({"transcriber": "rapidocr", "model": "8B"}, "uses no engine"),
        ({"transcriber": "text-layer", "engine": ScriptedEngine("")}, "uses no engine"),
        ({"engine": ScriptedEngine(""), "model": "8B"}, "has its model"),
    ],
)
def test_what_cannot_be_is_said_at_once(options: dict[str, Any], told: str) -> None:
    with pytest.raises(InternVLError, match=told):
        parse(pdf("x"), **options)


def test_a_folder_is_looked_into_at_once(tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        parse(pdf("x"), model=str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"architectures": ["BertModel"]}))
    with pytest.raises(CheckpointError, match="BertModel"):
        parse(pdf("x"), model=str(tmp_path))


def test_names_are_understood() -> None:
    assert chosen(model="8b") == EngineSpec("8b", "transformers")
    assert chosen(model="OpenGVLab/InternVL3_5-8B-HF", engine="transformers") is not None


PROBE = """
import sys, logging
from internvl_loaders import parse
list(parse({data!r}))
print(sorted({{"torch", "transformers", "safetensors"}} & set(sys.modules)))
"""


def test_auto_imports_no_torch() -> None:
    code = PROBE.format(data=pdf("A letter of\nsome words."))
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert run.stdout.strip() == "[]"
