"""What may go to a terminal."""

from __future__ import annotations

import re


def summary(error: Exception) -> str:
    """The first line of what an error says, or its type; at most 200 characters."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


def printable(text: str) -> str:
    """Without control characters, which a terminal would obey."""
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "", text)
