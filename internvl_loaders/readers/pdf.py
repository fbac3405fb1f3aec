"""PDFs through two readers, each standing in for the other, page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from internvl_llm.media import pdf as media
from internvl_loaders.errors import limit_error

if TYPE_CHECKING:
    from internvl_loaders.content import Content
    from internvl_loaders.readers.comments import Comment

    class _Backend(media.Backend, Protocol):
        def content(self, index: int) -> Content: ...

        def attached(self) -> list[str]: ...

        def attached_file(self, index: int, most: int) -> bytes | None: ...

        def xfa(self, most: int) -> bytes | None: ...

        def comments(self, index: int) -> list[Comment]: ...

        def content_bytes(self, index: int, most: int) -> int:
            """Bytes of the page's content once decompressed, counted to `most` and one; 0 if unknown."""
            ...


_MOST_XFA = 32 * 2**20


class PdfReader(media.PdfReader["_Backend"]):
    """The pages' text, rules and figures too."""

    package = "internvl_loaders.readers"

    def content(self, index: int) -> Content:
        return self._page(index, self._order, "read", lambda backend: self._bounded(backend, index))

    def comments(self, index: int) -> list[Comment]:
        """What was noted on the page, and shows on a screen only when it is clicked."""
        return self._backend(self.name).comments(index)

    def attached(self) -> list[str]:
        """The names of the files embedded in the document, which may be anything."""
        return self._backend(self.name).attached()

    def attached_file(self, index: int) -> bytes:
        """The content of an embedded file. Raises LimitError, or whatever a reader says of a damaged one."""
        most = self._limits.max_bytes
        data = self._backend(self.name).attached_file(index, most)
        if data is None:
            raise limit_error("the embedded file has more bytes than", "max_bytes", most, self._name)
        return data

    def xfa(self) -> bytes | None:
        """The data of an XFA form; None where the document is none."""
        return self._backend(self.name).xfa(min(self._limits.max_bytes, _MOST_XFA))

    def _bounded(self, backend: _Backend, index: int) -> Content:
        most = self._limits.max_bytes
        if backend.content_bytes(index, most) > most:
            problem = "the page's content is, decompressed, larger than"
            raise limit_error(problem, "max_bytes", most, self._name)
        return backend.content(index)
