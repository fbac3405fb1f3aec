"""Answers and tool calls as grammars in llguidance's dialect of Lark."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from internvl_llm.errors import GrammarError
from internvl_llm.grammar import Choice, Exactly, Grammar, JsonObject, JsonSchema, Regex
from internvl_llm.prompt.dialects import Format
from internvl_llm.schema import ready

if TYPE_CHECKING:
    from internvl_llm.request import Request
    from internvl_llm.tools import Tool

_LOOSE = {"whitespace_flexible": False, "item_separator": ", ?", "key_separator": ": ?"}
_EXACT = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
"""Calls are written as the template writes them back, so that the next turn finds its prefix kept."""


def grammar(request: Request, form: Format | None, special: Mapping[str, int]) -> str | None:
    """None where the model may say what it likes. `special` are the ids of tags that are special tokens.

    With tools: `auto` is text and then calls, or the request's grammar, or calls; `any` is calls alone, and
    a name is one call of that tool; `none` is text without calls. Raises GrammarError.
    """
    chosen = _chosen(request.tools, request.tool_choice)
    answer = _answer(request.grammar) if request.grammar is not None else ""
    if not request.tools or form is None:
        return f"start: answer\n{answer}" if answer else None
    opens, closes = _tag(form.opens, special), _tag(form.closes, special)
    if not chosen:
        forbidden = "" if opens.startswith("<[") else f" & ~/(?s:.*){_escaped(form.opens)}(?s:.*)/"
        return f"start: {'answer' if answer else 'TEXT'}\n{answer}TEXT: /(?s:.*)/{forbidden}\n"
    between = f"{_literal(form.between)} " if form.between else ""
    several = request.parallel_tool_calls and request.tool_choice in ("auto", "any")
    more = f" ({between}{opens} body)*" if several else ""
    rules = [_call(at, tool, form) for at, tool in enumerate(chosen)]
    names = " | ".join(f"tool_{at}" for at in range(len(chosen)))
    rules += [f"body: {_literal(chr(10))} ({names}) {_literal('}' + form.before)} {closes}\n"]
    if request.tool_choice != "auto":
        return f"start: {opens} body{more}\n{''.join(rules)}"
    if answer:
        return f"start: answer | {opens} body{more}\n{answer}{''.join(rules)}"
    rules += ["text: TEXT\nTEXT: /(?s:.*)/\n"]
    if opens.startswith("<["):
        return f"start: text | text {opens} body{more}\n{''.join(rules)}"
    return f"start: text | head body{more}\nhead[lazy]: TEXT {opens}\n{''.join(rules)}"


def _chosen(tools: Sequence[Tool], choice: str) -> list[Tool]:
    if choice in ("auto", "any"):
        return list(tools)
    return [tool for tool in tools if tool.name == choice]


def _answer(wanted: Grammar) -> str:
    """The rule `answer`."""
    match wanted:
        case JsonSchema(schema):
            return f"// the schema\nanswer: {_json(ready(schema, 'the schema'), _LOOSE)}\n"
        case JsonObject():
            return f"answer: {_json({'type': 'object'}, _LOOSE)}\n"
        case Regex(pattern):
            return f"answer: ANSWER\nANSWER: /{_slashed(_unanchored(pattern))}/\n"
        case Choice(choices):
            return f"answer: ANSWER\nANSWER: {' | '.join(map(_literal, choices))}\n"
        case Exactly():
            raise GrammarError("an exact answer is no answer beside tools", remedy="Leave the tools out")


def exactly(tokens: Sequence[int]) -> str:
    return f"start: {' '.join(f'<[{token}]>' for token in tokens)}\n"


def _call(at: int, tool: Tool, form: Format) -> str:
    what = f"the schema of tool {json.dumps(tool.name, ensure_ascii=False)}"
    schema = ready({"type": "object", **tool.parameters}, what)
    if schema["type"] != "object":
        raise GrammarError(f"{what} is of no object", remedy="Give parameters of type object")
    begin = f'{{"name": {json.dumps(tool.name, ensure_ascii=False)}, "{form.arguments}": '
    return f"// {what}\ntool_{at}: {_literal(begin)} {_json(schema, _EXACT)}\n"


def _json(schema: dict[str, Any], spaces: Mapping[str, Any]) -> str:
    return f"%json {json.dumps({**schema, 'x-guidance': spaces})}"


def _tag(text: str, special: Mapping[str, int]) -> str:
    """A tag of several special tokens is their sequence."""
    pieces = [piece for piece in re.split(r"(?<=>)(?=<)", text) if piece]
    if all(piece in special for piece in pieces):
        return " ".join(f"<[{special[piece]}]>" for piece in pieces)
    return _literal(text)


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _escaped(text: str) -> str:
    return _slashed(re.sub(r"([^\w\s<>])", r"\\\1", text))


def _slashed(pattern: str) -> str:
    """A regex between slashes, on one line."""
    pattern = re.sub(r"(\\.)|/", lambda m: m[1] or r"\/", pattern, flags=re.DOTALL)
    return pattern.replace("\r", r"\r").replace("\n", r"\n")


def _unanchored(pattern: str) -> str:
    """Anchors at the ends say nothing of what is matched as a whole."""
    pattern = pattern.removeprefix("^")
    ends = re.search(r"(\\*)\$\Z", pattern)
    return pattern[:-1] if ends and len(ends[1]) % 2 == 0 else pattern
