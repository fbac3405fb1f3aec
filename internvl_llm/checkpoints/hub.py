"""Where a checkpoint's files are: a local folder, or the hub and its cache."""

from __future__ import annotations

from pathlib import Path

from internvl_llm.checkpoints import family
from internvl_llm.errors import CheckpointError

_FILES = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja")


def locate(model: str, revision: str | None = None) -> tuple[Path, family.Member | None]:
    """The folder of a checkpoint; from the hub what is not in its cache is fetched, and no code."""
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder, family.find(folder.name)
    if folder.is_absolute() or model.startswith((".", "~")):
        raise CheckpointError(
            "there is no such folder", source=model, remedy="Give a folder, or a name from `internvl models`"
        )
    member = family.member(model)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

    repository = _repository(model, member)
    try:
        return Path(snapshot_download(repository, revision=revision, allow_patterns=list(_FILES))), member
    except (LocalEntryNotFoundError, RepositoryNotFoundError, HfHubHTTPError, OSError) as error:
        raise CheckpointError(
            f"its weights are not here, and cannot be fetched ({type(error).__name__})",
            source=repository,
            remedy=f"On a machine with network run `hf download {repository}`, and give the folder as model",
        ) from error


def local(model: str, revision: str | None = None) -> Path | None:
    """The folder, where its weights are on this machine; asks no network."""
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder
    member = family.find(model)
    if member is None:
        return None
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return None
    config = try_to_load_from_cache(_repository(model, member), "config.json", revision=revision)
    return Path(config).parent if isinstance(config, str) else None


def _repository(model: str, member: family.Member) -> str:
    """In the format that `model` spells out, else the native one."""
    return member.original if model.lower() == member.original.lower() else member.native
