"""What only the pages beside a page tell of it, where no worker has seen those: a model or OCR read it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from internvl_loaders.document import Page
from internvl_loaders.sources import Source
from internvl_loaders.structure.running_lines import marked

_BEFORE = 2
"""Pages back: left and right pages of a book have heads of their own."""


def beside_one_another(pages: Iterator[tuple[Source, Page]]) -> Iterator[tuple[Source, Page]]:
    """The same pages, with their running lines marked. A page that needs it waits for the next one, and comes
    before an error that takes its place."""
    before: deque[Page] = deque(maxlen=_BEFORE)
    waiting: tuple[Source, Page] | None = None

    def told(source: Source, page: Page, after: Page | None) -> tuple[Source, Page]:
        near = [*before, after] if after is not None else [*before]
        before.append(page)
        return source, marked(
            page, [other for other in near if 0 < abs(other.number - page.number) <= _BEFORE]
        )

    try:
        for source, page in pages:
            if waiting is not None:
                (last, held), waiting = waiting, None
                yield told(last, held, page if last is source else None)
            if before and (before[-1].source, before[-1].document_id) != (page.source, page.document_id):
                before.clear()
            if page.method in {"", "text-layer"} or page.status == "failed":
                before.append(page)
                yield source, page
            elif page.number < page.total_pages:
                waiting = source, page
            else:
                yield told(source, page, None)
    except Exception:
        if waiting is not None:
            yield told(*waiting, None)
        raise
    if waiting is not None:
        yield told(*waiting, None)
