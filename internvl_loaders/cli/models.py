"""What `internvl models` shows: the family, what its members need, and what fits on this machine."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from internvl_llm.checkpoints.family import BYTES_PER_VALUE, FAMILY, Member, Precision
from internvl_llm.errors import PlacementError
from internvl_llm.hardware.footprint import Footprint, Workload, footprint
from internvl_llm.hardware.placement import place, usage
from internvl_loaders.cli.terminal import summary

PRECISIONS: tuple[Precision, ...] = get_args(Precision)
WORK = Workload()


@dataclass(frozen=True, slots=True)
class Machine:
    """Free bytes of each GPU and of main memory; `sentence` says what was looked at."""

    gpus: tuple[int, ...]
    memory: int | None
    sentence: str


@dataclass(frozen=True, slots=True)
class Fit:
    """`needed` bytes with the keys and values of `WORK.tokens`; `where` is empty where it does not fit."""

    precision: Precision
    weights: int
    needed: int
    where: str


def machine() -> Machine:
    """GPUs are those that torch sees; where it is not installed they are not looked for."""
    memory = free_memory()
    room = "of unknown size" if memory is None else f"with {_gb(memory)} free"
    if importlib.util.find_spec("torch") is None:
        return Machine((), memory, f"torch is not installed, so no GPU was looked for; main memory {room}")
    try:
        from internvl_llm.hardware.devices import gpus

        visible = gpus()
    except Exception as error:  # a broken torch or driver fails in many ways
        sentence = f"torch is installed but does not work ({summary(error)}); main memory {room}"
        return Machine((), memory, sentence)
    if not visible:
        return Machine((), memory, f"torch sees no GPU; main memory {room}, float32 on the CPU")
    sentence = ", ".join(f"{gpu.name} with {_gb(gpu.free)} of {_gb(gpu.total)} free" for gpu in visible)
    return Machine(tuple(gpu.free for gpu in visible), memory, sentence)


def free_memory() -> int | None:
    """Bytes that programs can still get; None where the system does not say."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def fits(member: Member, here: Machine) -> list[Fit]:
    """A fit for each precision. With GPUs, what the engine would choose; without, main memory."""
    return [_fit(member, precision, here) for precision in PRECISIONS]


def _fit(member: Member, precision: Precision, here: Machine) -> Fit:
    weights = member.weight_bytes(precision)
    if here.gpus:
        needed = _bytes_on_one_device(footprint(member, precision))
        try:
            return Fit(precision, weights, needed, str(place(member, here.gpus, precision=precision)))
        except PlacementError:
            return Fit(precision, weights, needed, "")
    needed = _bytes_on_one_device(cpu_footprint(member, precision))
    fitting = here.memory is not None and needed <= here.memory
    return Fit(precision, weights, needed, "CPU" if fitting else "")


def cpu_footprint(member: Member, precision: Precision) -> Footprint:
    """In float32 but for what is quantised."""
    half, text = footprint(member, precision), member.text
    linear = 4.0 if precision == "bf16" else BYTES_PER_VALUE[precision]
    doubled = ("vision", "projector", "embeddings", "norm", "head", "kv_per_layer", "tile_work", "token_work")
    layer = round(text.layer_linear * linear) + 4 * text.layer_other
    return replace(half, layers=(layer,) * text.layers, **{name: 2 * getattr(half, name) for name in doubled})


def _bytes_on_one_device(model: Footprint) -> int:
    return usage(dict.fromkeys(model.modules, 0), model, WORK)[0]


def to_json(here: Machine, family: Sequence[Member] = FAMILY) -> str:
    models = [
        {
            "name": member.name,
            "hub": [member.native, member.original],
            "parameters": member.parameters,
            "context_tokens": member.context,
            "kv_bytes_per_token": member.kv_bytes_per_token,
            "precisions": {
                fit.precision: {
                    "weight_bytes": fit.weights,
                    "needed_bytes": fit.needed,
                    "fits": bool(fit.where),
                    "where": fit.where or None,
                }
                for fit in fits(member, here)
            },
        }
        for member in family
    ]
    machine = {"gpus_free_bytes": here.gpus, "memory_free_bytes": here.memory, "found": here.sentence}
    return json.dumps({"machine": machine, "context_tokens_kept": WORK.tokens, "models": models}, indent=2)


def print_table(here: Machine, family: Sequence[Member] = FAMILY) -> None:
    """To standard output."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = max(console.width, 120)  # what reads a pipe has no margin
    grid = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0))
    grid.add_column("model", overflow="fold")
    for name in ("size", "context", "KV/1k", *PRECISIONS):
        grid.add_column(name, justify="right", no_wrap=True)
    grid.add_column("fits here")
    for member in family:
        by_precision = fits(member, here)
        grid.add_row(
            member.name,
            f"{member.parameters / 1e9:.1f} B",
            f"{member.context:,}",
            f"{member.kv_bytes_per_token * 1000 / 1e6:.0f} MB",
            *(_gb(fit.weights) for fit in by_precision),
            _where(by_precision),
        )
    console.print(grid)
    console.print(f"\nFound: {here.sentence}.", soft_wrap=True)
    console.print(
        "Size is in parameters, KV in keys and values of 1,000 tokens. The bytes are of the weights alone; "
        f"what fits has room for {WORK.tokens:,} tokens of context as well.",
        soft_wrap=True,
    )
    if importlib.util.find_spec("bitsandbytes") is None:
        console.print("int8 and int4 need: pip install 'internvl-documents[quantized]'", soft_wrap=True)


def _where(fits: Sequence[Fit]) -> str:
    """Precisions with their places, those of one place together."""
    places: dict[str, list[str]] = {}
    for fit in fits:
        if fit.where:
            places.setdefault(fit.where, []).append(fit.precision)
    return "; ".join(f"{', '.join(names)}: {where}" for where, names in places.items()) or "no"


def _gb(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
