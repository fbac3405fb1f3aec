"""Calls however a model writes them: in a list, in a fence, with keys, quotes or braces of its own."""

from __future__ import annotations

import re
from typing import Any

from internvl_llm.prompt.calls import strict_json

NAMES = ("name", "function", "tool", "tool_name", "function_name")
ARGUMENTS = ("arguments", "parameters", "args", "params", "input", "tool_input", "kwargs")
_BESIDE = frozenset({"id", "type", "index"})
_FENCE = re.compile(r"```[\w-]*\s")
_LOOSE = re.compile(
    r"\"(?:[^\"\\]|\\.)*(?:\"|\Z)|'((?:[^'\\]|\\.)*)(?:'|\Z)|\b(True|False|None)\b|(,)(?=\s{0,99}[}\]])",
    re.DOTALL,
)
_PYTHON = {"True": "true", "False": "false", "None": "null"}


def calls_in(text: str) -> list[tuple[str, dict[str, Any]]]:
    """Names and arguments, where the text is nothing but calls; of anything else, none."""
    for value in _values(text):
        items = value if isinstance(value, list) else [value]
        if len(items) == 1 and isinstance(items[0], dict) and isinstance(items[0].get("tool_calls"), list):
            items = items[0]["tool_calls"]
        calls = [_call(item) for item in items]
        if calls and None not in calls:
            return [call for call in calls if call is not None]
    return []


def _values(text: str) -> list[Any]:
    """What it may stand for, the strictest reading first."""
    body = text.strip()
    if fence := _FENCE.match(body):
        body = body[fence.end() :].removesuffix("```").strip()
    readings = [body, _json_of_python(body)]
    if body.startswith("{{") and body.endswith("}}"):
        readings += [body[1:-1], body.replace("{{", "{").replace("}}", "}")]
    found = []
    for reading in readings:
        try:
            found.append(strict_json(reading))
        except (ValueError, RecursionError):
            continue
    return found


def _json_of_python(text: str) -> str:
    def told(mark: re.Match[str]) -> str:
        quoted, name, comma = mark.groups()
        if comma:
            return ""
        if name:
            return _PYTHON[name]
        if quoted is None:
            return mark[0]
        inner = quoted.replace(r"\'", "'").replace('"', r"\"")
        return f'"{inner}"'

    return _LOOSE.sub(told, text)


def _call(item: Any) -> tuple[str, dict[str, Any]] | None:
    if not isinstance(item, dict):
        return None
    if isinstance(inner := item.get("function"), dict):
        return _call(inner) if set(item) <= _BESIDE | {"function"} else None
    name = next((item[key] for key in NAMES if key in item), None)
    written = [key for key in ARGUMENTS if key in item]
    if not isinstance(name, str) or not name or len(written) > 1:
        return None
    if not written and set(item) - set(NAMES) - _BESIDE:
        return None  # what else is there may be its arguments, or may not
    arguments = item[written[0]] if written else {}
    if isinstance(arguments, str):
        try:
            arguments = strict_json(arguments or "{}")
        except (ValueError, RecursionError):
            return None
    return (name, {} if arguments is None else arguments) if isinstance(arguments, dict | None) else None


_KEY = re.compile(r"\A\s*(?:```[\w-]*\s*)?[\[{\s]*[\"'](\w+)[\"']\s*:")
_NAMED = re.compile(rf"[\"'](?:{'|'.join(NAMES)})[\"']\s*:\s*[\"']([^\"'\\]+)[\"']")
_FIRST_KEYS = frozenset({*NAMES, *ARGUMENTS, *_BESIDE, "tool_calls"})
_LONGEST = 2000
"""Characters after which a call has told its name."""


def may_be_call(begins: str, names: frozenset[str]) -> bool | None:
    """Whether an answer that begins so may be nothing but a call of one of `names`; None where it is not told
    yet."""
    start = begins.lstrip()[:_LONGEST]
    if not start:
        return False if len(begins) >= _LONGEST else None
    if not start.startswith(("{", "[", "```"[: len(start)])):
        return False
    key = _KEY.match(start)
    if key and key[1] not in _FIRST_KEYS:
        return False
    if named := _NAMED.search(start):
        return named[1] in names
    if not key and len(start) > 100:
        return False
    return False if len(start) >= _LONGEST else None
