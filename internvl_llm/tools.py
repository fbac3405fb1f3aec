"""Tools a model may call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from internvl_llm.errors import OptionError
from internvl_llm.schema import check_text

MOST_TOOLS = 500


@dataclass(frozen=True, slots=True)
class Tool:
    """`parameters` is a JSON schema of an object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


def check_tools(tools: Iterable[Tool], choice: str) -> tuple[Tool, ...]:
    """Raises OptionError where names are not unique or the choice is none of them."""
    tools = tuple(tools)
    names = [tool.name for tool in tools]
    if len(tools) > MOST_TOOLS:
        raise OptionError(f"{len(tools):,} tools", remedy=f"Give {MOST_TOOLS} at most")
    for name in names:
        check_text(name, f"the name of a tool, {name[:100]!a},")
    twice = sorted(name for name, times in Counter(names).items() if times > 1)
    if twice:
        raise OptionError(f"two tools are called {twice[0]}", remedy="Give each tool a name of its own")
    if choice not in ("auto", "any", "none", *names):
        raise OptionError(
            f"tool_choice {choice!r} is none of the tools",
            remedy=f"Use auto, any, none{''.join(f', {name}' for name in names)}",
        )
    if choice == "any" and not tools:
        raise OptionError("tool_choice any without tools", remedy="Give tools")
    return tools
