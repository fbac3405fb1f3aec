"""Metadata of framework documents: scalars only, no clock, no chance, nothing long.

Strings and numbers pass every vector store's rules for metadata; None, booleans and lists do not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from internvl_llm.media.page_ranges import absent_pages, lacks
from internvl_loaders.document import Block, Page, Table

Scalar = str | int | float
Metadata = dict[str, Scalar]

LABEL_CHARS, TITLE_CHARS, CONTEXT_CHARS, REASON_CHARS = 60, 60, 120, 300
"""Bounds on what a document dictates, so that it stays far below a chunk's size."""


def page_metadata(page: Page) -> Metadata:
    """What is unknown is absent."""
    return without_blanks(
        {
            **source_metadata(page.source),
            "page": page.number or None,
            "page_label": clip(page.label, LABEL_CHARS),
            "total_pages": page.total_pages or None,
            "status": page.status,
            "reason": clip(page.reason, REASON_CHARS) if page.status != "ok" else None,
            "method": page.method,
            "confidence": _rounded(page.confidence),
            **disputes_metadata([page], lowest_confidence(page)),
        }
    )


def disputes_metadata(pages: Sequence[Page], lowest: float | None) -> dict[str, Scalar | None]:
    """Of pages that a model read and their witness: how many tokens are in dispute still, `flags` for what
    checks found (each once, by commas), and the lowest confidence of an element or a cell."""
    open_ = sum(dispute.settled is None for page in pages for dispute in page.disputes)
    flags = sorted({finding.check for page in pages for finding in page.findings})
    return {
        "disputes": open_ or None,
        "flags": clip(", ".join(flags), REASON_CHARS),
        "lowest_confidence": _rounded(lowest),
    }


def lowest_confidence(page: Page) -> float | None:
    """Of the elements and cells of a page that a model read: the share of its letters that the witness reads
    the same."""
    if page.method != "internvl":
        return None
    sure = [block.confidence for block in page.blocks if block.table is None]
    sure += [cell.confidence for table in page.tables for cell in table.cells]
    return min((one for one in sure if one is not None), default=None)


def element_metadata(page: Page, index: int, section: str, caption: Block | None) -> Metadata:
    """What block `index` (0-based) of the page adds to the page's metadata."""
    block = page.blocks[index]
    return without_blanks(
        {
            "category": block.type,
            "element_index": index,
            "section": section,
            "caption": clip(caption.text, CONTEXT_CHARS) if caption is not None else None,
            "bbox": None if block.box is None else str(block.box),
            "links": _links(block),
            "confidence": _rounded(block.confidence),
            **(table_metadata(block.table) if block.table is not None else {}),
        }
    )


def _links(block: Block) -> str:
    """Addresses that the element leads to, each once, apart by spaces; theirs are `%20`."""
    cells = block.table.cells if block.table is not None else ()
    links = [*block.links, *(link for cell in cells for link in cell.links)]
    return " ".join(dict.fromkeys(link.url.replace(" ", "%20") for link in links if link.url))


def table_metadata(table: Table) -> Metadata:
    return {"table_html": table.to_html(), "table_csv": table.to_csv()}


def document_metadata(
    pages: list[Page], asked_for: str | None = None, lowest: float | None = None
) -> Metadata:
    """`lowest` is the pages' lowest confidence of an element, `confidence` is that of the least certain page;
    pages `asked_for` that it has not are in the reason."""
    failed = [page for page in pages if page.status == "failed"]
    if failed:
        status = "partial" if len(failed) < len(pages) else "failed"
    else:
        status = "empty" if all(page.status == "empty" for page in pages) else "ok"
    confidences = [page.confidence for page in pages if page.confidence is not None]
    reasons = [f"page {page.number}: {page.reason}" if page.number else page.reason for page in failed]
    if pages[0].number and (absent := absent_pages(asked_for, pages[0].total_pages)):
        reasons.append(lacks(pages[0].total_pages, absent))
    return without_blanks(
        {
            **source_metadata(pages[0].source),
            "total_pages": pages[0].total_pages or None,
            "status": status,
            "reason": clip("; ".join(reasons), REASON_CHARS),
            "method": ", ".join(sorted({page.method for page in pages if page.method})),
            "confidence": _rounded(min(confidences, default=None)),
            **disputes_metadata(pages, lowest),
        }
    )


def source_metadata(source: str) -> Metadata:
    name = re.split(r"[?#]", source)[0] if "://" in source else source
    return {"source": source, "file_name": re.split(r"[/\\]", name.rstrip("/\\"))[-1]}


def without_blanks(values: Mapping[str, Scalar | None]) -> Metadata:
    """The entries but None and empty texts; texts encodable as UTF-8 whatever a file name held."""
    return {
        key: value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
        for key, value in values.items()
        if value is not None and value != ""
    }


def _rounded(confidence: float | None) -> float | None:
    return None if confidence is None else round(confidence, 3)


def clip(text: str, chars: int) -> str:
    """On one line, and with an ellipsis if longer than `chars`."""
    line = " ".join(text.split())
    return line if len(line) <= chars else line[: chars - 1] + "…"
