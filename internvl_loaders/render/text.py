"""Plain text: blocks apart by a blank line, list items by a line break, table cells by tabs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from internvl_loaders.render.escape import clean, one_line
from internvl_loaders.render.layout import content, is_list_item
from internvl_loaders.render.shapes import Block, Document, Page, Table
from internvl_loaders.render.spans import marked, typed


def document(document: Document, *, page_breaks: bool = False, headers_footers: bool = True) -> str:
    """See `Document.to_text`."""
    pages = [page(p, headers_footers=headers_footers) for p in document.pages]
    return "\n\f\n".join(pages) if page_breaks else "\n\n".join(filter(None, pages))


def page(page: Page, *, headers_footers: bool = True) -> str:
    """The page; where it failed, a line in brackets that says so stands first."""
    notice = f"[{one_line(page.notice)}]" if page.notice else ""
    return "\n\n".join(filter(None, [notice, text(page.blocks, headers_footers=headers_footers)]))


def text(blocks: Sequence[Block], *, headers_footers: bool = True) -> str:
    """Nothing before the first block or after the last."""
    parts: list[str] = []
    for listed, run in groupby(content(blocks, headers_footers), key=is_list_item):
        if listed:
            parts.append("\n".join(map(_item, run)))
        else:
            parts.extend(map(_block, run))
    return "\n\n".join(filter(None, parts))


def _block(block: Block) -> str:
    return _table(block.table) if block.table is not None else typed(clean(marked(block)).strip())


def _item(block: Block) -> str:
    marker = one_line(block.marker or "")
    indent = "  " * min(max(block.level or 0, 0), 8)
    lines = f"{marker} {typed(clean(marked(block)).strip())}".strip().split("\n")
    return "\n".join(indent + line for line in lines)


def _table(table: Table) -> str:
    """Rows a line each, blank ones left out; a spanning cell's text once, at its first place."""
    rows = [[""] * table.cols for _ in range(table.rows)]
    for cell in table.cells:
        rows[cell.row][cell.col] = typed(one_line(marked(cell)))
    return "\n".join("\t".join(row).rstrip("\t") for row in rows if any(row))
