"""What LangChain asks of a model beside its answers: its profile, and what its answers depend on."""

from __future__ import annotations

import dataclasses
from typing import Any

from internvl_llm.engine import Engine, EngineSpec
from internvl_llm.engines.profile import model_profile

_ABLE = (
    *("text_inputs", "image_inputs", "image_url_inputs", "pdf_inputs", "video_inputs", "text_outputs"),
    *("image_tool_message", "pdf_tool_message", "structured_output"),
)
_CALLS = ("tool_calling", "tool_choice", "tool_call_streaming")
_UNABLE = ("audio_inputs", "image_outputs", "audio_outputs", "video_outputs", "reasoning_output")


def langchain_profile(engine: Engine | EngineSpec) -> dict[str, Any]:
    """LangChain's ModelProfile, without loading weights; what only loading can tell is left out."""
    profile = model_profile(engine)
    tokens = profile and profile.context_tokens
    limits = {} if tokens is None else {"max_input_tokens": tokens, "max_output_tokens": tokens}
    calls = dict.fromkeys(_CALLS, profile is None or profile.tool_calls)
    return {**limits, **dict.fromkeys(_ABLE, True), **calls, **dict.fromkeys(_UNABLE, False)}


def engine_identity(engine: Engine | EngineSpec) -> dict[str, Any]:
    """What names the engine in a cache's key, as plain values."""
    spec = getattr(engine, "spec", engine)
    if isinstance(spec, EngineSpec):
        return {name: value for name, value in dataclasses.asdict(spec).items() if name != "api_key"}
    return {"engine": type(spec).__name__, "fingerprint": spec.fingerprint}


def plain(value: Any) -> Any:
    """An option's value in such a key: objects by what they are made of, where they are values."""
    if value is None or isinstance(value, str | int | float | list | tuple):
        return value
    return repr(value) if dataclasses.is_dataclass(value) else type(value).__name__
