"""Which engine: the table of those there are, one answer to what callers name, and `open_engine`, which
shares those that are open."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import importlib.util
import json
import os
import threading
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from internvl_llm.checkpoints import files, hub
from internvl_llm.checkpoints.family import find, member
from internvl_llm.engine import RETRIES, Engine, EngineSpec
from internvl_llm.errors import CheckpointError, InternVLError, MissingDependencyError, OptionError
from internvl_llm.version import __version__

if TYPE_CHECKING:
    from internvl_llm.engines.base import BaseEngine

EngineLike: TypeAlias = Engine | EngineSpec | Mapping[str, Any] | str | None
"""How callers name an engine: one that is open, a spec, fields of one, the name of a kind, or not at all."""


@dataclasses.dataclass(frozen=True, slots=True)
class Kind:
    """How engines of a kind are made. `factory` is a module and the class in it that takes an EngineSpec."""

    factory: str
    extra: str
    """Of this distribution, which brings what it needs."""
    needs: tuple[str, ...]
    """Distributions without which it cannot run, and whose versions may change what it answers."""
    in_process: bool = True
    """Whether it loads a checkpoint on this machine."""
    hardware: str = ""
    """Without which it does not run."""
    options: frozenset[str] | None = None
    """Fields of a spec that it heeds, of those that not every engine does; None is all."""


_CUDA = "an NVIDIA GPU with CUDA"
_ACCESS = (
    *("api_key", "concurrency", "max_retries"),
    *("connect_timeout", "first_token_timeout", "token_timeout"),
)
"""Fields of a spec about how a server is asked."""
_SHARED = (
    *("revision", "dtype", "tensor_parallel", "context_tokens", "memory_share", "repeat_limit"),
    *("max_batch", "prefix_bytes", "prefill_chunk"),
)

ENGINES: Mapping[str, Kind] = {
    "transformers": Kind(
        "internvl_llm.engines.transformers.engine:TransformersEngine",
        "transformers",
        ("torch", "transformers", "accelerate"),
        options=frozenset(
            (
                *("device", "dtype", "attention", "precision", "device_map", "replicas", "context_tokens"),
                "revision",
                *("max_batch", "kv_bytes", "prefix_bytes", "feature_bytes", "prefill_chunk", "vision_chunk"),
            )
        ),
    ),
    "vllm": Kind(
        "internvl_llm.engines.vllm.engine:VLLMEngine",
        "vllm",
        ("vllm",),
        hardware=_CUDA,
        options=frozenset((*_SHARED, "device", "replicas", "kv_bytes", "draft_tokens")),
    ),
    "lmdeploy": Kind(
        "internvl_llm.engines.lmdeploy.engine:LMDeployEngine",
        "lmdeploy",
        ("lmdeploy",),
        hardware=_CUDA,
        options=frozenset((*_SHARED, "backend")),
    ),
    "server": Kind(
        "internvl_llm.engines.server.engine:ServerEngine",
        "server",
        ("httpx",),
        in_process=False,
        options=frozenset(("base_url", "native_tools", "context_tokens", *_ACCESS)),
    ),
}
"""An engine is a module and a line here."""

_EVERY = ("model", "engine")
"""Fields that are no engine's own."""

SPEED = (
    *("model", "replicas", "device_map", "max_batch", "kv_bytes", "prefix_bytes", "feature_bytes"),
    *("prefill_chunk", "vision_chunk", "tensor_parallel", "memory_share", "draft_tokens", *_ACCESS),
)
"""Fields of a spec that change how fast an answer comes, or, as the model, are told by its files."""

_HOW = "Name one with model (--model), such as InternVL3-8B, or a local folder"

_open: dict[EngineSpec, BaseEngine] = {}
_opening = threading.Lock()
_inherited: list[BaseEngine] = []
"""Of the process that this one was forked from: their threads are not here, and nobody waits for them."""


def to_spec(
    engine: EngineSpec | Mapping[str, Any] | str | None,
    model: str | Path | None = None,
    base_url: str | None = None,
    **changes: Any,
) -> EngineSpec:
    """The one answer to which engine: `model`, `base_url` and what is no None of `changes`, fields of
    EngineSpec, go before those of a spec or its fields.

    Without a name the engine is `transformers`, or `server` where there is a `base_url`. Raises OptionError.
    """
    fields = _fields(engine)
    unknown = sorted(set(map(str, fields)) - {one.name for one in dataclasses.fields(EngineSpec)})
    if unknown:
        raise OptionError(f"no such engine option: {', '.join(unknown)}", remedy="See EngineSpec")
    fields |= {"model": model} if model else {}
    fields |= {"base_url": base_url} if base_url else {}
    fields |= {name: value for name, value in changes.items() if value is not None}
    if not fields.get("model") and not fields.get("base_url") and fields.get("engine") != "server":
        raise OptionError("no model is named", remedy=_HOW)
    if isinstance(fields.get("model"), Path):
        fields["model"] = str(fields["model"])
    if fields.get("engine") == "server" and not fields.get("base_url"):
        raise OptionError(
            "the engine server needs an address", remedy="Give base_url (--base-url) as http://HOST:PORT/v1"
        )
    if not fields.get("model"):
        fields["model"] = ""
    spec = EngineSpec(**fields)
    if spec.engine not in ENGINES:
        raise OptionError(
            f"this version has no engine {spec.engine!r}", remedy=f"Use one of {', '.join(ENGINES)}"
        )
    if ENGINES[spec.engine].in_process:  # taken by every engine, so that models can be swapped
        spec = dataclasses.replace(spec, api_key=None, max_retries=RETRIES)
    _check_options(spec)
    if spec.base_url is None:
        return spec
    from internvl_llm.engines.server.addresses import base_urls

    return dataclasses.replace(spec, base_url=",".join(base_urls(spec.base_url)))


