"""LangChain: a document loader and a blob parser."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing, closing
from typing import Any

from internvl_loaders.errors import OptionError, UnsupportedDocumentError
from internvl_loaders.options import ParseOptions, keywords
from internvl_loaders.records.loading import aload, load, missing, store_image
from internvl_loaders.records.options import LoaderOptions
from internvl_loaders.records.recorder import Record
from internvl_loaders.sources import Named

try:
    from langchain_core.document_loaders import BaseBlobParser, BaseLoader
    from langchain_core.documents import Document
    from langchain_core.documents.base import Blob
except ImportError as error:
    raise missing("LangChain", "langchain") from error


class InternVLLoader(BaseLoader):
    """Load PDFs and images as Documents: a page, a document, an element or a table each.

    Documents come as soon as their page is read, while later pages are being worked on; closing the
    iterator ends that work. Ids and metadata are the same on every run.

    Example:
        ```python
        from internvl_loaders.langchain import InternVLLoader

        loader = InternVLLoader("contracts/", mode="element", pages="1-3", on_error="skip")
        for document in loader.lazy_load():
            print(document.metadata["file_name"], document.metadata["page"], document.page_content)
        ```

    Args:
        source: A path, bytes, a binary stream, an image, a Blob, a URL, a directory, a glob, or a
            list of these.
        options: Options to start from.
        **changes: Fields of LoaderOptions: `mode`, `on_error`, `table_format`, `headers_footers`,
            `page_separator`, `image_dir`; and of ParseOptions: `transcriber`, `engine`, `model`,
            `pages`, `password`, `images` and so on.

    Raises:
        OptionError: If the options make no sense.
    """

    @keywords(LoaderOptions)
    def __init__(self, source: Any, *, options: ParseOptions | None = None, **changes: Any) -> None:
        self.source = source
        self.options = _checked(options, changes)

    def lazy_load(self) -> Iterator[Document]:
        """Documents as their pages become ready.

        Raises:
            PageError: On a failed page, after its predecessors, if `on_error` is `raise`.
            SourceError: On a document that cannot be opened, likewise.
        """
        with closing(load(self.source, self.options)) as records:
            for record in records:
                yield _document(record, self.options)

    async def alazy_load(self) -> AsyncIterator[Document]:
        """`lazy_load` that never blocks the event loop."""
        async with aclosing(aload(self.source, self.options)) as records:
            async for record in records:
                yield await asyncio.to_thread(_document, record, self.options)


class InternVLBlobParser(BaseBlobParser):
    """Parse blobs in GenericLoader, MimeTypeBasedParser, or as `images_parser` of PDF parsers.

    The blob's own metadata is kept. An `images_parser` is asked for the first Document only: leave
    `mode` and `on_error` as they are, or use `placeholder`; `skip` would leave it with none.

    Example:
        ```python
        from langchain_community.document_loaders.parsers import PyMuPDFParser

        parser = PyMuPDFParser(extract_images=True, images_parser=InternVLBlobParser())
        ```

    Args:
        options: Options to start from.
        **changes: As for InternVLLoader.
    """

    @keywords(LoaderOptions)
    def __init__(self, *, options: ParseOptions | None = None, **changes: Any) -> None:
        self.options = _checked(options, changes)

    def lazy_parse(self, blob: Blob) -> Iterator[Document]:
        """Documents as their pages become ready; raises as InternVLLoader.lazy_load does."""
        with closing(load(_source(blob), self.options)) as records:
            for record in records:
                document = _document(record, self.options)
                document.metadata = blob.metadata | document.metadata
                yield document


def _checked(options: ParseOptions | None, changes: Mapping[str, Any]) -> LoaderOptions:
    checked = LoaderOptions.of(options, **changes)
    if checked.images != "none" and checked.image_dir is None:
        raise OptionError(
            f"images={checked.images!r} needs a place to keep them",
            remedy="Give image_dir: LangChain documents hold text, so they point to files",
        )
    return checked


def _document(record: Record, options: LoaderOptions) -> Document:
    metadata = dict(record.metadata)
    if record.image is not None and options.image_dir is not None:
        metadata["image_path"] = store_image(record.image, options.image_dir)
    return Document(record.text, id=record.id, metadata=metadata)


def _source(blob: Blob) -> Any:
    """The blob, or the image in it: LangChain's PDF parsers hand images over as NumPy arrays."""
    if blob.mimetype != "application/x-npy":
        return blob
    import io

    import numpy
    import PIL.Image

    try:
        array = numpy.load(io.BytesIO(blob.as_bytes()), allow_pickle=False)
        image = PIL.Image.fromarray(array.squeeze(axis=2) if array.shape[2:] == (1,) else array)
    except (ValueError, TypeError, EOFError, OSError) as error:
        raise UnsupportedDocumentError(f"not an image array: {error}", source=blob.source) from error
    return Named(image, blob.source) if blob.source else image
