"""A checkpoint's model and tokenizer, from a folder or the hub, on the devices that suit it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from internvl_llm.checkpoints import convert, family, files, hub
from internvl_llm.checkpoints.tokenizer import load_tokenizer
from internvl_llm.errors import CheckpointError, EngineError, OptionError
from internvl_llm.hardware import devices, placement
from internvl_llm.hardware.footprint import Footprint, of_settings

if TYPE_CHECKING:
    from internvl_llm.engine import EngineSpec


@dataclass(slots=True)
class Checkpoint:
    """One model a copy; what was chosen, and why, as (what, sentence)."""

    name: str
    models: list[Any]
    tokenizer: Any
    member: family.Member | None
    choices: tuple[tuple[str, str], ...]


def load(spec: EngineSpec) -> Checkpoint:
    """Raises CheckpointError, PlacementError, EngineError, OptionError or MissingDependencyError."""
    folder, member = hub.locate(spec.model, spec.revision)
    found = files.check(folder)
    cuda = devices.gpus()
    device = devices.choose_device(spec.device, cuda)
    used = cuda if device.value == "cuda" else ()
    dtype = devices.choose_dtype(device.value, used, spec.dtype)
    attention = devices.choose_attention(device.value, used, dtype.value, spec.attention)
    options: dict[str, Any] = {
        "dtype": dtype.value,
        "attn_implementation": devices.attention_argument(
            attention, member.text.architecture if member else ""
        ),
        "quantization_config": devices.quantisation(spec.precision, dtype.value),
    }
    maps: list[Mapping[str, Any] | None] = [None]
    where = device.value
    if used:
        plan = _plan(spec, folder, found, member, used)
        maps, where = list(plan.replicas), str(plan)
    elif spec.device_map is not None or (spec.replicas or 1) > 1:
        raise OptionError("there is no GPU to place the model on", remedy="Leave device_map and replicas out")
    models = [_model(folder, found, device_map, device.value, options) for device_map in maps]
    return Checkpoint(
        member.name if member else folder.name,
        models,
        load_tokenizer(folder),
        member,
        (
            ("device", f"{where}: {device.reason}"),
            ("dtype", f"{dtype.value}: {dtype.reason}"),
            ("attention", f"{attention.value}: {attention.reason}"),
            ("precision", spec.precision),
        ),
    )


def _plan(
    spec: EngineSpec,
    folder: Path,
    found: files.Format,
    member: family.Member | None,
    gpus: tuple[devices.Gpu, ...],
) -> placement.Plan:
    free = [gpu.free for gpu in gpus]
    if spec.device_map is not None:
        return placement.explicit(dict(spec.device_map), _footprint(spec, folder, found, member), free)
    if member is not None:
        return placement.place(member, free, precision=spec.precision, replicas=spec.replicas)
    return placement.plan(_footprint(spec, folder, found, member), free, replicas=spec.replicas)


def _footprint(
    spec: EngineSpec, folder: Path, found: files.Format, member: family.Member | None
) -> Footprint:
    """Of the model as its config describes it."""
    settings = convert.native_settings(folder, found)
    return of_settings(settings, member.name if member else folder.name, spec.precision)


def _model(
    folder: Path,
    found: files.Format,
    device_map: Mapping[str, Any] | None,
    device: str,
    options: Mapping[str, Any],
) -> Any:
    import torch
    from transformers import InternVLForConditionalGeneration

    arguments = {name: value for name, value in options.items() if value is not None}
    if device_map is not None:
        arguments["device_map"] = dict(device_map)
    try:
        if found == "original":
            model = convert.load(folder, **arguments)
        else:
            model = InternVLForConditionalGeneration.from_pretrained(
                folder, trust_remote_code=False, **arguments
            )
        if device_map is None and device != "cpu":
            model = model.to(device)
    except torch.OutOfMemoryError as error:
        raise EngineError(
            "the weights do not fit into the memory that is free",
            source=str(folder),
            remedy="Use precision='int8', a smaller model, or more GPUs",
        ) from error
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise CheckpointError(
            f"the model cannot be loaded ({str(error).splitlines()[0][:200]})",
            source=str(folder),
            remedy="Get the files of the checkpoint again",
        ) from error
    return model.eval()
