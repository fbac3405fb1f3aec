"""Random JSON schemas, the same for the same seed: nested, recursive, unions, enums, formats, $ref."""

from __future__ import annotations

import random
from typing import Any

_NAMES = ("id", "name", "total", "lines", "Straße", "a b", "x/y", 'qu"ote', "date", "$ref", "0", "type")
_FORMATS = (
    "date",
    "time",
    "date-time",
    "uuid",
    "email",
    "ipv4",
    "ipv6",
    "duration",
    "hostname",
    "uri",
    "path",
)
_PATTERNS = (r"^[A-Z]{2}-\d{3}$", r"^\d{1,4}(\.\d{2})?$", "^a*$", "[0-9]", r"^\w{1,8}@x$", "^(yes|no)$")
_VALUES: tuple[Any, ...] = (
    "paid",
    "été",
    "",
    None,
    True,
    7,
    -1.5,
    ["a", 1],
    {"k": "v"},
    "</tool_call>",
    "\n",
)


def schema(seed: int) -> dict[str, Any]:
    """Every fifth has a tree that contains itself."""
    draw = random.Random(seed)
    definitions = {"small": _leaf(draw), "record": _object(draw, 1, ("small",))}
    known: tuple[str, ...] = ("small", "record")
    if seed % 5 == 0:
        definitions["tree"] = {
            "type": "object",
            "properties": {
                "label": {"enum": ["x", "y"]},
                "left": {"anyOf": [{"$ref": "#/$defs/tree"}, {"type": "null"}]},
                "children": {"type": "array", "maxItems": 2, "items": {"$ref": "#/$defs/tree"}},
            },
            "required": draw.sample(["label", "left", "children"], 2),
        }
        known += ("tree",)
    root = _any(draw, 3, known) if seed % 3 else _object(draw, 3, known)
    return {**root, "$defs": definitions}


def _any(draw: random.Random, depth: int, known: tuple[str, ...]) -> dict[str, Any]:
    kinds = ["leaf", "leaf", "ref"] + ["object", "array", "tuple", "union", "one", "all"] * (depth > 0)
    match draw.choice(kinds):
        case "ref":
            return {"$ref": f"#/$defs/{draw.choice(known)}", "description": "referred to"}
        case "object":
            return _object(draw, depth - 1, known)
        case "array":
            least = draw.randint(0, 2)
            items = _any(draw, depth - 1, known)
            return {
                "type": "array",
                "items": items,
                "minItems": least,
                "maxItems": least + draw.randint(0, 2),
            }
        case "tuple":
            items = [_any(draw, depth - 1, known) for _ in range(2)]
            return {"type": "array", "prefixItems": items, "items": False, "minItems": 2}
        case "union":
            return {"anyOf": [_any(draw, depth - 1, known) for _ in range(draw.randint(1, 3))]}
        case "one":
            return {
                "oneOf": [
                    {"type": "object", "properties": {"kind": {"const": kind}, "value": _leaf(draw)}}
                    | {"required": ["kind", "value"]}
                    for kind in ("first", "second")
                ],
                "discriminator": {"propertyName": "kind"},
            }
        case "all":
            return {
                "allOf": [
                    {"type": "object", "properties": {"a": _leaf(draw)}, "required": ["a"]},
                    {"properties": {"b": _leaf(draw)}, "required": ["b"], "maxProperties": 2},
                ]
            }
    return _leaf(draw)


def _object(draw: random.Random, depth: int, known: tuple[str, ...]) -> dict[str, Any]:
    names = draw.sample(_NAMES, draw.randint(0, 4))
    made: dict[str, Any] = {
        "type": "object",
        "title": "Thing",
        "properties": {name: _any(draw, depth, known) for name in names},
        "required": [name for name in names if draw.random() < 0.6],
    }
    match draw.randint(0, 5):
        case 0:
            made["additionalProperties"] = _leaf(draw)
        case 1:
            made["additionalProperties"] = False
        case 2 if not names:
            made["minProperties"] = 1
    return made


def _leaf(draw: random.Random) -> dict[str, Any]:
    match draw.randint(0, 10):
        case 0:
            return {"type": "boolean"}
        case 1:
            low = draw.randint(-50, 50)
            return {"type": "integer", "minimum": low, "maximum": low + draw.randint(0, 500)}
        case 2:
            return {"type": "number", "exclusiveMinimum": 0, "maximum": draw.choice([1, 9.75, 1000])}
        case 3:
            return {"type": "string", "minLength": 1, "maxLength": draw.randint(1, 12)}
        case 4:
            return {"type": "string", "pattern": draw.choice(_PATTERNS)}
        case 5:
            return {"type": "string", "format": draw.choice(_FORMATS)}
        case 6:
            return {"enum": draw.sample(_VALUES, draw.randint(1, 4))}
        case 7:
            return {"const": draw.choice(_VALUES)}
        case 8:
            return {"type": ["integer", "null"], "default": None}
        case 9:
            return {"type": "integer", "multipleOf": draw.choice([5, 10])}
    return {"type": "string"}
