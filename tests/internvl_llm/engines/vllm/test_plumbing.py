"""What goes to vLLM and what comes of its outputs, on stand-ins for it that take what the recorded release
takes. vLLM itself is run by `tests/servers/run`."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import AsyncGenerator, Callable, Iterator
from copy import copy
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from internvl_llm.engine import EngineSpec
from internvl_llm.errors import EngineError, GrammarError, OptionError, PlacementError
from internvl_llm.messages import Image, Message
from internvl_llm.prompt.tiling import normalise, tile
from internvl_llm.request import Request, Sampling
from tests.kit.checkpoints import built
from tests.kit.engine_contract import calling, endless, eventually
from tests.kit.pictures import gradient
from tests.kit.recorded import Stand, bound, install, stand, told

RequestOutput = stand("vllm.outputs.RequestOutput")
CompletionOutput = stand("vllm.outputs.CompletionOutput")
Logprob = stand("vllm.logprobs.Logprob")


class SamplingParams(Stand):
    name = "vllm.sampling_params.SamplingParams"

    def clone(self) -> SamplingParams:
        return copy(self)


class OutputKind(enum.Enum):
    DELTA = 1


class VLLMValidationError(ValueError):
    pass


class EngineDeadError(Exception):
    pass


class FieldConfig(Stand):
    name = "vllm.multimodal.inputs.MultiModalFieldConfig"

    @classmethod
    def flat_from_sizes(cls, *arguments: Any, **keywords: Any) -> Any:
        return "flat", cls.bound("flat_from_sizes", arguments, keywords)

    @classmethod
    def batched(cls, *arguments: Any, **keywords: Any) -> Any:
        return "batched", cls.bound("batched", arguments, keywords)

    @classmethod
    def shared(cls, *arguments: Any, **keywords: Any) -> Any:
        return "shared", cls.bound("shared", arguments, keywords)


class KwargsItems(Stand):
    name = "vllm.multimodal.inputs.MultiModalKwargsItems"

    @classmethod
    def from_hf_inputs(cls, *arguments: Any, **keywords: Any) -> Any:
        return cls.bound("from_hf_inputs", arguments, keywords)


class AsyncLLM(Stand):
    """Answers with what `answer` yields; remembers what it was asked."""

    name = "vllm.v1.engine.async_llm.AsyncLLM"
    failure: Exception | None = None

    def __init__(self, arguments: Any) -> None:
        if self.failure is not None:
            raise self.failure
        self.arguments = arguments.given
        self.vllm_config = SimpleNamespace(model_config=SimpleNamespace(dtype=torch.bfloat16))
        self.input_processor = SimpleNamespace(mm_encoder_cache_size=8 * 256)
        self.asked: list[dict[str, Any]] = []
        self.closed = 0
        self.ended = 0
        self.answer: Callable[[Any], AsyncGenerator[Any, None]] = answering([[1, 2, 3]])

    @classmethod
    def from_engine_args(cls, *arguments: Any, **keywords: Any) -> AsyncLLM:
        assert asyncio.get_running_loop()
        return cls(cls.bound("from_engine_args", arguments, keywords)["engine_args"])

    async def generate(self, *arguments: Any, **keywords: Any) -> AsyncGenerator[Any, None]:
        given = self.bound("generate", arguments, keywords)
        self.asked.append(given)
        try:
            async for output in self.answer(given):
                yield output
        finally:
            self.closed += 1

    def shutdown(self) -> None:
        self.ended += 1


def output(given: dict[str, Any], tokens: list[int], reason: str | None = None, **more: Any) -> Any:
    ids = given["prompt"]["prompt_token_ids"]
    completion = CompletionOutput(0, "", tokens, None, more.pop("logprobs", None), finish_reason=reason)
    return RequestOutput(
        given["request_id"], None, ids, None, [completion], reason is not None, num_cached_tokens=7, **more
    )


def answering(chunks: list[list[int]], reason: str = "length", **more: Any) -> Any:
    async def answer(given: Any) -> AsyncGenerator[Any, None]:
        for at, chunk in enumerate(chunks):
            await asyncio.sleep(0)
            yield output(given, chunk, reason if at == len(chunks) - 1 else None, **more)

    return answer


def failing(error: Exception) -> Any:
    async def answer(given: Any) -> AsyncGenerator[Any, None]:
        raise error
        yield

    return answer


@pytest.fixture
def platform() -> SimpleNamespace:
    memory = {"device_count": lambda: 2, "get_device_total_memory": lambda index: 80 * 10**9}
    return SimpleNamespace(device_type="cuda", **memory)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, platform: SimpleNamespace) -> Iterator[Callable[..., Any]]:
    stands = [
        *("vllm.sampling_params.StructuredOutputsParams", "vllm.sampling_params.RepetitionDetectionParams"),
        *("vllm.config.StructuredOutputsConfig", "vllm.engine.arg_utils.AsyncEngineArgs"),
        "vllm.multimodal.inputs.PlaceholderRange",
    ]
    names: dict[str, Any] = {name: stand(name) for name in stands}
    for name in ("mm_input", "tokens_input"):
        names[f"vllm.inputs.{name}"] = _function(f"vllm.inputs.{name}")
    names |= {
        "vllm.sampling_params.SamplingParams": SamplingParams,
        "vllm.sampling_params.RequestOutputKind": OutputKind,
        "vllm.exceptions.VLLMValidationError": VLLMValidationError,
        "vllm.platforms.current_platform": platform,
        "vllm.multimodal.inputs.MultiModalFieldConfig": FieldConfig,
        "vllm.multimodal.inputs.MultiModalKwargsItems": KwargsItems,
        "vllm.v1.engine.async_llm.AsyncLLM": AsyncLLM,
        "vllm.v1.engine.exceptions.EngineDeadError": EngineDeadError,
    }
    install(monkeypatch, "vllm", names)
    monkeypatch.setattr(AsyncLLM, "failure", None)
    made = []

    def make(**options: Any) -> Any:
        from internvl_llm.engines.vllm.engine import VLLMEngine

        made.append(VLLMEngine(EngineSpec(str(built("tiny")), engine="vllm", **options)))
        return made[-1]

    yield make
    for one in made:
        one.close()


def _function(name: str) -> Callable[..., Any]:
    return lambda *arguments, **keywords: bound(told(name)["parameters"], arguments, keywords)


def test_how_it_is_started(engine: Callable[..., Any]) -> None:
    given = engine()._llm.arguments
    assert given["model"] == str(built("tiny"))
    assert (given["tensor_parallel_size"], given["data_parallel_size"]) == (1, 2)  # it fits each of the GPUs
    assert (given["max_model_len"], given["enable_prefix_caching"]) == (32_768, True)
    assert (given["trust_remote_code"], given["enforce_eager"]) == (False, False)
    assert "gpu_memory_utilization" not in given and "speculative_config" not in given
    one = engine(
        tensor_parallel=2,
        replicas=4,
        context_tokens=4096,
        memory_share=0.5,
        kv_bytes=9,
        max_batch=7,
        prefill_chunk=512,
        prefix_bytes=0,
        draft_tokens=5,
        dtype="float16",
    )
    given = one._llm.arguments
    assert (given["tensor_parallel_size"], given["data_parallel_size"]) == (2, 4)
    assert (given["max_model_len"], given["gpu_memory_utilization"]) == (4096, 0.5)
    assert (given["kv_cache_memory_bytes"], given["max_num_seqs"]) == (9, 7)
    assert (given["max_num_batched_tokens"], given["enable_prefix_caching"]) == (512, False)
    assert given["dtype"] == "float16"
    assert given["speculative_config"]["method"] == "ngram"
    assert given["speculative_config"]["num_speculative_tokens"] == 5
    details = dict(one.capabilities.details)
    assert details["device"] == "4 copies on 2 GPUs each: asked for"
    assert one.capabilities.context_tokens == 4096


def test_what_is_asked(engine: Callable[..., Any]) -> None:
    """Token ids, tiles of ours in items no larger than what vLLM holds at once, and nothing of its making."""
    one = engine()
    picture = gradient(1240, 1754)
    image = Image(picture, max_tiles=12)
    request = Request(Message.user("<image> is text", image, "What?"), Sampling(3), page=True)
    (result,) = one.generate([request])
    (asked,) = one._llm.asked
    prompt = asked["prompt"]
    tiles = torch.from_numpy(normalise(tile(picture, page=True))).to(torch.bfloat16)
    assert len(tiles) == 13
    inputs, config = prompt["mm_kwargs"]["hf_inputs"], prompt["mm_kwargs"]["config_by_key"]
    assert torch.equal(inputs["pixel_values"], tiles)
    assert inputs["image_num_patches"].tolist() == [8, 5]
    assert {name: kind for name, (kind, _) in config.items()} == {
        "pixel_values": "flat",
        "image_num_patches": "batched",
        "image_token_id": "shared",
    }
    first, second = prompt["mm_placeholders"]["image"]
    assert (first.length, second.length) == (8 * 256, 5 * 256)
    assert second.offset == first.offset + first.length
    token = int(inputs["image_token_id"])
    ids = prompt["prompt_token_ids"]
    assert set(ids[first.offset : second.offset + second.length]) == {token}
    assert ids.count(token) == 13 * 256
    hashes = prompt["mm_hashes"]["image"]
    assert len(set(hashes)) == 2
    assert result.usage.prompt_tokens == len(ids) == one.count_tokens(request).prompt_tokens
    one.generate([request])
    assert one._llm.asked[1]["prompt"]["mm_hashes"]["image"] == hashes
    assert one._llm.asked[1]["request_id"] != asked["request_id"]
    one.generate([Request("Hello")])
    assert set(one._llm.asked[2]["prompt"]) == {"prompt_token_ids"}


def test_how_it_is_sampled(engine: Callable[..., Any]) -> None:
    one = engine(repeat_limit=6)
    sampling = Sampling(9, 0.5, 0.9, 7, 1.1, seed=2**64 - 1, stop=("x",), logprobs=3)
    one.generate([Request("Hello", sampling, n=2)])
    given = [asked["sampling_params"] for asked in one._llm.asked]
    assert given[0].seed != given[1].seed and all(0 <= each.seed < 2**63 for each in given)
    for each in given:
        assert (each.temperature, each.top_p, each.top_k, each.repetition_penalty) == (0.5, 0.9, 7, 1.1)
        assert (each.max_tokens, each.logprobs, each.stop, each.detokenize) == (9, 3, None, False)
        assert each.stop_token_ids == [one._described.encoder.special["<|im_end|>"]]
        assert one._described.encoder.special["<img>"] in each.logit_bias
        assert set(each.logit_bias) & set(each.stop_token_ids) == set()
        assert (each.repetition_detection.min_count, each.structured_outputs) == (6, None)
    one.generate([calling("any")])
    assert "tool_0" in one._llm.asked[-1]["sampling_params"].structured_outputs.grammar
    drafting = engine(draft_tokens=3)
    drafting.generate([Request("Hello")])
    given = drafting._llm.asked[0]["sampling_params"]
    assert given.logit_bias is None and "<img>" in given.bad_words


def test_text_and_its_log_probabilities(engine: Callable[..., Any]) -> None:
    one = engine()
    words = one._described.encoder.words("one two three four")
    chances = [{word: Logprob(-0.5), 7: Logprob(-0.1), 8: Logprob(-3.0)} for word in words]

    async def in_two_steps(given: Any) -> AsyncGenerator[Any, None]:
        yield output(given, words[:2], logprobs=chances[:2])
        yield output(given, words[2:], "length", logprobs=chances[2:])

    one._llm.answer = in_two_steps
    (result,) = one.generate([Request("Go", Sampling(len(words), logprobs=2))])
    assert result.text == "one two three four"
    assert result.usage.cached_tokens == 7
    told_ = result.samples[0].logprobs[0]
    assert told_.logprob == -0.5
    assert [value for _, value in told_.top] == [-0.1, -0.5]
    one._llm.answer = answering([[word] for word in words])
    (stopped,) = one.generate([Request("Go", Sampling(50, stop=("three",)))])
    assert (stopped.text, stopped.finish_reason) == ("one two ", "stop")
    eventually(lambda: one._llm.closed == 2)


def test_what_nobody_waits_for_is_ended(engine: Callable[..., Any]) -> None:
    one = engine()

    async def forever(given: Any) -> AsyncGenerator[Any, None]:
        while True:
            await asyncio.sleep(0.001)
            yield output(given, [70])

    one._llm.answer = forever
    stream = one.stream(endless())
    next(stream)
    stream.close()
    eventually(lambda: one._llm.closed == 1 and not one._tasks)


def test_what_goes_wrong(engine: Callable[..., Any]) -> None:
    one = engine()

    async def other_tokens(given: Any) -> AsyncGenerator[Any, None]:
        wrong = output(given, [1])
        wrong.prompt_token_ids = [*wrong.prompt_token_ids, 1]
        yield wrong

    async def broken_off(given: Any) -> AsyncGenerator[Any, None]:
        yield output(given, [1])

    for answer, kind, words in (
        (answering([[1]], "abort"), EngineError, "gave the answer up"),
        (failing(VLLMValidationError("Grammar error: no such thing")), GrammarError, "no such thing"),
        (failing(VLLMValidationError("too much")), EngineError, "too much"),
        (failing(ZeroDivisionError()), EngineError, "ZeroDivisionError"),
        (other_tokens, EngineError, "tokens of a prompt of"),
        (broken_off, EngineError, "broke off"),
    ):
        one._llm.answer = answer
        with pytest.raises(kind, match=words) as raised:
            one.generate([Request("Hello", Sampling(9))])
        assert raised.value.remedy
    assert not one.closed
    one._llm.answer = answering([[1]], "repetition")
    assert one.generate([Request("Hello", Sampling(9))])[0].finish_reason == "length"


def test_an_engine_that_died_is_opened_anew(engine: Callable[..., Any]) -> None:
    one = engine()
    one._llm.answer = failing(EngineDeadError("?"))
    llm = one._llm
    for _ in range(2):
        with pytest.raises(EngineError, match="process has ended"):
            one.generate([Request("Hello")])
        assert one.closed
    one.close()
    assert llm.ended == 1


def test_what_cannot_be_started(
    engine: Callable[..., Any], platform: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OptionError, match="runs on cuda, not on cpu"):
        engine(device="cpu")
    monkeypatch.setattr(AsyncLLM, "failure", RuntimeError("No available memory\nat all"))
    with pytest.raises(EngineError, match=r"\(No available memory\)") as raised:
        engine()
    assert "tensor_parallel" in str(raised.value)
    platform.get_device_total_memory = lambda index: 10**9
    with pytest.raises(PlacementError, match="on each of 2 GPUs"):
        engine()
    platform.device_count = lambda: 0
    with pytest.raises(PlacementError, match="sees no GPU"):
        engine()
    platform.device_type = ""
    with pytest.raises(EngineError, match="finds no device"):
        engine()
