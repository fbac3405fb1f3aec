"""Tests of the engine need its libraries; without them those are left out, and the header says so."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

_MISSING = [name for name in ("torch", "transformers") if importlib.util.find_spec(name) is None]
_ENGINE = {"torch", "transformers", "tests.kit.checkpoints", "tests.kit.originals"}
"""What a module imports that needs them."""


def pytest_report_header() -> str | None:
    return f"tests of the engine left out: {' and '.join(_MISSING)} not installed" if _MISSING else None


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    return True if _MISSING and collection_path.suffix == ".py" and _needs_engine(collection_path) else None


def _needs_engine(path: Path) -> bool:
    imported = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module)
    return not imported.isdisjoint(_ENGINE)
