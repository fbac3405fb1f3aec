"""JSON schemas made ready for a grammar, or refused with the place and what to write instead.

What is changed accepts nothing that the schema (2020-12) does not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from internvl_llm.errors import GrammarError
from internvl_llm.names import encodable

FORMATS = frozenset(
    ("date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri")
)
"""Those that are enforced; others say nothing, as the standard has it."""

_REFUSED = {
    "not": "Describe what is allowed instead",
    "if": "Use anyOf, one branch a case",
    "then": "Use anyOf, one branch a case",
    "else": "Use anyOf, one branch a case",
    "uniqueItems": "Use a plain list (list, not set), and drop what comes twice",
    "contains": "Say what every item is (items)",
    "minContains": "Say what every item is (items)",
    "maxContains": "Say what every item is (items)",
    "propertyNames": "Use patternProperties with additionalProperties false",
    "dependentRequired": "Use anyOf, one branch a case",
    "dependentSchemas": "Use anyOf, one branch a case",
    "dependencies": "Use anyOf, one branch a case",
    "unevaluatedProperties": "Use additionalProperties",
    "unevaluatedItems": "Use prefixItems and items",
    "$dynamicRef": "Use $ref",
    "$recursiveRef": "Use $ref",
}

_ANNOTATIONS = frozenset(("title", "description", "default", "examples", "$comment"))
"""What a grammar knows nothing of."""

_ONE = ("items", "additionalProperties")
_LIST = ("anyOf", "oneOf", "allOf", "prefixItems")
_NAMED = ("properties", "patternProperties", "$defs", "definitions")
_IN_PLACE = frozenset(("anyOf", "oneOf", "allOf", "$ref"))
_ASSERTS = frozenset(
    (
        *("properties", "patternProperties", "additionalProperties", "required"),
        *("minProperties", "maxProperties", "items", "prefixItems"),
    )
)
_DAY = (
    r"([12]\d{3}-((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)"
    r"|02-(0[1-9]|1\d|2[0-8]))|([12]\d(0[48]|[2468][048]|[13579][26])|(1[26]|2[048])00)-02-29)"
)
_TIME = r"([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)"
_EXACT = {"date": _DAY, "time": _TIME, "date-time": f"{_DAY}T{_TIME}"}
"""Days and times that exist (of the years 1000 to 2999, without leap seconds), so any library reads them."""

_LONGEST = 500_000
_DEEPEST = 100
_MOST_SCHEMAS = 2_000
_MOST_VALUES = 5_000
_LONGEST_PATTERN = 5_000
_MOST_REPEATS = 10_000
_TOKEN = re.compile(r"\\.|\[(?:\\.|[^\]\\])*\]|\{(\d+)(?:,(\d*))?\}|.", re.DOTALL)
_SMALLER = "Ask for less at once: several smaller answers, or plain strings that are checked afterwards"
"""What a grammar is compiled of within seconds; larger ones take minutes, or all memory."""

_NEGATED = {r"\W": r"[^\w\p{L}\p{M}\p{N}]", r"\D": r"[^0-9\p{Nd}]"}
"""Neither a letter of ECMAScript, which has ASCII's, nor of libraries that have Unicode's."""

_DECIMAL = "^(?!^[-+.]*$)"
"""How pydantic begins the pattern of a Decimal: not signs and points alone."""


def ready(schema: Mapping[str, Any], what: str) -> dict[str, Any]:
    """A copy. Objects that list `properties` have no others unless they say so, where that is sure to be no
    contradiction. Raises GrammarError, which calls the schema `what`."""
    try:
        text = json.dumps(dict(schema), allow_nan=False)
        _permit(len(text), _LONGEST, "characters", what)
        _permit(_depth(text), _DEEPEST, "levels", what)
        copy = json.loads(text)
        nodes = list(_nodes(copy, "#"))
    except (TypeError, ValueError, RecursionError) as error:
        raise GrammarError(
            f"{what} is no JSON ({type(error).__name__}: {error})",
            remedy="Give a mapping of strings, numbers, lists and mappings",
        ) from error
    _permit(len(nodes), _MOST_SCHEMAS, "properties and other parts", what)
    _permit_values(nodes, what)
    _permit_references(dict(nodes), what)
    closing = all(_alone(node) for _, node in nodes)
    for place, node in nodes:
        for key in node.keys() & _ANNOTATIONS:
            del node[key]
        _check(place, node, what)
        if closing:
            _close(node)
    for _, node in nodes:
        _translate(node)
    check_text(json.dumps(copy, ensure_ascii=False), what)
    return copy  # type: ignore[no-any-return]


def _permit(count: int, most: int, kind: str, what: str) -> None:
    if count > most:
        raise GrammarError(f"{what} has {count:,} {kind}, more than {most:,}", remedy=_SMALLER)


def _depth(text: str) -> int:
    """Of what is nested in JSON."""
    deepest = depth = 0
    for mark in re.findall(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', text):
        depth += (mark in "[{") - (mark in "]}") if len(mark) == 1 else 0
        deepest = max(deepest, depth)
    return deepest


def _permit_values(nodes: Sequence[tuple[str, dict[str, Any]]], what: str) -> None:
    values = (node.get("enum") for _, node in nodes)
    _permit(sum(len(one) for one in values if isinstance(one, list)), _MOST_VALUES, "values of enums", what)
    for _, node in nodes:
        named = node.get("patternProperties")
        for pattern in (node.get("pattern"), *(named if isinstance(named, dict) else ())):
            if isinstance(pattern, str):
                check_pattern(pattern, f"a pattern of {what}")


def check_text(text: str, what: str) -> None:
    """Raises GrammarError where it holds half a character, which nobody can write."""
    if encodable(text) != text:
        raise GrammarError(
            f"{what} has half a character (a lone surrogate)",
            remedy="Write whole characters, as UTF-8 has them",
        )


def check_pattern(pattern: str, what: str) -> None:
    """Raises GrammarError for one of a size that no automaton is made for."""
    check_text(pattern, what)
    _permit(len(pattern), _LONGEST_PATTERN, "characters", what)
    if _written_out(pattern) > _MOST_REPEATS:
        raise GrammarError(f"{what} repeats more than {_MOST_REPEATS:,} times", remedy=_SMALLER)


def _written_out(pattern: str) -> int:
    """How many characters and classes it has with every repeat written out; groups repeat what is in them."""
    groups, last = [0], 0
    for token in _TOKEN.finditer(pattern):
        if token[0] == "(":
            groups.append(0)
        elif token[0] == ")" and len(groups) > 1:
            last = groups.pop()
            groups[-1] += last
        elif token[1]:
            times = max(1, *(int(number[:9]) for number in token.groups() if number))
            groups[-1] += last * (times - 1)
            last *= times
        else:
            last = 1
            groups[-1] += 1
    return sum(groups)


def _permit_references(nodes: Mapping[str, dict[str, Any]], what: str) -> None:
    """What stands for one value once references are followed: twice two of twice two, and so on."""
    sizes: dict[str, int] = {}

    def size(place: str) -> int:
        if place not in sizes:
            sizes[place] = 1  # of a circle
            node = nodes.get(place, {})
            inner = [f"{place}/{key}/{at}" for key in _LIST[:3] for at in range(_length(node.get(key)))]
            reference = node.get("$ref")
            inner += [reference] if isinstance(reference, str) else []
            sizes[place] = 1 + sum(map(size, inner))
        return sizes[place]

    try:
        largest = max(map(size, nodes), default=0)
    except RecursionError:
        largest = _MOST_SCHEMAS + 1
    _permit(largest, _MOST_SCHEMAS, "alternatives of one value, references followed", what)


def _length(value: Any) -> int:
    return len(value) if isinstance(value, list) else 0


def _nodes(node: Any, place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema in it that is no bare boolean, itself first."""
    if not isinstance(node, dict):
        return
    yield place, node
    for key in _ONE:
        yield from _nodes(node.get(key), f"{place}/{key}")
    for key in (*_LIST, "items"):
        held = node.get(key)
        for at, one in enumerate(held if isinstance(held, list) else ()):
            yield from _nodes(one, f"{place}/{key}/{at}")
    for key in _NAMED:
        held = node.get(key)
        for name, one in held.items() if isinstance(held, dict) else ():
            yield from _nodes(one, f"{place}/{key}/{name}")


