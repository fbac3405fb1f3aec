"""Runs a reader over a directory of documents with ground truth and scores what it gives."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from fnmatch import fnmatchcase
from pathlib import Path

from internvl_loaders.errors import OptionError
from internvl_loaders.evaluate.checks import holds
from internvl_loaders.evaluate.fields import field_scores, match_fields
from internvl_loaders.evaluate.markup import markdown_text
from internvl_loaders.evaluate.metrics import text_scores
from internvl_loaders.evaluate.result import (
    DocumentReading,
    DocumentResult,
    Evaluation,
    FieldResult,
    PageReading,
    Reader,
)
from internvl_loaders.evaluate.summary import field_summaries, group, summarise, twins
from internvl_loaders.evaluate.tables import TableTree, read_tables
from internvl_loaders.evaluate.teds import table_scores
from internvl_loaders.evaluate.truth import Entry, Skipped, Truth, load_manifest, load_truth
from internvl_loaders.options import ParseOptions

Progress = Callable[[int, int, str], None]
"""Called before each document with how many are done, how many there are, and its path."""


def evaluate(
    directory: Path | str,
    options: ParseOptions | None = None,
    read: Reader | None = None,
    *,
    name: str = "internvl",
    kinds: Collection[str] = (),
    match: Collection[str] = (),
    progress: Progress = lambda done, total, path: None,
) -> Evaluation:
    """Reads every document of `directory`'s manifest, in order, and scores it.

    `read` is `parse_reader(options)` unless given; `kinds` and `match` (globs on the manifest's
    paths) choose documents, all by default. A reader's exception is that document's failure.
    """
    directory = Path(directory)
    read = read or parse_reader(options or ParseOptions())
    entries = select(load_manifest(directory), kinds, match)
    documents: list[DocumentResult] = []
    skipped: list[Skipped] = []
    for number, entry in enumerate(entries):
        progress(number, len(entries), entry.path)
        truth = load_truth(directory, entry)
        skipped += truth.skipped
        documents.append(score(entry, truth, _read_document(read, directory / entry.path, entry.password)))
    return Evaluation(
        directory=str(directory),
        reader=name,
        overall=summarise(documents),
        kinds=group(documents, lambda d: d.kinds),
        truths=group(documents, lambda d: d.truths),
        fields=field_summaries(documents),
        twins=twins(entries, documents),
        documents=tuple(documents),
        skipped=tuple(skipped),
    )


def select(entries: list[Entry], kinds: Collection[str], match: Collection[str]) -> list[Entry]:
    """Those of any of `kinds` whose path matches any of `match`; no choice is no limit."""
    chosen = [
        entry
        for entry in entries
        if (not kinds or set(entry.kind) & set(kinds))
        and (not match or any(fnmatchcase(entry.path, glob) for glob in match))
    ]
    if not chosen:
        all_kinds = sorted({kind for entry in entries for kind in entry.kind})
        raise OptionError("no document chosen", remedy=f"Kinds here are {', '.join(all_kinds) or 'none'}")
    return chosen


def parse_reader(options: ParseOptions) -> Reader:
    """A reader that runs `parse`; a document's own password goes before that of `options`."""
    from internvl_loaders.pipeline.run import parse

    def read(path: Path, password: str | None) -> DocumentReading:
        start = time.perf_counter()
        changes = {"on_error": "placeholder"} | ({"password": password} if password else {})
        pages = []
        for page in parse(path, options, **changes):
            if page.number == 0:
                return DocumentReading(seconds=time.perf_counter() - start, error=page.reason)
            pages.append(
                PageReading(
                    number=page.number,
                    text=page.text,
                    tables=tuple(table.to_html() for table in page.tables),
                    failed=page.reason if page.status == "failed" else None,
                )
            )
        return DocumentReading(pages=tuple(pages), seconds=time.perf_counter() - start)

    return read


def _read_document(read: Reader, path: Path, password: str | None) -> DocumentReading:
    start = time.perf_counter()
    try:
        return read(path, password)
    except Exception as error:  # a reader under test may fail in any way; that is its result
        reason = f"{type(error).__name__}: {error}"
        return DocumentReading(seconds=time.perf_counter() - start, error=reason)


def score(entry: Entry, truth: Truth, reading: DocumentReading) -> DocumentResult:
    """All metrics the truth allows."""
    tables = {
        page.number: [t for markup in page.tables for t in read_tables(markup, page.number)]
        for page in reading.pages
    }
    all_tables = [table for page in tables.values() for table in page]
    fields = match_fields(truth.fields, reading.text)
    failed_checks = _failed_checks(truth, reading, tables)
    scores: dict[str, float] = {}
    if truth.text is not None:
        scores |= text_scores(truth.text, reading.text)
    if truth.reference is not None:
        against = text_scores(markdown_text(truth.reference), reading.text)
        scores |= {f"reference_{metric}": value for metric, value in against.items()}
    scores |= table_scores(truth.tables, all_tables)
    scores |= field_scores(fields)
    if truth.checks:
        scores["checks"] = 1 - len(failed_checks) / len(truth.checks)
    failed = [page for page in reading.pages if page.failed is not None]
    whole = reading.error is not None or (failed and len(failed) == len(reading.pages))
    return DocumentResult(
        path=entry.path,
        kinds=entry.kind,
        truths=truth.types,
        status="failed" if whole else "partial" if failed else "ok",
        reason=reading.error or "; ".join(f"page {page.number}: {page.failed}" for page in failed),
        pages=len(reading.pages),
        seconds=reading.seconds,
        scores=scores,
        fields=tuple(FieldResult(**field._asdict()) for field in fields),
        tables_true=len(truth.tables),
        tables_read=len(all_tables) if truth.tables else 0,
        failed_checks=failed_checks,
    )


def _failed_checks(
    truth: Truth, reading: DocumentReading, tables: dict[int, list[TableTree]]
) -> tuple[str, ...]:
    texts = {page.number: page.text for page in reading.pages}
    return tuple(
        str(check.get("id", number))
        for number, check in enumerate(truth.checks, start=1)
        if not holds(check, texts.get(check.get("page", 1), ""), tables.get(check.get("page", 1), []))
    )
