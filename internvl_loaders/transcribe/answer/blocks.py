"""What a model wrote about a page to blocks of the document model; pure, and made for any text at all.

Markdown, HTML tables, LaTeX and code are understood. Whatever is not becomes paragraphs: no letter
and no digit of the answer is lost, but those of markup (tags and their attributes, entities, the
language of a code block, the address of a picture).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from internvl_loaders.document import Block
from internvl_loaders.transcribe.answer.html import html_table
from internvl_loaders.transcribe.answer.text import text_blocks

Kind = Literal["text", "code", "table", "formula"]

_OPENING = re.compile(
    r"^[ \t]*(?P<fence>`{3,}|~{3,})[ \t]*(?P<language>[\w+#.-]*)[ \t]*$"
    r"|(?P<table><table\b)"
    r"|^[ \t>]*(?P<dollars>\$\$)"
    r"|^[ \t>]*(?P<bracket>\\\[)"
    r"|^[ \t>]*(?P<environment>\\begin\{(?P<name>"
    r"(?:equation|align|gather|multline|eqnarray|displaymath)\*?)\})",
    re.MULTILINE | re.IGNORECASE,
)
_TABLE_TAG = re.compile(r"<(/?)table\b[^<>]*>?", re.IGNORECASE)
_MARKUP_LANGUAGES = frozenset({"markdown", "md", "html", "xml", "latex", "tex"})
"""Of fences that models put around a transcription, or a part of it, that is no code."""
_LOOKS_MARKED_UP = re.compile(r"^#{1,6} |^\|.*\|\s*$|<table\b", re.MULTILINE | re.IGNORECASE)
_CAPTION = re.compile(
    r"(table|tab\.|tabelle|tableau|figure|fig\.|abb\.|abbildung|表|图|圖|図)\s*\w*\d", re.IGNORECASE
)
_DEPTH = 4
"""Fences within fences that are looked into."""


@dataclass(frozen=True, slots=True)
class _Piece:
    kind: Kind
    text: str
    language: str = ""


def blocks(answer: str) -> list[Block]:
    """In the order of the answer, without boxes."""
    return _captioned(list(_blocks(answer, _DEPTH)))


def _blocks(answer: str, depth: int) -> Iterator[Block]:
    for piece in _pieces(_unwrapped(answer)):
        match piece.kind:
            case "text":
                yield from text_blocks(piece.text)
            case "table":
                yield from html_table(piece.text)
            case "formula":
                yield Block(type="formula", text=piece.text)
            case "code":
                if depth and piece.language.lower() in _MARKUP_LANGUAGES:
                    yield from _blocks(piece.text, depth - 1)
                else:
                    yield Block(type="code", text=piece.text)


def _unwrapped(answer: str) -> str:
    """Without a fence around all of it; one without a language may be code, and is kept for it."""
    text = "\n".join(answer.splitlines()).strip()
    first, _, rest = text.partition("\n")
    fence = re.fullmatch(r"(`{3,}|~{3,})[ \t]*(\w*)[ \t]*", first)
    if not fence:
        return text
    body, _, last = rest.rpartition("\n")
    closed = last.strip() == fence[1]
    inner = body if closed else rest
    if fence[2].lower() in _MARKUP_LANGUAGES or (not fence[2] and _LOOKS_MARKED_UP.search(inner)):
        # A fence that closes earlier is not one around all of it, unless others open and close within.
        inside = sum(line.strip().startswith(fence[1]) for line in inner.split("\n"))
        if inside % 2 == 0:
            return inner
    return text


def _pieces(text: str) -> Iterator[_Piece]:
    """Cut at what must not be read as markdown. What is open at the end was cut off, and is closed there;
    but a formula must close within its paragraph, or is none."""
    start = at = 0
    while opening := _OPENING.search(text, at):
        found = _closed(text, opening)
        if found is None:
            at = opening.end()
            continue
        piece, end = found
        begin = opening.start("table") if piece.kind == "table" else opening.start()
        if text[start:begin].strip():
            yield _Piece("text", text[start:begin])
        if piece.text.strip():
            yield piece
        start = at = end
    if text[start:].strip():
        yield _Piece("text", text[start:])


def _closed(text: str, opening: re.Match[str]) -> tuple[_Piece, int] | None:
    """The piece that opens there, and where it ends."""
    after = opening.end()
    if fence := opening["fence"]:
        closing = re.compile(rf"^[ \t]*{fence[0]}{{{len(fence)},}}[ \t]*$", re.MULTILINE)
        found = closing.search(text, after)
        end, resume = (found.start(), found.end()) if found else (len(text), len(text))
        return _Piece("code", text[after:end].strip("\n"), opening["language"]), resume
    if opening["table"]:
        begin = opening.start("table")
        end = _table_end(text, begin)
        return _Piece("table", text[begin:end]), end
    paragraph = text.find("\n\n", after)
    limit = len(text) if paragraph < 0 else paragraph
    mark = "$$" if opening["dollars"] else r"\]" if opening["bracket"] else rf"\end{{{opening['name']}}}"
    end = text.find(mark, after, limit)
    if end < 0:
        return None
    begin = opening.start("environment") if opening["environment"] else after
    inner = text[begin : end + len(mark)] if opening["environment"] else text[begin:end]
    return _Piece("formula", inner.strip()), end + len(mark)


def _table_end(text: str, begin: int) -> int:
    depth = 0
    for tag in _TABLE_TAG.finditer(text, begin):
        depth += -1 if tag[1] else 1
        if depth == 0:
            return tag.end()
    return len(text)


def _captioned(found: list[Block]) -> list[Block]:
    """Paragraphs such as `Table 1: ...` beside a table or figure are its captions."""
    for place, block in enumerate(found):
        near = {found[i].type for i in (place - 1, place + 1) if 0 <= i < len(found)}
        if block.type == "paragraph" and near & {"table", "figure"} and _CAPTION.match(block.text):
            found[place] = block.model_copy(update={"type": "caption"})
    return found
