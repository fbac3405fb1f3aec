"""Which engine pages may go to, and why; nothing heavy is imported and nothing downloaded to find out."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from internvl_llm.checkpoints.family import FAMILY, Member
from internvl_llm.errors import OptionError

if TYPE_CHECKING:
    from internvl_llm.engine import Engine, EngineSpec
    from internvl_loaders.options import ParseOptions

_ROOM = 1.2
"""Times its weights that a model needs of the GPUs' memory, at least."""


@dataclass(frozen=True, slots=True)
class Choice:
    """An engine, open or to be opened. `named` is whether the options name it."""

    name: str
    reason: str
    engine: Engine | EngineSpec
    named: bool = True

    def open(self) -> Engine:
        """Raises an InternVLError; may take as long as the weights take to load."""
        from internvl_llm.engines.open import opened

        return opened(self.engine)

    def fingerprint(self) -> str | None:
        """Of the engine, open or not yet; None while its weights are not on this machine."""
        from internvl_llm.engine import EngineSpec
        from internvl_llm.engines.open import fingerprint, shared

        engine = shared(self.engine) if isinstance(self.engine, EngineSpec) else self.engine
        return fingerprint(engine) if isinstance(engine, EngineSpec) else engine.fingerprint


def choose(options: ParseOptions) -> tuple[Choice | None, str]:
    """The engine, if any, and the sentence to log. Raises OptionError or CheckpointError."""
    engine = options.chosen_engine()
    if options.transcriber in {"text-layer", "rapidocr"}:
        if engine is not None:
            raise OptionError(
                f"transcriber {options.transcriber} uses no engine and no model",
                remedy="Leave engine, model and base_url out, or use transcriber auto or internvl",
            )
        return None, f"transcriber {options.transcriber}: asked for"
    which = "all pages" if options.transcriber == "internvl" else "pages without a sound text layer"
    if engine is not None:
        choice = _of_engine(engine)
    elif options.transcriber == "internvl":
        largest = next(local_models(), None)
        if largest is None:
            raise OptionError("no InternVL model is named, and none is on this machine", remedy=_HOW)
        choice = _of_folder(*largest, "the largest on this machine")
    else:
        absent, local = _best_on_gpu()
        if local is None:
            return (
                None,
                f"transcriber auto: {which} go to rapidocr, as no engine or model is named and {absent}",
            )
        choice = _of_folder(*local, "a GPU and the weights are here", named=False)
    return (
        choice,
        f"transcriber {options.transcriber}: {which} go to internvl ({choice.name}: {choice.reason})",
    )


_HOW = "Name one with model (--model), such as InternVL3-8B, or a local folder"


def _of_engine(engine: Engine | EngineSpec) -> Choice:
    from internvl_llm.engine import EngineSpec
    from internvl_llm.engines.open import check

    if not isinstance(engine, EngineSpec):
        return Choice(engine.capabilities.model, "the engine given", engine)
    check(engine)
    if engine.base_url:
        return Choice(f"{engine.model or 'the model'} at {engine.base_url}", "asked for", engine)
    return Choice(f"{engine.model}, engine {engine.engine}", "asked for", engine)


def _of_folder(member: Member, folder: Path, reason: str, *, named: bool = True) -> Choice:
    from internvl_llm.engine import EngineSpec

    return Choice(f"{member.name}, engine transformers", reason, EngineSpec(str(folder)), named)


def _best_on_gpu() -> tuple[str, tuple[Member, Path] | None]:
    """What is missing to use a model nobody named, or the largest that fits on the GPUs."""
    if not _gpu_there():
        return "there is no GPU", None
    local = list(local_models())
    if not local:
        return "there are no InternVL weights on this machine", None
    memory = _gpu_memory()
    for member, folder in local:
        if memory is None or member.weight_bytes() * _ROOM <= memory:
            return "", (member, folder)
    return "no InternVL model on this machine fits on the GPU", None


def _gpu_there() -> bool:
    """By device files: asking torch would cost seconds."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in {"", "-1"}:
        return False
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    return any(Path(device).exists() for device in ("/dev/nvidia0", "/dev/kfd", "/dev/dxg"))


def _gpu_memory() -> int | None:
    """Bytes of all NVIDIA GPUs together; None where their driver does not tell."""
    command = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        mebibytes = subprocess.run(command, capture_output=True, check=True, timeout=10).stdout
        return sum(map(int, mebibytes.split())) * 2**20
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def local_models() -> Iterator[tuple[Member, Path]]:
    """Members whose weights are in the hub's cache folder, the largest first, with their folders."""
    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
    hub = Path(os.environ.get("HF_HUB_CACHE") or home / "hub")
    if not hub.is_dir():
        return
    for member in sorted(FAMILY, key=lambda m: m.parameters, reverse=True):
        for name in (member.native, member.original):
            snapshots = sorted((hub / f"models--{name.replace('/', '--')}" / "snapshots").glob("*"))
            whole = [s for s in snapshots if (s / "config.json").exists() and any(s.glob("*.safetensors"))]
            if whole:
                yield member, whole[-1]
                break
