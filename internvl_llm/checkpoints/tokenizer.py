"""A checkpoint's tokenizer, and the tokens that end an answer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from internvl_llm.checkpoints.files import read_json
from internvl_llm.errors import CheckpointError


def load_tokenizer(folder: Path) -> Any:
    """transformers' fast one. Raises CheckpointError."""
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except Exception as error:  # its files are read by several libraries
        raise CheckpointError(
            f"the tokenizer cannot be loaded ({str(error).splitlines()[0][:200]})",
            source=str(folder),
            remedy="Use the folder of the -hf checkpoint, which has a tokenizer.json",
        ) from error


def end_tokens(folder: Path, special: Mapping[str, int]) -> frozenset[int]:
    """The end of a turn, and what else the checkpoint's configs name."""
    config = read_json(folder, "config.json") or {}
    ends = {special["<|im_end|>"]}
    for source in (
        read_json(folder, "generation_config.json"),
        config.get("text_config"),
        config.get("llm_config"),
    ):
        named = source.get("eos_token_id") if isinstance(source, dict) else None
        ends |= {one for one in (named if isinstance(named, list) else [named]) if isinstance(one, int)}
    return frozenset(ends)
