"""These tests need the engine's libraries; without them none is collected, and the header says so."""

from __future__ import annotations

import importlib.util

_MISSING = [name for name in ("torch", "transformers") if importlib.util.find_spec(name) is None]

collect_ignore_glob = ["test_*.py"] if _MISSING else []


def pytest_report_header() -> str | None:
    return f"tests/llm left out: {' and '.join(_MISSING)} not installed" if _MISSING else None
