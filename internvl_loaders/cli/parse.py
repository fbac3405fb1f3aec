"""What `internvl parse` does once its options are checked."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from internvl_llm.names import printable
from internvl_loaders.cli.output import (
    CsvWriter,
    Format,
    HtmlWriter,
    JsonWriter,
    Names,
    TextWriter,
    Writer,
    replacing,
)
from internvl_loaders.cli.report import Report
from internvl_loaders.document import Page
from internvl_loaders.errors import OptionError, PageError, SourceError
from internvl_loaders.options import ParseOptions
from internvl_loaders.pipeline.run import sourced_pages
from internvl_loaders.sources import Named, Source, is_single


@dataclass(slots=True)
class ParseCommand:
    """Sources in, files (or standard output) and a report out."""

    sources: list[str]
    options: ParseOptions
    formats: list[Format]
    out: Path | None = None
    report: Path | None = None
    headers_footers: bool = True
    page_breaks: bool = False
    quiet: bool = False
    console: Console = field(default_factory=lambda: Console(stderr=True, highlight=False))

    def __post_init__(self) -> None:
        if self.out is None:
            if len(self.sources) != 1 or not is_single(self.sources[0]):
                raise OptionError(
                    "several inputs do not fit on standard output", remedy="Give a folder with -o"
                )
            if len(self.formats) != 1:
                raise OptionError(
                    "several formats do not fit on standard output", remedy="Give a folder with -o"
                )
        elif self.out.exists() and not self.out.is_dir():
            raise OptionError(f"{self.out} is not a folder", remedy="Give -o a folder")
        if self.report is not None and not self.report.absolute().parent.is_dir():
            raise OptionError(f"no folder for the report: {self.report.absolute().parent}")

    def run(self) -> bool:
        """Whether every page was read."""
        started = time.monotonic()
        report = Report()
        watched = self.options.model_copy(update={"on_error": "placeholder"})
        inputs: list[Any] = [Named(sys.stdin.buffer, "stdin") if s == "-" else s for s in self.sources]
        names = Names(self.out) if self.out is not None else None
        try:
            with closing(sourced_pages(inputs, watched)) as pages, self._progress(report) as advance:
                current: Source | None = None
                with _Outputs(self, names) as outputs, _Failures(self.console) as failures:
                    for source, page in pages:
                        if page.status == "failed" and self.options.on_error == "raise":
                            kind = PageError if page.number else SourceError
                            raise kind(page.reason, source=page.source, page=page.number or None)
                        if source is not current:
                            outputs.finish()
                            outputs.begin(source)
                            report.begin(source.name)
                            current = source
                        report.add(page)
                        failures.add(page)
                        if page.number and not (page.status == "failed" and self.options.on_error == "skip"):
                            outputs.add(page)
                        advance(page)
                    outputs.finish()
        finally:
            report.seconds = time.monotonic() - started
            if self.report is not None:
                with replacing(self.report) as file:
                    file.write(report.to_json())
        if not self.quiet:
            self.console.print(_summary(report), soft_wrap=True)
        return not report.failed

    @contextmanager
    def _progress(self, report: Report) -> Iterator[Any]:
        if self.quiet or not self.console.is_terminal:
            yield lambda page: None
            return
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=self.console, transient=True) as progress:
            task = progress.add_task("starting")
            count = 0

            def advance(page: Page) -> None:
                nonlocal count
                count += page.number > 0
                of = f" of {page.total_pages}" if page.total_pages else ""
                name = escape(printable(page.source)[-60:])
                progress.update(task, description=f"{count} pages, {name}, page {page.number}{of}")

            yield advance


class _Failures:
    """Names every failed page on the console, runs of pages that fail alike in one line."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.first: Page | None = None
        self.last: Page | None = None

    def __enter__(self) -> _Failures:
        return self

    def __exit__(self, *error: Any) -> None:
        self.flush()

    def add(self, page: Page) -> None:
        if page.status == "failed" and self.last is not None and self._continues(self.last, page):
            self.last = page
            return
        self.flush()
        if page.status == "failed":
            self.first = self.last = page

    def flush(self) -> None:
        if self.first is None or self.last is None:
            return
        place = self.first.source
        if self.first.number:
            place += f", page {self.first.number}"
        if self.last is not self.first:
            place += f" to {self.last.number}"
        line = printable(f"{place}: {self.first.reason}")
        self.console.print(f"[red]failed[/red] {escape(line)}", soft_wrap=True)
        self.first = self.last = None

    @staticmethod
    def _continues(last: Page, page: Page) -> bool:
        same = re.sub(r"\d+", "#", last.reason) == re.sub(r"\d+", "#", page.reason)
        return same and page.source == last.source and page.number == last.number + 1 > 1


class _Outputs:
    """The files of the document at hand; they appear when it is finished, or not at all."""

    def __init__(self, command: ParseCommand, names: Names | None) -> None:
        self.command = command
        self.names = names
        self.stack = ExitStack()
        self.source: Source | None = None
        self.writers: list[Writer] = []

    def __enter__(self) -> _Outputs:
        return self

    def __exit__(self, *error: Any) -> None:
        self.stack.__exit__(*error)

    def begin(self, source: Source) -> None:
        self.source = source

    def add(self, page: Page) -> None:
        if not self.writers:
            self.writers = list(self._open())
        for writer in self.writers:
            writer.add(page)

    def finish(self) -> None:
        for writer in self.writers:
            writer.end()
        self.writers = []
        self.stack.close()

    def _open(self) -> Iterator[Writer]:
        assert self.source is not None
        target = None if self.names is None else self.names.claim(self.source.output)
        for form in self.command.formats:
            if form == "csv":
                yield CsvWriter(target)
                continue
            file: IO[str] = sys.stdout
            if target is not None:
                file = self.stack.enter_context(replacing(target.with_name(f"{target.name}.{form}")))
            if form == "json":
                yield JsonWriter(file)
            elif form == "html":
                yield HtmlWriter(file, headers_footers=self.command.headers_footers)
            else:
                yield TextWriter(
                    file,
                    form,
                    page_breaks=self.command.page_breaks,
                    headers_footers=self.command.headers_footers,
                )


def _summary(report: Report) -> str:
    totals = report.totals()
    unread = sum(d["status"] == "failed" and not d["pages"] for d in report.documents)
    read = f"{_count(totals['pages'], 'page')} of {_count(totals['documents'], 'document')}"
    parts = [f"{read} in {totals['seconds']:.1f} s"]
    parts += [f"{totals[s]} {s}" for s in ("ok", "retried", "fallback", "empty", "failed") if totals[s]]
    if unread:
        parts.append(f"{_count(unread, 'document')} could not be opened")
    return ", ".join(parts)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("s" if number != 1 else "")
