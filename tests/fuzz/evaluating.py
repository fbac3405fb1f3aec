"""Targets over the metrics: of texts, tables, fields and checks, and the truth they are held against."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from internvl_loaders.evaluate import checks, fields, markup, metrics
from internvl_loaders.evaluate.tables import TableCell, TableTree, read_tables
from internvl_loaders.evaluate.teds import table_scores
from internvl_loaders.evaluate.truth import Entry, TruthFile, load_truth
from tests.fuzz.target import target
from tests.kit import documents

LONG_TEXTS = st.lists(
    documents.texts | st.sampled_from([" 1,136.00 ", "2018-03-04", "٣٤", "²", "½"]), max_size=20
).map("".join)


@target(LONG_TEXTS, LONG_TEXTS)
def text_metrics_are_within_bounds(truth: str, reading: str) -> None:
    scores = metrics.text_scores(truth, reading)
    assert scores["cer"] >= 0
    assert all(0 <= score <= 1 for name, score in scores.items() if name != "cer"), scores
    assert all(score in {0, 1} for name, score in metrics.text_scores(truth, truth).items()), truth
    assert metrics.cer(truth, truth) == 0
    again = metrics.normalise(metrics.normalise(truth))
    assert metrics.normalise(again) == again


TAGS = [
    *(
        "<table>",
        "</table>",
        "<tr>",
        "<td colspan=3>",
        "<th rowspan='99999'>",
        "<td colspan=²>",
        "<td>",
        "<br>",
    ),
    *(
        "<table data-page=٣>",
        "|a|b|\n|-|-|\n|c|d|\n",
        "<!--",
        "<svg>",
        "<table",
        "<td rowspan=-1>",
        "<tr><table>",
    ),
]
MARKUP = st.lists(documents.texts | st.sampled_from(TAGS), max_size=25).map("".join)


@target(MARKUP, MARKUP)
def tables_of_any_markup_score_within_bounds(true: str, read: str) -> None:
    one, other = read_tables(true), read_tables(markup.markdown_html(read))
    scores = table_scores(one, other)
    assert all(0 <= score <= 1 for score in scores.values()), scores
    assert all(score == 1 for score in table_scores(one, one).values())
    for table in one:
        table.grid()
    markup.markdown_text(read)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | LONG_TEXTS, lambda v: st.lists(v, max_size=3)
)


@target(
    st.dictionaries(documents.texts | st.sampled_from(["date", "total", "due_date"]), VALUES, max_size=4),
    LONG_TEXTS,
)
def fields_of_any_kind_are_scored(values: dict[str, Any], text: str) -> None:
    found = fields.match_fields(values, text)
    assert all(0 <= score <= 1 for score in fields.field_scores(found).values())
    fields.find_dates(text), fields.find_amounts(text)


CHECKS = st.fixed_dictionaries(
    dict.fromkeys(("text", "before", "after"), LONG_TEXTS)
    | {name: st.none() | st.integers(0, 9) for name in ("max_diffs", "first_n", "last_n")}
    | {"type": st.sampled_from(sorted(checks.TYPES - {"table"})), "case_sensitive": st.booleans()}
)


@target(CHECKS, LONG_TEXTS)
def checks_hold_or_do_not(check: dict[str, Any], text: str) -> None:
    assert checks.holds(check, text, []) in {True, False}


CELLS = st.builds(TableCell, documents.texts, st.integers(1, 4), st.integers(1, 4))
TREES = st.builds(TableTree, st.lists(st.lists(CELLS, max_size=4).map(tuple), max_size=5).map(tuple))


@target(
    st.builds(
        dict, type=st.just("table"), cell=documents.texts, up=documents.texts, left_heading=documents.texts
    ),
    TREES,
)
def checks_of_tables_hold_or_do_not(check: dict[str, Any], table: TableTree) -> None:
    assert checks.holds(check, "", [table]) in {True, False}


TRUTHS = st.sampled_from(
    [
        "lines_boxes+key_values",
        "key_values (x)",
        "key_values+line_items",
        "table_html",
        "olmocr_checks",
        "text_lines",
    ]
)
JSON = st.recursive(
    VALUES,
    lambda v: (
        st.lists(v, max_size=3)
        | st.dictionaries(st.sampled_from(["fields", "lines", "box", "text", "type", "total"]), v, max_size=4)
    ),
)


@target(TRUTHS, JSON.map(json.dumps) | MARKUP | st.just("[" * 3000))
def truth_of_any_content_is_read_or_skipped(kind: str, text: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        Path(name, "truth").write_text(text, encoding="utf-8")
        entry = Entry(path="a.pdf", kind=["x"], gt=[TruthFile(path="truth", type=kind)])
        truth = load_truth(Path(name), entry)
        assert all(skipped.reason for skipped in truth.skipped)
        fields.match_fields(truth.fields, text)
        table_scores(truth.tables, ())
