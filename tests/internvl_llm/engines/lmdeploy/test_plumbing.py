"""What goes to LMDeploy and what comes of its outputs, on stand-ins for it that take what the recorded
release takes. LMDeploy itself is not run."""

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
from internvl_llm.engines.token_streams import LoopThread
from internvl_llm.errors import EngineError, GrammarError, OptionError
from internvl_llm.grammar import Choice, Exactly, JsonSchema, Regex
from internvl_llm.hardware import devices
from internvl_llm.messages import Image, Message
from internvl_llm.prompt.tiling import normalise, tile
from internvl_llm.request import Request, Sampling
from tests.kit.checkpoints import built
from tests.kit.engine_contract import PARAMETERS, calling, endless, eventually
from tests.kit.pictures import gradient
from tests.kit.recorded import Stand, bound, install, stand, told

GPU = devices.Gpu(0, "H200", 141 * 10**9, 140 * 10**9, (9, 0))
GenOut = stand("lmdeploy.serve.core.async_engine.GenOut")
Preprocessed = stand("lmdeploy.serve.core.async_engine.PreprocessedRequest")


class ErrorCode(enum.StrEnum):
    INVALID_REQUEST = "invalid_request"
    INTERNAL_ERROR = "internal_error"


class RequestError(RuntimeError):
    def __init__(self, code: ErrorCode, message: str = "") -> None:
        self.code = code
        super().__init__(message)


class AsyncEngine(Stand):
    """Answers with what `answer` yields; remembers what it was asked."""

    name = "lmdeploy.serve.core.vl_async_engine.VLAsyncEngine"

    def __init__(self, backend: str) -> None:
        self.backend = backend
        self.vl_encoder = SimpleNamespace(mm_feature_dtype=torch.bfloat16)
        self.asked: list[Any] = []
        self.closed = 0
        self.answer: Callable[[Any], AsyncGenerator[Any, None]] = answering([[1, 2, 3]])

    async def preprocess(self, *arguments: Any, **keywords: Any) -> Any:
        given = self.bound("preprocess", arguments, keywords)
        assert given["messages"] is None
        ids = given["input_ids"]
        return Preprocessed(
            session=given["session_id"],
            inputs={"input_ids": ids},
            input_token_len=len(ids),
            gen_config=copy(given["gen_config"]),
            adapter_name=None,
        )

    async def generate(self, *arguments: Any, **keywords: Any) -> AsyncGenerator[Any, None]:
        request = self.bound("generate", arguments, keywords)["request"]
        self.asked.append(request)
        try:
            async for output in self.answer(request):
                yield output
        finally:
            self.closed += 1


def answering(
    chunks: list[list[int]], reason: str | None = "length", **more: Any
) -> Callable[[Any], AsyncGenerator[Any, None]]:
    async def answer(request: Any) -> AsyncGenerator[Any, None]:
        length = request.input_token_len
        for chunk in chunks:
            await asyncio.sleep(0)
            yield GenOut("", length, len(chunk), None, chunk, cached_tokens=7, **more)
        yield GenOut("", length, 0, reason, [], cached_tokens=7)

    return answer


class Pipe(Stand):
    name = "lmdeploy.pipeline.Pipeline"

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        self.given = bound(told("lmdeploy.pipeline")["parameters"], arguments, keywords)
        self.backend_config = self.given["backend_config"]
        turbomind = type(self.backend_config).__name__ == "TurbomindEngineConfig" and not Pipe.falls_back
        self.async_engine = AsyncEngine("turbomind" if turbomind else "pytorch")
        self.internal_thread = LoopThread("lmdeploy")
        self.ended = False

    falls_back = False

    def session(self) -> object:
        return object()

    def close(self) -> None:
        self.ended = True
        self.internal_thread.close()


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    config = {name: stand(f"lmdeploy.{name}") for name in ("GenerationConfig", "PytorchEngineConfig")}
    config["TurbomindEngineConfig"] = stand("lmdeploy.TurbomindEngineConfig")
    errors = "lmdeploy.serve.core.exceptions"
    names = {f"lmdeploy.{name}": kind for name, kind in config.items()} | {"lmdeploy.pipeline": Pipe}
    names |= {f"{errors}.ErrorCode": ErrorCode, f"{errors}.RequestError": RequestError}
    install(monkeypatch, "lmdeploy", names)
    monkeypatch.setattr(devices, "gpus", lambda: (GPU,))
    monkeypatch.setattr(Pipe, "falls_back", False)
    made = []

    def make(**options: Any) -> Any:
        from internvl_llm.engines.lmdeploy.engine import LMDeployEngine

        made.append(LMDeployEngine(EngineSpec(str(built("tiny")), engine="lmdeploy", **options)))
        return made[-1]

    yield make
    for one in made:
        one.close()
        assert one._pipe.ended