def _check(place: str, node: dict[str, Any], what: str) -> None:
    if node.get("uniqueItems") is False:
        del node["uniqueItems"]
    for key in node.keys() & _REFUSED.keys():
        raise GrammarError(f"{what} has {key} at {place}, which no grammar follows", remedy=_REFUSED[key])
    least, required = node.get("minProperties", 0), node.get("required")
    named = len(required) if isinstance(required, list) else 0
    if isinstance(least, int | float) and least - named > 1:
        raise GrammarError(
            f"{what} has minProperties {least} at {place}: a grammar cannot tell a key that comes twice",
            remedy="Name the properties and require them, or ask for one at least",
        )


def _alone(node: dict[str, Any]) -> bool:
    """Whether nothing else says what this very value is, so that closing either is no contradiction."""
    applied = node.keys() & _IN_PLACE
    if len(node.get("allOf", ())) > 1 or len(applied) > 1:
        return False
    return not applied or not node.keys() & _ASSERTS


def _close(node: dict[str, Any]) -> None:
    properties, required = node.get("properties"), node.get("required", [])
    if (
        isinstance(properties, dict)
        and not node.keys() & {"additionalProperties", "patternProperties"}
        and isinstance(required, list)
        and properties.keys() >= set(map(str, required))
        and node.get("minProperties", 0) <= len(properties)
    ):
        node["additionalProperties"] = False


def _translate(node: dict[str, Any]) -> None:
    also = []
    if isinstance(node.get("format"), str) and (node["format"] not in FORMATS or node["format"] in _EXACT):
        said = node.pop("format")
        also += [{"pattern": f"^{_EXACT[said]}$"}] if said in _EXACT else []
    pattern = node.get("pattern")
    if isinstance(pattern, str) and pattern.startswith(_DECIMAL):
        node["pattern"] = f"^{pattern.removeprefix(_DECIMAL)}"
        also += [{"pattern": "[^-+.]"}]
    if "pattern" in node and isinstance(node["pattern"], str):
        node["pattern"] = re.sub(r"\\.", lambda m: _NEGATED.get(m[0], m[0]), node["pattern"], flags=re.DOTALL)
    if also and "pattern" not in node:
        node["pattern"] = also.pop()["pattern"]
    if also:
        node["allOf"] = [*node.get("allOf", ()), *also]


def instruction(schema: Mapping[str, Any]) -> str:
    """For a prompt: a grammar lets nothing else be said, but a model that knows of it answers better."""
    return f"Answer with JSON that this JSON schema accepts:\n{json.dumps(dict(schema), ensure_ascii=False)}"
