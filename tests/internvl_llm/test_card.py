"""The scenarios of OpenGVLab/InternVL3-8B's model card, one after the other, through this package.

A tiny random checkpoint says nonsense, so what the model sees is compared, token for token, with what the
card's `model.chat` writes, and with what the engine keeps of it. Answers that mean something are SmolLM2's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch

from internvl_llm import (
    Combined,
    Engine,
    EngineSpec,
    Finish,
    Image,
    Message,
    Request,
    Result,
    Sampling,
    TextDelta,
    Video,
)
from internvl_llm.checkpoints.family import member
from internvl_llm.engines.transformers.engine import TransformersEngine
from internvl_llm.hardware.placement import explicit, place
from internvl_llm.prompt.chatml import DEFAULT_SYSTEM
from internvl_llm.prompt.tiling import tile_count
from tests.kit.checkpoints import SMOLLM2_SYSTEM, built
from tests.kit.pictures import STEP, gradient, video

SHORT = Sampling(max_tokens=8)
FIRST, SECOND = gradient(500, 400), gradient(900, 450)
"""1x1 and 2x1 tiles at most 2 of them; the wide one has a thumbnail."""


@pytest.fixture(scope="module")
def engine() -> Iterator[TransformersEngine]:
    made = TransformersEngine(EngineSpec(str(built("tiny"))))
    yield made
    made.close()


@pytest.fixture(scope="module")
def talker() -> Iterator[TransformersEngine]:
    """It can talk."""
    made = TransformersEngine(EngineSpec(str(built("smollm2"))))
    yield made
    made.close()


def chat(question: str, tiles: Sequence[int] = (), history: Sequence[tuple[str, str]] = ()) -> str:
    """The query that the card's `model.chat` writes: template `internvl2_5`, `<image>` written out."""
    told = f"<|im_start|>system\n{DEFAULT_SYSTEM}<|im_end|>\n"
    for asked, answered in history:
        told += f"<|im_start|>user\n{asked}<|im_end|>\n<|im_start|>assistant\n{answered}<|im_end|>\n"
    told += f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
    for count in tiles:
        told = told.replace("<image>", f"<img>{'<IMG_CONTEXT>' * 256 * count}</img>", 1)
    return told


def seen(engine: TransformersEngine, request: Request) -> str:
    return engine._decode(engine.prompting.tokenize(request).ids)


def answered(engine: Engine, request: Request) -> Result:
    (result,) = engine.generate([request])
    assert 1 <= result.usage.completion_tokens <= request.sampling.max_tokens
    return result


def two_rounds(engine: TransformersEngine, parts: Sequence[Any], question: str, tiles: Sequence[int]) -> None:
    """A question and one after its answer: what is seen is the card's, and what was seen is not seen anew."""
    first = Request(Message.user(*parts), SHORT, max_tiles=2)
    assert seen(engine, first) == chat(question, tiles)
    said = answered(engine, first)
    assert said.usage.image_tokens == 256 * sum(tiles)
    turns = [*first.messages, Message.assistant(said.text), Message.user("Tell me more.")]
    second = Request(turns, SHORT, max_tiles=2)
    assert seen(engine, second) == chat("Tell me more.", tiles, [(question, said.text)])
    assert answered(engine, second).usage.cached_tokens >= said.usage.prompt_tokens - 1


def test_pure_text_conversation(engine: TransformersEngine) -> None:
    request = Request("Hello, who are you?", SHORT)
    assert seen(engine, request) == chat("Hello, who are you?")
    said = answered(engine, request)
    turns = [*request.messages, Message.assistant(said.text), Message.user("Can you tell me a story?")]
    history = [("Hello, who are you?", said.text)]
    assert seen(engine, Request(turns)) == chat("Can you tell me a story?", history=history)


def test_pure_text_conversation_makes_sense(talker: TransformersEngine) -> None:
    asked = [Message.user("What is the capital of France?")]
    said = answered(talker, Request(asked, Sampling(max_tokens=24), system=SMOLLM2_SYSTEM))
    assert "Paris" in said.text
    assert said.finish_reason == "stop"
    asked += [Message.assistant(said.text), Message.user("And which country is that city in?")]
    said = answered(talker, Request(asked, Sampling(max_tokens=24), system=SMOLLM2_SYSTEM))
    assert "France" in said.text


