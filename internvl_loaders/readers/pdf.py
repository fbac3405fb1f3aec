"""PDFs through two readers, each standing in for the other, page by page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from internvl_loaders.errors import (
    DamagedDocumentError,
    EmptyDocumentError,
    LimitError,
    MissingDependencyError,
    PageError,
    PasswordError,
    limit_error,
)

if TYPE_CHECKING:
    import PIL.Image

    from internvl_loaders.content import Content
    from internvl_loaders.readers import Reader

    class _OneReader(Reader, Protocol):
        """A reader that tells whether the file's table of objects had to be rebuilt."""

        @property
        def repaired(self) -> bool: ...

        def content_bytes(self, index: int, most: int) -> int:
            """Bytes of the page's content once decompressed, counted to `most` and one; 0 if unknown."""
            ...


T = TypeVar("T")

_TAIL = 2048

RENDERERS = ("pdfium", "pymupdf")
"""Who draws pages first: pdfium is 2 to 3 times as fast on scans, and never hangs where MuPDF may."""


class PdfReader:
    """A PDF whose pages are read by the first of `readers` that can.

    The document is opened by the first reader; another is opened when a page needs it. Where a
    reader failed on a page, `notes` tells what happened.
    """

    def __init__(
        self,
        document: Path | bytes,
        *,
        name: str,
        password: str | None,
        max_bytes: int,
        readers: Sequence[str],
    ) -> None:
        self._document = document
        self._name = name
        self._password = password
        self._max_bytes = max_bytes
        self._order = tuple(readers)
        self._open: dict[str, _OneReader] = {}
        self._refused: dict[str, Exception] = {}
        self._notes: dict[int, list[str]] = {}
        self.name, self._count = self._first()
        self._damage = self._cut_off()

    def __len__(self) -> int:
        return self._count

    def label(self, index: int) -> str:
        try:
            return self._page(index, self._order, "read", lambda reader: reader.label(index))
        except PageError:  # its content has the same fate, and tells
            return str(index + 1)

    def size(self, index: int) -> tuple[float, float]:
        return self._page(index, self._order, "read", lambda reader: _checked(reader.size(index)))

    def content(self, index: int) -> Content:
        return self._page(index, self._order, "read", lambda reader: self._bounded(reader, index))

    def _bounded(self, reader: _OneReader, index: int) -> Content:
        if reader.content_bytes(index, self._max_bytes) > self._max_bytes:
            problem = "the page's content is, decompressed, larger than"
            raise limit_error(problem, "max_bytes", self._max_bytes, self._name)
        return reader.content(index)

    def render(self, index: int, dpi: float, max_pixels: int) -> PIL.Image.Image:
        width, _ = self.size(index)
        order = [name for name in RENDERERS if name in self._order]

        def draw(reader: _OneReader) -> PIL.Image.Image:
            its_width, _ = _checked(reader.size(index))  # pdfium knows no /UserUnit
            return reader.render(index, dpi * width / its_width, max_pixels)

        return self._page(index, order, "draw", draw)

    def notes(self, index: int) -> list[str]:
        """What went wrong on this page and was got over; empty where all went well."""
        return [*self._damage, *self._notes.get(index, [])]

    def close(self) -> None:
        for reader in self._open.values():
            reader.close()
        self._open.clear()

    def _first(self) -> tuple[str, int]:
        """The first reader that finds pages, and how many. Raises a SourceError that says why none does."""
        empty = False
        for name in self._order:
            try:
                count = len(self._reader(name))
            except Exception as error:
                self._refused[name] = error
                self._open.pop(name, None)
                continue
            if count > 0:
                return name, count
            reader = self._open.pop(name)
            empty = empty or not reader.repaired
            self._refused[name] = EmptyDocumentError("no pages")
            reader.close()
        refused = self._refused.values()
        locked = next((error for error in refused if isinstance(error, PasswordError)), None)
        if locked:
            raise PasswordError(locked.message, source=self._name, remedy=locked.remedy) from locked
        if refused and all(isinstance(error, MissingDependencyError) for error in refused):
            raise MissingDependencyError(
                "no PDF reader is installed", source=self._name, remedy="Install pypdfium2 or pymupdf"
            )
        if empty:
            raise EmptyDocumentError("the PDF has no pages", source=self._name, remedy="Fetch it again")
        said = _said(self._refused)
        raise DamagedDocumentError(
            f"no reader can open the PDF ({said})",
            source=self._name,
            remedy="Fetch it again, or print it to a new PDF",
        )

    def _cut_off(self) -> list[str]:
        """A file without its end has lost its table of objects, and maybe pages with it."""
        if not any(reader.repaired for reader in self._open.values()):
            return []
        if isinstance(self._document, bytes):
            tail = self._document[-_TAIL:]
        else:
            with self._document.open("rb") as file:
                file.seek(max(0, self._document.stat().st_size - _TAIL))
                tail = file.read()
        return [] if b"%%EOF" in tail else ["the file is cut off; what is left of it was read"]

    def _reader(self, name: str) -> _OneReader:
        if name in self._refused:
            # Raised again and again, it would gather tracebacks, and with them the pages they hold.
            raise self._refused[name].with_traceback(None)
        if name not in self._open:
            try:
                module = import_module(f"internvl_loaders.readers.{name}")
            except ImportError as error:
                raise MissingDependencyError(f"{name} is not installed") from error
            opened: _OneReader = module.open_pdf(self._document, self._password)
            self._open[name] = opened
        return self._open[name]

    def _page(self, index: int, order: Sequence[str], what: str, ask: Callable[[_OneReader], T]) -> T:
        failed: dict[str, Exception] = {}
        for name in order:
            try:
                answer = ask(self._reader(name))
            except LimitError:
                raise  # another reader would do what was refused
            except Exception as error:
                if not isinstance(error, MissingDependencyError):
                    failed[name] = error
                if name not in self._open:
                    self._refused[name] = error
                continue
            if failed:
                note = f"{name} had to {what} the page ({_said(failed)})"
                if note not in self._notes.setdefault(index, []):
                    self._notes[index].append(note)
            return answer
        raise PageError(f"no reader can {what} the page ({_said(failed)})", source=self._name, page=index + 1)


def _checked(size: tuple[float, float]) -> tuple[float, float]:
    if not all(0 < side < float("inf") for side in size):
        raise ValueError(f"a page of {size[0]:g} x {size[1]:g} points")
    return size


def _said(errors: dict[str, Exception]) -> str:
    """What each reader says of it, in brief."""
    return "; ".join(f"{name}: {_brief(error)}" for name, error in errors.items())


def _brief(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")[:120]
