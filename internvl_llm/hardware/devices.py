"""Device, dtype, attention and quantisation, each with the reason for the choice as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from internvl_llm.checkpoints.family import Precision
from internvl_llm.errors import EngineError, MissingDependencyError, OptionError

SKIPPED = ("model.vision_tower", "model.multi_modal_projector", "lm_head")
"""Modules that quantisation leaves alone."""

DTYPES = ("bfloat16", "float16", "float32")
ATTENTIONS = ("flash_attention_2", "sdpa", "eager")


@dataclass(frozen=True, slots=True)
class Gpu:
    """A CUDA device; `free` and `total` are bytes, `capability` is (major, minor)."""

    index: int
    name: str
    total: int
    free: int
    capability: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen, and a sentence that says why."""

    value: str
    reason: str


def gpus() -> tuple[Gpu, ...]:
    """The CUDA devices that torch sees; none when it sees none."""
    import torch

    found = []
    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        free, total = torch.cuda.mem_get_info(index)
        capability = torch.cuda.get_device_capability(index)
        found.append(Gpu(index, torch.cuda.get_device_name(index), total, free, capability))
    return tuple(found)


def choose_device(requested: str = "auto", found: Sequence[Gpu] | None = None) -> Choice:
    """`cuda`, `mps` or `cpu`; a requested device that is not there is an `EngineError`."""
    import torch

    cuda = gpus() if found is None else found
    mps = torch.backends.mps.is_available()
    if requested == "auto":
        if cuda:
            return Choice("cuda", f"{len(cuda)} x {cuda[0].name}")
        return Choice("mps", "Apple GPU") if mps else Choice("cpu", "no GPU is visible to torch")
    if requested not in ("cuda", "mps", "cpu"):
        raise OptionError(f"unknown device {requested!r}", remedy="Use 'auto', 'cuda', 'mps' or 'cpu'")
    if (requested == "cuda" and not cuda) or (requested == "mps" and not mps):
        raise EngineError(
            f"device {requested!r} was asked for, but torch {torch.__version__} sees none",
            remedy="Install the torch build for your GPU and its driver, or use device='cpu'",
        )
    return Choice(requested, "asked for")


def choose_dtype(device: str, found: Sequence[Gpu] = (), requested: str = "auto") -> Choice:
    """bfloat16 where the hardware has it; the checkpoints were trained in it."""
    if requested != "auto":
        if requested not in DTYPES:
            raise OptionError(
                f"unknown dtype {requested!r}", remedy=f"Use 'auto' or one of {', '.join(DTYPES)}"
            )
        return Choice(requested, "asked for")
    if device == "cpu":
        return Choice(
            "float32", "CPU: the same tokens whatever the batch, and most CPUs have no fast bfloat16"
        )
    if device == "mps":
        return Choice("float16", "Apple GPU")
    old = [gpu for gpu in found if gpu.capability < (8, 0)]
    if old:
        return Choice("float16", f"{old[0].name} has no bfloat16")
    return Choice("bfloat16", "the dtype of the checkpoints")


def choose_attention(
    device: str,
    found: Sequence[Gpu] = (),
    dtype: str = "bfloat16",
    requested: str = "auto",
) -> Choice:
    """flash-attn where it is installed and works, else sdpa."""
    if requested not in ("auto", *ATTENTIONS):
        raise OptionError(
            f"unknown attention {requested!r}", remedy=f"Use 'auto' or one of {', '.join(ATTENTIONS)}"
        )
    if requested in ("sdpa", "eager"):
        return Choice(requested, "asked for")
    obstacle = flash_obstacle(device, found, dtype)
    if requested == "flash_attention_2":
        if obstacle:
            raise EngineError(f"flash attention was asked for, but {obstacle}", remedy="Use attention='sdpa'")
        return Choice(requested, "asked for")
    if obstacle:
        return Choice("sdpa", f"no flash attention: {obstacle}")
    return Choice("flash_attention_2", "flash-attn is installed and usable")


def attention_argument(choice: Choice, architecture: str) -> str | dict[str, str]:
    """`attn_implementation` for `from_pretrained`; GPT-OSS's attention sinks need eager attention."""
    if architecture == "gpt_oss":
        return {"vision_config": choice.value, "text_config": "eager"}
    return choice.value


def flash_obstacle(device: str, found: Sequence[Gpu], dtype: str) -> str | None:
    """Why flash-attn cannot be used here, or None."""
    if device != "cuda":
        return "it needs an NVIDIA GPU"
    if dtype == "float32":
        return "it does not work in float32"
    old = [gpu for gpu in found if gpu.capability < (8, 0)]
    if old:
        return f"it needs an Ampere GPU or newer, and GPU {old[0].index} is a {old[0].name}"
    from transformers.utils import is_flash_attn_2_available

    if not is_flash_attn_2_available():
        return "flash-attn 2.3.3 or newer is not installed"
    try:
        import flash_attn  # noqa: F401
    except Exception as error:  # a binary built for another torch fails in many ways
        return f"flash-attn is installed but does not load ({error})"
    return None


def quantisation(precision: Precision, dtype: str) -> Any:
    """A `BitsAndBytesConfig` for int8 or int4 that leaves vision, projector and head alone; None for bf16."""
    if precision == "bf16":
        return None
    from transformers import BitsAndBytesConfig
    from transformers.utils import is_accelerate_available, is_bitsandbytes_available

    missing = [
        name
        for name, there in (
            ("bitsandbytes", is_bitsandbytes_available()),
            ("accelerate", is_accelerate_available()),
        )
        if not there
    ]
    if missing:
        raise MissingDependencyError(
            f"{precision} needs {' and '.join(missing)}", remedy=f"pip install {' '.join(missing)}"
        )
    kept: dict[str, Any] = {"llm_int8_skip_modules": list(SKIPPED)}
    if precision == "int8":
        return BitsAndBytesConfig(load_in_8bit=True, **kept)
    if precision == "int4":
        return BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype, **kept
        )
    raise OptionError(f"unknown precision {precision!r}", remedy="Use 'bf16', 'int8' or 'int4'")
