"""Answers and tool calls as XGrammar's structural tags, which LMDeploy takes as a response format.

The language is that of `internvl_llm.engines.lark`, but that JSON may have a blank anywhere a blank may be.
"""

from __future__ import annotations

import json
import re
from typing import Any

from internvl_llm.engines.token_streams import Described
from internvl_llm.errors import GrammarError, MessageError
from internvl_llm.grammar import Choice, Exactly, Grammar, JsonObject, JsonSchema, Regex
from internvl_llm.prompt.dialects import FORMATS, Format
from internvl_llm.request import Request
from internvl_llm.schema import ready
from internvl_llm.tools import Tool

_Tag = dict[str, Any]


def response_format(request: Request, described: Described) -> dict[str, Any] | None:
    """None where the model may say what it likes. Raises GrammarError or MessageError."""
    if not request.tools and request.grammar is None:
        return None
    if not request.tools:
        assert request.grammar is not None
        return _structural(_answer(request.grammar, described))
    form = FORMATS.get(described.prompting.dialect)
    if form is None:
        raise MessageError("this model knows no tools", remedy="Leave tools, tool calls and results out")
    if isinstance(request.grammar, Exactly):
        raise GrammarError("an exact answer is no answer beside tools", remedy="Leave the tools out")
    choice = request.tool_choice
    answer = None if request.grammar is None else _answer(request.grammar, described)
    if choice == "none":
        return _structural(answer or _text(form, described))
    chosen = [tool for tool in request.tools if choice in ("auto", "any", tool.name)]
    calls = _calls(chosen, form, described, several=request.parallel_tool_calls and choice in ("auto", "any"))
    if choice != "auto":
        return _structural(calls)
    if answer is not None:
        return _structural(_either(answer, calls))
    return _structural(_sequence(_text(form, described), {"type": "optional", "content": calls}))


def _answer(wanted: Grammar, described: Described) -> _Tag:
    match wanted:
        case JsonSchema(schema):
            return _json(ready(schema, "the schema"))
        case JsonObject():
            return _json({"type": "object"})
        case Regex(pattern):
            return {"type": "regex", "pattern": pattern}
        case Choice(choices):
            return _either(*map(_literal, choices))
        case Exactly(text):
            return _sequence(*map(_token, described.encoder.exactly(text)))


def _calls(tools: list[Tool], form: Format, described: Described, *, several: bool) -> _Tag:
    opens, closes = _tag(form.opens, described), _tag(form.closes, described)
    call = _sequence(*opens, _either(*(_call(tool, form) for tool in tools)), *closes)
    if not several:
        return call
    more = _sequence(_literal(form.between), call) if form.between else call
    return _sequence(call, {"type": "star", "content": more})


def _call(tool: Tool, form: Format) -> _Tag:
    what = f"the schema of tool {json.dumps(tool.name, ensure_ascii=False)}"
    schema = ready({"type": "object", **tool.parameters}, what)
    if schema["type"] != "object":
        raise GrammarError(f"{what} is of no object", remedy="Give parameters of type object")
    begin = f'\n{{"name": {json.dumps(tool.name, ensure_ascii=False)}, "{form.arguments}": '
    return _sequence(_literal(begin), _json(schema), _literal("}" + form.before))


def _text(form: Format, described: Described) -> _Tag:
    """Any in which no call begins."""
    first = _tag(form.opens, described)[0]
    if first["type"] == "token":
        return {"type": "any_tokens", "exclude_tokens": [first["token"], *sorted(described.ends)]}
    return {"type": "any_text", "excludes": [form.opens]}


def _tag(text: str, described: Described) -> list[_Tag]:
    """A tag of special tokens is their sequence; in text it would never be."""
    added = described.tokenizer.backend_tokenizer.get_added_tokens_decoder().items()
    special = {token.content: number for number, token in added if token.special}
    pieces = [piece for piece in re.split(r"(?<=>)(?=<)", text) if piece]
    if all(piece in special for piece in pieces):
        return [_token(special[piece]) for piece in pieces]
    return [_literal(text)]


def _structural(tag: _Tag) -> dict[str, Any]:
    return {"type": "structural_tag", "format": tag}


def _json(schema: Any) -> _Tag:
    return {"type": "json_schema", "json_schema": schema, "max_whitespace_cnt": 1}


def _sequence(*elements: _Tag) -> _Tag:
    return elements[0] if len(elements) == 1 else {"type": "sequence", "elements": list(elements)}


def _either(*elements: _Tag) -> _Tag:
    return elements[0] if len(elements) == 1 else {"type": "or", "elements": list(elements)}


def _literal(text: str) -> _Tag:
    return {"type": "const_string", "value": text}


def _token(token: int) -> _Tag:
    return {"type": "token", "token": token}
