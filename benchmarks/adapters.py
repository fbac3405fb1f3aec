"""What LangChain and LlamaIndex add to the bare engine, on the same prompt, in turns. See README.md."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

from langchain_core.messages import HumanMessage, SystemMessage
from llama_index.core.llms import ChatMessage

from internvl_llm import Engine, EngineSpec, Finish, Message, Request, Sampling, TextDelta, Usage
from internvl_llm.engines.transformers.engine import TransformersEngine
from internvl_llm.langchain import ChatInternVL
from internvl_llm.llama_index import InternVL
from tests.kit.scripted import ScriptedEngine

SYSTEM = "You are a helpful AI assistant."
QUESTION = "Write a short story about a lighthouse."


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="a local checkpoint")
    parser.add_argument("--tokens", type=int, default=48, help="of an answer")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    import torch

    torch.set_num_threads(options.threads)
    # Without the prefix cache, so that every answer is the same work.
    engine = TransformersEngine(EngineSpec(str(options.model), prefix_bytes=0, feature_bytes=0))
    results = {
        "tokens": options.tokens,
        "rounds": options.rounds,
        "answer": _compared(_answers(engine, options.tokens), options.rounds),
        "first_token": _compared(_first_tokens(engine, options.tokens), options.rounds),
        "own_microseconds_a_token": _own(options.rounds),
    }
    engine.close()
    print(json.dumps(results, indent=1))
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return 0


def _answers(engine: Engine, tokens: int) -> dict[str, Callable[[], str]]:
    """Whole answers, as text, streamed as users of each would."""
    asked, chat, langchain, llm, llama_index = _askers(engine, tokens)
    return {
        "engine": lambda: engine.generate([asked])[0].text,
        "langchain": lambda: str(chat.invoke(langchain).text),
        "llama_index": lambda: str(llm.chat(llama_index).message.content),
        "engine streamed": lambda: "".join(
            event.text for event in engine.stream(asked) if isinstance(event, TextDelta)
        ),
        "langchain streamed": lambda: "".join(chunk.text for chunk in chat.stream(langchain)),
        "llama_index streamed": lambda: "".join(
            str(response.delta) for response in llm.stream_chat(llama_index)
        ),
    }


def _first_tokens(engine: Engine, tokens: int) -> dict[str, Callable[[], str]]:
    asked, chat, langchain, llm, llama_index = _askers(engine, tokens)

    def first(texts: Iterator[Any]) -> str:
        said = next(text for text in texts if text)
        texts.close()  # type: ignore[attr-defined]
        return str(said)

    return {
        "engine": lambda: first(event.text for event in engine.stream(asked) if isinstance(event, TextDelta)),
        "langchain": lambda: first(chunk.text for chunk in chat.stream(langchain)),
        "llama_index": lambda: first(response.delta for response in llm.stream_chat(llama_index)),
    }


def _own(rounds: int, tokens: int = 500) -> dict[str, float]:
    """Of the adapters alone: streams of an engine that has its answer ready, a word a token."""
    engine = ScriptedEngine(
        lambda request: [*(TextDelta("word ") for _ in range(tokens)), Finish("stop", Usage(10, tokens))]
    )
    found = _compared(_answers(engine, tokens), rounds)
    bare = found["engine streamed"]["seconds"]
    ways = ("langchain streamed", "llama_index streamed")
    return {way: round((found[way]["seconds"] - bare) / tokens * 1e6) for way in ways}


def _askers(engine: Engine, tokens: int) -> tuple[Any, ...]:
    return (
        Request([Message.system(SYSTEM), Message.user(QUESTION)], Sampling(tokens)),
        ChatInternVL(engine=engine, max_tokens=tokens),
        [SystemMessage(SYSTEM), HumanMessage(QUESTION)],
        InternVL(engine=engine, max_tokens=tokens),
        [ChatMessage(role="system", content=SYSTEM), ChatMessage(role="user", content=QUESTION)],
    )


def _compared(ways: dict[str, Callable[[], str]], rounds: int) -> dict[str, dict[str, float]]:
    """Medians of seconds, and of the ratio to the engine in the same round; the order turns."""
    said = {way() for way in ways.values()}
    assert len(said) == 1, said
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    names = list(ways)
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            started = time.perf_counter()
            ways[name]()
            seconds[name].append(time.perf_counter() - started)
    found = {}
    for name, told in seconds.items():
        bare = seconds["engine streamed" if name.endswith("streamed") else "engine"]
        found[name] = {
            "seconds": round(median(told), 4),
            "ratio": round(median(a / b for a, b in zip(told, bare, strict=True)), 4),
            "least_ratio": round(min(told) / min(bare), 4),
        }
    return found


if __name__ == "__main__":
    raise SystemExit(main())
