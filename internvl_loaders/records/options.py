"""What framework documents are made of pages by."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, field_validator

from internvl_loaders.options import ENGINE, SAME_PAGES, OnError, ParseOptions
from internvl_loaders.render.markdown import TableFormat

if TYPE_CHECKING:
    from internvl_llm.engine import Engine, EngineSpec

SAME_TEXT: Mapping[str, Any] = {
    **SAME_PAGES,
    **dict.fromkeys(("words", "images", "image_dir", "page_separator"), True),
}
"""The options that change no record's text; `pages` and the separator do so for whole documents only."""

_WHERE = frozenset({"engine", "base_url", "device", "attention", "native_tools"})
"""Fields of a spec that say where and how its model runs, or that no page is read by."""

Mode = Literal["page", "document", "element", "table"]


class LoaderOptions(ParseOptions):
    """ParseOptions and what becomes of the pages."""

    mode: Annotated[
        Mode,
        Field(
            description="What a record is of: a page (empty ones too), a document, an element (a block that "
            "says or shows something) or a table."
        ),
    ] = "page"
    on_error: Annotated[
        OnError,
        Field(
            description="What a failed page does: raise its error, skip it with a logged warning, or stand "
            "as a placeholder: an empty text with status failed and a reason. A whole document that lacks "
            "some pages has status partial, and names them in its reason."
        ),
    ] = "raise"
    table_format: Annotated[
        TableFormat,
        Field(
            description="How tables stand in the text: as GitHub-flavoured markdown, which repeats what "
            "spans, as html, or auto: markdown unless cells span."
        ),
    ] = "auto"
    headers_footers: Annotated[bool, Field(description="Keep running headers and footers.")] = True
    page_separator: Annotated[str, Field(description="Between the pages of a document in mode document.")] = (
        "\n\n"
    )
    image_dir: Annotated[
        Path | None,
        Field(description="A folder for kept images, each written once and named by its content."),
    ] = None

    @field_validator("on_error", mode="before")
    @classmethod
    def _default(cls, value: object) -> object:
        return "raise" if value is None else value

    def parsing(self) -> ParseOptions:
        """The options of `parse`: every failed page must reach us, unless it is to be raised."""
        fields = {name: getattr(self, name) for name in ParseOptions.model_fields}
        fields["on_error"] = "raise" if self.on_error == "raise" else "placeholder"
        return ParseOptions.of(**fields)

    def text_settings(self) -> dict[str, Any]:
        """What the text of records depends on, alike in all releases and on all machines.

        Options count where they are not the defaults, so that new ones change no ids.
        """
        exclude = {**SAME_TEXT, **dict.fromkeys(ENGINE, True)}
        if self.mode == "document":
            exclude = {
                name: what for name, what in exclude.items() if name not in {"pages", "page_separator"}
            }
        settings = self.model_dump(mode="json", exclude=exclude, exclude_defaults=True)
        if (engine := self.chosen_engine()) is not None:
            settings["engine"] = _identity(engine)
        return {name: value for name, value in settings.items() if value != {}}


def _identity(engine: Engine | EngineSpec) -> dict[str, Any]:
    """What answers, wherever it runs: its options, and its model by its name in the family or the contents of
    its folder. Of an open engine of another kind only the name of its model is known."""
    from internvl_llm.checkpoints import family, files
    from internvl_llm.engine import EngineSpec
    from internvl_llm.engines.open import SPEED

    spec = engine if isinstance(engine, EngineSpec) else getattr(engine, "spec", None)
    if not isinstance(spec, EngineSpec):
        return {"model": engine.capabilities.model}  # type: ignore[union-attr]
    folder, member = Path(spec.model).expanduser(), family.find(spec.model)
    if spec.base_url:
        model = member.name if member is not None else spec.model or spec.base_url
    elif folder.is_dir():
        model = files.contents_digest(folder)
    else:
        model = member.name if member is not None else spec.model
    options = {
        one.name: getattr(spec, one.name)
        for one in dataclasses.fields(spec)
        if one.name not in _WHERE and one.name not in SPEED and getattr(spec, one.name) != one.default
    }
    return {"model": model, **options}
