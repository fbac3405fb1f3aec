"""Importing must stay cheap and free of frameworks, models and readers."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys

import pytest

HEAVY = [
    "torch",
    "transformers",
    "accelerate",
    "safetensors",
    "tokenizers",
    "av",
    "rapidfuzz",
    "langchain_core",
    "llama_index",
    "pymupdf",
    "fitz",
    "pypdfium2",
    "rapidocr",
    "onnxruntime",
    "cv2",
    "numpy",
    "PIL",
    "pandas",
    "docling_core",
    "httpcore",
    "httpx",
    "typer",
    "rich",
]

PROBE = """
import json, sys, time
started = time.process_time()
import internvl_loaders, internvl_llm
seconds = time.process_time() - started
print(json.dumps([seconds, sorted({name.split('.')[0] for name in sys.modules})]))
"""


def test_importing_is_light() -> None:
    runs = [
        json.loads(subprocess.run([sys.executable, "-c", PROBE], capture_output=True, check=True).stdout)
        for _ in range(3)
    ]
    assert min(seconds for seconds, _ in runs) < 0.3
    assert not set(runs[0][1]) & set(HEAVY)


def test_every_name_of_the_engine_is_light() -> None:
    """Down to `open_engine`, what loads a model loads torch, and nothing before."""
    code = f"""
import sys
from internvl_llm import *
from internvl_llm import Message, Sampling, open_engine
Message.user("Hello"), Sampling(max_tokens=1)
print(*(set({HEAVY}) & set(sys.modules)))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


@pytest.mark.parametrize("package", ["internvl_loaders", "internvl_llm"])
def test_every_public_name_is_there(package: str) -> None:
    module = importlib.import_module(package)
    for name in module.__all__:
        assert getattr(module, name) is not None
    assert set(module.__all__) <= set(dir(module))


@pytest.mark.parametrize("package", ["internvl_loaders", "internvl_llm"])
def test_an_unknown_name(package: str) -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        getattr(importlib.import_module(package), "nothing")  # noqa: B009


@pytest.mark.parametrize(
    ("module", "package", "extra"),
    [
        ("internvl_loaders.langchain", "langchain_core", "langchain"),
        ("internvl_loaders.llama_index", "llama_index", "llama-index"),
    ],
)
def test_a_missing_framework_names_its_extra(module: str, package: str, extra: str) -> None:
    code = f"import sys; sys.modules[{package!r}] = None\nimport {module}"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 1
    assert f"internvl-documents[{extra}]" in run.stderr.splitlines()[-1]
    assert "MissingDependencyError" in run.stderr.splitlines()[-1]