def test_single_image_single_round(engine: TransformersEngine) -> None:
    tiles = tile_count(*SECOND.size)
    assert tiles == 3
    request = Request(Message.user(Image(SECOND), "Please describe the image shortly."), SHORT)
    assert seen(engine, request) == chat("<image>\nPlease describe the image shortly.", [tiles])
    said = answered(engine, request)
    assert said.usage.image_tokens == tiles * 256
    other = Request(Message.user(Image(SECOND.rotate(180)), "Please describe the image shortly."), SHORT)
    assert answered(engine, other).samples[0].tokens != said.samples[0].tokens


def test_single_image_multi_round(engine: TransformersEngine) -> None:
    question = "Please describe the image in detail."
    two_rounds(engine, [Image(FIRST), question], f"<image>\n{question}", [1])


def test_multi_image_multi_round_combined(engine: TransformersEngine) -> None:
    question = "Describe the two images in detail."
    together = Combined((Image(FIRST), Image(SECOND)))
    two_rounds(engine, [together, question], f"<image>\n{question}", [1 + 3])


def test_multi_image_multi_round_separate(engine: TransformersEngine) -> None:
    question = "Describe the two images in detail."
    parts = [Image(FIRST), Image(SECOND), question]
    two_rounds(engine, parts, f"Image-1: <image>\nImage-2: <image>\n{question}", [1, 3])


def test_images_together_or_apart_are_not_the_same(engine: TransformersEngine) -> None:
    images = (Image(FIRST), Image(SECOND))
    together = answered(engine, Request(Message.user(Combined(images), "Compare."), SHORT, max_tiles=2))
    apart = answered(engine, Request(Message.user(*images, "Compare."), SHORT, max_tiles=2))
    assert together.usage.image_tokens == apart.usage.image_tokens
    assert together.usage.prompt_tokens < apart.usage.prompt_tokens


def test_batch_inference_single_image_per_sample(engine: TransformersEngine) -> None:
    requests = [
        Request(
            Message.user(Image(picture), "Describe the image in detail."),
            Sampling(max_tokens=12),
            max_tiles=2,
        )
        for picture in (FIRST, SECOND, FIRST.rotate(90, expand=True))
    ]
    alone = TransformersEngine(EngineSpec(str(built("tiny")), prefix_bytes=0, feature_bytes=0, max_batch=1))
    try:
        singles = [alone.generate([request])[0].samples[0].tokens for request in requests]
    finally:
        alone.close()
    batch = engine.generate(requests)
    assert [result.samples[0].tokens for result in batch] == singles
    assert len(set(singles)) == 3
    assert [result.usage.image_tokens for result in batch] == [256, 768, 256]


def test_video_multi_round(engine: TransformersEngine) -> None:
    pytest.importorskip("av")
    frames = "".join(f"Frame{number}: <image>\n" for number in range(1, 9))
    question = "What is the red panda doing?"
    two_rounds(engine, [Video(video(24), frames=8), question], f"{frames}{question}", [1] * 8)


def test_the_frames_of_a_video_are_the_cards(engine: TransformersEngine) -> None:
    """Those of the card's `get_index` with its 8 segments, each one tile."""
    pytest.importorskip("av")
    last, segments = 23, 8
    wanted = [int(last / segments / 2 + round(last / segments * at)) for at in range(segments)]
    prompted = engine.prompting.tokenize(Request(Message.user(Video(video(24), frames=segments), "What?")))
    assert [picture.tiles.shape for picture in prompted.images] == [(1, 448, 448, 3)] * segments
    assert [round(picture.tiles[0, -1, -1].mean() / STEP) for picture in prompted.images] == wanted


def test_streaming_output(engine: TransformersEngine) -> None:
    request = Request(
        Message.user(Image(FIRST), "Please describe the image."), Sampling(max_tokens=24), max_tiles=1
    )
    *deltas, last = engine.stream(request)
    assert isinstance(last, Finish)
    assert len(deltas) > 5
    texts = [delta.text for delta in deltas if isinstance(delta, TextDelta)]
    assert len(texts) == len(deltas)
    assert "".join(texts) == answered(engine, request).text
    stream = engine.stream(Request("Hello", Sampling(max_tokens=5000)))
    next(stream)
    assert [len(job.output) < 5000 for job in engine._cores[0].scheduler.running] == [True]
    stream.close()


def test_streaming_output_makes_sense(talker: TransformersEngine) -> None:
    request = Request("What is the capital of France?", Sampling(max_tokens=24), system=SMOLLM2_SYSTEM)
    texts = [event.text for event in talker.stream(request) if isinstance(event, TextDelta)]
    assert "Paris" in "".join(texts)
    assert len(texts) > 2


