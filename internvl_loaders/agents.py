"""What an agent may do with the documents of some folders; the framework adapters wrap it.

Paths come from a model, which may repeat what a document told it: nothing outside the folders is
reached, whatever a path says or links to, and nothing is fetched.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import BaseModel, Field, ValidationError, create_model

from internvl_loaders.document import Image, Page
from internvl_loaders.errors import (
    DocumentNotFoundError,
    InternVLError,
    OptionError,
    PageError,
    PageRangeError,
    SourceError,
)
from internvl_loaders.options import ParseOptions
from internvl_loaders.pipeline.run import parse

if TYPE_CHECKING:
    from internvl_llm.engine import Engine, EngineSpec
    from internvl_llm.engines.open import EngineLike

T = TypeVar("T")

Name = Annotated[str, Field(description="As list_documents gives it.")]
Number = Annotated[int, Field(ge=1, description="Counted from 1.")]
Range = Annotated[str | None, Field(description='Such as "2-5,9"; all pages if left out.')]

_CACHED = 16
"""Page ranges of documents that are kept once read."""
_LISTED = 200
_LEAST_SCORE = 75.0
"""Of rapidfuzz's partial ratio, 0 to 100: what OCR misread is found too."""
_REMEDY = "Name a file of list_documents"
_SUFFIXES = {".pdf", ".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif"}


class DocumentTools:
    """Answers are text of at most `max_chars` characters, and say how to get the rest.

    `engine` answers `ask_page`: an engine's name, an EngineSpec or its fields, or an engine that is open; it
    may be the one that reads the pages. `model` and `base_url` are those of the options where it has none.
    Thread-safe. Errors are those of `parse`; a path that may not be read is a SourceError.
    """

    def __init__(
        self,
        folders: str | Path | Iterable[str | Path],
        options: ParseOptions | None = None,
        *,
        engine: EngineLike = None,
        max_chars: int = 20_000,
        **changes: Any,
    ) -> None:
        paths = [folders] if isinstance(folders, str | Path) else folders
        self.folders = tuple(Path(path).resolve() for path in paths)
        missing = [str(folder) for folder in self.folders if not folder.is_dir()]
        if missing or not self.folders:
            raise OptionError(
                f"no such folder: {', '.join(missing) or '(none given)'}", remedy="Give folders"
            )
        self.options = ParseOptions.of(options, **changes)
        self.engine = None if engine is None else _chosen(engine, self.options)
        self.max_chars = max_chars
        self._cache: OrderedDict[tuple[Any, ...], tuple[Page, ...]] = OrderedDict()
        self._lock = threading.Lock()

    def list_documents(self) -> str:
        """List the documents that can be read, one path a line."""
        names: dict[str, None] = {}
        for folder in self.folders:
            for path in sorted(folder.rglob("*")):
                is_document = path.suffix.lower() in _SUFFIXES and os.path.isfile(path)
                if is_document and self._within(path.resolve()):
                    name = _printable(path.relative_to(folder).as_posix())
                    names[_printable(str(path)) if name in names else name] = None
        more = f"\n... and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
        return "\n".join(list(names)[:_LISTED]) + more if names else "There are no documents."

    def parse_document(self, path: Name, pages: Range = None) -> str:
        """Read a document, or some of its pages, as markdown, its tables included."""
        parts: list[str] = []
        room = self.max_chars
        document = self._pages(path, pages)
        for page in document:
            text = f"## Page {page.number} of {page.total_pages}\n\n{_markdown(page)}"
            if len(text) > room:
                rest = f"{page.number}-{document[-1].number}"
                parts.append(
                    text[:room] + f"\n\n[cut here; ask for pages {rest}, or read_page {page.number}]"
                )
                break
            room -= len(text)
            parts.append(text)
        return "\n\n".join(parts)

    def read_page(self, path: Name, page: Number) -> str:
        """Read one page of a document as markdown."""
        return self._text(self._page(path, page))

    def show_page(self, path: Name, page: Number) -> tuple[str, Image]:
        """See the image of one page of a document, after its text as markdown."""
        shown = self._page(path, page, images="pages")
        return self._text(shown), _image(shown, path)

    def search_in_document(self, path: Name, query: str, max_results: int = 10) -> str:
        """Find where a document says something: page, place on it (fractions from the top left) and text."""
        from rapidfuzz import fuzz

        wanted = " ".join(query.split()).casefold()
        if not wanted:
            raise OptionError("the query is empty", remedy="Say what to look for")
        hits: list[tuple[float, int, int, str]] = []
        for page in self._pages(path, None):
            for place, block in enumerate(page.blocks):
                text = " ".join(block.text.split())
                score = 101.0 if wanted in text.casefold() else fuzz.partial_ratio(wanted, text.casefold())
                if len(text) >= len(wanted) / 2 and score >= _LEAST_SCORE:
                    box = block.box
                    where = f"({box.x0:.2f}, {box.y0:.2f})-({box.x1:.2f}, {box.y1:.2f})" if box else "?"
                    snippet = _around(text, wanted)
                    hits.append((-score, page.number, place, f"page {page.number} at {where}: {snippet}"))
        if not hits:
            return f"Nothing in the document is like {query!r}."
        lines = [line for *_, line in sorted(hits)[: max(1, max_results)]]
        return "\n".join(lines)[: self.max_chars]

    def ask_page(self, path: Name, page: Number, question: str) -> str:
        """Look at the image of one page and answer a question about it."""
        if self.engine is None:
            raise OptionError(
                "there is no model to look at pages", remedy="Give DocumentTools an engine, or use read_page"
            )
        from internvl_llm.engines.open import opened
        from internvl_llm.messages import Image, Message
        from internvl_llm.request import Request

        picture = _image(self._page(path, page, images="pages"), path)
        request = Request(Message.user(Image(picture.data), question), page=True)
        return opened(self.engine).generate([request])[0].text[: self.max_chars]

    def functions(self, *, images: bool = False) -> tuple[Callable[..., Any], ...]:
        """What is offered to an agent: `ask_page` only where there is an engine, `show_page`, which alone
        returns more than text, only with `images`."""
        functions: list[Callable[..., Any]] = [
            *(self.list_documents, self.parse_document, self.read_page, self.search_in_document)
        ]
        if images:
            functions.append(self.show_page)
        if self.engine is not None:
            functions.append(self.ask_page)
        return tuple(functions)

    def _text(self, page: Page) -> str:
        text = _markdown(page)
        return text if len(text) <= self.max_chars else text[: self.max_chars] + "\n\n[the page is longer]"

    def _page(self, path: str, page: int, images: str = "none") -> Page:
        if page < 1:
            raise PageRangeError(f"there is no page {page}", remedy="Pages count from 1")
        return self._pages(path, str(page), images)[0]

    def _pages(self, path: str, pages: str | None, images: str = "none") -> tuple[Page, ...]:
        """The pages, read or as they were read before; a document of nothing but failures raises."""
        file = self._allowed(path)
        try:
            stat = file.stat()
        except OSError as error:  # gone since it was found
            raise DocumentNotFoundError(
                "no such document", source=_printable(path), remedy=_REMEDY
            ) from error
        key = (file, stat.st_mtime_ns, stat.st_size, pages, images)
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key]
        try:
            with closing(parse(file, self.options, pages=pages, images=images)) as reading:
                document = tuple(reading)
        except InternVLError as error:
            error.source = _printable(path)  # where the folders are is not the model's to know
            error.message = error.message.replace(str(file), error.source)
            raise
        if not document:
            raise PageRangeError("it has no such pages", source=path, remedy="Ask for pages it has")
        with self._lock:
            self._cache[key] = document
            while len(self._cache) > _CACHED:
                self._cache.popitem(last=False)
        return document

    def _allowed(self, path: str) -> Path:
        """The file a path names within the folders. Raises SourceError for any other."""
        name = _printable(path[:200])
        try:
            if "\0" in path or "://" in path:
                raise ValueError
            candidates = [(folder / path).resolve() for folder in self.folders]
            within = [file for file in candidates if self._within(file)]
            files = [file for file in within if file.is_file()]
        except (OSError, RuntimeError, ValueError) as error:  # too long, a loop of links, no characters
            raise SourceError("this is no path", source=name, remedy=_REMEDY) from error
        if files:
            return files[0]
        if not within:
            raise SourceError("this is outside the folders that may be read", source=name, remedy=_REMEDY)
        raise DocumentNotFoundError("no such document", source=name, remedy=_REMEDY)

    def _within(self, resolved: Path) -> bool:
        return any(resolved.is_relative_to(folder) for folder in self.folders)


