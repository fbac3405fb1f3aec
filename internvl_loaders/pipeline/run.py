"""`parse` and `aparse`: pages in order, while later ones are being worked on."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import re
from collections import deque
from collections.abc import AsyncGenerator, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from internvl_llm.media.page_ranges import absent_pages, lacks, select_pages
from internvl_llm.media.workers.frames import Reply
from internvl_llm.media.workers.job import Job, Resource
from internvl_llm.media.workers.pool import Session, cores, shared_pool
from internvl_llm.names import file_name
from internvl_loaders.document import Page
from internvl_loaders.errors import InternVLError, PageRangeError, UnsupportedDocumentError
from internvl_loaders.options import ENGINE, ParseOptions, keywords
from internvl_loaders.pipeline.beside import after_one_another
from internvl_loaders.pipeline.replies import Slot, malformed_is_failed, reply_of
from internvl_loaders.pipeline.store import PageStore
from internvl_loaders.sources import Source, is_single, resolve

if TYPE_CHECKING:
    from internvl_loaders.pipeline.desk import Desk

log = logging.getLogger("internvl_loaders")

OPENER = "internvl_loaders.pipeline.reading:opener"

STRETCH = 8
"""Pages of a document that one worker should read, as it needs each page's neighbours too."""

MOST_EMBEDDED, DEEPEST = 200, 3
"""Embedded files read of one document, those of embedded documents included, and how deep they may lie."""

_KEPT = 8
"""Times as many pages as are worked on that may wait, done, for an earlier one that a model reads."""


@keywords(ParseOptions)
def parse(source: Any, options: ParseOptions | None = None, **changes: Any) -> Generator[Page, None, None]:
    """The pages of every document behind `source`, in order.

    `source` is a path, bytes, a binary stream, a PIL image, a LangChain `Blob`, an http(s) URL, a
    directory (recursive), a glob, an fsspec file, or a list of these; `changes` are fields of
    ParseOptions. A page that cannot be read comes with status `failed` and a reason; a document
    that cannot be opened comes as such a page numbered 0. `on_error` changes that. Wrong options
    raise OptionError at once; an engine that was asked for and cannot be opened raises its EngineError
    from the iterator, when the first page needs it.

    Closing the iterator ends the work on it.
    """
    return _Run(source, ParseOptions.of(options, **changes)).pages()


@keywords(ParseOptions)
async def aparse(
    source: Any, options: ParseOptions | None = None, **changes: Any
) -> AsyncGenerator[Page, None]:
    """`parse` for asyncio: the event loop is never blocked, and every iteration has its own thread.

    Cancelling the task ends the work; so does `aclose()` (use `contextlib.aclosing` to break out).
    """
    checked = ParseOptions.of(options, **changes)
    loop = asyncio.get_running_loop()
    thread = ThreadPoolExecutor(1, thread_name_prefix="internvl-aparse")
    try:
        run = await loop.run_in_executor(thread, _Run, source, checked)
        pages = run.pages()
        try:
            while (page := await loop.run_in_executor(thread, next, pages, None)) is not None:
                yield page
        finally:
            run.cancel()
            thread.submit(pages.close)
    finally:
        thread.shutdown(wait=False)


def sourced_pages(
    source: Any, options: ParseOptions, *, engine_first: bool = False
) -> Generator[tuple[Source, Page], None, None]:
    """`parse`, each page with the Source it is of: tells apart documents of the same name.

    With `engine_first` no page that is not in the cache comes before an engine that was asked for is open,
    whether the page needs it or not.
    """
    return _Run(source, ParseOptions.of(options), engine_first=engine_first).sourced_pages()


@dataclass(slots=True)
class _Opening:
    """A document on its way: `future` gives its page count, its content hash and the names of files in it.

    `depth` counts the documents around it, `room` has how many files may still be read of the outermost one.
    """

    source: Source
    document: Resource | None
    future: Future[Reply]
    depth: int = 0
    room: list[int] = field(default_factory=lambda: [MOST_EMBEDDED])


