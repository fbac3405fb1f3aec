"""How GPUs of one size are shared by servers that split every layer: how many to a copy, and how many copies.
Pure functions over bytes."""

from __future__ import annotations

from dataclasses import dataclass

from internvl_llm.errors import PlacementError
from internvl_llm.hardware.footprint import OVERHEAD, Footprint, Workload

MEMORY_SHARE = 0.9
"""Of a GPU's memory, as vLLM takes it where it is not told."""

_LEAST = 4096
"""Tokens of context with which a page can be read."""


@dataclass(frozen=True, slots=True)
class Split:
    """GPUs to a copy, and copies; what it is reckoned from."""

    tensor_parallel: int
    data_parallel: int
    reason: str

    @property
    def gpus(self) -> int:
        return self.tensor_parallel * self.data_parallel

    def __str__(self) -> str:
        copies = "1 copy" if self.data_parallel == 1 else f"{self.data_parallel} copies"
        return f"{copies} on {self.tensor_parallel} GPU{'s' if self.tensor_parallel > 1 else ''} each"


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes on each GPU of a copy, and how many are left for the keys and values of running sequences."""

    weights: int
    working: int
    kv_per_token: int
    left: int

    @property
    def tokens(self) -> int:
        """That may run at once on a copy."""
        return max(0, self.left) // self.kv_per_token


def need(model: Footprint, tensor_parallel: int, memory: int, share: float = MEMORY_SHARE) -> Need:
    """The vision tower is reckoned whole on every GPU, the rest split."""
    work = Workload()
    sizes = model.kept(Workload(tokens=0))
    vision = sizes[model.modules[0]]
    weights = vision + -(-(sum(sizes.values()) - vision) // tensor_parallel)
    working = OVERHEAD + max(model.passing(name, work) for name in model.modules)
    kv = -(-model.kv_per_layer * len(model.layers) // tensor_parallel)
    return Need(weights, working, kv, int(memory * share) - weights - working)


def split(
    model: Footprint,
    heads: int,
    *,
    memory: int,
    gpus: int,
    share: float = MEMORY_SHARE,
    context: int,
) -> Split:
    """As few GPUs to a copy as hold it with one sequence of `context` tokens, and as many copies as there is
    room for. Attention heads are dealt out evenly, so their number is a multiple of a copy's GPUs.

    Raises PlacementError.
    """
    ways = [count for count in range(1, gpus + 1) if heads % count == 0]
    for count in ways:
        there = need(model, count, memory, share)
        if there.tokens >= context:
            return Split(
                count,
                gpus // count,
                f"{_gb(there.weights)} of weights and {_gb(there.working)} while it works on each GPU of "
                f"{_gb(memory)}, {share:.0%} of it used, leave room for {there.tokens:,} tokens a copy",
            )
    most = max(ways, default=1)
    each = "one GPU" if most == 1 else f"each of {most} GPUs"
    one = need(model, most, memory, share)
    raise PlacementError(
        f"{model.name} needs {_gb(one.weights + one.working + context * one.kv_per_token)} on {each} "
        f"for {context:,} tokens of context; there is {share:.0%} of {_gb(memory)}",
        remedy=_remedy(model, heads, memory, gpus, share, context),
    )


def _remedy(model: Footprint, heads: int, memory: int, gpus: int, share: float, context: int) -> str:
    ways = []
    for count in range(gpus + 1, 17):
        if heads % count == 0 and need(model, count, memory, share).tokens >= context:
            ways.append(f"Use {count} such GPUs")
            break
    left = max(need(model, count, memory, share).tokens for count in range(1, gpus + 1) if heads % count == 0)
    if left >= _LEAST:
        ways.append(f"allow {left // 1024 * 1024:,} tokens of context (context_tokens)")
    ways.append("take a smaller model" if ways else "Take a smaller model, or GPUs with more memory")
    *first, last = ways
    return f"{', '.join(first)} or {last}" if first else last


def _gb(count: int) -> str:
    return f"{count / 1e9:.3g} GB"
