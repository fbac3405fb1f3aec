"""The transformers engine keeps the contract of engines, on a tiny random checkpoint in float32."""

from __future__ import annotations

from typing import Any

import pytest

from internvl_llm.engine import EngineSpec
from internvl_llm.engines.transformers.engine import TransformersEngine
from tests.kit.checkpoints import built
from tests.kit.engine_contract import EngineContract


class TestContract(EngineContract):
    @classmethod
    def make(cls, **options: Any) -> TransformersEngine:
        return TransformersEngine(EngineSpec(str(built("tiny")), **options))

    @classmethod
    def another(cls) -> TransformersEngine:
        return cls.make(dtype="bfloat16")

    @classmethod
    def running(cls, engine: TransformersEngine) -> int:
        running = sum(len(core.scheduler.sequences) for core in engine._cores)
        return running + len(engine._waiting._sequences)

    @pytest.fixture
    def spec(self) -> EngineSpec:
        return EngineSpec(str(built("tiny")), max_batch=3)
