"""The outline of a document by page, whichever reader tells it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import islice

from internvl_loaders.content import Title

_MOST = 10_000
"""Entries that are looked at."""


class Outline:
    """Asked for once, by the first page; one that cannot be read is none."""

    def __init__(self, entries: Callable[[], Iterable[tuple[int, str, int]]]) -> None:
        self._entries = entries
        self._pages: dict[int, list[Title]] | None = None

    def of_page(self, index: int) -> list[Title]:
        """`entries` are level from 1, title, and index of the page."""
        if self._pages is None:
            self._pages = defaultdict(list)
            try:
                for level, text, page in islice(self._entries(), _MOST):
                    self._pages[page].append(Title(level, text))
            except Exception:  # whatever a broken outline makes a library say: levels are found without it
                self._pages = {}
        return self._pages.get(index, [])
