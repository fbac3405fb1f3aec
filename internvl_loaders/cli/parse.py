"""What `internvl parse` does once its options are checked."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from internvl_llm.media.page_ranges import absent_pages, lacks, last_page
from internvl_llm.names import on_screen
from internvl_loaders.cli.files import Format, replacing_or_into, said_of_file
from internvl_loaders.cli.output import Outputs
from internvl_loaders.cli.report import Report
from internvl_loaders.cli.terminal import ended_by_signals, hide_bars_of_libraries, undisturbed
from internvl_loaders.document import Page
from internvl_loaders.errors import InternVLError, OptionError, PageError, SourceError
from internvl_loaders.folders import Skipped, skipped_files
from internvl_loaders.options import ParseOptions
from internvl_loaders.pipeline.run import sourced_pages
from internvl_loaders.sources import Named, Source, is_single, is_url, resolve


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
    footnotes: bool = False
    quiet: bool = False
    console: Console = field(default_factory=lambda: Console(stderr=True, highlight=False))

    def __post_init__(self) -> None:
        if self.out is None:
            if len(self.sources) != 1 or not (is_single(self.sources[0]) or self._is_empty(self.sources[0])):
                raise OptionError(
                    "several inputs do not fit on standard output", remedy="Give a folder with -o"
                )
            if len(self.formats) != 1:
                raise OptionError(
                    "several formats do not fit on standard output", remedy="Give a folder with -o"
                )
        else:
            _check_folder(self.out)
        if self.report is not None:
            if not self.report.absolute().parent.is_dir():
                raise OptionError(f"no folder for the report: {self.report.absolute().parent}")
            if self.report.is_dir():
                raise OptionError(f"the report cannot be a folder: {self.report}", remedy="Name a file")

    def _is_empty(self, source: str) -> bool:
        """Whether no document of a folder or a pattern can be had, which is then what is to be said."""
        found = resolve(source, self.options.limits, skipped=Skipped())
        return all(one.error is not None for one in found)

    def run(self) -> bool:
        """Whether every page was read, and all is written. What ends the run early is raised once it is
        reported; SIGTERM is a KeyboardInterrupt as Ctrl-C is."""
        started = time.monotonic()
        report = Report(sources=list(self.sources))
        written = False
        hide_bars_of_libraries()  # ours tells of the pages
        with ended_by_signals():
            try:
                self._read(report)
            except BaseException as error:
                report.end(error, kept=self.out is None)
                raise
            finally:
                with undisturbed():
                    report.seconds = time.monotonic() - started
                    written = self._write(report)
                    self._summarize(report)
        return written and not report.failed

    def _inputs(self, report: Report) -> list[Any]:
        """All documents there are to read; only what is fetched or standard input is looked at later."""
        skipped = Skipped()
        inputs: list[Any] = []
        for source in self.sources:
            if source == "-":
                inputs.append(Named(sys.stdin.buffer, "stdin"))
            elif is_url(source):
                inputs.append(source)
            else:
                inputs.extend(resolve(source, self.options.limits, skipped=skipped))
        report.sources = [one if isinstance(one, str) else one.name for one in inputs]
        report.skipped = dict(skipped)
        return inputs

    def _read(self, report: Report) -> None:
        watched = self.options.model_copy(update={"on_error": "placeholder"})
        current: Source | None = None
        last = 0

        def lost(error: Exception) -> None:
            reason = f"its output could not be written: {said_of_file(error)}"
            report.lose(reason)
            failures.lost(report.documents[-1]["source"], reason)

        with (
            closing(sourced_pages(self._inputs(report), watched, engine_first=True)) as pages,
            self._progress(report) as advance,
            _Failures(self.console) as failures,
            Outputs(
                self.out,
                self.formats,
                headers_footers=self.headers_footers,
                page_breaks=self.page_breaks,
                footnotes=self.footnotes,
                lost=lost,
            ) as outputs,
        ):
            for source, page in pages:
                if source is not current:
                    report.begin(source.name)
                    outputs.begin(source)
                    current, last = source, last_page(self.options.pages, page.total_pages)
                report.add(page)
                if page.status == "failed" and self.options.on_error == "raise":
                    kind = PageError if page.number else SourceError
                    raise kind(page.reason, source=page.source, page=page.number or None)
                failures.add(page)
                if page.number and not (page.status == "failed" and self.options.on_error == "skip"):
                    outputs.add(page)
                if page.number == last:
                    if page.number and (absent := absent_pages(self.options.pages, page.total_pages)):
                        report.note(lacks(page.total_pages, absent))
                    outputs.finish()
                    report.finish()
                advance(page)

    def _write(self, report: Report) -> bool:
        if self.report is None:
            return True
        try:
            with replacing_or_into(self.report) as file:
                file.write(report.to_json())
        except (OSError, InternVLError) as error:
            self._say(f"the report could not be written: {said_of_file(error)}")
            return False
        return True

    def _summarize(self, report: Report) -> None:
        if not self.quiet:
            self._say(_summary(report))
            if report.skipped:
                self._say(skipped_files(Skipped(report.skipped)))
        if report.interrupted or report.not_reached:
            what = "interrupted" if report.interrupted else "ended early"
            done = sum(document["status"] == "ok" for document in report.documents)
            missing = f"{_count(done, 'document')} complete, {len(report.not_reached):,} not reached"
            self._say(f"{what}: {missing}. {self._how_to_go_on()}")

    def _how_to_go_on(self) -> str:
        if self.options.cache_dir is None:
            return "To go on, run it again; without --no-cache pages that were read are not read again."
        return "To go on, run the same command again: pages that were read are not read again."

    def _say(self, line: str) -> None:
        self.console.print(escape(on_screen(line)), soft_wrap=True)

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
                name = escape(on_screen(page.source)[-60:])
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
        self._say(f"{place}: {self.first.reason}")
        self.first = self.last = None

    def lost(self, source: str, reason: str) -> None:
        """A document without its output."""
        self.flush()
        self._say(f"{source}: {reason}")

    def _say(self, line: str) -> None:
        self.console.print(f"[red]failed[/red] {escape(on_screen(line))}", soft_wrap=True)

    @staticmethod
    def _continues(last: Page, page: Page) -> bool:
        same = re.sub(r"\d+", "#", last.reason) == re.sub(r"\d+", "#", page.reason)
        return same and page.source == last.source and page.number == last.number + 1 > 1


def _check_folder(out: Path) -> None:
    """Wrong use is said before anything is read."""
    above = out
    while not os.path.lexists(above) and above != above.parent:
        above = above.parent
    if not above.is_dir():
        raise OptionError(f"{above} is not a folder", remedy="Give -o a folder")
    if not os.access(above, os.W_OK | os.X_OK):
        raise OptionError(f"{above} cannot be written to", remedy="Give -o a folder that you may write to")


def _summary(report: Report) -> str:
    totals = report.totals()
    unread = sum(d["status"] == "failed" and not d["pages"] for d in report.documents)
    read = f"{_count(totals['pages'], 'page')} of {_count(totals['documents'], 'document')}"
    parts = [f"{read} in {totals['seconds']:.1f} s"]
    parts += [f"{totals[s]} {s}" for s in ("ok", "retried", "fallback", "empty", "failed") if totals[s]]
    parts += _in_dispute(totals.get("disputes", {}))
    if unread:
        parts.append(f"{_count(unread, 'document')} could not be opened")
    return ", ".join(parts)


def _in_dispute(counts: dict[str, int]) -> list[str]:
    """Such as `3 numbers in dispute, 2 settled`."""
    kinds = [_count(counts[kind], kind[:-1]) for kind in ("numbers", "words") if counts.get(kind)]
    if not kinds:
        return []
    settled = [f"{counts['settled']} settled"] if counts["settled"] else []
    return [f"{' and '.join(kinds)} in dispute", *settled]


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("s" if number != 1 else "")
