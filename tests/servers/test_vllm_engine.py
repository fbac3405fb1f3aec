"""vLLM in process, really run: `tests/servers/run` brings it, on the CPU and in float32."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

pytest.importorskip("vllm")

from internvl_llm.engine import EngineSpec
from internvl_llm.engines.open import open_engine
from internvl_llm.engines.transformers.engine import TransformersEngine
from internvl_llm.engines.vllm.engine import VLLMEngine
from internvl_llm.errors import EngineError, GrammarError, OptionError
from internvl_llm.events import TextDelta
from internvl_llm.grammar import Choice, Exactly, JsonSchema, Regex
from internvl_llm.messages import Image, Message
from internvl_llm.request import Request, Sampling
from tests.kit.checkpoints import built
from tests.kit.engine_contract import (
    PARAMETERS,
    EngineContract,
    calling,
    endless,
    eventually,
    requests,
    warm,
    whole,
)
from tests.kit.pictures import gradient

pytestmark = pytest.mark.servers

KV = 2**29


def spec(folder: Path, **options: Any) -> EngineSpec:
    return EngineSpec(str(folder), **{"engine": "vllm", "dtype": "float32", "kv_bytes": KV, **options})


class TestContract(EngineContract):
    @classmethod
    def make(cls, **options: Any) -> VLLMEngine:
        return VLLMEngine(spec(built("tiny"), **options))

    @classmethod
    def another(cls) -> VLLMEngine:
        return cls.make(dtype="bfloat16")

    @classmethod
    def running(cls, engine: VLLMEngine) -> int:
        return len(engine._tasks)

    @pytest.fixture
    def spec(self) -> EngineSpec:
        return spec(built("tiny"), max_batch=3)


@pytest.fixture(scope="module")
def reference() -> Iterator[TransformersEngine]:
    engine = TransformersEngine(EngineSpec(str(built("smollm2")), dtype="float32"))
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def engine() -> Iterator[VLLMEngine]:
    engine = open_engine(spec(built("smollm2")))
    assert isinstance(engine, VLLMEngine)
    yield engine
    engine.close()


PAGE = Image(gradient(1240, 1754), max_tiles=12)
SQUARE = Image(gradient(1792, 1792), max_tiles=16)


def shown(image: Image = PAGE, **options: Any) -> Request:
    asked = Message.user("Before <image> and <IMG_CONTEXT>.", image, "What is this?")
    return Request(asked, Sampling(max_tokens=24), **options)


def test_the_same_tokens_as_transformers(engine: VLLMEngine, reference: TransformersEngine) -> None:
    """Text, images, several turns; pages cut by our own rule; more tiles than vLLM takes at once; text that
    looks like a placeholder."""
    asked = [*requests(24), shown(), shown(page=True), shown(SQUARE)]
    for request in asked:
        (ours,), (theirs,) = engine.generate([request]), reference.generate([request])
        assert ours.samples[0].tokens == theirs.samples[0].tokens
        assert (ours.text, ours.usage.prompt_tokens) == (theirs.text, theirs.usage.prompt_tokens)
        assert ours.usage.image_tokens == theirs.usage.image_tokens
    assert engine.count_tokens(shown(page=True)).image_tokens == 13 * 256
    assert engine.count_tokens(shown(SQUARE)).image_tokens > 13 * 256


def test_log_probabilities_are_the_models_own(engine: VLLMEngine, reference: TransformersEngine) -> None:
    request = Request("Hello there", Sampling(max_tokens=6, logprobs=3))
    (ours,), (theirs,) = engine.generate([request]), reference.generate([request])
    for one, other in zip(ours.samples[0].logprobs, theirs.samples[0].logprobs, strict=True):
        assert one.token == other.token
        assert one.logprob == pytest.approx(other.logprob, abs=1e-3)
        assert [name for name, _ in one.top] == [name for name, _ in other.top]


def test_a_prompt_that_begins_alike_is_not_computed_anew(engine: VLLMEngine) -> None:
    engine.generate([shown()])
    (again,) = engine.generate([shown()])
    assert again.usage.cached_tokens > 0.9 * again.usage.prompt_tokens


@pytest.mark.parametrize(
    "grammar",
    [JsonSchema(PARAMETERS), Regex(r"[0-9]{3}-[a-f]{2}"), Choice(("yes", "no")), Exactly("It is a table.")],
    ids=lambda grammar: type(grammar).__name__,
)
def test_grammars(engine: VLLMEngine, reference: TransformersEngine, grammar: Any) -> None:
    request = Request("Go", Sampling(max_tokens=60), grammar=grammar)
    (ours,), (theirs,) = engine.generate([request]), reference.generate([request])
    assert ours.finish_reason == "stop"
    assert ours.text == theirs.text


@pytest.mark.parametrize("choice", ["auto", "any", "weather", "none"])
def test_tools(engine: VLLMEngine, reference: TransformersEngine, choice: str) -> None:
    request = calling(choice, 120)
    (ours,), (theirs,) = engine.generate([request]), reference.generate([request])
    assert ours.tool_calls == theirs.tool_calls
    assert (choice in ("auto", "none")) != bool(ours.tool_calls)
    if choice in ("auto", "none"):
        assert ours.text == theirs.text


def test_a_grammar_that_cannot_be(engine: VLLMEngine) -> None:
    for pattern in (r"(?<=a)b", r"a{1,99999}"):
        with pytest.raises(GrammarError):
            engine.generate([Request("Go", grammar=Regex(pattern))])


def test_samples_are_repeatable(engine: VLLMEngine) -> None:
    one, two = (engine.generate([warm(n=3)])[0] for _ in range(2))
    assert [sample.text for sample in one.samples] == [sample.text for sample in two.samples]
    assert len({sample.text for sample in one.samples}) == 3


def test_drafts_change_nothing(reference: TransformersEngine) -> None:
    engine = VLLMEngine(spec(built("smollm2"), draft_tokens=4, repeat_limit=4, context_tokens=4096))
    try:
        for request in [*requests(24), shown(), calling("any", 120)]:
            assert whole(engine.generate([request])[0])[0] == whole(reference.generate([request])[0])[0]
        (zeros,) = engine.generate([Request("Write zeros.", Sampling(max_tokens=500), system="")])
        assert zeros.usage.completion_tokens < 100
        streamed = [one for one in engine.stream(requests()[0]) if isinstance(one, TextDelta)]
        assert "".join(one.text for one in streamed) == engine.generate([requests()[0]])[0].text
        assert engine.capabilities.context_tokens == 4096
        assert dict(engine.capabilities.details)["drafts"] == "4 tokens"
    finally:
        engine.close()


def test_a_process_that_dies_is_told_and_started_anew() -> None:
    wanted = spec(built("tiny"), max_batch=2)
    first = open_engine(wanted)
    assert first.generate([requests()[0]])[0].text
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(first.generate, [endless()])
        eventually(lambda: first._tasks)  # type: ignore[attr-defined]
        for child in psutil.Process().children():
            if "EngineCore" in child.name() or "EngineCore" in " ".join(child.cmdline()):
                child.kill()
        with pytest.raises(EngineError, match="process has ended"):
            waiting.result(60)
    assert first.closed  # type: ignore[attr-defined]
    second = open_engine(wanted)
    try:
        assert second is not first
        assert second.generate([requests()[0]])[0].text
    finally:
        second.close()


def test_options_that_cannot_be() -> None:
    with pytest.raises(OptionError, match="runs on cpu, not on cuda"):
        VLLMEngine(spec(built("tiny"), device="cuda"))
    with pytest.raises(OptionError, match="prefix_bytes=0"):
        VLLMEngine(spec(built("tiny"), prefix_bytes=7))
    with pytest.raises(OptionError, match="32,768"):
        VLLMEngine(spec(built("tiny"), context_tokens=40_000))
