"""PDFs through two libraries, each standing in for the other, page by page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Generic, Protocol, TypeVar

from internvl_llm.errors import (
    DamagedDocumentError,
    EmptyDocumentError,
    LimitError,
    MissingDependencyError,
    PageError,
    PasswordError,
)
from internvl_llm.media.pixels import scale_within

if TYPE_CHECKING:
    import PIL.Image

    from internvl_llm.media.limits import Limits


class Backend(Protocol):
    """A PDF open in one library. Indexes are 0-based."""

    name: str

    def __len__(self) -> int: ...

    @property
    def repaired(self) -> bool:
        """Whether the file's table of objects had to be rebuilt."""
        ...

    def label(self, index: int) -> str: ...

    def size(self, index: int) -> tuple[float, float]: ...

    def render(self, index: int, dpi: float, max_pixels: int) -> PIL.Image.Image: ...

    def close(self) -> None: ...


B = TypeVar("B", bound=Backend)
T = TypeVar("T")

_TAIL = 2048

BACKENDS = ("pymupdf", "pdfium")
"""Who opens a PDF first: PyMuPDF mends more of what is broken."""

RENDERERS = ("pdfium", "pymupdf")
"""Who draws pages first: pdfium is 2 to 3 times as fast on scans, and never hangs where MuPDF may."""


class PdfReader(Generic[B]):
    """A PDF whose pages are read by the first of `backends` that can.

    The document is opened by the first; another one opens it when a page needs it. Where one failed on a
    page, `notes` tells what happened. Not thread-safe.
    """

    package: ClassVar[str] = "internvl_llm.media"
    """Has a module for each backend, with an `open_pdf(document, password)`."""

    def __init__(
        self,
        document: Path | bytes,
        *,
        name: str,
        password: str | None,
        limits: Limits,
        backends: Sequence[str] = BACKENDS,
    ) -> None:
        self._document = document
        self._name = name
        self._password = password
        self._limits = limits
        self._order = tuple(backends)
        self._open: dict[str, B] = {}
        self._refused: dict[str, Exception] = {}
        self._notes: dict[int, list[str]] = {}
        self.name, self._count = self._first()
        self._damage = self._cut_off()

    def __len__(self) -> int:
        return self._count

    def label(self, index: int) -> str:
        """The page's printed label (`iv`, `A-3`), else its 1-based number."""
        try:
            return self._page(index, self._order, "read", lambda backend: backend.label(index))
        except PageError:  # its content has the same fate, and tells
            return str(index + 1)

    def size(self, index: int) -> tuple[float, float]:
        """Width and height in points of the upright page (/Rotate honoured)."""
        return self._page(index, self._order, "read", lambda backend: _checked(backend.size(index)))

    def drawn_size(self, index: int, dpi: float, max_pixels: int) -> tuple[int, int]:
        """Width and height of what `render` draws, as pdfium rounds; another backend may be a pixel off."""

        def measure(backend: B, scale: float) -> tuple[int, int]:
            width, height = backend.size(index)
            pixels = scale_within(width, height, dpi * scale / 72, max_pixels)
            return max(1, ceil(width * pixels)), max(1, ceil(height * pixels))

        return self._drawing(index, measure)

    def render(self, index: int, dpi: float, max_pixels: int) -> PIL.Image.Image:
        """The upright page as an RGB image, at a lower resolution if `max_pixels` asks for it."""
        return self._drawing(index, lambda backend, scale: backend.render(index, dpi * scale, max_pixels))

    def _drawing(self, index: int, ask: Callable[[B, float], T]) -> T:
        """`ask` is told how many of its points go into one of ours: pdfium knows no /UserUnit."""
        width, _ = self.size(index)
        order = [name for name in RENDERERS if name in self._order]
        return self._page(
            index, order, "draw", lambda backend: ask(backend, width / _checked(backend.size(index))[0])
        )

    def notes(self, index: int) -> list[str]:
        """What went wrong on this page and was got over; empty where all went well."""
        return [*self._damage, *self._notes.get(index, [])]

    def close(self) -> None:
        for backend in self._open.values():
            backend.close()
        self._open.clear()

    def _first(self) -> tuple[str, int]:
        """The first reader that finds pages, and how many. Raises a SourceError that says why none does."""
        empty = False
        for name in self._order:
            try:
                count = len(self._backend(name))
            except Exception as error:
                self._refused[name] = error
                self._open.pop(name, None)
                continue
            if count > 0:
                return name, count
            backend = self._open.pop(name)
            empty = empty or not backend.repaired
            self._refused[name] = EmptyDocumentError("no pages")
            backend.close()
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
        reasons = _reasons(self._refused)
        raise DamagedDocumentError(
            f"no reader can open the PDF ({reasons})",
            source=self._name,
            remedy="Fetch it again, or print it to a new PDF",
        )

    def _cut_off(self) -> list[str]:
        """A file without its end has lost its table of objects, and maybe pages with it."""
        if not any(backend.repaired for backend in self._open.values()):
            return []
        if isinstance(self._document, bytes):
            tail = self._document[-_TAIL:]
        else:
            with self._document.open("rb") as file:
                file.seek(max(0, self._document.stat().st_size - _TAIL))
                tail = file.read()
        return [] if b"%%EOF" in tail else ["the file is cut off; what is left of it was read"]

    def _backend(self, name: str) -> B:
        if name in self._refused:
            # Raised again and again, it would gather tracebacks, and with them the pages they hold.
            raise self._refused[name].with_traceback(None)
        if name not in self._open:
            try:
                module = import_module(f"{self.package}.{name}")
            except ImportError as error:
                raise MissingDependencyError(f"{name} is not installed") from error
            opened: B = module.open_pdf(self._document, self._password)
            self._open[name] = opened
        return self._open[name]

    def _page(self, index: int, order: Sequence[str], what: str, ask: Callable[[B], T]) -> T:
        failed: dict[str, Exception] = {}
        for name in order:
            try:
                answer = ask(self._backend(name))
            except LimitError:
                raise  # another reader would do what was refused
            except Exception as error:
                if not isinstance(error, MissingDependencyError):
                    failed[name] = error
                if name not in self._open:
                    self._refused[name] = error
                continue
            if failed:
                note = f"{name} had to {what} the page ({_reasons(failed)})"
                if note not in self._notes.setdefault(index, []):
                    self._notes[index].append(note)
            return answer
        raise PageError(
            f"no reader can {what} the page ({_reasons(failed)})", source=self._name, page=index + 1
        )


def _checked(size: tuple[float, float]) -> tuple[float, float]:
    if not all(0 < side < float("inf") for side in size):
        raise ValueError(f"a page of {size[0]:g} x {size[1]:g} points")
    return size


def _reasons(errors: dict[str, Exception]) -> str:
    """What each reader says of it, in brief."""
    return "; ".join(f"{name}: {_brief(error)}" for name, error in errors.items())


def _brief(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")[:120]
