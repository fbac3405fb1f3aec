"""Options of chat models and of their calls, for every framework: made of the fields of Sampling and Request,
so that an option is named, described and checked there and nowhere else."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import GenericAlias, NoneType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from pydantic import BaseModel, BeforeValidator, Field, SecretStr, create_model
from pydantic.fields import FieldInfo

from internvl_llm.engine import ApiKey, Engine, EngineSpec
from internvl_llm.engines.open import model_name, opened, resolve
from internvl_llm.errors import OptionError
from internvl_llm.grammar import JsonSchema
from internvl_llm.media.limits import MediaOptions
from internvl_llm.messages import Message
from internvl_llm.openai_forms import parse_response_format, parse_tool, parse_tool_choice
from internvl_llm.request import DEFAULT_MEDIA, Request, Sampling
from internvl_llm.schema import instruction


def _options(values: type) -> dict[str, Any]:
    """Type hints of the fields that have a description: those that users set."""
    return {
        name: hint
        for name, hint in get_type_hints(values, include_extras=True).items()
        if any(isinstance(extra, FieldInfo) for extra in getattr(hint, "__metadata__", ()))
    }


_SAMPLING, _REQUEST = _options(Sampling), _options(Request)
OPTIONS: Mapping[str, Any] = {**_SAMPLING, **_REQUEST}
"""Of a chat model and of its calls, with their types."""
PROMPT_OPTIONS = tuple(
    name for name in _REQUEST if name not in ("n", "critic", "parallel_tool_calls", "timeout")
)
"""Those that change what the model is shown."""
_NULLABLE = frozenset(name for name, hint in OPTIONS.items() if NoneType in get_args(hint.__origin__))
_CALL_NAMES = sorted((*OPTIONS, "tools", "tool_choice", "response_format", "grammar"))
_DEFAULTS = {
    name: getattr(values, name)
    for values, options in ((Sampling(), _SAMPLING), (Request("-"), _REQUEST))
    for name in options
}
_JSON_TYPES = (str, int, float, bool, NoneType, ...)


def _field(name: str) -> tuple[Any, Any]:
    """Type and default, as pydantic has them."""
    kind, extras, default = OPTIONS[name].__origin__, OPTIONS[name].__metadata__, _DEFAULTS[name]
    if get_origin(kind) is tuple:  # JSON has lists; a string is a list of one
        items = GenericAlias(list, get_args(kind)[:1])
        return Annotated[items, BeforeValidator(_as_list), *extras], list(default)
    if not _is_json(kind):
        return Annotated[Any, *extras], Field(default=default, exclude=True, repr=False)
    return OPTIONS[name], default


def _is_json(kind: Any) -> bool:
    return kind in _JSON_TYPES or (bool(get_args(kind)) and all(map(_is_json, get_args(kind))))


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _as_texts(value: Any) -> Any:
    paths = [value] if isinstance(value, str | os.PathLike) else value
    return [os.fspath(path) for path in paths] if isinstance(paths, Iterable) else paths


def fields_model(options: Iterable[str]) -> type[BaseModel]:
    """A base of classes that have these OPTIONS as fields. Values that are no JSON are neither shown nor
    written down."""
    return create_model("Options", **{name: _field(name) for name in options})  # type: ignore[call-overload, no-any-return]


class EngineFields(BaseModel):
    """Which engine, as `internvl_llm.engines.open` has it. What makes no sense is refused by the constructor.

    Raises:
        OptionError: If the options make no sense.
    """

    model: str = Field(default="", description="A family member in any spelling, a hub id, a local folder.")
    engine: Any = Field(
        default=None,
        exclude=True,
        repr=False,
        description="The name of an engine, an EngineSpec or fields of one, or an engine that is open.",
    )
    base_url: str | None = Field(
        default=None, description="Of a server, such as http://localhost:8000/v1; several by commas."
    )
    api_key: ApiKey | None = Field(
        default=None, exclude=True, repr=False, description="Of a server; else INTERNVL_API_KEY."
    )
    max_retries: int | None = Field(default=None, description="Of a request to a server that fails.")

    def __init__(self, **fields: Any) -> None:
        infos = type(self).model_fields
        names = {name for field, info in infos.items() for name in (field, info.alias) if name}
        _check_names(fields, names, "no such option", "Options of the engine go into engine={...}")
        fields = {name: value for name, value in fields.items() if name not in OPTIONS} | _settings(fields)
        fields = {name: _sealed(value) for name, value in fields.items()}
        if fields.get("api_key"):
            fields["api_key"] = _sealed({"api_key": fields["api_key"]})["api_key"]
        choice = self._choose(fields)
        super().__init__(**{**fields, "model": str(fields.get("model") or model_name(choice))})
        to_request("-", self, {})

    @classmethod
    def _choose(cls, fields: Mapping[str, Any]) -> Engine | EngineSpec:
        more = {name: fields.get(name) for name in ("api_key", "max_retries")}
        return resolve(fields.get("engine"), fields.get("model"), fields.get("base_url"), **more)

    def _choice(self, model: str | None = None) -> Engine | EngineSpec:
        """Without loading weights; `model` goes before the model's own."""
        return self._choose({**vars(self), "model": model or self.model})

    def _engine(self, model: str | None = None) -> Engine:
        return opened(self._choice(model))


