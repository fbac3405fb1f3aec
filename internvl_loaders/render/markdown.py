"""Markdown (CommonMark with GFM tables) that LangChain's and LlamaIndex's splitters take apart well.

* A line break within a block is two spaces and a newline: splitters that strip lines leave no trace
  of it, where a backslash would stay in the text.
* Tables without spans are GFM, others bare HTML.
* Captions are plain paragraphs: LlamaIndex looks for lines that begin with `Table`.
* A figure is its text, if it has any: there is no file that a link could point to.
* List items keep printed numbers that markdown can number with; any other printed marker is text. One that is
  a box to tick makes the item a task.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from textwrap import indent
from typing import Literal

from internvl_loaders.render import table
from internvl_loaders.render.escape import clean, inline, line_start, one_line
from internvl_loaders.render.footnotes import annotated, written
from internvl_loaders.render.layout import Item, content, heading_level, is_list_item, nest, printed_marker
from internvl_loaders.render.links import in_markdown
from internvl_loaders.render.shapes import Block, Document, Page, Table
from internvl_loaders.render.spans import bare, marked, typed

TableFormat = Literal["auto", "markdown", "html"]
"""GitHub-flavoured `markdown`, which repeats what spans, `html`, or `auto`: html where cells span."""

_ORDINAL = re.compile(r"(0|[1-9][0-9]{0,8})([.)])")
_TASK = re.compile(r"\[[ xX]\](?=\s|$)")
# space is nothing in LaTeX, but keeps a tag or a link from being one where maths are not known
_FORMULA_MARKUP = re.compile(r"(?<=<)(?=[A-Za-z/!?]|[^\s<>]*@)|(?<=\])(?=[(:])")


def document(
    document: Document, *, page_breaks: bool = False, headers_footers: bool = True, footnotes: bool = False
) -> str:
    """See `Document.to_markdown`."""
    pages = [page(p, headers_footers=headers_footers, footnotes=footnotes) for p in document.pages]
    return "\n\f\n".join(pages) if page_breaks else "\n\n".join(filter(None, pages))


def page(page: Page, *, headers_footers: bool = True, footnotes: bool = False) -> str:
    """The page; where it failed, a warning that says so stands first. `footnotes` for what is in dispute."""
    parts = []
    if page.notice:
        parts.append(f"> [!WARNING]\n> {inline(one_line(page.notice))}")
    if footnotes and page.disputes:
        blocks, marked = annotated(page.blocks, page.disputes)
        text = markdown(blocks, headers_footers=headers_footers)
        parts.append(written(text, page.disputes, marked, f"{page.number}."))
    else:
        parts.append(markdown(page.blocks, headers_footers=headers_footers))
    return "\n\n".join(filter(None, parts))


def markdown(
    blocks: Sequence[Block], *, headers_footers: bool = True, table_format: TableFormat = "auto"
) -> str:
    """Blocks apart by a blank line; nothing before the first or after the last."""
    return typed("\n\n".join(filter(None, _parts(content(blocks, headers_footers), table_format))))


def _parts(blocks: Sequence[Block], table_format: TableFormat) -> Iterator[str]:
    for listed, run in groupby(blocks, key=is_list_item):
        if listed:
            yield _list(nest(list(run)))
        else:
            for block in run:
                yield _block(block) if block.table is None else _table(block.table, table_format)


def _table(grid: Table, table_format: TableFormat) -> str:
    if table_format == "auto":
        table_format = "html" if grid.has_spans else "markdown"
    return table.html(grid) if table_format == "html" else table.gfm(grid)


def _block(block: Block) -> str:
    match block.type:
        case "heading":
            level = heading_level(block)
            # a run of `#` at the end would be taken for the heading's closing
            text = re.sub(r"(?<!\S)(#+)$", r"\\\1", inline(one_line(marked(block))))
            return f"{'#' * level} {in_markdown(text, block)}"
        case "code":
            return _code(clean(bare(block.text)).strip("\n"))
        case "formula":
            return _formula(bare(block.text))
        case _:
            return in_markdown("  \n".join(_lines(marked(block))), block)


def _lines(text: str) -> list[str]:
    """Escaped, stripped lines; blank ones would end the block."""
    return [line_start(line.strip()) for line in inline(clean(text)).split("\n") if line.strip()]


def _code(text: str) -> str:
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}\n{text}\n{fence}"


def _formula(text: str) -> str:
    """On one line, which can then begin no block, and with nothing inside that ends it."""

    def literal(match: re.Match[str]) -> str:
        return match[0] if match[0][0] == "\\" else f"\\{match[0]}"

    latex = _FORMULA_MARKUP.sub(" ", re.sub(r"\\.|[$%]", literal, one_line(text)))
    return f"$${latex}{' ' if latex.endswith(('$', chr(92))) else ''}$$"


def _list(items: Sequence[Item]) -> str:
    """Items of one level; a blank line parts lists of another kind, or whose numbers do not go on."""
    text = ""
    last_kind, last_number = "", 0
    for item in items:
        printed, words = bare(printed_marker(item.block)), marked(item.block)
        ordinal = _ORDINAL.fullmatch(printed)
        kind, number = (ordinal[2], int(ordinal[1])) if ordinal else ("-", 0)
        marker = printed
        if kind == "-" or (kind == last_kind and number != last_number + 1):
            kind = marker = "-"
            words = f"{printed} {words}"
        if last_kind:
            text += "\n" if kind == last_kind else "\n\n"
        task = printed in ("[ ]", "[x]")
        body = in_markdown("  \n".join(_lines(words)), item.block)
        text += _item(marker, body, _list(item.children), task=task)
        last_kind, last_number = kind, number
    return text


def _item(marker: str, body: str, children: str, *, task: bool) -> str:
    margin = " " * (len(marker) + 1)
    if not task and _TASK.match(body):
        body = f"\\{body}"
    text = f"{marker} {indent(body, margin)[len(margin) :]}" if body else marker
    if not children:
        return text
    # right after text a list may start only with a bullet or with 1
    parted = body and not children.startswith(("- ", "1. ", "1) "))
    return f"{text}{chr(10) * (1 + bool(parted))}{indent(children, margin)}"
