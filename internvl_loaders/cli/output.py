"""A document's pages in the formats of the command, as they come.

Nothing that a terminal would obey, or that turns the text around it, comes out of a document.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO, Any, Protocol

from internvl_llm.names import plain_json, printable
from internvl_loaders.cli.files import Format, Names, replacing
from internvl_loaders.document import Document, Page, running_tables
from internvl_loaders.errors import InternVLError
from internvl_loaders.render import html, markdown, text
from internvl_loaders.running import may_run
from internvl_loaders.sources import Source


class Writer(Protocol):
    """Takes a document's pages in order; `end` is called once, after the last."""

    def add(self, page: Page) -> None: ...

    def end(self) -> None: ...


class TextWriter:
    """markdown or text, page by page: a book never sits in memory."""

    def __init__(
        self,
        file: IO[str],
        form: Format,
        *,
        page_breaks: bool,
        headers_footers: bool,
        footnotes: bool = False,
    ) -> None:
        self.file = file
        self.render = partial(markdown.page, footnotes=footnotes) if form == "md" else text.page
        self.separator = "\n\f\n" if page_breaks else "\n\n"
        self.page_breaks = page_breaks
        self.headers_footers = headers_footers
        self.pages = 0

    def add(self, page: Page) -> None:
        rendered = printable(self.render(page, headers_footers=self.headers_footers))
        if rendered or self.page_breaks:
            self.file.write((self.separator if self.pages else "") + rendered)
            self.pages += 1

    def end(self) -> None:
        if self.pages:
            self.file.write("\n")
            self.file.flush()


class JsonWriter:
    """The document's JSON, page by page; without timings, so that equal results are equal files."""

    def __init__(self, file: IO[str]) -> None:
        self.file = file
        self.pages = 0
        self.with_tables: list[Page] = []

    def add(self, page: Page) -> None:
        if not self.pages:
            head = Document(source=page.source, document_id=page.document_id, pages=())
            told = head.model_dump_json(by_alias=True, exclude={"running_tables"})
            self.file.write(plain_json(told).removesuffix("[]}") + "[")
        if may_run(page):
            blocks = tuple(b.model_copy(update={"image": None, "words": ()}) for b in page.blocks)
            self.with_tables.append(page.model_copy(update={"image": None, "blocks": blocks}))
        body = page.model_dump_json(by_alias=True, exclude={"timings"})
        self.file.write((",\n" if self.pages else "\n") + plain_json(body))
        self.pages += 1

    def end(self) -> None:
        if self.pages:
            tables = (plain_json(t.model_dump_json(by_alias=True)) for t in running_tables(self.with_tables))
            self.file.write(f'\n],"running_tables":[{",".join(tables)}]}}\n')


class HtmlWriter:
    """A complete HTML document, page by page."""

    def __init__(self, file: IO[str], *, headers_footers: bool) -> None:
        self.file = file
        self.headers_footers = headers_footers
        self.pages = 0

    def add(self, page: Page) -> None:
        if not self.pages:
            self.file.write(html.head(page.source))
        self.file.write("\n" + html.section(page, headers_footers=self.headers_footers))
        self.pages += 1

    def end(self) -> None:
        if self.pages:
            self.file.write("\n" + html.FOOT)


class CsvWriter:
    """Every table in a file of its own, numbered through the document; without a target, on stdout."""

    def __init__(self, target: Path | None, below: Path | None = None) -> None:
        self.target = target
        self.below = below
        self.tables = 0

    def add(self, page: Page) -> None:
        for table in page.tables:
            self.tables += 1
            rows = "\r\n".join(map(printable, table.to_csv().split("\r\n")))
            if self.target is None:
                sys.stdout.write(("\n" if self.tables > 1 else "") + rows)
            else:
                name = f"{self.target.name}.{self.tables}.csv"
                with replacing(self.target.with_name(name), self.below) as file:
                    file.write(rows)

    def end(self) -> None:
        pass


class Outputs:
    """The files of the document at hand; they appear when it is finished, or not at all.

    A file that cannot be written costs its document, and standard output the run. What is written once the
    folder is another one than at first would be apart from the rest: it is lost.
    """

    def __init__(
        self,
        folder: Path | None,
        formats: Sequence[Format],
        *,
        headers_footers: bool,
        page_breaks: bool,
        footnotes: bool = False,
        lost: Callable[[Exception], None],
    ) -> None:
        self.folder = folder
        self.formats = formats
        self.headers_footers = headers_footers
        self.page_breaks = page_breaks
        self.footnotes = footnotes
        self.names = None if folder is None else Names(folder, formats)
        self.root: os.stat_result | None = None
        self.stack = ExitStack()
        self.source: Source | None = None
        self.writers: list[Writer] = []
        self.tell_lost = lost
        self.lost = False

    def __enter__(self) -> Outputs:
        return self

    def __exit__(self, *error: Any) -> None:
        self.stack.__exit__(*error)

    def begin(self, source: Source) -> None:
        self.source, self.lost = source, False

    def add(self, page: Page) -> None:
        with self._costs_its_document():
            if not self.writers and not self.lost:
                self._check_root()
                self.writers = list(self._open())
                self._check_root()
            for writer in self.writers:
                writer.add(page)

    def finish(self) -> None:
        with self._costs_its_document():
            for writer in self.writers:
                writer.end()
            self.stack.close()
            if not self.lost:
                self._check_root()
            if self.names is None:
                sys.stdout.flush()
        self.writers = []

    def _check_root(self) -> None:
        if self.folder is None:
            return
        try:
            now = os.stat(self.folder)
        except FileNotFoundError:  # not there yet, or no more
            now = None
        if self.root is None:
            self.root = now
        elif now is None or not os.path.samestat(now, self.root):
            raise InternVLError(
                f"{self.folder} was moved, removed or replaced while it was written to", remedy="Run it again"
            )

    @contextmanager
    def _costs_its_document(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # rendering may fail in ways nobody thought of, too
            if self.names is None or self.source is None:
                raise
            with suppress(Exception):
                self.stack.__exit__(type(error), error, error.__traceback__)
            self.stack, self.writers, self.lost = ExitStack(), [], True
            self.tell_lost(error)

    def _open(self) -> Iterator[Writer]:
        assert self.source is not None
        target = None if self.names is None else self.names.claim(self.source.output)
        for form in self.formats:
            if form == "csv":
                yield CsvWriter(target, self.folder)
                continue
            file: IO[str] = sys.stdout
            if target is not None:
                path = target.with_name(f"{target.name}.{form}")
                file = self.stack.enter_context(replacing(path, self.folder))
            if form == "json":
                yield JsonWriter(file)
            elif form == "html":
                yield HtmlWriter(file, headers_footers=self.headers_footers)
            else:
                yield TextWriter(
                    file,
                    form,
                    page_breaks=self.page_breaks,
                    headers_footers=self.headers_footers,
                    footnotes=self.footnotes,
                )
