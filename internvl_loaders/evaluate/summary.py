"""Documents' scores brought together: by group, by key, and degraded copies beside their originals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from statistics import fmean, median

from internvl_loaders.evaluate.result import (
    DocumentResult,
    FieldSummary,
    Statistic,
    Summary,
    Twin,
)
from internvl_loaders.evaluate.truth import Entry, original_of


def summarise(documents: Sequence[DocumentResult]) -> Summary:
    """Every document counts alike, whatever its length."""
    metrics = dict.fromkeys(metric for d in documents for metric in d.scores)
    values = {m: [d.scores[m] for d in documents if m in d.scores] for m in metrics}
    failed = [d for d in documents if d.status == "failed"]
    read = [d for d in documents if d.status != "failed"]
    seconds = sum(d.seconds for d in read)
    return Summary(
        documents=len(documents),
        pages=sum(d.pages for d in documents),
        failed=len(failed),
        failed_with_truth=sum(bool(d.truths) for d in failed),
        seconds=sum(d.seconds for d in documents),
        pages_per_second=sum(d.pages for d in read) / seconds if seconds else None,
        scores={m: Statistic(count=len(v), mean=fmean(v), median=median(v)) for m, v in values.items()},
        tables_true=sum(d.tables_true for d in documents),
        tables_read=sum(d.tables_read for d in documents),
    )


def group(
    documents: Sequence[DocumentResult], names: Callable[[DocumentResult], Iterable[str]]
) -> dict[str, Summary]:
    """A summary by name, in the names' order; a document counts under each of its names."""
    members: dict[str, list[DocumentResult]] = {}
    for document in documents:
        for name in dict.fromkeys(names(document)):
            members.setdefault(name, []).append(document)
    return {name: summarise(members[name]) for name in sorted(members)}


def field_summaries(documents: Iterable[DocumentResult]) -> dict[str, FieldSummary]:
    fields = [field for document in documents for field in document.fields]
    return {
        name: FieldSummary(
            count=sum(f.name == name for f in fields),
            exact=sum(f.exact for f in fields if f.name == name),
            lenient=sum(f.lenient for f in fields if f.name == name),
        )
        for name in sorted({f.name for f in fields})
    }


def twins(entries: Sequence[Entry], documents: Sequence[DocumentResult]) -> tuple[Twin, ...]:
    """Copies whose original was read too, by CER, or by that against a reference where truth lacks."""
    by_path = {document.path: document for document in documents}
    paths = frozenset(by_path)
    pairs = []
    for entry in entries:
        original = original_of(entry, paths)
        if original is None:
            continue
        scores, original_scores = by_path[entry.path].scores, by_path[original].scores
        metric = next((m for m in ("cer", "reference_cer") if m in scores and m in original_scores), None)
        if metric is not None:
            pairs.append(
                Twin(
                    path=entry.path,
                    original=original,
                    metric=metric,
                    value=scores[metric],
                    original_value=original_scores[metric],
                )
            )
    return tuple(pairs)
