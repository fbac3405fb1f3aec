"""The files of a local checkpoint: which format they are in, and whether they are all there and sound."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from internvl_llm.errors import CheckpointError

Format = Literal["native", "original"]

NATIVE, ORIGINAL = "InternVLForConditionalGeneration", "InternVLChatModel"
_CRITIC = "InternVLRewardModel"
"""VisualPRM's: an InternVLChatModel with the same tensors and other methods."""

_LOADED = frozenset({".json", ".safetensors", ".model", ".txt", ".jinja"})
"""Suffixes of the files that a checkpoint is loaded from."""

_SMALL = 2**24
_SAMPLES, _SAMPLE = 64, 2**16
"""Of a file of more than `_SMALL` bytes: how many, evenly spaced, and bytes of each."""


def folder_format(folder: Path) -> Format:
    """The format of a local checkpoint, from its config.json."""
    config = read_json(folder, "config.json")
    if config is None:
        raise broken(
            folder, "there is no config.json", "Give the folder that holds config.json and the weights"
        )
    named = architecture(config)
    if NATIVE in named:
        return "native"
    if ORIGINAL in named or _CRITIC in named:
        return "original"
    raise broken(
        folder,
        f"it holds {named[0]!r}, another architecture",
        f"Give an InternVL3 checkpoint, {NATIVE} or {ORIGINAL}",
    )


def architecture(config: Mapping[str, Any]) -> list[str]:
    """The class names in a config, or else the one that its model type stands for."""
    named = config.get("architectures")
    if isinstance(named, list) and named:
        return [str(one) for one in named]
    kind = str(config.get("model_type"))
    return [{"internvl": NATIVE, "internvl_chat": ORIGINAL}.get(kind, kind)]


def check(folder: Path) -> Format:
    """Like `folder_format`, and reads the header of every weight file: all must be there and sound."""
    found = folder_format(folder)
    tensor_files(folder)
    return found


def tensor_files(folder: Path) -> dict[str, Path]:
    """The safetensors file of every tensor, from the files' headers."""
    index = read_json(folder, "model.safetensors.index.json")
    if index is None:
        paths = sorted(folder.glob("*.safetensors"))
        expected: Mapping[str, str] = {}
    else:
        expected = as_object(folder, index.get("weight_map"), "weight_map of model.safetensors.index.json")
        # Only the last part of a name counts: an index cannot point out of its folder.
        paths = sorted({folder / Path(str(name)).name for name in expected.values()})
    if not paths:
        pickled = any(folder.glob("*.bin"))
        raise broken(
            folder,
            "its weights are pickled, and unpickling runs code"
            if pickled
            else "there are no safetensors files",
            "Get the safetensors files of the checkpoint",
        )
    found = {name: path for path in paths for name in _names(path)}
    lost = [name for name in expected if name not in found]
    if lost:
        raise broken(folder, f"{len(lost)} tensors are in no file, {lost[0]} first", "Get the files again")
    return found


def _names(path: Path) -> list[str]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return list(file.keys())
    except FileNotFoundError as error:
        raise broken(path, "the file is missing", "Get the missing file of the checkpoint") from error
    except (SafetensorError, OSError) as error:
        raise broken(path, f"the file is corrupt or cut short ({error})", "Get the file again") from error


def digest(folder: Path) -> str:
    """Of all its files: names, sizes and times of all, contents of small ones, samples of large ones.

    Weights are sampled, as reading all of them takes as long as loading them.
    """
    listing = _listing(folder)
    times = [changed for _, _, changed in listing]
    return hashlib.sha256(f"{_contents(listing)} {times}".encode()).hexdigest()


def contents_digest(folder: Path) -> str:
    """`digest`, but the same for copies on other machines: of what is loaded, whatever its times."""
    return _contents(tuple(entry for entry in _listing(folder) if entry[0].suffix in _LOADED))


def _listing(folder: Path) -> tuple[tuple[Path, int, int], ...]:
    """Path, size and time of change of every file."""
    paths = sorted(path for path in folder.iterdir() if path.is_file())
    return tuple((path, (stat := path.stat()).st_size, stat.st_mtime_ns) for path in paths)


@lru_cache(maxsize=32)
def _contents(listing: tuple[tuple[Path, int, int], ...]) -> str:
    digest = hashlib.sha256()
    for path, size, _ in listing:
        digest.update(f"{path.name}\0{size}\0".encode("utf-8", "surrogateescape"))
        with path.open("rb") as file:
            if size <= _SMALL:
                digest.update(file.read())
                continue
            for at in range(_SAMPLES):
                file.seek(at * (size - _SAMPLE) // (_SAMPLES - 1))
                digest.update(file.read(_SAMPLE))
    return digest.hexdigest()


def special_tokens(folder: Path) -> dict[str, int]:
    """Ids of the added tokens, from whichever tokenizer files there are."""
    found: dict[str, int] = {}
    try:
        slow = read_json(folder, "tokenizer_config.json") or {}
        for number, token in slow.get("added_tokens_decoder", {}).items():
            found[token["content"]] = int(number)
        for token in (read_json(folder, "tokenizer.json") or {}).get("added_tokens", []):
            found[token["content"]] = int(token["id"])
        for content, number in (read_json(folder, "added_tokens.json") or {}).items():
            found[content] = int(number)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise broken(
            folder, "a tokenizer file lists its added tokens wrongly", "Get the files again"
        ) from error
    return found


def read_json(folder: Path, name: str) -> dict[str, Any] | None:
    """The object in a JSON file; None when there is no such file."""
    try:
        content = json.loads((folder / name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise broken(folder / name, f"the file cannot be read ({error})", "Get the file again") from error
    return dict(as_object(folder, content, name))


def as_object(folder: Path, value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise broken(folder, f"{what} is missing or no JSON object", "Get the file again")
    return value


def broken(place: Path, problem: str, remedy: str) -> CheckpointError:
    return CheckpointError(problem, source=str(place), remedy=remedy)
