"""What `internvl check` says of the engine and of weights on this machine."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from internvl_loaders.cli import check
from tests.internvl_loaders.cli.test_ask import needs_engine

GIB = 2**30


def _findings() -> dict[str, check.Finding]:
    return {finding.name.strip(): finding for finding in check.findings()}


@needs_engine
def test_check_says_what_would_run_where_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    from internvl_llm.hardware import devices

    monkeypatch.setattr(devices, "gpus", lambda: (devices.Gpu(0, "NVIDIA T4", 16 * GIB, 15 * GIB, (7, 5)),))
    found = _findings()
    assert found["GPU 0"].detail == "NVIDIA T4, 16.1 of 17.2 GB free, capability 7.5"
    assert found["device"].detail.startswith("cuda: 1 x NVIDIA T4")
    assert found["dtype"].detail == "float16: NVIDIA T4 has no bfloat16"
    assert "Ampere" in found["attention"].detail
    monkeypatch.setattr(devices, "gpus", lambda: 1 / 0)
    found = _findings()
    assert (found["InternVL engine"].state, "division" in found["InternVL engine"].detail) == ("no", True)
    assert "transcriber auto" in found


def test_check_finds_weights_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    assert _findings()["InternVL weights"].state == "optional"
    snapshot = tmp_path / "models--OpenGVLab--InternVL3-2B-hf" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    assert _findings()["InternVL weights"].state == "optional"
    (snapshot / "model.safetensors").write_bytes(b"")
    assert _findings()["InternVL weights"].detail == "in the hub's cache: InternVL3-2B"


def test_the_modules_that_it_names_are_there() -> None:
    details = " ".join(finding.detail for finding in check.findings())
    modules = re.findall(r"internvl_\w+(?:\.\w+)+", details)
    assert modules
    assert all(importlib.util.find_spec(module) is not None for module in modules)
