"""What is known of a model before its weights are loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from internvl_llm.checkpoints.family import find
from internvl_llm.checkpoints.files import read_json
from internvl_llm.engine import Capabilities


@dataclass(frozen=True, slots=True)
class Known:
    context: int
    """Tokens, the answer included."""
    tools: bool


def of_engine(capabilities: Capabilities) -> Known:
    return Known(capabilities.context_tokens, capabilities.dialect != "none")


def of_model(model: str) -> Known | None:
    """From a folder's config.json, or the family's table; None where only loading can tell."""
    folder = Path(model).expanduser()
    member = find(folder.name) if folder.is_dir() else find(model)
    context = _configured(folder) or (member.context if member else None)
    return Known(context, member is None or member.dialect != "none") if context else None


def _configured(folder: Path) -> int | None:
    """Of the language part, in either format of checkpoints."""
    config = read_json(folder, "config.json") or {}
    text = config.get("text_config") or config.get("llm_config")
    found = text.get("max_position_embeddings") if isinstance(text, dict) else None
    return found if isinstance(found, int) else None
