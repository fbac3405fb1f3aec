"""Which engine there is for a spec, and `open_engine`, which shares those that are open."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

from internvl_llm.engine import Engine, EngineSpec
from internvl_llm.errors import MissingDependencyError, OptionError

_engines: dict[EngineSpec, Engine] = {}
_opening = threading.Lock()


def open_engine(spec: EngineSpec | str | Path, **changes: Any) -> Engine:
    """The engine of that spec; the same one for the same spec in a process, so weights are loaded once.

    A model's name or folder alone is a spec too; `changes` are fields of EngineSpec.
    """
    if isinstance(changes.get("device_map"), dict):
        changes["device_map"] = tuple(changes["device_map"].items())
    try:
        spec = replace(spec, **changes) if isinstance(spec, EngineSpec) else EngineSpec(str(spec), **changes)
    except TypeError as error:
        raise OptionError(f"no such engine option: {error}", remedy="See EngineSpec") from error
    with _opening:
        if spec not in _engines:
            _engines[spec] = _started(spec)
        return _engines[spec]


def forget(engine: Engine) -> None:
    """A closed engine is not given to anybody any more."""
    with _opening:
        for spec in [spec for spec, known in _engines.items() if known is engine]:
            del _engines[spec]


def _started(spec: EngineSpec) -> Engine:
    if spec.engine == "transformers":
        try:
            from internvl_llm.engines.transformers.engine import TransformersEngine
        except ImportError as error:
            raise MissingDependencyError(
                f"the transformers engine needs torch, transformers and accelerate ({error})",
                remedy="pip install 'internvl-documents[transformers]'",
            ) from error
        return TransformersEngine(spec)
    raise OptionError(
        f"this version has no engine {spec.engine!r}", remedy="Use engine='transformers', in process"
    )