class _Run:
    """One iteration: sources are fetched, documents opened and pages read ahead, all bounded."""

    def __init__(self, source: Any, options: ParseOptions, *, engine_first: bool = False) -> None:
        self.options = options
        self.engine_first = engine_first
        jobs = options.jobs or cores()
        self.threads_alone = cores()
        self.desk = _desk(options)
        self.ahead = STRETCH * jobs + 2 + (options.in_flight if self.desk is not None else 0)
        self.in_any_order = self.desk is not None and options.images in {"none", "figures"}
        self.opening_ahead = jobs + 1
        self.alone = is_single(source)
        self.session = Session(shared_pool(jobs))
        self.stop: Future[None] = Future()
        self.sources = resolve(source, options.limits, options.allow_hosts)
        self.fetching: Future[Source | None] | None = None
        self.opening: deque[_Opening] = deque()
        self.reading: Iterator[Slot] | None = None
        self.window: deque[Slot] = deque()
        self.job_options = options.model_dump(mode="json", exclude={"allow_hosts", "cache_dir", *ENGINE})
        self.store = PageStore(options, None if self.desk is None else self.desk.transcriber)

    def cancel(self) -> None:
        """End all work; callable from any thread, and again."""
        self.stop.cancel()
        if self.desk is not None:
            self.desk.close()
        self.session.close()

    def pages(self) -> Generator[Page, None, None]:
        with closing(self.sourced_pages()) as sourced:
            for _, page in sourced:
                yield page

    def sourced_pages(self) -> Generator[tuple[Source, Page], None, None]:
        """The pages, each with the source it is of."""
        with closing(self._finished_pages()) as finished:
            yield from after_one_another(finished)

    def _finished_pages(self) -> Generator[tuple[Source, Page], None, None]:
        fetcher = ThreadPoolExecutor(1, thread_name_prefix="internvl-sources")
        try:
            self.fetching = fetcher.submit(self._next_source)
            while not self.stop.done():
                self._fill(fetcher)
                if self.window and self.window[0].future.done():
                    slot = self.window.popleft()
                    page = self._finish(slot)
                    if page is not None:
                        yield slot.source, page
                    continue
                pending: list[Future[Any]] = [
                    slot.future
                    for slot in (self.window if self.in_any_order else itertools.islice(self.window, 1))
                    if not slot.future.done()
                ]
                if self._has_room():
                    pending += [opening.future for opening in itertools.islice(self.opening, 1)]
                if self.fetching is not None and len(self.opening) < self.opening_ahead:
                    pending.append(self.fetching)
                if not pending:
                    return
                wait([*pending, self.stop], return_when=FIRST_COMPLETED)
        except CancelledError:
            return  # cancelled from outside: there is nobody to yield to
        finally:
            self.cancel()
            fetcher.shutdown(wait=False, cancel_futures=True)

    def _next_source(self) -> Source | None:
        return next(self.sources, None)

    def _fill(self, fetcher: ThreadPoolExecutor) -> None:
        """Start whatever can be started without waiting, up to the bounds."""
        while self.fetching is not None and self.fetching.done() and len(self.opening) < self.opening_ahead:
            source = self.fetching.result()
            self.fetching = None
            if source is not None:
                self.opening.append(self._open(source))
                self.fetching = fetcher.submit(self._next_source)
        while self._has_room():
            if self.reading is None:
                if not (self.opening and self.opening[0].future.done()):
                    return
                self.reading = self._slots(self.opening.popleft())
            slot = next(self.reading, None)
            if slot is None:
                self.reading = None
            else:
                self.window.append(slot)

    def _has_room(self) -> bool:
        """Whether another page may be begun. Where an answer may take much longer than others, those after it
        go on: done, they are small, but for images that are kept."""
        if not self.in_any_order:
            return len(self.window) < self.ahead
        unfinished = sum(not slot.future.done() for slot in self.window)
        return unfinished < self.ahead and len(self.window) < _KEPT * self.ahead

    def _open(self, source: Source) -> _Opening:
        if source.error is not None:
            future: Future[Reply] = Future()
            future.set_exception(source.error)
            return _Opening(source, None, future)
        content = source.data if source.path is None else Path(os.path.abspath(source.path))
        settings = {"name": source.name, "options": self.job_options}
        limits = self.options.limits
        document = Resource(
            OPENER, content or b"", settings, limits.max_memory, max_seconds=limits.max_document_seconds
        )
        opening = self._job(document, {"op": "open"}, urgent=True)
        return _Opening(source, document, self.session.submit(opening))

    def _open_embedded(self, opening: _Opening, names: list[str]) -> None:
        """Put the files in a document next in line; each is opened once a worker has taken it out."""
        if opening.depth >= DEEPEST or opening.document is None:
            return
        found: list[_Opening] = []
        taken: set[str] = set()
        for index, name in enumerate(names[: opening.room[0]]):
            name = file_name(re.split(r"[/\\]", name)[-1]) or "file"
            if name in taken:
                name = f"{index + 1}-{name}"
            taken.add(name)
            above = opening.source
            source = Source(f"{above.name}/{name}", f"{above.output}/{name}", embedded=True)
            child = _Opening(source, None, Future(), opening.depth + 1, opening.room)
            job = self._job(opening.document, {"op": "attached", "index": index})
            self.session.submit(job).add_done_callback(partial(self._taken_out, child))
            found.append(child)
        opening.room[0] -= len(found)
        self.opening.extendleft(reversed(found))

    def _taken_out(self, opening: _Opening, done: Future[Reply]) -> None:
        try:
            head, data = done.result()
            if "error" not in head:
                opening.source = replace(opening.source, data=data)
                inner = self._open(opening.source)
                opening.document = inner.document
                inner.future.add_done_callback(partial(_hand_on, opening.future))
                return
        except BaseException as error:
            opening.future.set_exception(error)
            return
        opening.future.set_result((head, data))

    def _slots(self, opening: _Opening) -> Iterator[Slot]:
        """The pages of an opened document, each submitted when it is asked for."""
        source = opening.source
        try:
            with malformed_is_failed():
                head, _ = reply_of(opening.future)
                total, sha256 = int(head["pages"]), str(head["sha256"])
            if self.options.attachments:
                self._open_embedded(opening, [str(name) for name in head.get("attached", ())])
            numbers = select_pages(self.options.pages, total)
            first = next(numbers, None)
            if first is None:
                raise PageRangeError(
                    f"has {total} page{'s' if total != 1 else ''}, none of them in {self.options.pages}",
                    source=source.name,
                    remedy="Give pages it has",
                )
            if absent := absent_pages(self.options.pages, total):
                log.warning("%s", PageRangeError(lacks(total, absent), source=source.name))
        except InternVLError as error:
            if source.embedded and isinstance(error, UnsupportedDocumentError):
                log.info("%s", error)  # the page that names it says what is read
                return
            future: Future[Reply] = Future()
            future.set_exception(error)
            yield Slot(source, 0, 0, "", future)
            return
        threads = self.threads_alone if self.alone and total == 1 else 1
        for number in itertools.chain([first], numbers):
            future = self._page(opening, sha256, number, total, threads)
            yield Slot(source, number, total, sha256, future)

    def _page(self, opening: _Opening, sha256: str, number: int, total: int, threads: int) -> Future[Reply]:
        if (stored := self.store.find(sha256, number)) is not None:
            return stored
        keep = self.store.keeper(sha256, number)
        request = {"op": "page", "page": number, "threads": threads}
        document = opening.document
        assert document is not None
        beside = tuple(near for near in (number - 1, number + 1) if 1 <= near <= total)
        if self.desk is None:
            return self.session.submit(self._job(document, request, beside=beside, keep=keep))
        if self.engine_first:
            self.desk.open_engine()
        drawing = self._job(document, request | {"op": "show"}, beside=beside)

        def read_without() -> Future[Reply]:  # in what is left of the page's time
            return self.session.submit(self._job(document, request, beside=beside, spent=drawing.spent))

        def read_witness(page: Page) -> Future[Reply]:  # once its stretch is drawn, and while the model reads
            seen = request | {"op": "witness", "moved": bool(page.rotation or page.skew)}
            return self.session.submit(self._job(document, seen, spent=drawing.spent))

        return self.desk.transcribe(self.session.submit(drawing), read_without, keep, read_witness)

    def _job(self, document: Resource, request: dict[str, Any], **more: Any) -> Job:
        stretch = document.key, (request.get("page", 1) - 1) // STRETCH
        return Job(document, request, self.options.limits.max_seconds, stretch=stretch, **more)

    def _finish(self, slot: Slot) -> Page | None:
        """The page, its placeholder, or nothing if it is to be skipped; raises if it is to be raised."""
        try:
            return slot.page()
        except InternVLError as error:
            if self.desk is not None and error is self.desk.transcriber.failure:
                raise  # the engine that was asked for is not there: no page's fault
            policy = self.options.on_error
            unopened = not slot.number and self.alone and not slot.source.embedded
            return slot.failed_page(error, "raise" if unopened and policy is None else policy)


def _hand_on(future: Future[Reply], done: Future[Reply]) -> None:
    try:
        future.set_result(done.result())
    except BaseException as error:
        future.set_exception(error)


def _desk(options: ParseOptions) -> Desk | None:
    """The way to the engine that pages may need; a line of log says which. Raises OptionError or
    CheckpointError."""
    from internvl_loaders.transcribe.model.choice import choose

    choice, sentence = choose(options)
    log.info("%s", sentence)
    if choice is None:
        return None
    from internvl_loaders.pipeline.desk import Desk
    from internvl_loaders.transcribe.model.transcriber import Transcriber

    return Desk(Transcriber(choice, options), options.in_flight, options.limits.max_pixels)
