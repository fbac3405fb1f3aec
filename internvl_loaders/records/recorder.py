"""Pages to records (text, id, metadata), the common ground of both framework adapters; pure."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from uuid import UUID

from internvl_loaders.document import Block, Image, Page
from internvl_loaders.errors import PageError, SourceError
from internvl_loaders.records.metadata import (
    CONTEXT_CHARS,
    TITLE_CHARS,
    Metadata,
    clip,
    document_metadata,
    element_metadata,
    lowest_confidence,
    page_metadata,
)
from internvl_loaders.records.options import LoaderOptions
from internvl_loaders.render.layout import caption_blocks
from internvl_loaders.render.markdown import TableFormat, markdown

log = logging.getLogger("internvl_loaders")


@dataclass(frozen=True, slots=True)
class Record:
    """What becomes one framework document. `image` is the picture of it, `parent` the record it is on."""

    id: str
    text: str
    metadata: Metadata
    image: Image | None = None
    parent: str | None = None


def record_id(options: LoaderOptions, page: Page, *place: str | int) -> str:
    """A UUID that depends on the source's name and content, the place within it, and the settings.

    The name is part of it because stores refuse two entries of one id, and copies of a file are common.
    """
    key = json.dumps([page.source, page.document_id, *place, options.text_settings()], sort_keys=True)
    number = int.from_bytes(sha256(key.encode()).digest()[:16], "big")
    number = number & ~(0xF << 76) | 8 << 76  # RFC 9562: version 8, a hash of one's own
    number = number & ~(0x3 << 62) | 2 << 62
    return str(UUID(int=number))


class Recorder:
    """Turns the pages of an iteration, added in order, into records as early as the mode allows."""

    def __init__(self, options: LoaderOptions) -> None:
        self.options = options
        self._document = _OpenDocument()

    def add(self, page: Page) -> list[Record]:
        """Raises PageError (SourceError for a whole document) if `page` failed and `on_error` is `raise`."""
        if page.status == "failed" and self.options.on_error != "placeholder":
            kind = PageError if page.number else SourceError
            error = kind(page.reason, source=page.source, page=page.number or None)
            if self.options.on_error == "raise":
                raise error
            log.warning("left out: %s", error)
        done = [] if self._document.continues_with(page) else self.finish()
        bare = page.model_copy(update={"blocks": (), "image": None})
        if self.options.mode == "document":
            self._document.pages.append(bare)
            known = [c for c in (self._document.lowest, lowest_confidence(page)) if c is not None]
            self._document.lowest = min(known, default=None)
            self._document.texts.append("" if page.status == "failed" else page_text(page, self.options))
            return done + list(self._image_records(page))
        self._document.pages = [bare]
        return done + list(self._page_records(page))

    def finish(self) -> list[Record]:
        """The records that are due once no page follows."""
        document, self._document = self._document, _OpenDocument()
        if self.options.mode != "document" or not document.pages:
            return []
        first = document.pages[0]
        metadata = document_metadata(document.pages, self.options.pages, document.lowest)
        metadata |= {"mode": self.options.mode}
        if metadata["status"] == "failed" and self.options.on_error == "skip":
            return []
        text = self.options.page_separator.join(t for t in document.texts if t)
        return [Record(record_id(self.options, first), text, metadata)]

    def _metadata(self, page: Page) -> Metadata:
        return page_metadata(page) | {"mode": self.options.mode}

    def _page_records(self, page: Page) -> Iterator[Record]:
        options = self.options
        if page.status == "failed":
            if options.on_error == "placeholder":
                yield Record(record_id(options, page, page.number), "", self._metadata(page))
        elif options.mode == "page":
            yield Record(
                record_id(options, page, page.number),
                page_text(page, options),
                self._metadata(page),
                page.image,
            )
            yield from self._image_records(page)
        else:
            yield from self._element_records(page)
            yield from self._image_records(page)

    def _element_records(self, page: Page) -> Iterator[Record]:
        captions = caption_blocks(page.blocks)
        for index, block in enumerate(page.blocks):
            section = self._document.section(block)
            if self.options.mode == "table" and block.table is None:
                continue
            if block.type in {"header", "footer"} and not self.options.headers_footers:
                continue
            metadata = self._metadata(page) | element_metadata(page, index, section, captions.get(index))
            text = block_text(block, self.options.table_format) or str(metadata.get("caption", ""))
            if text or block.image is not None:  # else there is nothing to embed or to show
                yield Record(record_id(self.options, page, page.number, index), text, metadata, block.image)

    def _image_records(self, page: Page) -> Iterator[Record]:
        """Images that are not the picture of a record that the mode yields anyway."""
        options, mode = self.options, self.options.mode
        place = {"page": (page.number,), "document": ()}.get(mode)
        parent = None if place is None else record_id(options, page, *place)
        captions = caption_blocks(page.blocks)
        if page.image is not None and mode != "page":
            identity = record_id(options, page, page.number, "page_image")
            metadata = self._metadata(page) | {"category": "page_image"}
            yield Record(identity, "", metadata, page.image, parent)
        for index, block in enumerate(page.blocks):
            if block.image is not None and mode != "element":
                metadata = self._metadata(page) | element_metadata(page, index, "", captions.get(index))
                text = block_text(block, options.table_format) or str(metadata.get("caption", ""))
                identity = record_id(options, page, page.number, index, "image")
                yield Record(identity, text, metadata, block.image, parent)


@dataclass(slots=True)
class _OpenDocument:
    """The document whose pages come in: these (the last one only, unless the whole document becomes one
    record) without their contents, their texts, and the headings that are open."""

    pages: list[Page] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    headings: list[tuple[int, str]] = field(default_factory=list)
    lowest: float | None = None
    """Confidence of an element."""

    def continues_with(self, page: Page) -> bool:
        if not self.pages:
            return True
        last = self.pages[-1]
        same = (last.source, last.document_id) == (page.source, page.document_id)
        return same and last.number < page.number

    def section(self, block: Block) -> str:
        """The headings `block` stands under, outermost first; it is noted if it is one itself."""
        if block.type == "heading":
            level = block.level or 1
            self.headings = [(depth, title) for depth, title in self.headings if depth < level]
        path = clip(" > ".join(title for _, title in self.headings), CONTEXT_CHARS)
        if block.type == "heading":
            self.headings.append((level, clip(block.text, TITLE_CHARS)))
        return path


def page_text(page: Page, options: LoaderOptions) -> str:
    """The page as markdown, its tables in the format asked for."""
    return markdown(page.blocks, headers_footers=options.headers_footers, table_format=options.table_format)


def block_text(block: Block, table_format: TableFormat) -> str:
    """The block as markdown, its table in the format asked for."""
    return markdown((block,), table_format=table_format)
