"""An evaluation, or several side by side, as tables for the terminal; they fit 80 columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from internvl_loaders.evaluate.result import Evaluation, Summary


def _score(metric: str, statistic: str = "mean") -> Callable[[Summary], str]:
    def cell(summary: Summary) -> str:
        score = summary.scores.get(metric)
        return "" if score is None else _number(getattr(score, statistic))

    return cell


def _speed(summary: Summary) -> str:
    return "" if summary.pages_per_second is None else f"{summary.pages_per_second:.2f}"


Columns = dict[str, Callable[[Summary], str]]
_TEXT: Columns = {
    "read": lambda s: f"{s.documents - s.failed}/{s.documents}",
    "CER": _score("cer"),
    "median": _score("cer", "median"),
    "recall": _score("word_recall"),
}
_BY_KIND: Columns = _TEXT | {
    "TEDS": _score("teds"),
    "TEDS-S": _score("teds_s"),
    "fields": _score("fields"),
    "lenient": _score("fields_lenient"),
    "pages/s": _speed,
}
_BY_TRUTH: Columns = _TEXT | {
    "TEDS": _score("teds"),
    "tables": lambda s: f"{s.tables_read}/{s.tables_true}" if s.tables_true else "",
    "fields": _score("fields"),
    "checks": _score("checks"),
    "ref. CER": _score("reference_cer"),
}


def report(evaluation: Evaluation) -> RenderableType:
    """Scores by kind and truth, key values, degraded copies, failures and what did not count."""
    parts: list[RenderableType] = [
        _summaries("kind", _BY_KIND, {**evaluation.kinds, "all": evaluation.overall}),
        _summaries("truth", _BY_TRUTH, evaluation.truths),
    ]
    repeated = {name: f for name, f in evaluation.fields.items() if f.count > 1}
    if repeated:
        table = _table("key", "count", "exact", "lenient")
        for name, field in repeated.items():
            table.add_row(_plain(name), str(field.count), str(field.exact), str(field.lenient))
        parts.append(table)
    if evaluation.twins:
        table = _table("degraded copy", "CER", "original")
        for twin in evaluation.twins:
            table.add_row(_plain(twin.path), _number(twin.value), _number(twin.original_value))
        parts.append(table)
    unread = [d for d in evaluation.documents if d.status != "ok"]
    if unread:
        parts.append(_texts("not read", "status", "reason", [(d.path, d.status, d.reason) for d in unread]))
    if evaluation.skipped:
        rows = [(s.path, s.type, s.reason) for s in evaluation.skipped]
        parts.append(_texts("not counted", "type", "reason", rows))
    return Group(*(part for table in parts for part in (table, "")))


def comparison(evaluations: Sequence[Evaluation]) -> RenderableType:
    """One table a kind, and one for all documents, with a row a reader."""
    parts: list[RenderableType] = []
    for kind in [*sorted({kind for e in evaluations for kind in e.kinds}), "all"]:
        rows = {e.reader: e.overall if kind == "all" else e.kinds[kind] for e in evaluations}
        parts += [_summaries(kind, _BY_KIND, rows), ""]
    return Group(*parts)


def _summaries(first: str, columns: Columns, summaries: Mapping[str, Summary]) -> Table:
    """Without the columns in which no row has a value."""
    used = {h: cell for h, cell in columns.items() if any(cell(s) for s in summaries.values())}
    table = _table(first, *used)
    for name, summary in summaries.items():
        table.add_row(_plain(name), *(cell(summary) for cell in used.values()))
    return table


def _table(first: str, *numbers: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(first, overflow="fold")
    for heading in numbers:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _texts(first: str, second: str, third: str, rows: Sequence[tuple[str, str, str]]) -> Table:
    table = Table(first, second, third, box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for row in rows:
        table.add_row(*map(_plain, row))
    return table


def _plain(text: str) -> Text:
    """Names and reasons come from documents: no markup, no control characters."""
    return Text("".join(c for c in text if c.isprintable()))


def _number(value: float) -> str:
    return f"{value:.3f}"
