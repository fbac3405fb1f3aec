"""Libraries that do not run here, as `.ci/signatures` recorded them: what they take is checked against that,
and stand-ins are made of it that refuse all else. They only show that we call what is there."""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@cache
def signatures() -> Mapping[str, Any]:
    recorded: Mapping[str, Any] = json.loads((ROOT / "tests/data/signatures.json").read_text("utf-8"))
    return recorded


def told(name: str) -> Mapping[str, Any]:
    """Of a dotted name."""
    found: Mapping[str, Any] = signatures()[name.partition(".")[0]]["names"][name]
    return found


def refused(parameters: list[str], positional: int, keywords: set[str]) -> str | None:
    """Why a call cannot be."""
    if positional > len([one for one in parameters if one != "**"]):
        return f"{positional} positional arguments for {parameters}"
    unknown = keywords - set(parameters)
    return (
        f"no {', '.join(sorted(unknown))} among {parameters}" if unknown and "**" not in parameters else None
    )


class Stand:
    """An object of a recorded class: it has what its constructor was given."""

    name: str

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        parameters = told(self.name)["parameters"]
        self.given = bound(parameters, arguments, keywords)
        for name, value in (dict.fromkeys(parameters) | self.given).items():
            setattr(self, name, value)

    @classmethod
    def bound(cls, method: str, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> dict[str, Any]:
        """The arguments of a call of a method, by name."""
        return bound(told(cls.name)["methods"][method], arguments, keywords)


def bound(parameters: list[str], arguments: tuple[Any, ...], keywords: dict[str, Any]) -> dict[str, Any]:
    if (why := refused(parameters, len(arguments), set(keywords))) is not None:
        raise TypeError(why)
    return dict(zip(parameters, arguments, strict=False)) | keywords


def stand(name: str) -> Any:
    return type(name.rpartition(".")[2], (Stand,), {"name": name})


def install(monkeypatch: pytest.MonkeyPatch, engine: str, names: Mapping[str, Any]) -> None:
    """Modules with these dotted names in place of a library; our modules of that engine are imported anew,
    for this test alone."""
    split = [name.split(".") for name in names]
    known = {".".join(one[:length]) for one in split for length in range(1, len(one))}
    for module in sorted(known):
        monkeypatch.setitem(sys.modules, module, ModuleType(module))
        parent, _, own = module.rpartition(".")
        if parent:
            setattr(sys.modules[parent], own, sys.modules[module])
    for name, value in names.items():
        module, _, own = name.rpartition(".")
        setattr(sys.modules[module], own, value)
    ours = Path("internvl_llm", "engines", engine)
    for path in (ROOT / ours).glob("*.py"):
        parts = (ours / path.stem).parts if path.stem != "__init__" else ours.parts
        name = ".".join(parts)
        monkeypatch.setitem(sys.modules, name, ModuleType(name))  # remembered, and taken out at the end
        del sys.modules[name]


def calls(package: Path, library: str) -> Iterator[tuple[str, str, int, set[str]]]:
    """(file, dotted name, positional arguments, keywords) of each call of a name that comes from the library,
    or of a method of one."""
    for path in sorted(package.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = dict(imported(tree, library))
        for node in ast.walk(tree):
            match node:
                case ast.Call(func=ast.Name(id=name)) if name in names:
                    dotted = names[name]
                case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method)) if name in names:
                    dotted = f"{names[name]}:{method}"
                case _:
                    continue
            keywords = {one.arg for one in node.keywords if one.arg}
            positional = sum(not isinstance(one, ast.Starred) for one in node.args)
            yield path.name, dotted, positional, keywords


def imported(tree: ast.AST, library: str) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module=str(module), names=names) if module.partition(".")[0] == library:
                for alias in names:
                    yield alias.asname or alias.name, f"{module}.{alias.name}"
