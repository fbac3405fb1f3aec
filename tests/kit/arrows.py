"""The imports of our two packages, as their code says them."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("internvl_llm", "internvl_loaders")


@cache
def modules() -> Mapping[str, Path]:
    """Files by the names they are imported under; a package's is that of its `__init__`."""
    files = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return files


@cache
def imports(module: str, *, types: bool) -> frozenset[str]:
    """Dotted names that it imports at any depth of its code; with `types`, for type checkers alone too.

    `from a import b` is the module `a.b` where that is ours, else `a`.
    """
    path = modules()[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    return frozenset(_imported(ast.parse(path.read_text(encoding="utf-8")), package, types))


def graph() -> dict[str, frozenset[str]]:
    """Our modules, and which of them each runs when it is imported or called."""
    ours = modules().keys()
    return {module: (imports(module, types=False) & ours) - {module} for module in ours}


def _imported(tree: ast.AST, package: str, types: bool) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        match node:
            case ast.Import():
                yield from (alias.name for alias in node.names)
            case ast.ImportFrom():
                above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
                source = ".".join([*above, *([node.module] if node.module else [])])
                for alias in node.names:
                    full = f"{source}.{alias.name}"
                    yield full if full in modules() else source
            case ast.If(test=ast.Name("TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING")) if not types:
                yield from _imported(ast.Module(node.orelse, []), package, types)
            case _:
                yield from _imported(node, package, types)
