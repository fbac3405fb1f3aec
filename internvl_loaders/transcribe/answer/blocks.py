"""What a model wrote about a page to blocks of the document model; pure, and made for any text at all.

Markdown, HTML and LaTeX tables and code are understood. Whatever is not becomes paragraphs: no letter
and no digit of the page is lost, but those of markup (tags and their attributes, entities, the
language of a code block, the address of a picture). What the model says around the page is no part of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from internvl_loaders.document import Block
from internvl_loaders.transcribe.answer import boxed, fences, latex
from internvl_loaders.transcribe.answer.around import own_words
from internvl_loaders.transcribe.answer.doubts import doubts
from internvl_loaders.transcribe.answer.html import html_table, table_end, without_table
from internvl_loaders.transcribe.answer.text import plain_blocks, text_blocks

Kind = Literal["text", "code", "table", "latex", "formula"]

_OPENING = re.compile(
    r"^[ \t]*(?P<fence>`{3,}|~{3,})[ \t]*(?P<language>[\w+#.-]*)[ \t]*$"
    r"|(?P<table><table\b)"
    rf"|(?P<latex>\\begin\{{(?P<grid>table\*?|{latex.TABULARS})\}})"
    r"|^[ \t>]*(?P<array>\\begin\{array\})"
    r"|^[ \t>]*(?P<dollars>\$\$)"
    r"|^[ \t>]*(?P<bracket>\\\[)"
    r"|^[ \t>]*(?P<environment>\\begin\{(?P<name>"
    r"(?:equation|align|gather|multline|eqnarray|displaymath)\*?)\})",
    re.MULTILINE | re.IGNORECASE,
)
_CAPTION = re.compile(
    r"(table|tab\.|tabelle|tableau|figure|fig\.|abb\.|abbildung|表|图|圖|図)\s*\w*\d", re.IGNORECASE
)
_MOST_NOTES = 20
_DEPTH = 4
"""Fences within fences that are looked into."""


@dataclass(frozen=True, slots=True)
class ReadAnswer:
    """A page's blocks, in the order of the answer, and what a reader should know of how they came about: what
    was left out, mended or may be the model's own, in sentences."""

    blocks: tuple[Block, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Piece:
    kind: Kind
    text: str
    language: str = ""


def read_answer(answer: str) -> ReadAnswer:
    text, notes = own_words(answer)
    found = _captioned(list(_blocks(text, _DEPTH, notes)))
    notes += doubts(found, text)
    return ReadAnswer(tuple(found), tuple(dict.fromkeys(notes))[:_MOST_NOTES])


def blocks(answer: str) -> list[Block]:
    """In the order of the answer; with boxes only where the answer tells them."""
    return list(read_answer(answer).blocks)


def _blocks(answer: str, depth: int, notes: list[str]) -> Iterator[Block]:
    whole = fences.around_all(answer)
    if whole is not None and whole.is_plain:
        yield from plain_blocks(whole.text)
        return
    for piece in _pieces(answer if whole is None else whole.text):
        match piece.kind:
            case "text":
                yield from text_blocks(piece.text, notes)
            case "table":
                yield from html_table(piece.text, notes)
            case "latex":
                yield from latex.latex_table(piece.text, notes)
            case "formula" if latex.is_grid(piece.text):
                yield from latex.latex_table(piece.text, notes)
            case "formula":
                yield Block(type="formula", text=piece.text)
            case "code" if boxed.from_json(piece.text):
                yield from text_blocks(piece.text, notes)
            case "code":
                if depth and piece.language.lower() in fences.MARKUP:
                    yield from _blocks(piece.text, depth - 1, notes)
                else:
                    yield fences.coded(piece.text, piece.language)


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
        begin = max(opening.start("table"), opening.start("latex"), opening.start())
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
        end = table_end(text, begin)
        inner = without_table(text[begin:end])
        return _Piece("table" if inner is None else "text", inner or text[begin:end]), end
    if name := opening["grid"] or (opening["array"] and "array"):
        begin = opening.start("latex" if opening["latex"] else "array")
        end = latex.table_end(text, begin, name) or len(text)
        return _Piece("latex", text[begin:end]), end
    paragraph = text.find("\n\n", after)
    limit = len(text) if paragraph < 0 else paragraph
    mark = "$$" if opening["dollars"] else r"\]" if opening["bracket"] else rf"\end{{{opening['name']}}}"
    end = text.find(mark, after, limit)
    if end < 0:
        return None
    begin = opening.start("environment") if opening["environment"] else after
    inner = text[begin : end + len(mark)] if opening["environment"] else text[begin:end]
    return _Piece("formula", inner.strip()), end + len(mark)


def _captioned(found: list[Block]) -> list[Block]:
    """Paragraphs such as `Table 1: ...` beside a table or figure are its captions."""
    for place, block in enumerate(found):
        near = {found[i].type for i in (place - 1, place + 1) if 0 <= i < len(found)}
        if block.type == "paragraph" and near & {"table", "figure"} and _CAPTION.match(block.text):
            found[place] = block.model_copy(update={"type": "caption"})
    return found
