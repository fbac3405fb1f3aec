"""What `deploy/` holds is what `internvl models --serve` writes, and what its readers can read."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import tomllib
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest

from internvl_llm.checkpoints.family import member
from internvl_loaders.cli.serve import commands, plan
from tests.internvl_loaders.cli.test_fields import options
from tests.kit.paths import ROOT
from tests.kit.recorded import signatures

yaml = pytest.importorskip("yaml")

DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


def wanted() -> dict[str, str | None]:
    """Options of the command for one GPU of 80 GB."""
    vllm = commands(plan(member("8B"), 1, 80 * 10**9))[0]
    return {words[0]: words[1] if len(words) > 1 else None for words in vllm.words[1:]}


def given(words: list[str]) -> dict[str, str | None]:
    """Options of a command line, in either spelling."""
    found: dict[str, str | None] = {}
    for at, word in enumerate(words):
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            after = words[at + 1] if at + 1 < len(words) and not words[at + 1].startswith("--") else None
            found[name] = value if equals else after
    return found


def same(one: dict[str, str | None], other: dict[str, str | None]) -> bool:
    def plain(name: str, value: str | None) -> Any:
        return json.loads(value) if value and value.startswith("{") else value

    return {n: plain(n, v) for n, v in one.items()} == {n: plain(n, v) for n, v in other.items()}


@pytest.fixture(scope="module")
def compose() -> Any:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))["services"]


def test_compose_serves_what_the_command_serves(compose: Any) -> None:
    vllm = compose["vllm"]
    assert vllm["entrypoint"] == ["vllm", "serve"]
    assert vllm["command"][0] == member("8B").native
    assert same(given(vllm["command"]), wanted() | {"--host": "0.0.0.0"})
    assert vllm["image"] == f"vllm/vllm-openai:v{signatures()['vllm']['version']}"
    (device,) = vllm["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["count"], device["capabilities"]) == ("nvidia", 1, ["gpu"])


def test_compose_is_ready_before_it_is_asked_and_open_to_this_machine_alone(compose: Any) -> None:
    assert compose["mcp"]["depends_on"] == {"vllm": {"condition": "service_healthy"}}
    for service in compose.values():
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        kind, *_, code = service["healthcheck"]["test"]
        assert kind == "CMD"
        compile(code, "healthcheck", "exec")
    (documents,) = compose["mcp"]["volumes"]
    assert documents.endswith(":/documents:ro")


def test_the_mcp_server_is_started_with_options_that_it_has(compose: Any) -> None:
    for words in (compose["mcp"]["command"], command(UNITS[0])[1:]):
        assert words[0] == "mcp" and not words[1].startswith("-")
        assert set(given(words)) <= set(options("mcp"))
        assert set(given(words)) == {"--http", "--base-url", "--model"}


def unit(path: Path) -> ConfigParser:
    parser = ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(path.read_text("utf-8").replace("\\\n", " "))
    return parser


def command(path: Path) -> list[str]:
    return shlex.split(unit(path)["Service"]["ExecStart"])


def test_units_serve_what_the_command_serves() -> None:
    mcp, vllm = UNITS
    program, verb, model, *words = command(vllm)
    assert (Path(program).name, verb, model) == ("vllm", "serve", member("8B").native)
    assert same(given(words), wanted())
    assert "/health" in unit(vllm)["Service"]["ExecStartPost"]
    assert unit(mcp)["Unit"]["After"] == unit(mcp)["Unit"]["Wants"] == vllm.name
    for path in UNITS:
        assert unit(path)["Service"]["Restart"] == "on-failure"
        assert unit(path)["Install"]["WantedBy"] == "multi-user.target"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not here")
@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_systemd_takes_the_units(path: Path) -> None:
    run = subprocess.run(["systemd-analyze", "verify", str(path)], capture_output=True, text=True)
    ours = [line for line in run.stderr.splitlines() if path.name in line]
    assert [line for line in ours if "is not executable" not in line] == []


def test_the_image_is_built_of_what_is_here() -> None:
    for line in (DEPLOY / "Dockerfile").read_text("utf-8").splitlines():
        if line.startswith("COPY "):
            *sources, _ = line.split()[1:]
            assert all((ROOT / source).exists() for source in sources)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    for path in (DEPLOY / "Dockerfile", UNITS[0]):
        (named,) = re.findall(r"\[([a-z,]+)\][\"']", path.read_text("utf-8"))
        assert set(named.split(",")) == {"mcp", "server"} <= set(extras)
