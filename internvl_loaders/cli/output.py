"""A document's pages in the formats of the command, as they come.

Nothing that a terminal would obey, or that turns the text around it, comes out of a document.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import IO, Protocol

from internvl_llm.names import plain_json, printable
from internvl_loaders.cli.files import Format, replacing
from internvl_loaders.document import Document, Page
from internvl_loaders.render import html, markdown, text


class Writer(Protocol):
    """Takes a document's pages in order; `end` is called once, after the last."""

    def add(self, page: Page) -> None: ...

    def end(self) -> None: ...


class TextWriter:
    """markdown or text, page by page: a book never sits in memory."""

    def __init__(self, file: IO[str], form: Format, *, page_breaks: bool, headers_footers: bool) -> None:
        self.file = file
        self.render = markdown.page if form == "md" else text.page
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

    def add(self, page: Page) -> None:
        if not self.pages:
            head = Document(source=page.source, document_id=page.document_id, pages=())
            self.file.write(plain_json(head.model_dump_json(by_alias=True)).removesuffix("[]}") + "[")
        body = page.model_dump_json(by_alias=True, exclude={"timings"})
        self.file.write((",\n" if self.pages else "\n") + plain_json(body))
        self.pages += 1

    def end(self) -> None:
        if self.pages:
            self.file.write("\n]}\n")


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
