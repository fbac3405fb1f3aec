"""Ground truth: a directory whose `manifest.jsonl` names documents and what is true of them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from internvl_loaders.errors import DamagedDocumentError, DocumentNotFoundError
from internvl_loaders.evaluate import checks
from internvl_loaders.evaluate.tables import TableTree, read_tables

MANIFEST = "manifest.jsonl"

TEXT_TYPES = frozenset({"text_lines", "text_hand_corrected", "text_from_pdf_layer"})

NOT_PRINTED = {
    "key_values_invoice2data": frozenset({"issuer", "desc", "currency", "country_code", "lines"}),
    "key_values+line_items": frozenset({"currency"}),
}
"""Keys that describe a document but are not printed on it as such, by truth type."""


class TruthFile(BaseModel):
    """Where one truth of a document stands; `type` may end in a remark in parentheses."""

    model_config = ConfigDict(frozen=True)

    path: str
    type: str


class Entry(BaseModel):
    """One line of the manifest; fields not named here are ignored."""

    model_config = ConfigDict(frozen=True)

    path: str
    """Relative to the manifest, with `/`."""
    kind: tuple[str, ...] = ()
    gt: tuple[TruthFile, ...] = ()
    pages: int | None = None
    lang: str | None = None
    password: str | None = Field(default=None, repr=False)
    derived: str | None = None


class Skipped(BaseModel):
    """A truth, or a check of one, that did not count, and why."""

    model_config = ConfigDict(frozen=True)

    path: str
    type: str
    reason: str


@dataclass(frozen=True, slots=True)
class Truth:
    """The truth about one document. `reference` is another tool's reviewed output, not truth."""

    text: str | None = None
    text_type: str | None = None
    reference: str | None = None
    tables: tuple[TableTree, ...] = ()
    fields: Mapping[str, object] = field(default_factory=dict)
    checks: tuple[checks.Check, ...] = ()
    types: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = ()


def load_manifest(directory: Path) -> list[Entry]:
    """The documents in the manifest's order; raises for a missing one or a line that is not one."""
    manifest = directory / MANIFEST
    try:
        text = manifest.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise DocumentNotFoundError(
            f"no {MANIFEST}",
            source=str(directory),
            remedy="Name a directory with one JSON object a document in that file",
        ) from None
    return [
        _entry(line, number, manifest)
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip()
    ]


def _entry(line: str, number: int, manifest: Path) -> Entry:
    try:
        entry = Entry.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        raise _bad_line(f"{'.'.join(map(str, first['loc']))}: {first['msg']}", number, manifest) from error
    for path in (entry.path, *(truth.path for truth in entry.gt)):
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            raise _bad_line(f"path {path!r} leaves the directory", number, manifest)
    return entry


def _bad_line(what: str, number: int, manifest: Path) -> DamagedDocumentError:
    return DamagedDocumentError(
        f"line {number}: {what}",
        source=str(manifest),
        remedy="Correct the line: a JSON object with path, kind and gt [{path, type}]",
    )


def load_truth(directory: Path, entry: Entry) -> Truth:
    """Reads all truth files of a document; what cannot be used is in `skipped`, with the reason."""
    members: dict[str, Any] = {}
    types: list[str] = []
    skipped: list[Skipped] = []
    for truth in entry.gt:
        base, remark = _split_type(truth.type)
        try:
            part = _read_truth(base, remark, (directory / truth.path).read_text(encoding="utf-8"))
        except OSError as error:
            skipped.append(_skip(truth, error.strerror or type(error).__name__))
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            skipped.append(_skip(truth, f"not a {base} file: {error}"))
        else:
            repeated = sorted(members.keys() & part.keys())
            if not part:
                skipped.append(_skip(truth, "unknown type"))
            elif repeated:
                skipped.append(_skip(truth, f"another truth already gave the {' and '.join(repeated)}"))
            else:
                members |= part
                types.append(base)
    all_checks = members.get("checks", ())
    members["checks"] = tuple(check for check in all_checks if checks.is_complete(check))
    for check in all_checks:
        if check not in members["checks"]:
            reason = f"unknown or incomplete check {check.get('type')!r}"
            skipped.append(Skipped(path=entry.path, type="olmocr_checks", reason=reason))
    return Truth(**members, types=tuple(types), skipped=tuple(skipped))


