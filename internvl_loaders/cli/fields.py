"""Options of commands, made of the fields they fill: a new field is an option wherever its like are.

An option has its field's name, type, default and description; to a description without a full stop the
choices are added.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from types import NoneType
from typing import (
    Annotated,
    Any,
    ClassVar,
    Literal,
    NamedTuple,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
)

import typer
import typer.main
from typer.core import TyperCommand

F = TypeVar("F", bound=Callable[..., None])
Options = list[inspect.Parameter]
Override = Mapping[str, Any]
"""Of a field: arguments of typer.Option, and a `default` of the command's own."""

NOT_ASKED = frozenset({"logprobs", "n", "critic", "parallel_tool_calls", "page", "media"})
"""Fields of a request that `ask` has no use for, or decides."""


class Field(NamedTuple):
    name: str
    type: Any
    default: Any
    description: str


def parse_options(*, without: Collection[str] = (), **overrides: Override) -> Options:
    """Of ParseOptions; in the place of `engine` and `limits` stand the fields of EngineSpec and Limits."""
    from internvl_llm.media.limits import Limits
    from internvl_loaders.options import ENGINE, ParseOptions

    apart = {*ENGINE, "limits", *without}
    own = [field for field in _model_fields(ParseOptions) if field.name not in apart]
    return [
        *_options(own, overrides),
        *engine_options(**overrides),
        *_options(_model_fields(Limits), overrides, panel="Limits"),
    ]


def engine_options(**overrides: Override) -> Options:
    from internvl_llm.engines.open import ENGINES
    from internvl_loaders.options import ENGINE, ParseOptions

    engines = {"engine": {"help": f"What runs the model: {_listed(tuple(ENGINES))}."}}
    named = [field for field in _model_fields(ParseOptions) if field.name in ENGINE]
    return _options([*named, *_spec_fields()], {**engines, **overrides}, panel="Engine")


def ask_options(**overrides: Override) -> Options:
    """Of how files are shown, of the request and its sampling, and of the engine."""
    from internvl_loaders.options import ParseOptions

    names = {"pages", "dpi", "allow_hosts"}
    media = [field for field in _model_fields(ParseOptions) if field.name in names]
    return [*_options([*media, *request_fields()], overrides), *engine_options(**overrides)]


def request_fields() -> list[Field]:
    from internvl_llm.request import Request, Sampling

    fields = [*_dataclass_fields(Sampling), *_dataclass_fields(Request)]
    return [field for field in fields if field.name not in NOT_ASKED]


def parse_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of ParseOptions, of the values of `parse_options`."""
    from internvl_llm.media.limits import Limits

    limits = {name: value for name, value in values.items() if name in Limits.model_fields}
    rest = {name: value for name, value in values.items() if name not in limits}
    return engine_values(rest) | {"limits": limits}


def engine_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values with those of a spec that are not its defaults put into `engine`, if there are any."""
    defaults = {field.name: field.default for field in _spec_fields()}
    changed = {
        name: values[name] for name, default in defaults.items() if values.get(name, default) != default
    }
    fields = {name: value for name, value in values.items() if name not in defaults}
    if changed:
        fields["engine"] = changed | ({"engine": fields["engine"]} if fields.get("engine") else {})
    return fields


def command(app: typer.Typer, options: Callable[[], Options]) -> Callable[[F], F]:
    """A command of the app that takes `options` as `**fields`; its keyword-only options stand after them."""

    def register(function: F) -> F:
        signature = inspect.signature(function, eval_str=True)
        own = [each for each in signature.parameters.values() if each.kind is not each.VAR_KEYWORD]
        last = [each for each in own if each.kind is each.KEYWORD_ONLY]

        def complete() -> TyperCommand:
            def run(**values: Any) -> None:
                function(**{name: tuple(v) if isinstance(v, list) else v for name, v in values.items()})

            first = [each for each in own if each.kind is not each.KEYWORD_ONLY]
            _sign(run, [*first, *options(), *last])
            alone = typer.Typer(add_completion=False)
            alone.command()(run)
            command = typer.main.get_command(alone)
            assert isinstance(command, TyperCommand)
            return command

        _sign(function, own)
        app.command(cls=type("Command", (_Command,), {"complete": staticmethod(complete)}))(function)
        return function

    return register


class _Command(TyperCommand):
    """Its options are made once they are asked for: what they are made of takes time to import."""

    complete: ClassVar[Callable[[], TyperCommand]]
    _completed = False

    def get_params(self, ctx: Any) -> Any:
        if not self._completed:
            whole = type(self).complete()
            self.params, self.callback, self._completed = whole.params, whole.callback, True
        return super().get_params(ctx)


def _sign(function: Callable[..., Any], parameters: Iterable[inspect.Parameter]) -> None:
    by_kind = sorted(parameters, key=lambda each: each.kind)
    function.__signature__ = inspect.Signature(by_kind)  # type: ignore[attr-defined]


def _options(fields: Iterable[Field], overrides: Mapping[str, Override], panel: str | None = None) -> Options:
    return [_option(field, dict(overrides.get(field.name, {})), panel) for field in fields]


def _option(field: Field, override: dict[str, Any], panel: str | None) -> inspect.Parameter:
    default = override.pop("default", field.default)
    kind, choices, several = _kind(field.type)
    name = field.name.replace("_", "-")
    help = (
        field.description if field.description.endswith(".") else f"{field.description}: {_listed(choices)}."
    )
    option = typer.Option(
        # A list is given one by one, each by the name in the singular. Typer names flags itself.
        *([] if kind is bool else [f"--{name.removesuffix('s') if several else name}"]),
        **{"help": help, "rich_help_panel": panel, **override},
    )
    annotation: Any = list[kind] if several else kind  # type: ignore[valid-type]
    return inspect.Parameter(
        field.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=list(default) if several else default,
        annotation=Annotated[annotation if default is not None else annotation | None, option],
    )


def _kind(annotation: Any) -> tuple[type, tuple[str, ...], bool]:
    """Of what a command line takes for it: the type, the choices, and whether there may be several."""
    kinds = [each for each in get_args(annotation) if each is not NoneType]
    if get_origin(annotation) is Literal:
        return str, get_args(annotation), False
    if get_origin(annotation) is tuple:
        return kinds[0], (), True
    if isinstance(annotation, type):
        return annotation if annotation in {bool, int, float, str, Path} else str, (), False
    return _kind(kinds[0]) if len(kinds) == 1 else (str, (), False)


def _model_fields(model: Any) -> Iterator[Field]:
    for name, field in model.model_fields.items():
        yield Field(name, field.annotation, field.default, field.description)


def _dataclass_fields(kind: Any) -> Iterator[Field]:
    """Those with a description."""
    hints = get_type_hints(kind, include_extras=True)
    for field in dataclasses.fields(kind):
        annotation = hints[field.name]
        for described in getattr(annotation, "__metadata__", ()):
            yield Field(field.name, annotation.__origin__, field.default, described.description)


def _spec_fields() -> list[Field]:
    """Of EngineSpec, besides those that options have of their own."""
    from internvl_llm.engine import EngineSpec
    from internvl_loaders.options import ENGINE

    return [field for field in _dataclass_fields(EngineSpec) if field.name not in ENGINE]


def _listed(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else "".join(names)
