"""What a reader gives and what an evaluation says: frozen values with a JSON form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, Field

from internvl_loaders.evaluate.truth import Skipped
from internvl_loaders.values import Value


class PageReading(Value):
    """A page as a reader gives it: plain text and its tables as HTML; `failed` is the reason, if so."""

    number: int = Field(ge=1)
    text: str = ""
    tables: tuple[str, ...] = ()
    failed: str | None = None


class DocumentReading(Value):
    """The pages a reader gave and the seconds it took; `error`: why the document could not be read."""

    pages: tuple[PageReading, ...] = ()
    seconds: float = 0.0
    error: str | None = None

    @property
    def text(self) -> str:
        return "\n".join(page.text for page in self.pages)


Reader = Callable[[Path, str | None], DocumentReading]
"""Reads the document at a path, with its password if it has one; may raise instead of giving an error."""


class FieldResult(Value):
    """A key value of the truth, and whether the text has it; see `fields.match_field`."""

    name: str
    value: str
    exact: bool
    lenient: bool


class DocumentResult(Value):
    """One document: what came of it and its scores by metric.

    A document that failed is scored as an empty reading, so failing never pays. `tables_true` and
    `tables_read` count tables where the truth has some.
    """

    path: str
    kinds: tuple[str, ...]
    truths: tuple[str, ...]
    status: Literal["ok", "partial", "failed"]
    reason: str = ""
    pages: int
    seconds: float
    scores: Mapping[str, float]
    fields: tuple[FieldResult, ...] = ()
    tables_true: int = 0
    tables_read: int = 0
    failed_checks: tuple[str, ...] = ()


class Statistic(Value):
    """Of one metric over the documents that have it."""

    count: int
    mean: float
    median: float


class Summary(Value):
    """A group of documents. Pages per second are of the documents that could be read."""

    documents: int
    pages: int
    failed: int
    failed_with_truth: int
    seconds: float
    pages_per_second: float | None
    scores: Mapping[str, Statistic]
    tables_true: int
    tables_read: int


class FieldSummary(Value):
    """How often a key's value was asked for and found."""

    count: int
    exact: int
    lenient: int


class Twin(Value):
    """A degraded copy beside its original: the same metric against the same truth."""

    path: str
    original: str
    metric: str
    value: float
    original_value: float


class Evaluation(Value):
    """The scores of one reader; `kinds` and `truths` group the documents, one may be in several.

    Metrics: `cer`, `edit_distance`, `word_recall`, `word_f1`; the same with `reference_` against
    another tool's reviewed output; `teds`, `teds_s`; `fields`, `fields_lenient`; `checks`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    schema_version: Literal["internvl-evaluation/1"] = Field(default="internvl-evaluation/1", alias="schema")
    directory: str
    reader: str
    overall: Summary
    kinds: Mapping[str, Summary]
    truths: Mapping[str, Summary]
    fields: Mapping[str, FieldSummary]
    twins: tuple[Twin, ...]
    documents: tuple[DocumentResult, ...]
    skipped: tuple[Skipped, ...]

    def to_json(self) -> str:
        return self.model_dump_json(by_alias=True, indent=1)

    @classmethod
    def from_json(cls, text: str | bytes) -> Evaluation:
        return cls.model_validate_json(text)
