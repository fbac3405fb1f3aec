"""What a caller may choose, validated once, before any document is opened.

A field is an option of `parse`, of loaders and readers, and of commands, which show its description.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationError,
    field_validator,
    model_validator,
)

from internvl_llm.media.limits import Limits
from internvl_llm.media.page_ranges import page_ranges
from internvl_loaders import prompts
from internvl_loaders.errors import OptionError

if TYPE_CHECKING:
    from internvl_llm.engine import Engine, EngineSpec
    from internvl_llm.engines.open import EngineLike
else:
    EngineLike = Any  # engines are looked at only where one is named

F = TypeVar("F", bound=Callable[..., Any])

TranscriberName = Literal["auto", "text-layer", "rapidocr", "internvl"]
OnError = Literal["raise", "skip", "placeholder"]
Images = Literal["none", "figures", "pages", "all"]

WitnessName = Literal["auto", "text-layer", "rapidocr", "none"]
Struck = Literal["mark", "omit"]
Unseen = Literal["omit", "keep"]
Annotations = Literal["omit", "keep"]

SAME_PAGES: Mapping[str, Any] = dict.fromkeys(
    ("pages", "password", "on_error", "jobs", "attachments", "in_flight", "cache_dir", "allow_hosts"), True
) | {
    "limits": {
        *("max_bytes", "max_pages", "max_seconds", "max_document_seconds", "max_memory"),
        *("max_redirects", "max_download_seconds", "max_cache_bytes"),
    }
}
"""The options that change no page's result, be it cached or recorded: which pages are read, what may be
opened, how fast. All others change it, new ones too until they are named here."""

ENGINE = frozenset({"engine", "model", "base_url"})
"""The options that choose an engine, which is told by what it is and not by how it was named."""


def _plain(engine: EngineLike) -> Any:
    """What JSON keeps: a name, or the fields of a spec that are not their defaults. No open engine."""
    from internvl_llm.engine import EngineSpec

    if not isinstance(engine, EngineSpec):
        return engine if isinstance(engine, str) else None
    return engine.plain()


class ParseOptions(BaseModel):
    """Options of `parse`; frozen and hashable.

    Where `on_error` is left out, a failed page is a placeholder, but a source that cannot be opened raises if
    it is the only one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    transcriber: Annotated[TranscriberName, Field(description="What reads the pages")] = "auto"
    engine: Annotated[
        EngineLike,
        PlainValidator(lambda value: value),
        PlainSerializer(_plain, when_used="json"),
        Field(description="What runs the model: a name, an EngineSpec or its fields, or an open engine."),
    ] = None
    model: Annotated[
        str | None, Field(description="An InternVL checkpoint: a name, a hub id, or a local folder.")
    ] = None
    base_url: Annotated[
        str | None,
        Field(description="Of a server, such as http://localhost:8000/v1; several by commas."),
    ] = None
    max_tokens: Annotated[
        int, Field(ge=1, description="Of a model's answer about a page; twice as many where it is cut off.")
    ] = 4096
    max_tiles: Annotated[int, Field(ge=1, description="448 px tiles of a page, for a model, at most.")] = 24
    best_of: Annotated[
        int,
        Field(ge=1, le=64, description="Answers a model samples a page; the one most like the others stays."),
    ] = 1
    max_attempts: Annotated[
        int,
        Field(
            ge=1,
            description="Times a model is asked about a page, while its answers go wrong.",
        ),
    ] = 4
    max_page_tokens: Annotated[
        int | None, Field(ge=1, description="Of all answers about a page together; no limit if left out.")
    ] = None
    max_page_seconds: Annotated[
        float | None,
        Field(gt=0, le=1e7, description="That a model is asked about a page in all; no limit if left out."),
    ] = None
    prompt: Annotated[
        str,
        Field(
            description=f"What a model is asked: {', '.join(prompts.PROMPTS)}, @FILE, or a text of your own."
        ),
    ] = prompts.DEFAULT
    witness: Annotated[
        WitnessName,
        Field(
            description="What a model's page is held against: its text layer, rapidocr, "
            "either (auto: rapidocr where there is no sound text layer), or nothing."
        ),
    ] = "auto"
    max_crops: Annotated[
        int,
        Field(ge=0, description="Crops of a page that a model reads again where readings differ, at most."),
    ] = 24
    in_flight: Annotated[int, Field(ge=1, description="Pages a model is asked about at once.")] = 32
    pages: Annotated[str | None, Field(description="Such as 2-5,9 or 3-; all if left out.")] = None
    password: Annotated[str | None, Field(repr=False, description="Of encrypted PDFs.")] = None
    jobs: Annotated[
        int | None, Field(ge=1, description="Worker processes; one a processor core if left out.")
    ] = None
    dpi: Annotated[
        int,
        Field(ge=36, le=1200, description="At which PDF pages are drawn for OCR and models."),
    ] = 200
    struck: Annotated[Struck, Field(description="Text that is struck through: marked, or left out")] = "mark"
    unseen: Annotated[
        Unseen, Field(description="Text that is in the file but does not show on the page: left out, or kept")
    ] = "omit"
    annotations: Annotated[
        Annotations,
        Field(description="Sticky notes of PDFs and remarks on marked text: left out, or behind their page"),
    ] = "omit"
    images: Annotated[Images, Field(description="Images to keep")] = "none"
    words: Annotated[bool, Field(description="Keep words with boxes in every block.")] = False
    attachments: Annotated[
        bool, Field(description="Read the PDFs and images embedded in PDFs, too, as documents after theirs.")
    ] = False
    on_error: Annotated[
        OnError | None,
        Field(description="A failed page: placeholder (a visible note), skip or raise (stop)."),
    ] = None
    cache_dir: Annotated[
        Path | None,
        Field(description="Folder of the page cache: what was read so before is not read again."),
    ] = None
    allow_hosts: Annotated[
        tuple[str, ...], Field(description="A host that URLs may name although its address is private.")
    ] = ()
    limits: Annotated[Limits, Field(description="Bounds of hostile or broken input.")] = Limits()

    @field_validator("pages")
    @classmethod
    def _pages(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                page_ranges(value)
            except OptionError as error:
                raise OptionError(f"option pages: {error.message}", remedy=error.remedy) from error
        return value

    @field_validator("prompt")
    @classmethod
    def _prompt(cls, value: str) -> str:
        """The text of a file, so that a page's result depends on it."""
        try:
            return prompts.given(value)
        except OptionError as error:
            raise OptionError(f"option prompt: {error.message}", remedy=error.remedy) from error

    @model_validator(mode="before")
    @classmethod
    def _resolve_engine(cls, values: Any) -> Any:
        """Which engine is decided at once, so that what cannot be is said at once."""
        if not isinstance(values, Mapping) or all(values.get(name) is None for name in ENGINE):
            return values
        from internvl_llm.engines.open import resolve

        engine = values.get("engine")
        chosen = resolve(engine, values.get("model"), values.get("base_url"))
        return values if engine is None or isinstance(engine, str) else {**values, "engine": chosen}

    @classmethod
    def of(cls, options: ParseOptions | None = None, **changes: Any) -> Self:
        """`options` (or the defaults) with `changes`; a wrong one raises OptionError."""
        try:
            return cls.model_validate({**(dict(options) if options else {}), **changes})
        except ValidationError as error:
            first = error.errors()[0]
            own = first.get("ctx", {}).get("error")
            if isinstance(own, OptionError):
                raise own from None
            name = ".".join(str(part) for part in first["loc"])
            raise OptionError(f"option {name}: {first['msg']}") from error

    def chosen_engine(self) -> Engine | EngineSpec | None:
        """The engine that the options name: open, or the spec of one; None where they name none."""
        if self.engine is None and self.model is None and self.base_url is None:
            return None
        from internvl_llm.engines.open import resolve

        return resolve(self.engine, self.model, self.base_url)

    def page_settings(self) -> dict[str, Any]:
        """What a page's result depends on, besides its document and the engine; as plain values."""
        return self.model_dump(mode="json", exclude={**SAME_PAGES, **dict.fromkeys(ENGINE, True)})


def keywords(model: type[BaseModel]) -> Callable[[F], F]:
    """A function that takes the fields of `model` as `**changes` says so in its signature."""

    def sign(function: F) -> F:
        signature = inspect.signature(function)
        own = [each for each in signature.parameters.values() if each.kind is not each.VAR_KEYWORD]
        options = [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=field.annotation
            )
            for name, field in model.model_fields.items()
        ]
        function.__signature__ = signature.replace(parameters=[*own, *options])  # type: ignore[attr-defined]
        return function

    return sign
