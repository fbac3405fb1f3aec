"""What can be told of a model before its weights are loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from internvl_llm.checkpoints.family import find
from internvl_llm.checkpoints.files import read_json
from internvl_llm.engine import Engine, EngineSpec


@dataclass(frozen=True, slots=True)
class ModelProfile:
    context_tokens: int
    """The answer included."""
    tool_calls: bool


def model_profile(engine: Engine | EngineSpec) -> ModelProfile | None:
    """Of an engine that is open; or else from the folder's config.json or the family's table, and None where
    only loading can tell."""
    if not isinstance(engine, EngineSpec):
        capabilities = engine.capabilities
        return ModelProfile(capabilities.context_tokens, capabilities.dialect != "none")
    if engine.base_url:
        served = find(engine.model)
        return ModelProfile(served.context, served.dialect != "none") if served else None
    folder = Path(engine.model).expanduser()
    member = find(folder.name) if folder.is_dir() else find(engine.model)
    context = _configured_context(folder) or (member.context if member else None)
    return ModelProfile(context, member is None or member.dialect != "none") if context else None


def _configured_context(folder: Path) -> int | None:
    """Of the language part, in either format of checkpoints."""
    config = read_json(folder, "config.json") or {}
    text = config.get("text_config") or config.get("llm_config")
    context = text.get("max_position_embeddings") if isinstance(text, dict) else None
    return context if isinstance(context, int) else None