def _split_type(text: str) -> tuple[str, str]:
    base, _, remark = text.partition("(")
    return base.strip(), remark.rstrip(") ")


def _skip(truth: TruthFile, reason: str) -> Skipped:
    return Skipped(path=truth.path, type=truth.type, reason=reason)


def _read_truth(base: str, remark: str, text: str) -> dict[str, Any]:
    """The members of Truth that a file of type `base` gives; none for an unknown type."""
    if base in TEXT_TYPES:
        copies = re.search(r"same text on each of the (\d+) pages", remark)
        return {"text": "\n".join([text] * int(copies[1])) if copies else text, "text_type": base}
    if base == "lines_boxes+key_values":
        data = json.loads(text)
        return {
            "text": "\n".join(printed_rows(data["lines"])),
            "text_type": base,
            "fields": dict(data["fields"]),
        }
    if base.startswith("key_values"):
        return {"fields": _fields(json.loads(text), base)}
    if base == "table_html":
        return {"tables": tuple(read_tables(text))}
    if base == "olmocr_checks":
        return {"checks": tuple(dict(json.loads(line)) for line in text.splitlines() if line.strip())}
    if base.startswith("markdown"):
        return {"reference": text}
    return {}


def _fields(data: Any, base: str) -> dict[str, object]:
    """From `{"fields": {...}}`, or the first object of a list; amounts of XML become numbers."""
    values = data[0] if isinstance(data, list) else data["fields"]
    xml = base == "key_values+line_items"
    return {
        name: float(value) if xml and re.fullmatch(r"-?\d+\.\d+", value) else value
        for name, value in values.items()
        if name not in NOT_PRINTED.get(base, ())
    }


def printed_rows(lines: list[Mapping[str, Any]]) -> list[str]:
    """Text lines with boxes (corner coordinates x, y, x, y ...) as rows, top down and left to right.

    A line belongs to a row when its middle is less than half of the smaller height away from the
    middle of the row so far.
    """
    rows: list[_Row] = []
    boxed = [_Line.of(line) for line in lines]
    for line in sorted(boxed, key=lambda v: v.middle):
        if rows and abs(line.middle - rows[-1].middle) < min(line.height, rows[-1].height) / 2:
            rows[-1].lines.append(line)
        else:
            rows.append(_Row([line]))
    return [" ".join(v.text for v in sorted(row.lines, key=lambda v: v.left)) for row in rows]


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    left: float
    middle: float
    height: float

    @classmethod
    def of(cls, line: Mapping[str, Any]) -> _Line:
        xs, ys = line["box"][0::2], line["box"][1::2]
        return cls(str(line["text"]), min(xs), (min(ys) + max(ys)) / 2, max(ys) - min(ys))


@dataclass(slots=True)
class _Row:
    lines: list[_Line]

    @property
    def middle(self) -> float:
        return sum(v.middle for v in self.lines) / len(self.lines)

    @property
    def height(self) -> float:
        return sum(v.height for v in self.lines) / len(self.lines)


def original_of(entry: Entry, paths: frozenset[str]) -> str | None:
    """The document that `entry` is a degraded copy of, where `derived` (`from PATH: ...`) or a name
    ending in `_rotated_DEGREES` says so."""
    derived = re.search(r"\bfrom (\S+?):", entry.derived or "")
    if derived and derived[1] in paths:
        return derived[1]
    path = re.sub(r"_rotated_\d+(?=\.[^./]+$)", "", entry.path)
    return path if path != entry.path and path in paths else None
