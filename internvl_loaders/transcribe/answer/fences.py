"""Fences that a model puts around what it transcribes, which are no part of the page."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass

from internvl_loaders.document import Block
from internvl_loaders.transcribe.answer.grid import AnswerCell, table_block, table_of

MARKUP = frozenset({"markdown", "md", "mdx", "gfm", "html", "xml", "latex", "tex"})
"""Languages of a transcription, or a part of it, that is no code."""
_PLAIN = frozenset({"", "text", "plaintext", "plain", "txt", "ocr", "transcription", "output"})
_LOOKS_MARKED_UP = re.compile(r"^#{1,6} |^\|.*\|\s*$|<table\b|\\begin\{tabular", re.MULTILINE | re.IGNORECASE)
_LOOKS_LIKE_CODE = re.compile(
    r"[;{}]\s*$|^\s*(?:def|class|import|from|return|if|for|while|function|var|let|const|public|#include|\$|>>>)\s"
    r"|^\s*[\w.]+\s*(?:[+\-*/]?=|:=)\s*\S|\w\(.*\)\s*$|^\s*(?:\|\s*|v|V|[-+|]{3,})$|->|=>",
    re.MULTILINE,
)
_SEPARATORS = {"csv": ",", "tsv": "\t"}


@dataclass(frozen=True, slots=True)
class Fenced:
    text: str
    is_plain: bool = False
    """Whether it has no marks to be read."""


def around_all(answer: str) -> Fenced | None:
    """What stands in a fence around all of the answer, where that is no code."""
    text = answer.strip()
    first, _, rest = text.partition("\n")
    fence = re.fullmatch(r"(`{3,}|~{3,}|\"{3}|'{3})[ \t]*([\w-]*)[ \t]*", first)
    if not fence:
        return None
    body, _, last = rest.rpartition("\n")
    inner = body if last.strip() == fence[1] else rest
    # A fence that closes earlier is not one around all of it, unless others open and close within.
    if sum(line.strip().startswith(fence[1]) for line in inner.split("\n")) % 2:
        return None
    language = fence[2].lower()
    quoted = fence[1][0] in "\"'"
    if language in MARKUP or (language in _PLAIN and (quoted or _LOOKS_MARKED_UP.search(inner))):
        return Fenced(inner)
    if language in _PLAIN and (language or not _LOOKS_LIKE_CODE.search(inner)):
        return Fenced(inner, is_plain=True)
    return None


def coded(text: str, language: str) -> Block:
    """Code, or the table that comma-separated values are."""
    separator = _SEPARATORS.get(language.lower())
    if separator:
        rows = [[AnswerCell(cell.strip()) for cell in row] for row in _values(text, separator)]
        table = table_of(rows, []) if len(rows) > 1 and all(len(row) > 1 for row in rows) else None
        if table is not None:
            return table_block(table)
    return Block(type="code", text=text)


def _values(text: str, separator: str) -> list[list[str]]:
    try:
        return [
            row for row in csv.reader(text.split("\n"), delimiter=separator, skipinitialspace=True) if row
        ]
    except csv.Error:
        return []
