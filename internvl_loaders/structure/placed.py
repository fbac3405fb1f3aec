"""Where a block's spans stand in its text, so that what is known of a span can be said of the text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from internvl_loaders.content import Span

_MOST_BETWEEN = 4
"""Characters between two spans that are neighbours."""
_HYPHENS = "-\u00ad\u2010"


def places(text: str, spans: Sequence[Span]) -> list[tuple[int, int] | None]:
    """Start and end of every span in the text that was made of them; None of what is not found there.

    Hyphens at the ends of lines may be gone, a list's marker too.
    """
    found: list[tuple[int, int] | None] = []
    at, skipped = 0, 0
    for span in spans:
        place = next((p for p in _tries(text, span.text, at, _MOST_BETWEEN + skipped) if p), None)
        found.append(place)
        if place is None:
            skipped += len(span.text) + 1
        else:
            at, skipped = place[1], 0
    return found


def _tries(text: str, wanted: str, at: int, most: int) -> Iterator[tuple[int, int] | None]:
    for form in (wanted, wanted.rstrip(_HYPHENS)):
        start = text.find(form, at, at + most + len(form)) if form else -1
        if start >= 0:
            yield start, start + len(form)
