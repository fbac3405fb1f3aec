"""The transformers engine beside `model.generate` in a loop, on the same prompts. See README.md."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import PIL.Image
import torch

from internvl_llm.engine import EngineSpec
from internvl_llm.engines.transformers.engine import TransformersEngine
from internvl_llm.events import TextDelta
from internvl_llm.messages import Image, Message
from internvl_llm.request import Request, Sampling

TOPICS = (
    *("the sea", "a lighthouse", "bread", "winter", "an old map", "bees", "a railway", "the moon"),
    *("tea", "a library", "rain", "a violin", "the desert", "snails", "a clock", "mountains"),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="a local checkpoint")
    parser.add_argument("--tokens", type=int, default=64, help="most of an answer")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--system", default="You are a helpful AI assistant.")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results = {"throughput": _throughput(options), "second_question": _second_question(options)}
    print(json.dumps(results, indent=1))
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return 0


def _throughput(options: argparse.Namespace) -> dict[str, Any]:
    """16 chats at once, half from threads, half from asyncio, against one `generate` after another."""
    engine = TransformersEngine(EngineSpec(str(options.model), prefix_bytes=0, feature_bytes=0))
    model = engine._cores[0].runner.model
    requests = [
        Request(
            f"Write a short story about {topic}.",
            Sampling(max_tokens=options.tokens),
            system=options.system,
        )
        for topic in TOPICS
    ]
    engine.generate(requests[:2])
    loops, batches, tokens = [], [], 0
    for _ in range(options.rounds):
        started = time.perf_counter()
        one_by_one = [_loop(engine, model, request) for request in requests]
        loops.append(time.perf_counter() - started)
        started = time.perf_counter()
        together = _together(engine, requests)
        batches.append(time.perf_counter() - started)
        assert one_by_one == together, "not the same tokens"
        tokens = sum(map(len, together))
    engine.close()
    loop, batch = sorted(loops)[len(loops) // 2], sorted(batches)[len(batches) // 2]
    return {
        "chats": len(requests),
        "tokens": tokens,
        "loop_seconds": round(loop, 2),
        "engine_seconds": round(batch, 2),
        "loop_tokens_per_second": round(tokens / loop, 1),
        "engine_tokens_per_second": round(tokens / batch, 1),
        "times": round(loop / batch, 2),
        "rounds": [round(a / b, 2) for a, b in zip(loops, batches, strict=True)],
    }


def _loop(engine: TransformersEngine, model: Any, request: Request) -> tuple[int, ...]:
    """As the model card's example: encode, `generate`, decode."""
    ids = torch.tensor([engine.prompting.tokenize(request).ids])
    with torch.inference_mode():
        out = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=request.sampling.max_tokens,
            do_sample=False,
            suppress_tokens=list(engine._cores[0].suppressed_tokens),
        )
    said = tuple(out[0, ids.shape[1] :].tolist())
    engine._decode(said)
    return said


def _together(engine: TransformersEngine, requests: list[Request]) -> list[tuple[int, ...]]:
    half = len(requests) // 2

    async def tasks() -> list[tuple[int, ...]]:
        answers = await asyncio.gather(*(engine.agenerate([request]) for request in requests[half:]))
        return [answer[0].samples[0].tokens for answer in answers]

    with ThreadPoolExecutor(half) as threads:
        first = [threads.submit(engine.generate, [request]) for request in requests[:half]]
        second = asyncio.run(tasks())
        return [one.result()[0].samples[0].tokens for one in first] + second


def _second_question(options: argparse.Namespace) -> dict[str, Any]:
    """Seconds to the first token about a page, then of another question about it."""
    engine = TransformersEngine(EngineSpec(str(options.model)))
    engine.generate([Request("Hello", Sampling(max_tokens=2))])
    shares, firsts, seconds = [], [], []
    for seed in range(options.rounds):
        noise = torch.randint(0, 256, (140, 100, 3), generator=torch.Generator().manual_seed(seed))
        page = PIL.Image.fromarray(noise.to(torch.uint8).numpy()).resize((1000, 1400))
        took = []
        for question in ("What is the total?", "Who wrote this, and when?"):
            request = Request(Message.user(Image(page, max_tiles=6), question), Sampling(max_tokens=4))
            took.append(_first_token(engine, request))
        firsts.append(took[0])
        seconds.append(took[1])
        shares.append(took[1] / took[0])
    prompt = engine.count_tokens(request).prompt_tokens
    engine.close()
    return {
        "prompt_tokens": prompt,
        "first_seconds": [round(s, 2) for s in firsts],
        "second_seconds": [round(s, 2) for s in seconds],
        "share": round(sorted(shares)[len(shares) // 2], 4),
    }


def _first_token(engine: TransformersEngine, request: Request) -> float:
    """Up to the first event: with the image loaded, cut and looked at."""
    started = time.perf_counter()
    stream = engine.stream(request)
    event = next(stream)
    took = time.perf_counter() - started
    assert isinstance(event, TextDelta) or event.usage.completion_tokens
    stream.close()
    return took


if __name__ == "__main__":
    sys.exit(main())
