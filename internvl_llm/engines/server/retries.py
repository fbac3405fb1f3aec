"""When a request is asked again."""

from __future__ import annotations

import random

FIRST, LONGEST, PATIENCE = 0.25, 20.0, 120.0
"""Seconds before the second attempt, twice as many before each further one, at most; and as long as a server
may ask us to wait."""


def pause(failures: int, asked_for: float = 0.0) -> float:
    """Seconds to wait after so many failures: between half and all of them, so that callers who failed
    together do not come back together; what the server asks for, at least."""
    seconds = min(LONGEST, FIRST * 2.0 ** min(failures - 1, 20))
    return seconds * random.uniform(0.5, 1.0) + min(asked_for, PATIENCE)
