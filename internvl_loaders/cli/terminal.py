"""What may go to a terminal."""

from __future__ import annotations


def summary(error: Exception) -> str:
    """The first line of what an error says, or its type; at most 200 characters."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
