"""Documents as docling-core's DoclingDocument, for its chunkers and serializers."""

from __future__ import annotations

import base64
import mimetypes
import re
from collections.abc import Sequence

from pydantic import AnyUrl

from internvl_loaders.errors import MissingDependencyError
from internvl_loaders.render.escape import clean, one_line
from internvl_loaders.render.layout import Item, Single, content, heading_level, layout, printed_marker
from internvl_loaders.render.shapes import Block, Document, Page, Table
from internvl_loaders.render.spans import marked, typed
from internvl_loaders.values import Box, Image

try:
    from docling_core.types.doc import (
        BoundingBox,
        ContentLayer,
        CoordOrigin,
        DocItemLabel,
        DoclingDocument,
        DocumentOrigin,
        ImageRef,
        NodeItem,
        PictureItem,
        ProvenanceItem,
        Size,
        TableCell,
        TableData,
        TableItem,
    )
except ImportError as error:
    raise MissingDependencyError(
        "docling-core is not installed", remedy='Run pip install "internvl-documents[docling]"'
    ) from error

_POINTS = 72
_LABELS = {
    "caption": DocItemLabel.CAPTION,
    "footnote": DocItemLabel.FOOTNOTE,
    "header": DocItemLabel.PAGE_HEADER,
    "footer": DocItemLabel.PAGE_FOOTER,
}


def docling(document: Document) -> DoclingDocument:
    """Boxes are in points, origin top left; a block without one lies somewhere on its page.

    Page headers and footers, and the notice of a failed page, are furniture: chunkers leave them out.
    """
    name = one_line(document.source.replace("\\", "/").rstrip("/").rpartition("/")[2]) or "document"
    result = DoclingDocument(name=name, origin=_origin(name, document.document_id))
    for page in document.pages:
        _Page(result, page).add()
    return result


def _origin(name: str, document_id: str) -> DocumentOrigin | None:
    """None without a content hash: docling has no origin without one."""
    if not re.fullmatch(r"[0-9a-fA-F]+", document_id):
        return None
    mime_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return DocumentOrigin(filename=name, mimetype=mime_type, binary_hash=int(document_id, 16) % 2**64)


class _Page:
    """Adds one page's blocks to a docling document."""

    def __init__(self, result: DoclingDocument, page: Page) -> None:
        self.result = result
        self.page = page

    def add(self) -> None:
        page = self.page
        if page.number:
            size = Size(width=page.width, height=page.height)
            self.result.add_page(page_no=page.number, size=size, image=self._image(page.image, page.width))
        if page.notice:
            self._text("header", page.notice, None)
        for entry in layout(content(page.blocks, headers_footers=True)):
            if isinstance(entry, tuple):
                self._list(entry, None)
            elif entry.block.type == "figure" or entry.block.table is not None:
                self._captioned(entry)
            else:
                if entry.caption is not None:
                    self._block(entry.caption)
                self._block(entry.block)

    def _block(self, block: Block) -> None:
        text = typed(clean(marked(block)).strip("\n"))
        place = self._provenance(block.box, len(text))
        match block.type:
            case "heading":
                self.result.add_heading(one_line(text), level=heading_level(block), prov=place)
            case "code":
                self.result.add_code(text, prov=place)
            case "formula":
                self.result.add_formula(text, prov=place)
            case _:
                self._text(block.type, text, block.box)

    def _text(self, block_type: str, text: str, box: Box | None, parent: NodeItem | None = None) -> NodeItem:
        text = clean(text).strip("\n")
        return self.result.add_text(
            _LABELS.get(block_type, DocItemLabel.TEXT),
            text,
            prov=self._provenance(box, len(text)),
            parent=parent,
            content_layer=ContentLayer.FURNITURE if block_type in ("header", "footer") else ContentLayer.BODY,
        )

    def _list(self, items: Sequence[Item], parent: NodeItem | None) -> None:
        group = self.result.add_list_group(parent=parent)
        for item in items:
            marker, text = printed_marker(item.block), typed(clean(marked(item.block)).strip())
            added = self.result.add_list_item(
                text,
                enumerated=any(char.isalnum() for char in marker),
                marker=marker or "-",
                prov=self._provenance(item.block.box, len(text)),
                parent=group,
            )
            if item.children:
                self._list(item.children, added)

    def _captioned(self, entry: Single) -> None:
        """A table, or a figure followed by the text within it, which chunkers skip if it is its child."""
        block = entry.block
        place = self._provenance(block.box, 0)
        item: TableItem | PictureItem
        if block.table is not None:
            item = self.result.add_table(self._table(block.table), prov=place)
        else:
            width = (block.box.x1 - block.box.x0) * self.page.width if block.box else 0
            item = self.result.add_picture(image=self._image(block.image, width), prov=place)
        if entry.caption is not None:
            caption = self._text("caption", entry.caption.text, entry.caption.box, parent=item)
            item.captions.append(caption.get_ref())
        if block.type == "figure" and block.table is None and block.text.strip():
            self._text("paragraph", block.text, block.box)

    def _table(self, table: Table) -> TableData:
        header_rows = table.header_rows
        return TableData(
            num_rows=table.rows,
            num_cols=table.cols,
            table_cells=[
                TableCell(
                    text=typed(clean(marked(cell)).strip()),
                    start_row_offset_idx=cell.row,
                    end_row_offset_idx=cell.row + cell.row_span,
                    start_col_offset_idx=cell.col,
                    end_col_offset_idx=cell.col + cell.col_span,
                    row_span=cell.row_span,
                    col_span=cell.col_span,
                    column_header=cell.header and cell.row < header_rows,
                    row_header=cell.header and cell.row >= header_rows,
                    bbox=self._bounding_box(cell.box) if cell.box else None,
                )
                for cell in table.cells
            ],
        )

    def _provenance(self, box: Box | None, length: int) -> ProvenanceItem | None:
        if not self.page.number:
            return None
        place = self._bounding_box(box or Box(x0=0, y0=0, x1=1, y1=1))
        return ProvenanceItem(page_no=self.page.number, bbox=place, charspan=(0, length))

    def _bounding_box(self, box: Box) -> BoundingBox:
        width, height = self.page.width, self.page.height
        return BoundingBox(
            l=box.x0 * width,
            t=box.y0 * height,
            r=box.x1 * width,
            b=box.y1 * height,
            coord_origin=CoordOrigin.TOPLEFT,
        )

    def _image(self, image: Image | None, points: float) -> ImageRef | None:
        """`points`: how wide the image is on the page; its dpi follows."""
        if image is None:
            return None
        data = base64.b64encode(image.data).decode("ascii")
        return ImageRef(
            mimetype=image.mime_type,
            dpi=round(image.width * _POINTS / points) if points >= 1 else _POINTS,
            size=Size(width=image.width, height=image.height),
            uri=AnyUrl(f"data:{image.mime_type};base64,{data}"),
        )
