"""What `internvl models` says of the family and of this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from internvl_llm.checkpoints.family import FAMILY, member
from internvl_loaders.cli import models
from internvl_loaders.cli.app import app
from tests.kit.command import internvl

GIB = 2**30


def test_what_fits_on_gpus() -> None:
    one = models.Machine((24 * 10**9,), 64 * GIB, "a GPU")
    found = {fit.precision: fit for fit in models.fits(member("8B"), one)}
    assert found["bf16"].where == found["int4"].where == "1 copy on GPU 0"
    assert found["bf16"].weights == member("8B").weight_bytes()
    assert found["int4"].weights < found["int8"].weights < found["bf16"].weights < found["bf16"].needed
    found = {fit.precision: fit for fit in models.fits(member("38B"), one)}
    assert [found[name].where for name in models.PRECISIONS] == ["", "", ""]
    several = models.Machine((80 * 10**9,) * 4, 64 * GIB, "GPUs")
    assert models.fits(member("78B"), several)[0].where == "1 copy on GPUs 0, 1, 2, 3"


def test_what_fits_on_a_cpu_is_float32() -> None:
    bf16, int8, int4 = models.fits(member("2B"), models.Machine((), 8 * GIB, "no GPU"))
    assert (bf16.where, int8.where, int4.where) == ("", "CPU", "CPU")
    assert bf16.needed > 2 * member("2B").weight_bytes()
    assert {fit.where for fit in models.fits(member("2B"), models.Machine((), None, "unknown"))} == {""}


def test_models_as_json_and_as_a_table() -> None:
    told = json.loads(internvl("models", "--json").stdout)
    assert len(told["models"]) == 16
    eight = next(one for one in told["models"] if one["name"] == "InternVL3-8B")
    assert eight["hub"] == ["OpenGVLab/InternVL3-8B-hf", "OpenGVLab/InternVL3-8B"]
    assert eight["precisions"]["bf16"]["weight_bytes"] == member("8B").weight_bytes()
    assert eight["precisions"]["bf16"]["fits"] == bool(eight["precisions"]["bf16"]["where"])
    assert told["machine"]["memory_free_bytes"] > 0
    run = CliRunner().invoke(app, ["models"], env={"COLUMNS": "200"})
    assert run.exit_code == 0
    lines = {line.split()[0]: line for line in run.stdout.splitlines() if line.startswith("InternVL")}
    assert "15.9 GB" in lines["InternVL3-8B"]
    assert "Found: " in run.stdout


def test_without_torch_models_and_check_say_so() -> None:
    """And do not wait for it to be imported."""
    code = """
import importlib.util, sys
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "torch" else find(name, *rest)
from internvl_loaders.cli.app import app
try:
    app()
finally:
    print("torch" in sys.modules, file=sys.stderr)
"""
    for command, said in (
        ("models", "torch is not installed"),
        ("check", "internvl-documents[transformers]"),
    ):
        run = subprocess.run([sys.executable, "-c", code, command], capture_output=True, text=True,
                             env=os.environ | {"COLUMNS": "200"})  # fmt: skip
        assert run.returncode == 0
        assert said in run.stdout
        assert run.stderr == "False\n"


def test_gpus_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    from internvl_llm.hardware import devices

    monkeypatch.setattr(devices, "gpus", lambda: (devices.Gpu(0, "NVIDIA T4", 16 * GIB, 15 * GIB, (7, 5)),))
    machine = models.machine()
    assert (machine.gpus, machine.sentence) == ((15 * GIB,), "NVIDIA T4 with 16.1 GB of 17.2 GB free")
    monkeypatch.setattr(devices, "gpus", lambda: 1 / 0)
    assert "does not work (division by zero)" in models.machine().sentence


def test_a_pipe_gets_every_name_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    models.print_table(models.Machine((), 8 * GIB, "no GPU"))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if line.startswith("InternVL")] == [m.name for m in FAMILY]
