"""What an agent may do with the documents of some folders; the framework adapters wrap it.

Paths come from a model, which may repeat what a document told it: nothing outside the folders is
reached, whatever a path says or links to and whatever is swapped meanwhile (a hard link is a file of its
folder), and nothing is fetched. What documents say goes out without tags that open a tool call.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import BaseModel, Field, ValidationError, create_model

from internvl_llm.media.below import opened as opened_below
from internvl_llm.media.below import read
from internvl_llm.media.page_ranges import absent_pages, lacks
from internvl_llm.names import on_screen, printable
from internvl_llm.prompt.dialects import unlike_calls
from internvl_loaders.document import Image, Page
from internvl_loaders.errors import (
    DocumentNotFoundError,
    InternVLError,
    OptionError,
    PageError,
    PageRangeError,
    SourceError,
)
from internvl_loaders.folders import EXTENSIONS
from internvl_loaders.options import ParseOptions
from internvl_loaders.pipeline.run import parse
from internvl_loaders.sources import Named

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
_LONGEST_QUERY = 1000
_MOST_RESULTS = 100
_LONGEST_NAME = 200
_LONGEST_ERROR = 500
_LEAST_SCORE = 75.0
"""Of rapidfuzz's partial ratio, 0 to 100: what OCR misread is found too."""
_REMEDY = "Name a file of list_documents"


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
        names = list(self._names())
        listed: list[str] = []
        room = self.max_chars
        for name in names[:_LISTED]:
            room -= len(name) + 1
            if room < 0 and listed:
                break
            listed.append(name)
        more = f"\n... and {len(names) - len(listed)} more" if len(names) > len(listed) else ""
        return "\n".join(listed) + more if names else "There are no documents."

    def parse_document(self, path: Name, pages: Range = None) -> str:
        """Read a document, or some of its pages, as markdown, its tables included."""
        parts: list[str] = []
        room = self.max_chars
        document = self._pages(path, pages)
        for page in document:
            text = f"## Page {page.number} of {page.total_pages}\n\n{_told(_markdown(page))}"
            if len(text) > room:
                rest = f"{page.number}-{document[-1].number}"
                parts.append(
                    text[:room] + f"\n\n[cut here; ask for pages {rest}, or read_page {page.number}]"
                )
                break
            room -= len(text)
            parts.append(text)
        total = document[0].total_pages
        if absent := absent_pages(pages, total):
            parts.append(f"[the document {lacks(total, absent)}]")
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

        if len(query) > _LONGEST_QUERY:
            raise OptionError(
                f"the query has {len(query):,} characters", remedy=f"Give {_LONGEST_QUERY:,} at most"
            )
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
            return _told(f"Nothing in the document is like {_shown(query)!r}.")
        lines = [line for *_, line in sorted(hits)[: min(max(1, max_results), _MOST_RESULTS)]]
        return _told("\n".join(lines))[: self.max_chars]

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
        return _told(opened(self.engine).generate([request])[0].text)[: self.max_chars]

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
        text = _told(_markdown(page))
        return text if len(text) <= self.max_chars else text[: self.max_chars] + "\n\n[the page is longer]"

    def _page(self, path: str, page: int, images: str = "none") -> Page:
        if page < 1:
            raise PageRangeError(f"there is no page {page}", remedy="Pages count from 1")
        return self._pages(path, str(page), images)[0]

    def _pages(self, path: str, pages: str | None, images: str = "none") -> tuple[Page, ...]:
        """The pages, read or as they were read before; a document of nothing but failures raises."""
        name = _shown(path)
        try:
            with self._opened(path) as file:
                stat = os.fstat(file)
                key = (stat.st_dev, stat.st_ino, stat.st_mtime_ns, stat.st_size, pages, images)
                with self._lock:
                    if key in self._cache:
                        self._cache.move_to_end(key)
                        return self._cache[key]
                content = read(file, self.options.limits.max_bytes)
            with closing(parse(Named(content, name), self.options, pages=pages, images=images)) as reading:
                document = tuple(reading)
        except InternVLError as error:
            error.source = name  # where the folders are is not the model's to know
            error.message = on_screen(error.message)[:_LONGEST_ERROR]
            raise
        if not document:
            raise PageRangeError("it has no such pages", source=name, remedy="Ask for pages it has")
        with self._lock:
            self._cache[key] = document
            while len(self._cache) > _CACHED:
                self._cache.popitem(last=False)
        return document

    @contextmanager
    def _opened(self, path: str) -> Iterator[int]:
        """A descriptor of the file that a path, or a line of `list_documents`, names within the folders."""
        with ExitStack() as stack:
            try:
                if "://" in path:
                    raise SourceError("this is no path", remedy=_REMEDY)
                file = stack.enter_context(opened_below(self.folders, path, _REMEDY))
            except DocumentNotFoundError:
                known = self._names().get(path)
                if known is None:
                    raise
                file = stack.enter_context(opened_below(self.folders, known, _REMEDY))
            yield file

    def _names(self) -> dict[str, str]:
        """The documents as they are listed, and their paths."""
        names: dict[str, str] = {}
        for folder in self.folders:
            found = (Path(at, name) for at, _, files in os.walk(folder) for name in files)
            for path in sorted(path for path in found if path.suffix.lower() in EXTENSIONS):
                if os.path.isfile(path) and self._within(path.resolve()):
                    name = _listed(path.relative_to(folder).as_posix())
                    names[_listed(str(path)) if name in names else name] = str(path)
        return names

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
    return f"these arguments do not fit: {on_screen(details)[:_LONGEST_ERROR]}"


def _markdown(page: Page) -> str:
    if page.status == "failed":
        return f"[this page could not be read: {page.reason}]"
    return page.to_markdown().strip() or "[nothing on this page]"


def _image(page: Page, path: str) -> Image:
    if page.image is None:
        raise PageError(page.reason or "the page cannot be shown", source=_shown(path), page=page.number)
    return page.image


def _told(text: str) -> str:
    """As a tool may say it: nothing in it opens a tool call, or is obeyed by a terminal."""
    return unlike_calls(printable(text))


def _listed(path: str) -> str:
    """On one line. Names may hold bytes, and what models say halves of characters, that are no text."""
    return unlike_calls(on_screen(path.encode("utf-8", "replace").decode()))


def _shown(text: str) -> str:
    """Of any length, as an error or an answer may repeat it."""
    return _listed(text if len(text) <= _LONGEST_NAME else f"{text[:_LONGEST_NAME]}...")


def _around(text: str, wanted: str, room: int = 200) -> str:
    at = max(0, text.casefold().find(wanted))
    start = max(0, at - room // 2)
    cut = text[start : start + room + len(wanted)]
    return f"{'...' if start else ''}{cut}{'...' if start + len(cut) < len(text) else ''}"
