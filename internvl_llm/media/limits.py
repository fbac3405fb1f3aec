"""Bounds on what is opened, fetched and drawn, and how media of messages are."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field


class Limits(BaseModel):
    """Bounds that hostile or broken input may not pass; every error names the one it met."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_bytes: int = Field(default=512 * 2**20, gt=0)
    """Bytes of one document, downloaded or not."""
    max_pages: int = Field(default=100_000, gt=0)
    """Pages of one document."""
    max_pixels: int = Field(default=40_000_000, gt=0)
    """Pixels of one page image; a PDF page is drawn at a lower resolution to stay within it."""
    max_image_pixels: int = Field(default=200_000_000, gt=0)
    """Pixels an image file may declare before it is decoded."""
    max_seconds: float = Field(default=120.0, gt=0)
    """Seconds one page, or the opening of one document, may take; a model's answer is bounded by
    `max_tokens` instead."""
    max_memory: int = Field(default=4 * 2**30, ge=256 * 2**20)
    """Bytes of data a worker process may hold (`RLIMIT_DATA`; enforced on Linux)."""
    max_redirects: int = Field(default=5, ge=0)
    max_download_seconds: float = Field(default=60.0, gt=0)
    max_cache_bytes: int = Field(default=2 * 2**30, gt=0)
    """Bytes of the page cache, beyond which the least recently used pages are dropped."""


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
