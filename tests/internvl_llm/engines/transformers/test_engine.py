"""The transformers engine on a tiny random checkpoint in float32: every way to ask gives the same tokens."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
import torch
from blockbuster import blockbuster_ctx

from internvl_llm.engine import Capabilities, Engine, EngineSpec
from internvl_llm.engines import open as engines
from internvl_llm.engines.open import open_engine
from internvl_llm.engines.transformers.engine import TransformersEngine
from internvl_llm.engines.transformers.model_runner import is_oom
from internvl_llm.errors import (
    CheckpointError,
    ContextError,
    EngineError,
    MediaError,
    MessageError,
    OptionError,
)
from internvl_llm.events import Finish, TextDelta
from internvl_llm.messages import Combined, Image, Message
from internvl_llm.request import Request, Sampling
from tests.kit.checkpoints import built


def picture(seed: int, size: tuple[int, int] = (500, 400)) -> PIL.Image.Image:
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (size[1] // 20, size[0] // 20, 3), generator=generator, dtype=torch.uint8)
    return PIL.Image.fromarray(pixels.numpy()).resize(size, PIL.Image.Resampling.NEAREST)


def asked(max_tokens: int = 12) -> list[Request]:
    """Text, one image, several images, several turns; prompts and answers of different lengths."""
    one, two = (Image(picture(seed), max_tiles=1) for seed in (1, 2))
    tiled = Image(picture(3, (900, 400)), max_tiles=2)
    said: list[tuple[str | Message | list[Message], int]] = [
        ("Hello there", 5),
        (Message.user(one, "What is this?"), 9),
        (Message.user("First", one, "and second", two, "differ how?"), 12),
        (Message.user(tiled, "Read it"), 7),
        ([Message.user(one, "What?"), Message.assistant("A table."), Message.user("Which?")], 10),
        (Message.user(Combined((one, two)), "Together?"), 3),
        ("word " * 60, 8),
    ]
    return [Request(messages, Sampling(max_tokens=min(most, max_tokens))) for messages, most in said]


def fresh(**changes: Any) -> TransformersEngine:
    """An engine of its own."""
    return TransformersEngine(EngineSpec(str(built("tiny")), **changes))


@pytest.fixture(scope="module")
def engine() -> Iterator[TransformersEngine]:
    made = fresh()
    yield made
    made.close()


@pytest.fixture(scope="module")
def expected() -> list[tuple[int, ...]]:
    """One at a time, with nothing kept between them."""
    alone = fresh(prefix_bytes=0, feature_bytes=0)
    try:
        return [tokens(alone.generate([request])[0]) for request in asked()]
    finally:
        alone.close()


def tokens(result: Any) -> tuple[int, ...]:
    return result.samples[0].tokens  # type: ignore[no-any-return]


def eventually(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_protocol(engine: TransformersEngine) -> None:
    assert isinstance(engine, Engine)
    assert isinstance(engine.capabilities, Capabilities)
    assert engine.capabilities.context_tokens == 32768
    assert "no GPU" in dict(engine.capabilities.details)["device"] or torch.cuda.is_available()


def test_it_says_what_transformers_generate_says(
    engine: TransformersEngine, expected: list[tuple[int, ...]]
) -> None:
    """Prompts, image features and tokens against `InternVLForConditionalGeneration.generate`."""
    from internvl_llm.prompt.tiling import normalise

    model = engine._cores[0].runner.model
    for request, own in zip(asked(), expected, strict=True):
        prompted = engine.prompting.tokenize(request)
        tiles = [torch.from_numpy(normalise(p.tiles)) for p in prompted.images]
        ids = torch.tensor([prompted.ids])
        theirs = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            **({"pixel_values": torch.cat(tiles)} if tiles else {}),
            max_new_tokens=request.sampling.max_tokens,
            do_sample=False,
            suppress_tokens=list(engine._cores[0].suppressed_tokens),
        )
        assert tuple(theirs[0, len(prompted.ids) :].tolist()) == own


def test_together_as_alone(engine: TransformersEngine, expected: list[tuple[int, ...]]) -> None:
    assert [tokens(result) for result in engine.generate(asked())] == expected
    assert [tokens(result) for result in engine.generate(asked())] == expected  # from what was kept
    small = fresh(prefill_chunk=7, vision_chunk=1, max_batch=3)
    assert [tokens(result) for result in small.generate(asked())] == expected
    small.close()


def test_streamed_as_whole(engine: TransformersEngine) -> None:
    for request in asked():
        whole = engine.generate([request])[0]
        *deltas, last = engine.stream(request)
        assert "".join(delta.text for delta in deltas if isinstance(delta, TextDelta)) == whole.text
        assert isinstance(last, Finish)
        assert (last.reason, last.usage.completion_tokens) == (
            whole.finish_reason,
            whole.usage.completion_tokens,
        )


async def test_threads_and_tasks_together(
    engine: TransformersEngine, expected: list[tuple[int, ...]]
) -> None:
    requests = asked()

    async def streamed(request: Request) -> str:
        return "".join([e.text async for e in engine.astream(request) if isinstance(e, TextDelta)])

    whole = [result.text for result in engine.generate(requests)]
    with ThreadPoolExecutor(8) as threads:
        in_threads = [threads.submit(engine.generate, [request]) for request in requests * 2]
        tasks = await asyncio.gather(
            engine.agenerate(requests),
            *(streamed(request) for request in requests),
            engine.agenerate(requests),
        )
        assert [tokens(done.result()[0]) for done in in_threads] == expected * 2
    assert [tokens(result) for result in tasks[0]] == expected == [tokens(result) for result in tasks[-1]]
    assert tasks[1:-1] == whole


async def test_the_loop_is_never_blocked(engine: TransformersEngine) -> None:
    with blockbuster_ctx():
        await engine.agenerate(asked())
        async for _ in engine.astream(asked()[1]):
            pass


def test_usage(engine: TransformersEngine) -> None:
    clean = fresh()
    image = Image(picture(9), max_tiles=1)
    first = clean.generate([Request(Message.user(image, "What is it?"), Sampling(max_tokens=4))])[0]
    assert first.usage.image_tokens == 256
    assert first.usage.cached_tokens == 0
    assert first.usage.completion_tokens == 4
    again = Request(Message.user(image, "Who wrote this?"), Sampling(max_tokens=4))
    second = clean.generate([again])[0]
    assert 256 < second.usage.cached_tokens < second.usage.prompt_tokens
    assert clean.count_tokens(again).prompt_tokens == second.usage.prompt_tokens
    told = [*again.messages, Message.assistant(second.text), Message.user("Go on")]
    third = clean.generate([Request(told, Sampling(max_tokens=4))])[0]
    assert third.usage.cached_tokens >= second.usage.prompt_tokens
    other = clean.generate([Request(Message.user(Image(picture(8), max_tiles=1), "What is it?"))])[0]
    assert other.usage.cached_tokens < 200
    clean.close()


def test_what_is_kept_is_bounded() -> None:
    small = fresh(prefix_bytes=300_000, feature_bytes=70_000)
    runner = small._cores[0].runner
    for seed in range(4):
        small.generate(
            [Request(Message.user(Image(picture(seed), max_tiles=1), "What?"), Sampling(max_tokens=3))]
        )
        assert runner.prefixes.bytes <= 300_000
        assert runner.features.bytes <= 70_000
    eventually(lambda: runner.prefixes.bytes > 0)  # the answer is told before it is kept
    assert runner.features.bytes > 0
    small.close()


def test_limits_of_an_answer(engine: TransformersEngine) -> None:
    free = engine.generate([Request("Hello there", Sampling(max_tokens=30))])[0]
    assert free.finish_reason in ("length", "stop")
    at = len(free.text) // 2
    stop = free.text[at : at + 3]
    stopped = engine.generate([Request("Hello there", Sampling(max_tokens=30, stop=(stop, "zzz")))])[0]
    assert stopped.finish_reason == "stop"
    assert stopped.text == free.text[: free.text.index(stop)]
    assert stopped.usage.completion_tokens <= free.usage.completion_tokens


def test_samples(engine: TransformersEngine, expected: list[tuple[int, ...]]) -> None:
    warm = Sampling(max_tokens=12, temperature=1.0, seed=7)
    requests = [Request(request.messages, warm) for request in asked()]
    alone = [tokens(engine.generate([request])[0]) for request in requests]
    assert [tokens(result) for result in engine.generate(requests)] == alone
    other = Request("Hello there", Sampling(max_tokens=12, temperature=1.0, seed=8))
    assert tokens(engine.generate([other])[0]) != alone[0]
    narrow = [
        Sampling(max_tokens=5, temperature=2.0, top_k=1),
        Sampling(max_tokens=5, temperature=2.0, top_p=1e-6),
        Sampling(max_tokens=5, temperature=1e-4, seed=1),
    ]
    found = [tokens(engine.generate([Request("Hello there", sampling)])[0]) for sampling in narrow]
    assert found == [expected[0]] * 3
    penalised = Sampling(max_tokens=12, repetition_penalty=1e9)
    said = tokens(engine.generate([Request("Hello there", penalised)])[0])
    assert len(set(said)) == len(said)


class Longest:
    """A scripted critic."""

    def scores(self, messages: Any, answers: Any) -> list[float]:
        assert messages[0].text == "Hello there"
        return [float(len(answer)) for answer in answers]


def test_best_of_n(engine: TransformersEngine) -> None:
    warm = Sampling(max_tokens=12, temperature=1.5, seed=3)
    result = engine.generate([Request("Hello there", warm, n=5, critic=Longest())])[0]
    assert len({sample.text for sample in result.samples}) == 5
    assert result.text == max((sample.text for sample in result.samples), key=len)
    assert result.samples[result.best].score == len(result.text)
    assert result.usage.completion_tokens == sum(len(sample.tokens) for sample in result.samples)
    assert result.samples[0].text == engine.generate([Request("Hello there", warm)])[0].text
    with pytest.raises(OptionError, match="alike"):
        Request("Hello there", n=3)
    with pytest.raises(OptionError, match="one answer"):
        next(engine.stream(Request("Hello there", warm, n=2)))


def test_logprobs(engine: TransformersEngine) -> None:
    request = Request("Hello there", Sampling(max_tokens=6, logprobs=3))
    result = engine.generate([request])[0]
    told = result.samples[0].logprobs
    assert len(told) == result.usage.completion_tokens
    for token in told:
        assert len(token.top) == 3
        assert token.logprob == max(value for _, value in token.top) <= 0
    streamed = [t for event in engine.stream(request) if isinstance(event, TextDelta) for t in event.logprobs]
    assert tuple(streamed) == told


def test_image_tokens_are_never_said(expected: list[tuple[int, ...]]) -> None:
    """Even by a model that wants nothing else."""
    biased = fresh()
    head, context = biased._cores[0].runner.model.lm_head, biased._encoder.special["<IMG_CONTEXT>"]
    with torch.no_grad():
        head.weight[context] = 1e4
        head.weight[biased._encoder.special["<img>"]] = -1e4
    said = {token for result in biased.generate(asked()) for token in tokens(result)}
    assert not said & set(biased._cores[0].suppressed_tokens)
    biased.close()


def test_closing_a_stream_frees_its_place(engine: TransformersEngine) -> None:
    scheduler = engine._cores[0].scheduler
    stream = engine.stream(Request("Hello there", Sampling(max_tokens=30000)))
    next(stream)
    assert len(scheduler.running) == 1
    stream.close()
    eventually(lambda: not scheduler.running)


async def test_cancelling_a_task_frees_its_place(engine: TransformersEngine) -> None:
    scheduler = engine._cores[0].scheduler
    endless = Request(Message.user(Image(picture(4), max_tiles=1), "Go"), Sampling(max_tokens=30000))
    task = asyncio.create_task(engine.agenerate([endless, Request("Hello", Sampling(max_tokens=30000))]))
    while len(scheduler.running) < 2:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.to_thread(eventually, lambda: not scheduler.running)


def test_when_memory_runs_out_the_batch_is_split(expected: list[tuple[int, ...]]) -> None:
    """A forward pass that has no memory for more than two rows, nor for long pieces beside others."""
    poor = fresh()
    runner, scheduler = poor._cores[0].runner, poor._cores[0].scheduler
    forward = runner._forward
    refused = 0

    def scarce(embedded: torch.Tensor, first: int, places: torch.Tensor, seen: int) -> torch.Tensor:
        nonlocal refused
        if len(embedded) > 2 or (embedded.shape[1] > 100 and len(scheduler.running) > 1):
            refused += 1
            raise torch.OutOfMemoryError("scripted")
        return forward(embedded, first, places, seen)

    runner._forward = scarce  # type: ignore[method-assign]
    assert [tokens(result) for result in poor.generate(asked())] == expected
    assert refused
    poor.close()


@pytest.mark.parametrize("images", [0, 2])
def test_no_memory_even_alone(images: int) -> None:
    """What was freed is worth one more try, and no more: features of images are kept anew each time."""
    poor, tries = fresh(), 0

    def none(*_: Any) -> torch.Tensor:
        nonlocal tries
        tries += 1
        raise torch.OutOfMemoryError("scripted") if tries < 9 else RuntimeError("without end")

    poor._cores[0].runner._forward = none  # type: ignore[method-assign]
    shown = [Image(picture(seed), max_tiles=1) for seed in range(images)]
    with pytest.raises(EngineError, match="out of memory"):
        poor.generate([Request(Message.user(*shown, "Hello there"))])
    assert tries == (2 if images else 1)
    poor.close()


def test_no_memory_for_another_row(expected: list[tuple[int, ...]]) -> None:
    """Before the first of its tokens is computed, too."""
    poor = fresh()
    runner, refused = poor._cores[0].runner, 0
    fit = runner.fit

    def scarce(rows: int, positions: int) -> None:
        nonlocal refused
        if rows > 2:
            refused += 1
            raise torch.OutOfMemoryError("scripted")
        fit(rows, positions)

    runner.fit = scarce  # type: ignore[method-assign]
    assert [tokens(result) for result in poor.generate(asked())] == expected
    assert refused
    poor.close()


def test_no_memory_to_keep_what_was_computed(expected: list[tuple[int, ...]]) -> None:
    poor = fresh()
    runner, refused = poor._cores[0].runner, 0

    def none(*_: Any) -> Any:
        nonlocal refused
        refused += 1
        raise torch.OutOfMemoryError("scripted")

    runner.cache.copy_out = none  # type: ignore[method-assign]
    assert [tokens(result) for result in poor.generate(asked())] == expected
    assert refused
    assert runner.prefixes.bytes == 0
    poor.close()


def test_what_is_kept_goes_before_a_sequence_does(expected: list[tuple[int, ...]]) -> None:
    poor = fresh()
    runner, refused = poor._cores[0].runner, 0
    poor.generate([Request("word " * 60, Sampling(max_tokens=2))])
    eventually(lambda: runner.prefixes.bytes > 0)
    forward = runner._forward

    def scarce(embedded: torch.Tensor, *more: Any) -> torch.Tensor:
        nonlocal refused
        if embedded.shape[1] == 1 and runner.prefixes.bytes:
            refused += 1
            raise torch.OutOfMemoryError("scripted")
        return forward(embedded, *more)

    runner._forward = scarce  # type: ignore[method-assign]
    assert tokens(poor.generate([asked()[0]])[0]) == expected[0]
    assert refused == 1
    poor.close()


def test_a_listener_that_raises_harms_nobody_else(
    engine: TransformersEngine, expected: list[tuple[int, ...]]
) -> None:
    heard = []

    def bad(sample: int, event: Any) -> None:
        heard.append(event)
        raise RuntimeError("scripted")

    engine.start(Request("Hello there", Sampling(max_tokens=30000)), bad)
    assert [tokens(result) for result in engine.generate(asked())] == expected
    eventually(lambda: not engine._cores[0].scheduler.running)
    assert isinstance(heard[-1], Finish) and len(heard) <= 3  # it is cancelled, and told so


def test_a_poisoned_request_fails_alone(expected: list[tuple[int, ...]]) -> None:
    sick = fresh()
    runner = sick._cores[0].runner
    decode, prefill = runner.decode, runner.prefill

    def bad(sequence: Any) -> bool:
        return sequence.prompt.image_tokens == 512 and len(sequence.prompt.images) == 2

    def poisoned(sequences: Any, first_row: int) -> torch.Tensor:
        if any(bad(sequence) for sequence in sequences):
            raise RuntimeError("scripted")
        return decode(sequences, first_row)

    def without_numbers(sequence: Any, row: int) -> torch.Tensor | None:
        logits = prefill(sequence, row)
        return logits * float("nan") if logits is not None and sequence.max_tokens == 5 else logits

    runner.decode, runner.prefill = poisoned, without_numbers  # type: ignore[method-assign]
    with ThreadPoolExecutor(8) as threads:
        all_of_them = [threads.submit(sick.generate, [request]) for request in asked()]
        errors = [one.exception() for one in all_of_them]
    for index, (error, one) in enumerate(zip(errors, all_of_them, strict=True)):
        if index in (2, 5):
            assert "scripted" in str(error)
        elif index == 0:
            assert "no finite number" in str(error)
        else:
            assert tokens(one.result()[0]) == expected[index]
    sick.close()


def test_little_room_for_keys_and_values(expected: list[tuple[int, ...]]) -> None:
    token_bytes = fresh_bytes()
    tight = fresh(kv_bytes=1100 * token_bytes)
    assert [tokens(result) for result in tight.generate(asked())] == expected
    with pytest.raises(EngineError, match="more memory than there is for 1,100"):
        tight.generate([Request("Hello", Sampling(max_tokens=2000))])
    tight.close()


def fresh_bytes() -> int:
    made = fresh()
    made.close()
    return made._cores[0].runner.config.token_bytes


def test_bad_requests(engine: TransformersEngine, tmp_path: Path) -> None:
    with pytest.raises(ContextError, match=r"takes 32,768"):
        engine.generate([Request("word " * 40000)])
    with pytest.raises(MessageError):
        Request([])
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing more")
    with pytest.raises(MediaError, match="damaged|image"):
        engine.generate([Request(Message.user(Image(tmp_path / "broken.png"), "What?"))])
    for wrong in ({"max_tokens": 0}, {"temperature": -1}, {"top_p": 0}, {"stop": ("",)}, {"logprobs": 99}):
        with pytest.raises(OptionError):
            Sampling(**wrong)  # type: ignore[arg-type]


def test_one_engine_for_one_spec(monkeypatch: pytest.MonkeyPatch) -> None:
    loads = []
    started = engines._made
    monkeypatch.setattr(engines, "_made", lambda spec: loads.append(spec) or started(spec))
    with ThreadPoolExecutor(4) as threads:
        opened = list(threads.map(lambda _: open_engine(built("tiny"), max_batch=5), range(4)))
    assert len(loads) == 1
    assert all(one is opened[0] for one in opened)
    assert open_engine(str(built("tiny")), max_batch=5) is opened[0]
    other = open_engine(built("tiny"), max_batch=6)
    assert other is not opened[0]
    for one in (opened[0], other):
        one.close()
    again = open_engine(built("tiny"), max_batch=5)
    assert again is not opened[0]
    again.close()
    with pytest.raises(OptionError, match="no such engine option"):
        open_engine("8B", gpu=3)


def test_a_closed_engine() -> None:
    closing = fresh()
    stream = closing.stream(Request("Hello there", Sampling(max_tokens=30000)))
    next(stream)
    waiter = threading.Timer(0.3, closing.close)
    waiter.start()
    with pytest.raises(EngineError, match="closed"):
        for _ in stream:
            pass
    waiter.join()
    with pytest.raises(EngineError, match="closed"):
        closing.generate([Request("Hello")])
    closing.close()


def test_a_closed_engine_holds_nothing() -> None:
    """Of a model, its keys and values, or itself, though it was shared."""
    closing = open_engine(built("tiny"), max_batch=5)
    assert isinstance(closing, TransformersEngine)
    stream = closing.stream(Request("Hello there", Sampling(max_tokens=30000)))
    next(stream)
    runner = closing._cores[0].runner
    model, known = weakref.ref(runner.model), weakref.ref(closing)
    assert runner.cache.rows
    closing.close()
    with pytest.raises(EngineError, match="closed"):
        list(stream)
    assert runner.cache.rows == 0 and not any(runner.cache._layers)
    gc.collect()
    assert model() is None
    del closing, runner, stream
    open_engine(built("tiny"), max_batch=6).close()
    gc.collect()
    assert known() is None


def test_an_engine_that_cannot_be_made_leaves_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the copies of the model that were ready."""
    from internvl_llm.engines.transformers import engine as module

    loaded = module.load(EngineSpec(str(built("tiny"))))
    loaded.models *= 2
    configure, calls = TransformersEngine._runner_config, 0

    def second_fails(self: TransformersEngine, model: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise EngineError("scripted")
        return configure(self, model)

    monkeypatch.setattr(module, "load", lambda spec: loaded)
    monkeypatch.setattr(TransformersEngine, "_runner_config", second_fails)
    before = set(threading.enumerate())
    with pytest.raises(EngineError, match="scripted"):
        fresh()
    eventually(lambda: not {t for t in threading.enumerate() if t.name == "internvl-engine"} - before)


@pytest.mark.parametrize(
    ("error", "oom"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 18.13 GB)"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("shapes do not fit"), False),
        (EngineError("out of memory, with nothing else running"), False),
    ],
)
def test_what_is_no_memory(error: Exception, oom: bool) -> None:
    assert is_oom(error) == oom


def test_it_always_has_a_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where nothing is known of its files."""
    monkeypatch.setattr("internvl_llm.engines.transformers.engine.fingerprint", lambda spec: None)
    one, other = fresh(), fresh()
    assert one.fingerprint and other.fingerprint and one.fingerprint != other.fingerprint
    for made in (one, other):
        made.close()


def test_checkpoints_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(CheckpointError, match="no such folder"):
        open_engine(str(tmp_path / "nothing"))
    (tmp_path / "config.json").write_text('{"architectures": ["BertModel"]}')
    with pytest.raises(CheckpointError, match="BertModel"):
        open_engine(tmp_path)
    with pytest.raises(OptionError, match="InternVL3-8B"):
        open_engine("InternVL3-8")
    with pytest.raises(CheckpointError, match="hf download OpenGVLab/InternVL3-8B-hf"):
        open_engine("8B", revision="main")
