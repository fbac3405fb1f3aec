"""What only the pages before a page tell of it, where no worker has seen those: a model or OCR read it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from internvl_loaders.document import Page
from internvl_loaders.running_lines import NEAR, marked
from internvl_loaders.sources import Source


def after_one_another(pages: Iterator[tuple[Source, Page]]) -> Iterator[tuple[Source, Page]]:
    """The same pages, at once, with the running lines marked that the pages before them have, too. (The first
    page's are told once a `Document` is made of the pages: none waits for another.)"""
    before: deque[Page] = deque(maxlen=NEAR)
    for source, page in pages:
        if before and (before[-1].source, before[-1].document_id) != (page.source, page.document_id):
            before.clear()
        near = [*before]
        before.append(page)
        yield source, marked(page, near)