def test_16_bit() -> None:
    made = TransformersEngine(EngineSpec(str(built("tiny")), dtype="bfloat16"))
    try:
        assert {parameter.dtype for parameter in made._cores[0].runner.model.parameters()} == {torch.bfloat16}
        image = Request(Message.user(Image(FIRST), "What is it?"), SHORT, max_tiles=1)
        assert answered(made, image).usage.image_tokens == 256
    finally:
        made.close()


@pytest.mark.slow
def test_8_bit() -> None:
    """Only the linear layers of the language model are quantised, and it still knows what it knew."""
    bitsandbytes = pytest.importorskip("bitsandbytes")
    made = TransformersEngine(EngineSpec(str(built("smollm2")), precision="int8"))
    try:
        model = made._cores[0].runner.model
        quantised = {
            name for name, module in model.named_modules() if isinstance(module, bitsandbytes.nn.Linear8bitLt)
        }
        linear = {
            name
            for name, module in model.model.language_model.named_modules()
            if isinstance(module, torch.nn.Linear)
        }
        assert quantised == {f"model.language_model.{name}" for name in linear} != set()
        asked = Request("What is the capital of France?", Sampling(max_tokens=12), system=SMOLLM2_SYSTEM)
        assert "Paris" in answered(made, asked).text
        image = Request(Message.user(Image(FIRST), "What is it?"), Sampling(max_tokens=2), max_tiles=1)
        assert answered(made, image).usage.image_tokens == 256
    finally:
        made.close()


def split_model(layers: int, gpus: int) -> dict[str, int | str]:
    """The card's, by native names: half a GPU for the vision part, both ends on the first."""
    each = math.ceil(layers / (gpus - 0.5))
    counts = [math.ceil(each * 0.5), *[each] * (gpus - 1)]
    owners = [gpu for gpu, count in enumerate(counts) for _ in range(count)][:layers]
    text = "model.language_model"
    placed: dict[str, int | str] = {f"{text}.layers.{at}": gpu for at, gpu in enumerate(owners)}
    ends = ("embed_tokens", "rotary_emb", "norm", f"layers.{layers - 1}")
    placed |= {f"{text}.{name}": 0 for name in ends}
    return placed | {"model.vision_tower": 0, "model.multi_modal_projector": 0, "lm_head": 0}


@pytest.mark.parametrize(("name", "gpus"), [("8B", [16] * 2), ("38B", [80] * 2), ("78B", [80] * 4)])
def test_multiple_gpus(name: str, gpus: list[int]) -> None:
    """On the meta device: our map and the card's cover the real model; ours keeps to the memory."""
    from accelerate.utils.modeling import check_device_map
    from transformers import InternVLConfig, InternVLForConditionalGeneration

    one = member(name)
    config = InternVLConfig(**{k: v for k, v in one.config().items() if k != "model_type"})
    with torch.device("meta"):
        model = InternVLForConditionalGeneration(config)
    memory = [size * 10**9 for size in gpus]
    plan = place(one, memory, replicas=1)
    (placed,) = plan.replicas
    check_device_map(model, dict(placed))
    layers = [gpu for module, gpu in placed.items() if ".layers." in module]
    assert layers == sorted(layers)
    counts = [layers.count(gpu) for gpu in range(len(gpus))]
    assert sum(counts) == one.text.layers
    assert counts[0] == min(counts) > 0
    assert all(plan.used[gpu] <= memory[gpu] for gpu in range(len(gpus)))
    card = split_model(one.text.layers, len(gpus))
    check_device_map(model, card)
    from internvl_llm.hardware.footprint import footprint

    assert explicit(card, footprint(one), [10**12] * len(gpus)).replicas[0] == card


def test_a_conversation_of_everything(engine: TransformersEngine) -> None:
    """Images of earlier turns keep their numbers when more come."""
    turns = [Message.user(Image(FIRST), "What is it?"), Message.assistant("A gradient.")]
    later = [*turns, Message.user("And", Image(SECOND), "compared to it?")]
    request = Request(later, SHORT, max_tiles=2)
    expected = chat(
        "And\nImage-2: <image>\ncompared to it?", [1, 3], [("<image>\nWhat is it?", "A gradient.")]
    )
    assert seen(engine, request) == expected
    assert answered(engine, request).usage.image_tokens == 4 * 256
