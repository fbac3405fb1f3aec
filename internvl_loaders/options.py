"""What a caller may choose, validated once, before any document is opened."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, Self, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationError,
    field_validator,
)

from internvl_llm.engine import Engine, EngineName
from internvl_loaders.errors import OptionError

TranscriberName = Literal["auto", "text-layer", "rapidocr", "internvl"]
OnError = Literal["raise", "skip", "placeholder"]


def _engine(value: object) -> object:
    if value is None or value in get_args(EngineName) or isinstance(value, Engine):
        return value
    raise ValueError(f"neither one of {', '.join(get_args(EngineName))} nor an Engine")


AnyEngine = Annotated[
    EngineName | Engine | None,
    PlainValidator(_engine),
    PlainSerializer(lambda value: value if isinstance(value, str) else None, when_used="json"),
]


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


class ParseOptions(BaseModel):
    """Options of `parse`; frozen and hashable, so they can key a cache."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    transcriber: TranscriberName = "auto"
    engine: AnyEngine = None
    """What runs the model: a kind of engine, or an Engine that is open already, to share its weights
    (JSON leaves it out)."""
    model: str | None = None
    """A member of the InternVL3 or InternVL3.5 family in any spelling, a hub id, or a local folder."""
    base_url: str | None = None
    """Of a server engine."""
    max_tokens: int = Field(default=4096, ge=1)
    """Of a model's answer about one page; one cut off by it is asked for again with twice as many."""
    max_tiles: int = Field(default=24, ge=1)
    """448 px tiles that a page image is cut into for a model, at most."""
    best_of: int = Field(default=1, ge=1, le=64)
    """Answers a model samples for a page; the one most like the others is kept."""
    in_flight: int = Field(default=32, ge=1)
    """Pages a model is asked about at once."""
    pages: str | None = None
    """1-based, such as `2-5,9`, `3-` or `-2`; None is all."""
    password: str | None = Field(default=None, repr=False)
    dpi: int = Field(default=200, ge=36, le=1200)
    """At which PDF pages are drawn for OCR and for page images."""
    jobs: int | None = Field(default=None, ge=1)
    """Worker processes; None is one a processor core."""
    on_error: OnError | None = None
    """What a failed page does: `raise` its error, `skip` it, or yield it as a `placeholder` with
    status `failed`. None is `placeholder`, but a source that cannot be opened raises where it is
    the only one."""
    words: bool = False
    """Keep words with boxes in every block."""
    images: Literal["none", "figures", "pages", "all"] = "none"
    """Which images to keep: crops of the figures, of the whole pages, or both."""
    cache_dir: Path | None = None
    """Folder of the page cache: pages read before, by the same settings and versions, are not read again."""
    allow_hosts: tuple[str, ...] = ()
    """Hosts that URLs may name although their address is not public."""
    limits: Limits = Limits()

    @field_validator("pages")
    @classmethod
    def _pages(cls, value: str | None) -> str | None:
        if value is not None:
            page_ranges(value)
        return value

    @classmethod
    def of(cls, options: ParseOptions | None = None, **changes: object) -> Self:
        """`options` (or the defaults) with `changes`; a wrong one raises OptionError."""
        known = options.model_dump() if options else {}
        try:
            return cls.model_validate(known | changes)
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(part) for part in first["loc"])
            raise OptionError(f"option {name}: {first['msg']}") from error


_RANGE = re.compile(r"(\d{0,9})\s*(-?)\s*(\d{0,9})")


def page_ranges(text: str) -> list[tuple[int, int | None]]:
    """`2-5,9,12-` as [(2, 5), (9, 9), (12, None)]; raises OptionError on anything else."""
    ranges: list[tuple[int, int | None]] = []
    for part in text.split(","):
        match = _RANGE.fullmatch(part.strip())
        if not match or not (match[1] or match[3]):
            raise OptionError(f"not a page range: {part.strip()!r}", remedy="Write pages like 2-5,9 or 3-")
        start = int(match[1]) if match[1] else 1
        end = (int(match[3]) if match[3] else None) if match[2] else start
        if start < 1 or (end is not None and end < start):
            raise OptionError(f"not a page range: {part.strip()!r}", remedy="Pages count from 1, low to high")
        ranges.append((start, end))
    return ranges


def select_pages(text: str | None, total: int) -> Iterator[int]:
    """The 1-based pages of a document of `total` pages that `text` names, ascending, once each."""
    ranges = page_ranges(text) if text else [(1, None)]
    return (n for n in range(1, total + 1) if any(a <= n and (b is None or n <= b) for a, b in ranges))