def _chosen(engine: EngineLike, options: ParseOptions) -> Engine | EngineSpec:
    """Raises OptionError for an engine that cannot be."""
    from internvl_llm.engine import EngineSpec
    from internvl_llm.engines.open import check, resolve

    if isinstance(engine, str | Mapping):
        fields = {"engine": engine} if isinstance(engine, str) else engine
        engine = {"model": options.model, "base_url": options.base_url} | dict(fields)
    chosen = resolve(engine)
    if isinstance(chosen, EngineSpec):
        check(chosen)
    return chosen


async def in_thread(function: Callable[..., T], *arguments: Any, **named: Any) -> T:
    """A tool's async twin: the work waits in a thread, never on the event loop."""
    return await asyncio.to_thread(function, *arguments, **named)


def arguments(function: Callable[..., Any]) -> type[BaseModel]:
    """What `function` takes, as a pydantic class: the schema that a model is shown."""
    parameters = inspect.signature(function, eval_str=True).parameters
    fields: dict[str, Any] = {
        name: (parameter.annotation, ... if parameter.default is parameter.empty else parameter.default)
        for name, parameter in parameters.items()
    }
    return create_model(function.__name__, **fields)


def refusal(error: ValidationError) -> str:
    """What is wrong with arguments, for the model that gave them."""
    details = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
    return f"these arguments do not fit: {details}"


def _markdown(page: Page) -> str:
    if page.status == "failed":
        return f"[this page could not be read: {page.reason}]"
    return page.to_markdown().strip() or "[nothing on this page]"


def _image(page: Page, path: str) -> Image:
    if page.image is None:
        raise PageError(page.reason or "the page cannot be shown", source=path, page=page.number)
    return page.image


def _printable(path: str) -> str:
    """File names may hold bytes, and what models say halves of characters, that are no text."""
    return path.encode("utf-8", "replace").decode()


def _around(text: str, wanted: str, room: int = 200) -> str:
    at = max(0, text.casefold().find(wanted))
    start = max(0, at - room // 2)
    cut = text[start : start + room + len(wanted)]
    return f"{'...' if start else ''}{cut}{'...' if start + len(cut) < len(text) else ''}"
