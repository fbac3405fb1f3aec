"""Every fuzz target for a moment; `python -m tests.fuzz.run 30` is the long version."""

from __future__ import annotations

import pytest

from tests.fuzz.run import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_target(name: str) -> None:
    TARGETS[name].run(6, start=7)
