"""Bounds on what is opened, fetched and drawn, and how media of messages are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from internvl_llm.errors import OptionError
from internvl_llm.messages import brief, is_integer, is_number


class Limits(BaseModel):
    """Bounds that hostile or broken input may not pass; every error names the one it met."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_bytes: Annotated[int, Field(gt=0, description="Bytes of one document, downloaded or not.")] = (
        512 * 2**20
    )
    max_pages: Annotated[int, Field(gt=0, description="Pages of one document.")] = 100_000
    max_pixels: Annotated[
        int, Field(gt=0, description="Pixels of a page image; PDF pages are drawn coarser to stay within it.")
    ] = 40_000_000
    max_image_pixels: Annotated[
        int, Field(gt=0, description="Pixels an image file may declare before it is decoded.")
    ] = 200_000_000
    max_seconds: Annotated[
        float,
        Field(
            gt=0, description="Seconds a page, or the opening of a document, may take; models' answers aside."
        ),
    ] = 120.0
    max_document_seconds: Annotated[
        float,
        Field(
            gt=0, description="Seconds all pages of a document may take together in workers; models' aside."
        ),
    ] = 43_200.0
    max_memory: Annotated[
        int, Field(ge=256 * 2**20, description="Bytes of data a worker process may hold (enforced on Linux).")
    ] = 4 * 2**30
    max_redirects: Annotated[int, Field(ge=0, description="Redirects of one download.")] = 5
    max_download_seconds: Annotated[float, Field(gt=0, description="Seconds one download may take.")] = 60.0
    max_cache_bytes: Annotated[
        int, Field(gt=0, description="Bytes of the page cache; the least recently used pages are dropped.")
    ] = 2 * 2**30


@dataclass(frozen=True, slots=True)
class MediaOptions:
    """`limits` are those of the loaders (None: their defaults), and so is what `allow_hosts` means."""

    limits: Limits | None = None
    allow_hosts: tuple[str, ...] = ()
    dpi: int = 200
    """At which pages of PDFs are drawn."""
    frames: int = 8
    """Of a video that does not say how many."""
    max_images: int = 128
    """Images, pages and frames of one conversation."""
    max_video_seconds: float = 3600.0
    """Length of a video."""
    media_root: tuple[Path, ...] = ()
    """Folders below which content that comes as data (blocks of chat messages) may name files; one or
    several. Links are followed where they stay below. Without a folder no content names a file."""

    def __post_init__(self) -> None:
        for name, most in (("dpi", 4800), ("frames", 10**6), ("max_images", 10**6)):
            value = getattr(self, name)
            if not is_integer(value, 1, most):
                raise OptionError(f"{name} cannot be {brief(value)}", remedy=f"Give 1 to {most:,}")
        seconds = self.max_video_seconds
        if not is_number(seconds) or not 0 < seconds <= 1e9:
            raise OptionError(f"max_video_seconds cannot be {brief(seconds)}", remedy="Give seconds")
        hosts = self.allow_hosts
        object.__setattr__(self, "allow_hosts", (hosts,) if isinstance(hosts, str) else tuple(hosts))
        object.__setattr__(self, "media_root", folders(self.media_root))


def folders(given: str | Path | Iterable[str | Path]) -> tuple[Path, ...]:
    """Absolute; one or several. Raises OptionError for what is none."""
    paths = [given] if isinstance(given, str | Path) else list(given)
    missing = [str(path) for path in paths if not str(path) or not Path(path).is_dir()]
    if missing:
        raise OptionError(f"media_root: no such folder: {', '.join(missing)[:200]}", remedy="Give folders")
    return tuple(Path(path).absolute() for path in paths)
