"""The scripted engine keeps the contract of engines, or tests on it would show nothing."""

from __future__ import annotations

import hashlib
import itertools
import json
from typing import Any

import pytest

from internvl_llm.engine import EngineSpec
from internvl_llm.engines import open as engines
from internvl_llm.request import Request
from tests.kit.engine_contract import ENDLESS, EngineContract
from tests.kit.scripted import TOKEN, Script, ScriptedEngine

SECONDS = 0.001


def script(model: str) -> Script:
    """Words that depend on the model and what it is asked, another beginning for each of several samples; or
    a call, as text."""
    count = itertools.count()

    def answer(request: Request) -> str:
        if request.tools and request.tool_choice != "none":
            call = {"name": "weather", "arguments": {"city": "Bern", "days": 2}}
            return f"<tool_call>\n{json.dumps(call)}\n</tool_call>"
        seed = f"{model} {[message.text for message in request.messages]}"
        if request.n > 1:
            number = next(count)
            return f"{number}: {'word ' * (number % 5)}"
        word = hashlib.sha256(seed.encode()).hexdigest()
        return word * (TOKEN * request.sampling.max_tokens // len(word) + 1)

    return answer


def made(spec: EngineSpec) -> ScriptedEngine:
    return ScriptedEngine(script(spec.model), seconds=SECONDS)


class TestContract(EngineContract):
    @classmethod
    def make(cls, **options: Any) -> ScriptedEngine:
        return made(EngineSpec("scripted-1B"))

    @classmethod
    def another(cls) -> ScriptedEngine:
        return made(EngineSpec("scripted-2B"))

    @classmethod
    def running(cls, engine: ScriptedEngine) -> int:
        return engine.running

    @pytest.fixture
    def spec(self, monkeypatch: pytest.MonkeyPatch) -> EngineSpec:
        kind = engines.Kind(f"{__name__}:made", "none", ())
        monkeypatch.setitem(engines.ENGINES, "scripted", kind)  # type: ignore[arg-type]
        return EngineSpec("scripted-1B", engine="scripted")


def test_endless_is_long() -> None:
    assert ENDLESS * SECONDS > 20
