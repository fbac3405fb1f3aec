"""How each family of models is told of tools, and how it writes its calls."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from internvl_llm.checkpoints.family import Dialect
from internvl_llm.errors import MessageError
from internvl_llm.prompt.segments import Control, Plain
from internvl_llm.tools import Tool


@dataclass(frozen=True, slots=True)
class Format:
    """A call is `opens`, a line break, an object of "name" and `arguments`, `before`, `closes`;
    `between` stands between two calls."""

    opens: str
    closes: str
    arguments: str
    before: str = ""
    between: str = ""


FORMATS: dict[Dialect, Format] = {
    "hermes": Format("<tool_call>", "</tool_call>", "arguments", "\n", "\n"),
    "internlm": Format("<|action_start|><|plugin|>", "<|action_end|>", "parameters"),
}

_TAGS = re.compile(
    r"<(?=[\s/\\]*(?:tool_calls?|tool_response|tools)\b|\|?(?:action_start|action_end|plugin)\b)",
    re.IGNORECASE,
)


def unlike_calls(text: str) -> str:
    """Text that nobody vouches for, with a backslash in the tags by which some model writes calls, so that a
    model that repeats it calls nothing."""
    return _TAGS.sub(r"<\\", text)


_HERMES = (
    "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
    "You are provided with function signatures within <tools></tools> XML tags:\n<tools>",
    "\n</tools>\n\nFor each function call, return a json object with function name and arguments within "
    "<tool_call></tool_call> XML tags:\n<tool_call>\n"
    '{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>',
)
"""Of Qwen2.5's chat template, byte for byte."""


def describe(tools: Sequence[Tool], dialect: Dialect) -> tuple[Control | Plain, ...]:
    """The tools as `render` takes them. What a tool says of itself is untrusted."""
    if not tools:
        return ()
    if dialect == "none":
        raise MessageError("this model knows no tools", remedy="Leave tools, tool calls and results out")
    functions = [
        {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
        for tool in tools
    ]
    if dialect == "internlm":
        return (Plain(_json(functions)),)
    lines = "".join(f"\n{_json({'type': 'function', 'function': function})}" for function in functions)
    # A description must not close the list; in JSON an escaped slash is the same.
    lines = re.sub(r"</(?=\s*tools)", r"<\\/", lines, flags=re.IGNORECASE)
    return (Control(_HERMES[0]), Plain(lines), Control(_HERMES[1]))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