def _check_options(spec: EngineSpec) -> None:
    """What an engine does not heed is refused rather than passed over."""
    heeded = ENGINES[spec.engine].options
    for one in dataclasses.fields(spec):
        if heeded is None or one.name in heeded or one.name in _EVERY:
            continue
        if getattr(spec, one.name) != one.default:
            others = [name for name, kind in ENGINES.items() if one.name in (kind.options or ())]
            raise OptionError(
                f"the {spec.engine} engine has no option {one.name}",
                remedy=f"Leave it out, or use the {' or '.join(others)} engine",
            )


def resolve(
    engine: EngineLike, model: str | Path | None = None, base_url: str | None = None, **changes: Any
) -> Engine | EngineSpec:
    """The engine that is open, or the spec of one, as `to_spec` has it. Raises OptionError, also where an
    open engine is said to run another model than it does."""
    if not isinstance(engine, Engine):
        return to_spec(engine, model, base_url, **changes)
    runs = engine.capabilities.model
    if base_url or (model and not _same_model(str(model), runs)):
        raise OptionError(
            f"an open engine has its model, {runs}, not {base_url or model}",
            remedy="Leave model and base_url out",
        )
    return engine


def model_name(choice: Engine | EngineSpec) -> str:
    """Empty where only the server knows."""
    return choice.model if isinstance(choice, EngineSpec) else choice.capabilities.model


def opened(choice: Engine | EngineSpec) -> Engine:
    return open_engine(choice) if isinstance(choice, EngineSpec) else choice


def open_engine(spec: EngineSpec | Mapping[str, Any] | str | Path | None = None, **changes: Any) -> Engine:
    """The engine of that spec; the same one for the same spec in a process, so weights are loaded once.

    A model's name or folder alone is a spec too; `changes` are fields of EngineSpec, and enough for a server:
    `open_engine(base_url="http://localhost:8000/v1")`.
    """
    wanted = to_spec((_fields(spec) if not isinstance(spec, str | Path) else {"model": spec}) | changes)
    with _opening:
        for one in [one for one, engine in _open.items() if engine.closed]:
            del _open[one]
        if wanted not in _open:
            _open[wanted] = _made(wanted)
        return _open[wanted]


def _begin_anew() -> None:
    """A forked child opens engines of its own; those of its parent say there that they are closed."""
    global _opening
    _opening = threading.Lock()
    for engine in _open.values():
        engine.closed = True
        _inherited.append(engine)
    _open.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


def shared(spec: EngineSpec) -> Engine | EngineSpec:
    """The engine of that spec if it is open, else the spec."""
    engine = _open.get(spec)
    return spec if engine is None or engine.closed else engine


def check(spec: EngineSpec) -> None:
    """Raises OptionError or CheckpointError for a model that cannot be opened, without loading it."""
    if not ENGINES[spec.engine].in_process:
        return
    folder = Path(spec.model).expanduser()
    if folder.is_dir():
        if importlib.util.find_spec("safetensors") is not None:
            files.check(folder)
    elif folder.is_absolute() or spec.model.startswith("."):
        raise CheckpointError("there is no such folder", source=spec.model, remedy=_HOW)
    else:
        member(spec.model)


def fingerprint(spec: EngineSpec) -> str | None:
    """What its answers depend on: spec, files of the model, versions; or what a server says that it is, which
    is asked. None while the weights are not here, or no server is there."""
    kind = ENGINES[spec.engine]
    if not kind.in_process:
        try:
            return open_engine(spec).fingerprint
        except InternVLError:  # whoever needs the engine hears of it
            return None
    parts: dict[str, Any] = {
        one.name: getattr(spec, one.name) for one in dataclasses.fields(spec) if one.name not in SPEED
    }
    folder = hub.local(spec.model, spec.revision)
    if folder is None:
        return None
    parts["files"] = files.digest(folder)
    parts["versions"] = [__version__, *(_version(name) for name in kind.needs)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _fields(engine: EngineSpec | Mapping[str, Any] | str | None) -> dict[str, Any]:
    match engine:
        case EngineSpec():
            return {field.name: getattr(engine, field.name) for field in dataclasses.fields(engine)}
        case Mapping():
            return dict(engine)
        case str():
            return {"engine": engine}
        case None:
            return {}
    raise OptionError(
        f"engine cannot be a {type(engine).__name__}",
        remedy="Give an engine's name, an EngineSpec, its fields, or an engine that is open",
    )


def _made(spec: EngineSpec) -> BaseEngine:
    kind = ENGINES[spec.engine]
    module, _, name = kind.factory.partition(":")
    try:
        factory = getattr(importlib.import_module(module), name)
    except ImportError as error:
        needs = (*kind.needs, kind.hardware) if kind.hardware else kind.needs
        elsewhere = ", or use the transformers engine" if kind.hardware else ""
        raise MissingDependencyError(
            f"the {spec.engine} engine needs {_listed(needs)} ({error})",
            remedy=f"pip install 'internvl-documents[{kind.extra}]'{elsewhere}",
        ) from error
    engine: BaseEngine = factory(spec)
    return engine


def _same_model(one: str, other: str) -> bool:
    if one == other or Path(one).name == other:
        return True
    known = find(one)
    return known is not None and known == find(other)


def _version(distribution: str) -> str:
    try:
        return f"{distribution} {version(distribution)}"
    except PackageNotFoundError:
        return f"no {distribution}"


def _listed(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
