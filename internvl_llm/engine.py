"""What runs a checkpoint: the protocol of engines, what they can do, and the spec they are opened by."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from internvl_llm.events import Event, Result, Usage
from internvl_llm.request import Request

EngineName = Literal["transformers", "vllm", "lmdeploy", "server"]


@dataclass(frozen=True, slots=True)
class Capabilities:
    model: str
    context_tokens: int
    images: bool = True
    video: bool = True
    logprobs: bool = True
    dialect: str = "none"
    """Of tool calls."""
    details: tuple[tuple[str, str], ...] = ()
    """What runs where, and why: (what, sentence)."""


@runtime_checkable
class Engine(Protocol):
    """Runs one checkpoint. Thread-safe: callers of all methods, sync and async, are batched together."""

    @property
    def capabilities(self) -> Capabilities: ...

    def generate(self, requests: Sequence[Request]) -> list[Result]:
        """One result a request. The first request that fails raises; the others are given up."""
        ...

    async def agenerate(self, requests: Sequence[Request]) -> list[Result]: ...

    def stream(self, request: Request) -> Generator[Event, None, None]:
        """Text as it comes, one Finish at the end. Closing it frees its place in the batch."""
        ...

    def astream(self, request: Request) -> AsyncGenerator[Event, None]: ...

    def count_tokens(self, request: Request) -> Usage:
        """Of the prompt: exact, without running the model."""
        ...

    def close(self) -> None:
        """End it for all who share it; what is running raises EngineError."""
        ...


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """What to run and how. `model` is a family member in any spelling, a hub id, or a local folder.

    `precision` int8 and int4 need bitsandbytes. `device_map` places modules by hand; without it the
    parts are laid out over the GPUs there are, `replicas` copies of the model (None: as many as fit).
    """

    model: str
    engine: EngineName = "transformers"
    base_url: str | None = None
    device: str = "auto"
    dtype: str = "auto"
    attention: str = "auto"
    precision: Literal["bf16", "int8", "int4"] = "bf16"
    device_map: tuple[tuple[str, int | str], ...] | None = None
    replicas: int | None = None
    revision: str | None = None
    max_batch: int | None = None
    """Sequences at once; None is 16 on a CPU, 128 on GPUs."""
    kv_bytes: int | None = None
    """Of running sequences, a copy of the model; None is what is free on GPUs, 4 GiB on a CPU."""
    prefix_bytes: int = 2**30
    """Of keys and values kept for prompts that begin alike; 0 keeps none."""
    feature_bytes: int = 2**28
    """Of image features kept; 0 keeps none."""
    prefill_chunk: int = 2048
    """Prompt tokens computed between two steps of the running sequences."""
    vision_chunk: int = 8
    """Tiles the vision tower sees at once."""
