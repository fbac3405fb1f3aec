"""InternVL3 as a local multimodal model.

    from internvl_llm import Image, Message, Request, open_engine
    engine = open_engine("OpenGVLab/InternVL3-8B")
    [result] = engine.generate([Request(Message.user(Image("page.png"), "What is the total?"))])
    print(result.text)

Importing this package, and every name in it, loads neither torch nor a framework.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from internvl_llm import telemetry
from internvl_llm.errors import (
    CheckpointError,
    ContextError,
    EngineError,
    InternVLError,
    MediaError,
    MessageError,
    MissingDependencyError,
    OptionError,
    PlacementError,
)
from internvl_llm.version import __version__

if TYPE_CHECKING:
    from internvl_llm.best_of import Consensus, InternVLCritic
    from internvl_llm.engine import Capabilities, Engine, EngineSpec
    from internvl_llm.engines.open import open_engine
    from internvl_llm.events import (
        Event,
        Finish,
        Result,
        Sample,
        TextDelta,
        TokenLogprob,
        ToolCallDelta,
        Usage,
    )
    from internvl_llm.grounding import Grounded, boxes, image_boxes
    from internvl_llm.media.limits import MediaOptions
    from internvl_llm.messages import Combined, Document, Image, Message, Text, ToolCall, ToolResult, Video
    from internvl_llm.request import Critic, Request, Sampling
    from internvl_llm.tools import Tool

_HOMES = {
    "best_of": ("Consensus", "InternVLCritic"),
    "engine": ("Capabilities", "Engine", "EngineSpec"),
    "engines.open": ("open_engine",),
    "events": ("Event", "Finish", "Result", "Sample", "TextDelta", "TokenLogprob", "ToolCallDelta", "Usage"),
    "grounding": ("Grounded", "boxes", "image_boxes"),
    "media.limits": ("MediaOptions",),
    "messages": ("Combined", "Document", "Image", "Message", "Text", "ToolCall", "ToolResult", "Video"),
    "request": ("Critic", "Request", "Sampling"),
    "tools": ("Tool",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

telemetry.switch_off()

__all__ = [
    "Capabilities",
    "CheckpointError",
    "Combined",
    "Consensus",
    "ContextError",
    "Critic",
    "Document",
    "Engine",
    "EngineError",
    "EngineSpec",
    "Event",
    "Finish",
    "Grounded",
    "Image",
    "InternVLCritic",
    "InternVLError",
    "MediaError",
    "MediaOptions",
    "Message",
    "MessageError",
    "MissingDependencyError",
    "OptionError",
    "PlacementError",
    "Request",
    "Result",
    "Sample",
    "Sampling",
    "Text",
    "TextDelta",
    "TokenLogprob",
    "Tool",
    "ToolCall",
    "ToolCallDelta",
    "ToolResult",
    "Usage",
    "Video",
    "__version__",
    "boxes",
    "image_boxes",
    "open_engine",
]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