def test_how_it_is_started(engine: Callable[..., Any]) -> None:
    plain = engine()
    assert plain._pipe.given["model_path"] == str(built("tiny"))
    assert plain._pipe.given["trust_remote_code"] is False
    given = plain._pipe.given["backend_config"].given
    assert (given["tp"], given["session_len"], given["enable_prefix_caching"]) == (1, 32_768, True)
    assert "cache_max_entry_count" not in given
    assert dict(plain.capabilities.details)["backend"] == "turbomind"
    other = engine(
        backend="pytorch",
        tensor_parallel=2,
        context_tokens=4096,
        memory_share=0.5,
        prefix_bytes=0,
        max_batch=7,
        prefill_chunk=512,
        dtype="bfloat16",
    )
    assert type(other._pipe.given["backend_config"]).__name__ == "PytorchEngineConfig"
    assert other._pipe.given["backend_config"].given == {
        "logprobs_mode": "raw_logprobs",
        "dtype": "bfloat16",
        "tp": 2,
        "session_len": 4096,
        "enable_prefix_caching": False,
        "enable_metrics": False,
        "max_batch_size": 7,
        "cache_max_entry_count": 0.5,
        "max_prefill_token_num": 512,
    }


def test_what_is_asked(engine: Callable[..., Any]) -> None:
    """Token ids, tiles of ours, and nothing of its own making."""
    one = engine(backend="pytorch", repeat_limit=5)
    picture = gradient(900, 300)
    request = Request(
        Message.user("<img> is text", Image(picture), "What?"),
        Sampling(
            max_tokens=3, temperature=0.5, top_k=7, top_p=0.9, repetition_penalty=1.1, seed=3, logprobs=0
        ),
        n=2,
    )
    one._engine.answer = answering([[1, 2, 3]], logprobs=[{1: -0.5}, {2: -0.5}, {3: -0.5}])
    (result,) = one.generate([request])
    asked = one._engine.asked
    assert len(asked) == 2 and len(result.samples) == 2
    tiles = tile(picture)
    for number, ready in enumerate(sorted(asked, key=lambda one: one.gen_config.random_seed)):
        (image,) = ready.inputs["multimodal"]
        assert torch.equal(image["pixel_values"], torch.from_numpy(normalise(tiles)).to(torch.bfloat16))
        assert image["image_tokens"] == 256 * len(tiles)
        ids = ready.inputs["input_ids"]
        assert ids.count(image["image_token_id"]) == image["image_tokens"]
        assert ids[image["offset"]] == image["image_token_id"] != ids[image["offset"] - 1]
        given = ready.gen_config.given
        assert ready.gen_config.random_seed == 3 + 7919 * number
        assert (given["do_sample"], given["top_k"], given["top_p"]) == (True, 7, 0.9)
        assert (given["temperature"], given["repetition_penalty"], given["logprobs"]) == (0.5, 1.1, 1)
        assert (given["repetition_ngram_size"], given["repetition_ngram_threshold"]) == (32, 5)
        assert ready.gen_config.max_new_tokens == 3
    assert result.usage.prompt_tokens == one.count_tokens(request).prompt_tokens == len(ids)
    assert (result.usage.cached_tokens, result.usage.completion_tokens) == (7, 6)
    assert [one.logprob for one in result.samples[0].logprobs] == [-0.5] * 3


def test_greedy_decoding_keeps_its_penalty(engine: Callable[..., Any]) -> None:
    one = engine()
    one.generate([Request("Hello", Sampling(max_tokens=3, repetition_penalty=1.2))])
    given = one._engine.asked[0].gen_config.given
    assert (given["do_sample"], given["top_k"], given["temperature"]) == (True, 1, 1.0)
    assert given["repetition_penalty"] == 1.2
    assert "multimodal" not in one._engine.asked[0].inputs


