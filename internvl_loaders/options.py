"""What a caller may choose, validated once, before any document is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationError,
    field_validator,
)

from internvl_llm.engine import Engine
from internvl_llm.engines.open import ENGINES
from internvl_llm.media.limits import Limits
from internvl_llm.media.page_ranges import page_ranges
from internvl_loaders.errors import OptionError

TranscriberName = Literal["auto", "text-layer", "rapidocr", "internvl"]
OnError = Literal["raise", "skip", "placeholder"]


def _engine(value: object) -> object:
    if value is None or (isinstance(value, str) and value in ENGINES) or isinstance(value, Engine):
        return value
    raise ValueError(f"neither one of {', '.join(ENGINES)} nor an Engine")


AnyEngine = Annotated[
    str | Engine | None,
    PlainValidator(_engine),
    PlainSerializer(lambda value: value if isinstance(value, str) else None, when_used="json"),
]


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
