"""What a ChatInternVL and its calls are told, as specs and requests; and what is known before loading."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from internvl_llm.engine import Engine, EngineSpec
from internvl_llm.engines.known import of_engine, of_model
from internvl_llm.errors import OptionError
from internvl_llm.grammar import JsonSchema
from internvl_llm.langchain.messages import with_schema
from internvl_llm.langchain.tools import to_choice, to_grammar, to_tool
from internvl_llm.request import Request, Sampling

_SAMPLING = tuple(one.name for one in dataclasses.fields(Sampling) if one.name != "stop")
_REQUEST = ("system", "n", "critic", "parallel_tool_calls", "min_tiles", "max_tiles", "page", "media")
OPTIONS = (*_SAMPLING, *_REQUEST)
"""Of a model and of a call."""
_CALL = ("tools", "tool_choice", "response_format", "grammar")
_SETTLED = ("model", "stop", "stream", "strict")
"""Of a call, and looked at elsewhere. What a grammar allows is strict anyway."""


def to_request(
    messages: Any, stop: Sequence[str] | None, own: Mapping[str, Any], call: Mapping[str, Any]
) -> Request:
    """`own` are the model's OPTIONS; those of the call go first. Raises OptionError."""
    unknown = sorted(set(call) - {*OPTIONS, *_CALL, *_SETTLED})
    if unknown:
        raise OptionError(
            f"no such option of a call: {', '.join(unknown)}",
            remedy=f"Use {', '.join(sorted({*OPTIONS, *_CALL}))}",
        )
    told = {name: call.get(name, own[name]) for name in _REQUEST}
    grammar = call.get("grammar") or to_grammar(call.get("response_format"))
    if isinstance(grammar, JsonSchema):
        messages, told["system"] = with_schema(messages, told["system"], grammar.schema)
    return Request(
        messages,
        Sampling(**{name: call.get(name, own[name]) for name in _SAMPLING}, stop=tuple(stop or ())),
        tools=[to_tool(tool) for tool in call.get("tools") or ()],
        tool_choice=to_choice(call.get("tool_choice")),
        grammar=grammar,
        **told,
    )


def to_spec(engine: Any, model: str, base_url: str | None) -> EngineSpec:
    """`engine` is a name, an EngineSpec, or fields of one. Raises OptionError."""
    if isinstance(engine, EngineSpec):
        return dataclasses.replace(engine, model=model, base_url=base_url or engine.base_url)
    fields = {"engine": engine} if isinstance(engine, str) else engine
    if not isinstance(fields, Mapping):
        raise OptionError(
            f"engine cannot be a {type(engine).__name__}",
            remedy="Give an engine's name, an EngineSpec, its fields, or an engine that is open",
        )
    try:
        spec = EngineSpec(**{"base_url": base_url, **fields, "model": model})
    except TypeError as error:
        raise OptionError(f"no such engine option: {error}", remedy="See EngineSpec") from error
    if isinstance(spec.device_map, Mapping):
        return dataclasses.replace(spec, device_map=tuple(spec.device_map.items()))
    return spec


def settled(fields: Mapping[str, Any], known: Iterable[str]) -> dict[str, Any]:
    """What a constructor is given, with the model named. Raises OptionError for what it does not know."""
    unknown = sorted(set(fields) - set(known))
    if unknown:
        raise OptionError(
            f"no such option: {', '.join(unknown)}", remedy="Options of the engine go into engine={...}"
        )
    return {**fields, "model": str(fields.get("model") or named(fields.get("engine")))}


def identity(engine: Any, model: str, base_url: str | None) -> dict[str, Any]:
    """Of what answers, as plain values."""
    spec = getattr(engine, "spec", None) if isinstance(engine, Engine) else to_spec(engine, model, base_url)
    return dataclasses.asdict(spec) if isinstance(spec, EngineSpec) else {"engine": type(engine).__name__}


def named(engine: Any) -> str:
    """Of the model that an engine or its spec names."""
    if isinstance(engine, Engine):
        return engine.capabilities.model
    named = engine.get("model") if isinstance(engine, Mapping) else getattr(engine, "model", None)
    if not named:
        raise OptionError("no model is named", remedy="Give a family member, a hub id or a local folder")
    return str(named)


def profile(model: str, engine: Any) -> dict[str, Any]:
    """LangChain's ModelProfile, without loading weights; what only loading can tell is left out."""
    known = of_engine(engine.capabilities) if isinstance(engine, Engine) else of_model(model)
    limits = {} if known is None else {"max_input_tokens": known.context, "max_output_tokens": known.context}
    able = (
        *("text_inputs", "image_inputs", "image_url_inputs", "pdf_inputs", "video_inputs", "text_outputs"),
        *("image_tool_message", "pdf_tool_message", "structured_output"),
    )
    calls = ("tool_calling", "tool_choice", "tool_call_streaming")
    unable = ("audio_inputs", "image_outputs", "audio_outputs", "video_outputs", "reasoning_output")
    told = (
        dict.fromkeys(able, True)
        | dict.fromkeys(calls, known is None or known.tools)
        | dict.fromkeys(unable, False)
    )
    return {**limits, **told}
