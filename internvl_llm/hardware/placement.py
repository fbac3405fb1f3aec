"""Which GPU holds which part of a model, from the sizes of the parts.

As many whole copies as the GPUs can hold; where a copy needs several GPUs, the GPU with the vision tower gets
fewer layers, so that all are filled to the same share of their memory. Pure functions over bytes: they see
no device and load no framework.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from internvl_llm.checkpoints.family import FAMILY, Member, Precision
from internvl_llm.errors import OptionError, PlacementError
from internvl_llm.hardware.footprint import EMBEDDINGS, OVERHEAD, Footprint, Workload, footprint

Device = int | str

_STEPS = 1000


@dataclass(frozen=True, slots=True)
class Plan:
    """One device map a copy, over indices into the GPUs given, and the bytes each GPU is expected to use."""

    replicas: tuple[Mapping[str, Device], ...]
    used: Mapping[Device, int]

    def __str__(self) -> str:
        copies = [sorted({str(device) for device in one.values()}) for one in self.replicas]
        where = "; ".join(f"{'GPUs' if len(one) > 1 else 'GPU'} {', '.join(one)}" for one in copies)
        return f"{len(copies)} {'copies' if len(copies) > 1 else 'copy'} on {where}"


def place(
    member: Member,
    gpus: Sequence[int],
    *,
    precision: Precision = "bf16",
    workload: Workload | None = None,
    replicas: int | None = None,
) -> Plan:
    """`plan` of a family member; the error names the members and precisions that would fit."""
    smaller = [one for one in FAMILY if one.parameters < member.parameters]
    smaller.sort(key=lambda one: (_generation(one) == _generation(member), one.parameters), reverse=True)
    smaller_precisions: dict[Precision, tuple[Precision, ...]] = {"bf16": ("int8", "int4"), "int8": ("int4",)}
    return plan(
        footprint(member, precision),
        gpus,
        workload=workload,
        replicas=replicas,
        alternatives=[
            *(footprint(member, other) for other in smaller_precisions.get(precision, ())),
            *(footprint(one, precision) for one in smaller),
        ],
    )


def _generation(member: Member) -> str:
    return member.name.partition("-")[0]


def plan(
    model: Footprint,
    gpus: Sequence[int],
    *,
    workload: Workload | None = None,
    replicas: int | None = None,
    alternatives: Iterable[Footprint] = (),
) -> Plan:
    """Device maps for GPUs of so many usable bytes each.

    `replicas` None means as many copies as fit. A `PlacementError` says which of `alternatives`, and how many
    GPUs, would do.
    """
    work = workload or Workload()
    if replicas is not None and not 1 <= replicas <= max(1, len(gpus)):
        raise OptionError(f"{replicas} copies on {len(gpus)} GPUs", remedy="Ask for one copy a GPU at most")
    found = _search(model, gpus, work, replicas)
    if found is None:
        raise _refusal(model, gpus, work, replicas, alternatives)
    used: dict[Device, int] = {}
    for one in found:
        used |= usage(one, model, work)
    return Plan(tuple(found), used)


def _search(
    model: Footprint, gpus: Sequence[int], work: Workload, replicas: int | None
) -> list[dict[str, Device]] | None:
    """The most copies over the most GPUs; small GPUs are left out where they stand in the way."""
    blocks = _blocks(model, work)
    largest = sorted(range(len(gpus)), key=lambda index: -gpus[index])
    for copies in [replicas] if replicas else range(len(gpus), 0, -1):
        for count in range(len(gpus), copies - 1, -1):
            chosen = sorted(largest[:count])
            bounds = [count * part // copies for part in range(copies + 1)]
            maps: list[dict[str, Device]] = []
            for start, end in pairwise(bounds):
                one = _split(blocks, {index: gpus[index] for index in chosen[start:end]})
                if one is None:
                    break
                maps.append(one)
            if len(maps) == copies:
                return maps
    return None


def _split(blocks: Sequence[_Block], gpus: Mapping[int, int]) -> dict[str, Device] | None:
    """One copy over these GPUs, the largest first; on that alone if it is enough."""
    largest = sorted(gpus.items(), key=lambda gpu: -gpu[1])
    alone = _fill(blocks, largest[:1], _STEPS)
    if alone is not None or _fill(blocks, largest, _STEPS) is None:
        return alone
    low, high = 0, _STEPS
    while high - low > 1:  # the smallest common share of memory that holds everything
        middle = (low + high) // 2
        low, high = (low, middle) if _fill(blocks, largest, middle) else (middle, high)
    return _fill(blocks, largest, high)


@dataclass(frozen=True, slots=True)
class _Block:
    """Modules that stay together, with their bytes."""

    names: tuple[str, ...]
    kept: int
    passing: int


def _blocks(model: Footprint, work: Workload) -> list[_Block]:
    """In forward order: what reads the input, each layer, what writes the output."""
    *first, norm, head = (*model.modules[:4], *model.modules[-2:])
    groups = [tuple(first), *((layer,) for layer in model.modules[4:-2]), (norm, head)]
    if model.tied:  # embeddings and head are one tensor, so on one device
        groups = [groups[0] + groups.pop(), *groups[1:]]
    kept = model.kept(work)
    return [
        _Block(names, sum(kept[name] for name in names), max(model.passing(name, work) for name in names))
        for names in groups
    ]


def _fill(blocks: Sequence[_Block], gpus: Sequence[tuple[int, int]], share: int) -> dict[str, Device] | None:
    """Each GPU filled to `share` thousandths of its memory, in order; None when that is too little.

    The first GPU always takes the first block, so it is the one with the vision tower.
    """
    placed: dict[str, Device] = {}
    remaining = iter(gpus)
    device, room, kept, passing = -1, 0, 0, 0
    for block in blocks:
        while OVERHEAD + kept + block.kept + max(passing, block.passing) > room:
            gpu = next(remaining, None)
            if gpu is None or (not placed and device >= 0):
                return None
            device, room, kept, passing = gpu[0], gpu[1] * share // _STEPS, 0, 0
        kept, passing = kept + block.kept, max(passing, block.passing)
        placed |= dict.fromkeys(block.names, device)
    return placed


def usage(
    placed: Mapping[str, Device], model: Footprint, workload: Workload | None = None
) -> dict[Device, int]:
    """Bytes each device uses under a device map over `model.modules`."""
    work = workload or Workload()
    kept = model.kept(work)
    used: dict[Device, int] = {}
    passing: dict[Device, int] = {}
    for name, device in placed.items():
        used[device] = used.get(device, OVERHEAD) + kept[name]
        passing[device] = max(passing.get(device, 0), model.passing(name, work))
    return {device: used[device] + passing[device] for device in used}


def explicit(
    device_map: Mapping[str, Device],
    model: Footprint,
    gpus: Sequence[int],
    *,
    workload: Workload | None = None,
) -> Plan:
    """A user's device map, checked and written out: every module on one device that exists and has room.

    A key is a module name or a prefix of several (`""` is all); the longest that covers a module counts.
    Values are GPU indices, `"cuda:1"` or `"cpu"`.
    """
    wrong = [key for key in device_map if key and not any(_covers(key, name) for name in model.modules)]
    if wrong:
        raise OptionError(
            f"the device map names {', '.join(map(repr, wrong))}, which {model.name} has not as a whole part",
            remedy=f"Use {', '.join((*model.modules[:5], '…', *model.modules[-3:]))}, or prefixes of them",
        )
    devices = {key: _device(value, len(gpus)) for key, value in device_map.items()}
    placed: dict[str, Device] = {}
    for name in model.modules:
        keys = [key for key in devices if _covers(key, name)]
        if not keys and name.endswith(".rotary_emb"):  # no weights: it goes where the layers begin
            placed[name] = placed[EMBEDDINGS]
            continue
        if not keys:
            raise OptionError(f"the device map leaves out {name!r}", remedy=f"Give {name!r} a device")
        placed[name] = devices[max(keys, key=len)]
    if model.tied and placed["lm_head"] != placed[EMBEDDINGS]:
        raise OptionError(
            f"lm_head and embed_tokens of {model.name} are one tensor on two devices",
            remedy="Give both the same device",
        )
    used = usage(placed, model, workload)
    full = [index for index, room in enumerate(gpus) if used.get(index, 0) > room]
    if full:
        raise PlacementError(
            f"the device map puts {_gb(used[full[0]])} on GPU {full[0]}, which has {_gb(gpus[full[0]])}",
            remedy="Move layers to another GPU, or leave the device map out",
        )
    return Plan((placed,), used)


def _covers(key: str, name: str) -> bool:
    return not key or name == key or name.startswith(f"{key}.")


def _device(value: Device, gpus: int) -> Device:
    text = str(value).removeprefix("cuda:")
    if text.isdecimal() and int(text) < gpus:
        return int(text)
    if value == "cpu":
        return value
    raise OptionError(
        f"the device map names device {value!r}",
        remedy=f"Use 'cpu' or one of the {gpus} GPUs, counted from 0",
    )


def _refusal(
    model: Footprint,
    gpus: Sequence[int],
    work: Workload,
    replicas: int | None,
    alternatives: Iterable[Footprint],
) -> PlacementError:
    need = usage(dict.fromkeys(model.modules, 0), model, work)[0]
    have = " + ".join(_gb(one) for one in gpus) or "no GPU"
    wanted = f"{replicas} copies of {model.name}" if replicas and replicas > 1 else model.name
    message = (
        f"{wanted} in {model.precision} needs {_gb(need)} with {work.tokens} tokens of context "
        f"{'each' if replicas and replicas > 1 else 'on one GPU, more on several'}; there is {have}"
    )
    return PlacementError(message, remedy=_would_fit(model, gpus, work, replicas, alternatives))


def _would_fit(
    model: Footprint,
    gpus: Sequence[int],
    work: Workload,
    replicas: int | None,
    alternatives: Iterable[Footprint],
) -> str:
    fitting = [one for one in alternatives if _search(one, gpus, work, replicas)]
    ways = [f"{one.precision}" for one in fitting if one.name == model.name][:1]
    ways += [one.name for one in fitting if one.name != model.name][:1]
    if replicas and replicas > 1 and _search(model, gpus, work, None):
        ways.append("fewer copies")
    for count in range(len(gpus) + 1, 17):
        room = max(gpus, default=80_000_000_000)
        if _search(model, [room] * count, work, replicas):
            ways.append(f"{count} GPU{'s' if count > 1 else ''} of {_gb(room)}")
            break
    return f"Use {' or '.join(ways)}" if ways else "Use a GPU with more memory, or the CPU"


def _gb(count: int) -> str:
    return f"{count / 1e9:.3g} GB"
