"""Results on disk: one file a document and format, complete or not there at all."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Literal, Protocol

from internvl_loaders.document import Document, Page
from internvl_loaders.render import html, markdown, text

Format = Literal["md", "json", "html", "csv", "text"]
FORMATS: tuple[Format, ...] = ("md", "json", "html", "csv", "text")

_MAX_NAME = 180
"""Bytes of a name we give, so that suffixes stay within the 255 of common filesystems."""


@contextmanager
def replacing(path: Path) -> Iterator[IO[str]]:
    """A text file that takes `path`'s place when the block ends well, and else leaves no trace."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name[:40]}.", suffix=".part", dir=path.parent)
    try:
        with open(handle, "w", encoding="utf-8", newline="", errors="backslashreplace") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


class Names:
    """Output names within a folder: never outside it, never two alike, on any filesystem."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._taken: set[str] = set()

    def claim(self, relative: str) -> Path:
        """The path (without a format's suffix) for a document filed under `relative`."""
        parts = [_safe(part) for part in PurePosixPath(relative.replace("\\", "/")).parts]
        parts = [part for part in parts if part] or ["document"]
        stem, suffix = parts[-1], ""
        dot = stem.rfind(".")
        if dot > 0:
            stem, suffix = stem[:dot], stem[dot:]
        for turn in range(1, 10**9):
            name = f"{stem}{suffix}" if turn == 1 else f"{stem}~{turn}{suffix}"
            candidate = "/".join([*parts[:-1], name])
            if candidate.casefold() not in self._taken:
                self._taken.add(candidate.casefold())
                return self.folder.joinpath(*parts[:-1], name)
        raise AssertionError("unreachable")


def _safe(part: str) -> str:
    part = re.sub(r'[\x00-\x1f\x7f<>:"|?*/\\]+', "-", part).strip(" ")
    if part.strip(".") == "":
        return ""
    raw = part.encode("utf-8", "backslashreplace")
    if len(raw) > _MAX_NAME:
        _, dot, suffix = part.rpartition(".")
        keep = suffix if dot and len(suffix) < 10 else ""
        part = raw[: _MAX_NAME - len(keep) - 1].decode("utf-8", "ignore") + (f".{keep}" if keep else "")
    return part


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
        rendered = self.render(page, headers_footers=self.headers_footers)
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
            self.file.write(head.model_dump_json(by_alias=True).removesuffix("[]}") + "[")
        body = page.model_dump_json(by_alias=True, exclude={"timings"})
        self.file.write((",\n" if self.pages else "\n") + body)
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
        self.file.write(html.section(page, headers_footers=self.headers_footers))
        self.pages += 1

    def end(self) -> None:
        if self.pages:
            self.file.write(html.FOOT)


class CsvWriter:
    """Every table in a file of its own, numbered through the document; without a target, on stdout."""

    def __init__(self, target: Path | None) -> None:
        self.target = target
        self.tables = 0

    def add(self, page: Page) -> None:
        for table in page.tables:
            self.tables += 1
            if self.target is None:
                sys.stdout.write(("\n" if self.tables > 1 else "") + table.to_csv())
            else:
                with replacing(self.target.with_name(f"{self.target.name}.{self.tables}.csv")) as file:
                    file.write(table.to_csv())

    def end(self) -> None:
        pass