class ChatFields(fields_model(OPTIONS), EngineFields):  # type: ignore[misc]
    """Fields of a chat model: its engine, and all OPTIONS."""

    media_root: Annotated[list[str], BeforeValidator(_as_texts)] = Field(
        default=[],
        description="Folders below which blocks of messages may name files; one or several. None by default.",
    )


def _sealed(value: Any) -> Any:
    """Fields of an engine with the key in it such that nothing shows or keeps it."""
    key = value.get("api_key") if isinstance(value, Mapping) else None
    if isinstance(key, SecretStr):
        return {**value, "api_key": ApiKey(key.get_secret_value())}
    return {**value, "api_key": ApiKey(key)} if isinstance(key, str) else value


def media_options(model: BaseModel, call: Mapping[str, Any]) -> MediaOptions:
    """Those of the call or else of the model. Folders are the model's own, or of the options themselves."""
    options: MediaOptions = call.get("media") or vars(model).get("media") or DEFAULT_MEDIA
    roots = vars(model).get("media_root")
    return replace(options, media_root=(*options.media_root, *roots)) if roots else options


def to_request(messages: str | Sequence[Message], model: BaseModel, call: Mapping[str, Any]) -> Request:
    """`model` has OPTIONS among its fields; those of the call go first. Raises OptionError."""
    _check_names(call, _CALL_NAMES, "no such option of a call", f"Use {', '.join(_CALL_NAMES)}")
    values = {**vars(model), **_settings(call), "media": media_options(model, call)}
    grammar = call.get("grammar") or parse_response_format(call.get("response_format"))
    if isinstance(grammar, JsonSchema):
        messages, values["system"] = _with_schema(messages, values["system"], grammar.schema)
    return Request(
        messages,
        Sampling(**_settings(values, _SAMPLING)),
        tools=[parse_tool(tool) for tool in call.get("tools") or ()],
        tool_choice=parse_tool_choice(call.get("tool_choice")),
        grammar=grammar,
        **_settings(values, _REQUEST),
    )


def _with_schema(
    messages: str | Sequence[Message], system: str | None, schema: Mapping[str, Any]
) -> tuple[str | Sequence[Message], str | None]:
    """The schema told in the system turn, so that the turns of an agent begin alike."""
    text = instruction(schema)
    if not isinstance(messages, str) and messages and messages[0].role == "system":
        first, *rest = messages
        return (Message("system", (*first.parts, f"\n\n{text}")), *rest), system
    return messages, text if system is None else f"{system}\n\n{text}"


def _check_names(names: Iterable[str], allowed: Iterable[str], problem: str, remedy: str) -> None:
    unknown = sorted(set(names) - set(allowed))
    if unknown:
        raise OptionError(f"{problem}: {', '.join(unknown)}", remedy=remedy)


def _settings(values: Mapping[str, Any], options: Iterable[str] = OPTIONS) -> dict[str, Any]:
    """The options among them. None leaves an option as it is, but for those that can be None."""
    return {
        name: values[name]
        for name in options
        if name in values and (values[name] is not None or name in _NULLABLE)
    }
