"""Answers and calls held to a form, in the fields that a server takes for it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from internvl_llm.engines.server.flavours import Flavour
from internvl_llm.errors import GrammarError, OptionError
from internvl_llm.grammar import Choice, Exactly, Grammar, JsonObject, JsonSchema, Regex
from internvl_llm.prompt.dialects import Format
from internvl_llm.request import Request
from internvl_llm.schema import ready
from internvl_llm.tools import Tool

ELSEWHERE = "Ask for a JsonSchema, or use another engine"


@dataclass(frozen=True, slots=True)
class Constraint:
    """`fields` of the body. `bare` is how calls come: as bare JSON instead of between their tags, always or
    in the place of an answer that is JSON too."""

    fields: dict[str, Any] = field(default_factory=dict)
    bare: str = ""


def constraint(request: Request, flavour: Flavour, form: Format | None) -> Constraint:
    """`form` is how calls stand in the text, None where the server parses them.

    Raises OptionError or GrammarError for what the server cannot hold an answer to.
    """
    tools, grammar = _chosen(request), request.grammar
    if isinstance(grammar, Exactly):
        raise GrammarError(
            f"{flavour.name} cannot be held to an exact text in given tokens",
            remedy="Use an engine in this process, such as transformers",
        )
    if form is None or not tools:
        return Constraint(_answer(grammar, flavour) if grammar is not None else {})
    forced = request.tool_choice != "auto"
    if flavour.structural_tags and form.arguments == "arguments":  # others are tokens that it cannot hold to
        tags = _tags(request, tools, form, alone=forced or grammar is not None)
        if grammar is not None and not forced:
            tags = {"type": "or", "elements": [_element(grammar), tags]}
        return Constraint({"response_format": {"type": "structural_tag", "format": tags}})
    joined = _Joined()
    calls = [joined.call(tool, form) for tool in tools]
    if forced:
        return Constraint(_schema(joined.one_of(calls), flavour), "always")
    if grammar is None:
        return Constraint()
    if not isinstance(grammar, JsonSchema):
        raise OptionError(
            f"{flavour.name} cannot choose between calls and an answer of another form than a JsonSchema",
            remedy="Leave the tools out, or ask for a JsonSchema",
        )
    answer = joined.part(ready(grammar.schema, "the schema"))
    return Constraint(_schema(joined.one_of([answer, *calls]), flavour), "maybe")


def _chosen(request: Request) -> list[Tool]:
    if request.tool_choice in ("auto", "any"):
        return list(request.tools)
    return [tool for tool in request.tools if tool.name == request.tool_choice]


def _answer(grammar: Grammar, flavour: Flavour) -> dict[str, Any]:
    match grammar:
        case JsonSchema(schema):
            return _schema(ready(schema, "the schema"), flavour)
        case JsonObject():
            return {"response_format": {"type": "json_object"}}
        case Regex(pattern):
            return _regex(pattern, flavour)
        case Choice(choices):
            if flavour.choice == "structured_outputs":
                return {"structured_outputs": {"choice": list(choices)}}
            if flavour.choice == "grammar":
                return {"grammar": f"root ::= {' | '.join(map(_gbnf, choices))}"}
            if flavour.choice == "regex":
                return _regex("|".join(map(re.escape, choices)), flavour)
    raise OptionError(f"{flavour.name} cannot be held to a {type(grammar).__name__}", remedy=ELSEWHERE)


def _regex(pattern: str, flavour: Flavour) -> dict[str, Any]:
    match flavour.regex:
        case "structured_outputs":
            return {"structured_outputs": {"regex": pattern}}
        case "regex":
            return {"regex": pattern}
        case "regex_schema":
            return {"response_format": {"type": "regex_schema", "regex_schema": pattern}}
    raise OptionError(f"{flavour.name} cannot be held to a Regex", remedy=ELSEWHERE)


def _schema(schema: dict[str, Any], flavour: Flavour) -> dict[str, Any]:
    if not flavour.schema:
        raise OptionError(f"{flavour.name} cannot be held to a schema", remedy="Use another server or engine")
    described = {"name": "answer", "schema": schema, "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": described}}


def _gbnf(text: str) -> str:
    """As llama.cpp's grammars have it."""
    return json.dumps(text, ensure_ascii=False)


def _parameters(tool: Tool) -> dict[str, Any]:
    what = f"the schema of tool {json.dumps(tool.name, ensure_ascii=False)}"
    schema = ready({"type": "object", **tool.parameters}, what)
    if schema["type"] != "object":
        raise GrammarError(f"{what} is of no object", remedy="Give parameters of type object")
    return schema


class _Joined:
    """Schemas as parts of one. One with references stands among its definitions, where they lead again."""

    def __init__(self) -> None:
        self._kept: dict[str, Any] = {}

    def part(self, schema: dict[str, Any]) -> dict[str, Any]:
        if '"$ref"' not in json.dumps(schema):
            return schema
        place = f"#/$defs/{len(self._kept)}"
        self._kept[str(len(self._kept))] = _moved(schema, place)
        return {"$ref": place}

    def call(self, tool: Tool, form: Format) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": {"name": {"const": tool.name}, form.arguments: self.part(_parameters(tool))},
            "required": ["name", form.arguments],
            "additionalProperties": False,
        }

    def one_of(self, schemas: list[dict[str, Any]]) -> dict[str, Any]:
        joined = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
        return joined | ({"$defs": self._kept} if self._kept else {})


def _moved(schema: Any, place: str) -> Any:
    if isinstance(schema, list):
        return [_moved(one, place) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: f"{place}{value[1:]}"
        if key == "$ref" and isinstance(value, str) and value.startswith("#")
        else _moved(value, place)
        for key, value in schema.items()
    }


def _tags(request: Request, tools: list[Tool], form: Format, *, alone: bool) -> dict[str, Any]:
    """xgrammar's structural tags. Calls `alone` leave no room for text."""
    tags = [
        {
            "type": "tag",
            "begin": f'{form.opens}\n{{"name": {json.dumps(tool.name, ensure_ascii=False)}, "arguments": ',
            "content": _json(_parameters(tool)),
            "end": f"}}{form.before}{form.closes}",
        }
        for tool in tools
    ]
    several = request.parallel_tool_calls and request.tool_choice in ("auto", "any")
    more = {"tags": tags, "stop_after_first": not several}
    if alone:
        return {"type": "tags_with_separator", "separator": form.between, "at_least_one": True, **more}
    return {"type": "triggered_tags", "triggers": [form.opens], "at_least_one": False, **more}


def _element(grammar: Grammar) -> dict[str, Any]:
    match grammar:
        case JsonSchema(schema):
            return _json(ready(schema, "the schema"))
        case JsonObject():
            return _json({"type": "object"})
        case Regex(pattern):
            return {"type": "regex", "pattern": pattern}
        case Choice(choices):
            return {
                "type": "or",
                "elements": [{"type": "const_string", "value": choice} for choice in choices],
            }
    raise GrammarError("an exact answer is no answer beside tools", remedy="Leave the tools out")


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    """With blanks as JSON is mostly written: a model that is held to it may write them without end."""
    return {"type": "json_schema", "json_schema": schema, "max_whitespace_cnt": 1}
