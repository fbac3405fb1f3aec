"""Where users name an engine: each edge takes `engine`, `model` and `base_url`, and gives the same answer."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from internvl_llm.errors import EngineError


@dataclass(frozen=True)
class Edge:
    name: str
    make: Callable[..., Any]
    """Of `engine`, `model` and `base_url`, by name."""
    ask: Callable[[Any], object]
    """Asks the engine of what was made, which loads its weights."""
    needs: str
    """A module, without which the edge is not there."""


def _langchain(**named: Any) -> Any:
    from internvl_llm.langchain import ChatInternVL

    return ChatInternVL(**named)


def _decisions(**named: Any) -> Any:
    from internvl_llm.langchain_decisions import InternVLDecisions

    return InternVLDecisions(**named)


def _decide(model: Any) -> None:
    from langchain_core.decisions import Noul

    with contextlib.suppress(EngineError):  # a script gives no log probabilities
        model.invoke({"state": "Hi", "questions": {"a": Noul(instructions="Is it?")}})


def _llama_index(**named: Any) -> Any:
    from internvl_llm.llama_index import InternVL

    return InternVL(**named)


EDGES = [
    Edge("ChatInternVL", _langchain, lambda model: model.invoke("Hi"), "langchain_core"),
    Edge("InternVLDecisions", _decisions, _decide, "langchain_core.decisions"),
    Edge("InternVL", _llama_index, lambda model: model.complete("Hi"), "llama_index.core"),
]
