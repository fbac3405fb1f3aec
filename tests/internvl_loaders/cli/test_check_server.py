"""What `internvl check --base-url` says of a server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner, Result

pytest.importorskip("httpx")

from internvl_llm.engines.open import open_engine
from internvl_loaders.cli.app import app
from internvl_loaders.cli.check import Finding, server_findings
from tests.kit.servers.base import Status
from tests.kit.servers.fake import FakeServer, Kind

CALL = '{"name": "weather", "arguments": {"city": "Bern"}}'


def model(body: Any) -> str:
    """Says what it is held to."""
    form = json.dumps(body.get("response_format") or {})
    if "7351" in form:
        return '{"code": 7351}'
    tagged = f"<tool_call>\n{CALL}\n</tool_call>"
    return tagged if "tags_with_separator" in form else CALL if "weather" in form else "Hello!"


def found(server: FakeServer) -> dict[str, Finding]:
    findings = {finding.name: finding for finding in server_findings(server.url, "InternVL3-8B")}
    open_engine(base_url=server.url, model="InternVL3-8B").close()
    return findings


WORKS = {
    "server", "model", "context", "answers", "long prompts", "images", "A4 page", "several images", "schemas",
    "tool calls", "log probabilities", "boxes",
}  # fmt: skip


@pytest.mark.parametrize("kind", ["vllm", "sglang", "lmdeploy", "other"])
def test_what_works(kind: Kind) -> None:
    with FakeServer(kind, model) as server:
        findings = found(server)
    assert set(findings) == WORKS
    assert [finding.name for finding in findings.values() if finding.state != "yes"] == []
    assert "as many as ours" in findings["A4 page"].detail
    assert "12 tiles at most, 256 tokens each" in findings["images"].detail
    assert ("Regex" in findings["schemas"].detail) == (kind != "other")


@pytest.mark.parametrize("kind", ["llama", "ollama"])
def test_another_grid(kind: Kind) -> None:
    with FakeServer(kind, model) as server:
        findings = found(server)
    assert findings["A4 page"].state == "no"
    assert "3,328 tokens where InternVL's own code has 1,795" in findings["A4 page"].detail
    assert "bare [[x1, y1, x2, y2]]" in findings["boxes"].detail
    assert findings["tool calls"].state == "yes"


def test_what_does_not_work() -> None:
    def refuses(body: Any) -> Any:
        return Status(400, {"error": "not here"}) if body.get("logprobs") else "Hello!"

    with FakeServer("lmdeploy", refuses, images=False, context=4096) as server:
        findings = found(server)
    wrong = {finding.name: finding.detail for finding in findings.values() if finding.state == "no"}
    assert set(wrong) == {"images", "A4 page", "several images", "schemas", "tool calls", "log probabilities"}
    assert "not a multimodal model" in wrong["images"] and "vision part" in wrong["images"]
    assert "do not keep to them" in wrong["schemas"] and "did not come" in wrong["tool calls"]


def run(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "300"}).invoke(app, ["check", *arguments])


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer(script=model) as server:
        yield server
        open_engine(base_url=server.url).close()


def test_the_command(server: FakeServer) -> None:
    told = run("--base-url", server.url)
    assert told.exit_code == 0
    assert "vLLM 0.32.0" in told.stdout and "as many as ours" in told.stdout


def test_a_server_that_does_not_answer() -> None:
    with FakeServer(script=lambda body: Status(400, {"error": "broken"})) as server:
        told = run("--base-url", server.url)
        assert (told.exit_code, "refuses the request (400: broken)" in told.stdout) == (1, True)
        open_engine(base_url=server.url).close()
    told = run("--base-url", server.url)
    assert told.exit_code == 1 and "cannot be reached" in told.stderr and server.url in told.stderr


def test_wrong_use(server: FakeServer) -> None:
    assert run("--model", "8B").exit_code == 2
    assert run("--base-url", "localhost:8000").exit_code == 2
    told = run("--base-url", server.url, "--model", "78B")
    assert told.exit_code == 1 and "does not serve 78B" in told.stderr
