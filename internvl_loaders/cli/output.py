"""Results on disk: one file a document and format, complete or not there at all."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Literal, Protocol
from uuid import uuid4

from internvl_loaders.document import Document, Page
from internvl_loaders.render import html, markdown, text

Format = Literal["md", "json", "html", "csv", "text"]
FORMATS: tuple[Format, ...] = ("md", "json", "html", "csv", "text")

_MAX_NAME = 180
"""Bytes of a name we give, so that suffixes stay within the 255 of common filesystems."""


@contextmanager
def replacing(path: Path) -> Iterator[IO[str]]:
    """A text file that takes `path`'s place when the block ends well, and else leaves no trace.

    On Linux it has no name until then, so that even a killed process leaves nothing behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name[:40]}.{uuid4().hex}.part")
    handle = _unnamed_file(path.parent)
    named = handle is None
    if handle is None:
        handle = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    try:
        with open(handle, "w", encoding="utf-8", newline="", errors="backslashreplace") as file:
            yield file
            file.flush()
            os.fsync(handle)
            if not named:
                _link(handle, part)
        os.chmod(part, 0o666 & ~_umask())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _unnamed_file(folder: Path) -> int | None:
    """A descriptor of a file in `folder` that is not in its listing; None where there are no such files."""
    if sys.platform != "linux" or not os.path.isdir("/proc/self/fd"):
        return None
    try:
        return os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o600)
    except OSError:  # not every filesystem has them
        return None


def _link(handle: int, path: Path) -> None:
    # Only with a directory's descriptor does Python ask for the link to be followed (linkat).
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.link(f"/proc/self/fd/{handle}", path, src_dir_fd=folder, follow_symlinks=True)
    finally:
        os.close(folder)


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
    # lone surrogates but those that stand for a file name's undecodable bytes are no part of any name
    part = re.sub(r'[\x00-\x1f\x7f<>:"|?*/\\\ud800-\udc7f\udd00-\udfff]+', "-", part).strip(" ")
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
        self.file.write("\n" + html.section(page, headers_footers=self.headers_footers))
        self.pages += 1

    def end(self) -> None:
        if self.pages:
            self.file.write("\n" + html.FOOT)


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