def test_text_comes_as_it_is_made_and_stops_where_it_is_told(engine: Callable[..., Any]) -> None:
    one = engine()
    words = one._described.encoder.words("one two three four")
    one._engine.answer = answering([[word] for word in words])
    assert one.generate([Request("Go", Sampling(max_tokens=50))])[0].text == "one two three four"
    (stopped,) = one.generate([Request("Go", Sampling(max_tokens=50, stop=("three",)))])
    assert (stopped.text, stopped.finish_reason) == ("one two ", "stop")
    end = one._described.encoder.special["<|im_end|>"]
    one._engine.answer = answering([[*words, end]], "stop")
    (ended,) = one.generate([Request("Go", Sampling(max_tokens=50))])
    assert (ended.text, ended.finish_reason) == ("one two three four", "stop")
    assert ended.samples[0].tokens == (*words, end)
    eventually(lambda: one._engine.closed == 3)


def test_what_nobody_waits_for_is_ended(engine: Callable[..., Any]) -> None:
    one = engine()

    async def forever(request: Any) -> AsyncGenerator[Any, None]:
        while True:
            await asyncio.sleep(0.001)
            yield GenOut("", request.input_token_len, 1, None, [70], cached_tokens=0)

    one._engine.answer = forever
    stream = one.stream(endless())
    next(stream)
    stream.close()
    eventually(lambda: one._engine.closed == 1 and not one._tasks)


def test_what_goes_wrong(engine: Callable[..., Any]) -> None:
    one = engine()
    hello = Request("Hello", Sampling(max_tokens=9))

    def failing(error: Exception) -> Callable[[Any], AsyncGenerator[Any, None]]:
        async def answer(request: Any) -> AsyncGenerator[Any, None]:
            raise error
            yield

        return answer

    for answer, kind, words in (
        (answering([[1]], "abort"), EngineError, "gave the answer up"),
        (failing(RequestError(ErrorCode.INTERNAL_ERROR, "out of luck")), EngineError, "out of luck"),
        (
            failing(RequestError(ErrorCode.INVALID_REQUEST, "Unsupported response format: x")),
            GrammarError,
            "cannot follow the grammar",
        ),
        (failing(ZeroDivisionError("?")), EngineError, "cannot answer"),
    ):
        one._engine.answer = answer
        with pytest.raises(kind, match=words) as raised:
            one.generate([hello])
        assert raised.value.remedy

    async def broken_off(request: Any) -> AsyncGenerator[Any, None]:
        yield GenOut("", request.input_token_len, 1, None, [1], cached_tokens=0)

    one._engine.answer = broken_off
    with pytest.raises(EngineError, match="broke off"):
        one.generate([hello])

    async def other_tokens(request: Any) -> AsyncGenerator[Any, None]:
        yield GenOut("", request.input_token_len + 256, 1, None, [1], cached_tokens=0)

    one._engine.answer = other_tokens
    with pytest.raises(EngineError, match="tokens of a prompt of"):
        one.generate([hello])


def test_what_it_has_not_is_refused(engine: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    one = engine()
    for sampling, words in (
        (Sampling(temperature=2.5), "temperatures up to 2"),
        (Sampling(logprobs=2), "TurboMind tells no log probabilities"),
    ):
        with pytest.raises(OptionError, match=words):
            one.generate([Request("Hello", sampling)])
    assert one._engine.asked == []
    for options, words in (
        ({"dtype": "float32"}, "no float32"),
        ({"repeat_limit": 4}, "TurboMind ends no answer"),
        ({"prefix_bytes": 9}, "not in 9 bytes"),
        ({"context_tokens": 10**6}, "takes 32,768 tokens"),
    ):
        with pytest.raises(OptionError, match=words):
            engine(**options)
    monkeypatch.setattr(Pipe, "falls_back", True)
    with pytest.raises(OptionError, match="TurboMind does not run this model"):
        engine(backend="turbomind")
    monkeypatch.setattr(devices, "gpus", lambda: ())
    with pytest.raises(EngineError, match="NVIDIA GPUs with CUDA"):
        engine()


@pytest.mark.parametrize(
    ("request_", "types"),
    [
        (Request("Go", grammar=JsonSchema(PARAMETERS)), "json_schema"),
        (Request("Go", grammar=Regex("[a-z]+")), "regex"),
        (Request("Go", grammar=Choice(("a", "b"))), "or"),
        (Request("Go", grammar=Exactly("It is.")), "sequence"),
        (calling("weather"), "sequence"),
        (calling("none"), "any_text"),
    ],
)
def test_grammars_are_structural_tags(engine: Callable[..., Any], request_: Request, types: str) -> None:
    """What XGrammar makes of them is tested where it is installed."""
    one = engine()
    one.generate([request_])
    wanted = one._engine.asked[0].gen_config.given["response_format"]
    assert (wanted["type"], wanted["format"]["type"]) == ("structural_tag", types)
