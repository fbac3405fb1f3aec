"""PDFs through two readers, each standing in for the other, page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from internvl_llm.media import pdf as media
from internvl_loaders.errors import limit_error

if TYPE_CHECKING:
    from internvl_loaders.content import Content

    class _Backend(media.Backend, Protocol):
        def content(self, index: int) -> Content: ...

        def content_bytes(self, index: int, most: int) -> int:
            """Bytes of the page's content once decompressed, counted to `most` and one; 0 if unknown."""
            ...


class PdfReader(media.PdfReader["_Backend"]):
    """The pages' text, rules and figures too."""

    package = "internvl_loaders.readers"

    def content(self, index: int) -> Content:
        return self._page(index, self._order, "read", lambda backend: self._bounded(backend, index))

    def _bounded(self, backend: _Backend, index: int) -> Content:
        most = self._limits.max_bytes
        if backend.content_bytes(index, most) > most:
            problem = "the page's content is, decompressed, larger than"
            raise limit_error(problem, "max_bytes", most, self._name)
        return backend.content(index)
