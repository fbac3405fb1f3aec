"""LlamaIndex: a reader of files whose Documents and images survive splitters, docstores and upserts."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator, Mapping
from contextlib import aclosing, closing
from typing import Any

from internvl_loaders.options import ParseOptions, keywords
from internvl_loaders.records.loading import aload, load, missing, store_image
from internvl_loaders.records.options import LoaderOptions
from internvl_loaders.records.recorder import Record
from internvl_loaders.sources import FsspecFile

try:
    from llama_index.core.bridge.pydantic import (
        Field,
        SerializationInfo,
        SerializerFunctionWrapHandler,
        field_serializer,
        model_serializer,
    )
    from llama_index.core.readers.base import BasePydanticReader
    from llama_index.core.schema import (
        Document,
        ImageDocument,
        NodeRelationship,
        ObjectType,
        RelatedNodeInfo,
    )
except ImportError as error:
    raise missing("LlamaIndex", "llama-index") from error

EMBEDDED = {"file_name", "section", "caption"}
"""Metadata worth embedding with the text; all of it is bounded in length."""

TOLD = EMBEDDED | {"page"}
"""Metadata worth telling a model; the rest is for filters."""


class InternVLReader(BasePydanticReader):
    """Read PDFs and images as Documents: a page, a document, an element or a table each.

    Ids and metadata are the same on every run, so docstore upserts skip what has not changed. A
    reader holds options only: it pickles, and goes into `SimpleDirectoryReader(num_workers=...)`.

    With `images`, Documents come with their image, as ImageDocuments: a page with that of the page, a
    figure (an element, or in other modes apart) with its crop. An image apart has the Document it is
    on as PARENT; were that its SOURCE, upserts would delete the one for the other. The images are held
    in the ImageDocuments, or with `image_dir` in files they name.

    Example:
        ```python
        from llama_index.core import SimpleDirectoryReader
        from internvl_loaders.llama_index import InternVLReader

        reader = InternVLReader(pages="1-3", images="figures")
        documents = reader.load_data("contract.pdf")
        documents = SimpleDirectoryReader("contracts", file_extractor={".pdf": reader}).load_data()
        ```

    Args:
        options: Options to start from.
        **changes: Fields of LoaderOptions: `mode`, `on_error`, `table_format`, `headers_footers`,
            `page_separator`, `image_dir`; and of ParseOptions: `transcriber`, `engine`, `model`,
            `pages`, `password`, `images` and so on.

    Raises:
        OptionError: If the options make no sense.
    """

    options: LoaderOptions = Field(description="How documents are parsed, and what becomes of them.")

    @keywords(LoaderOptions)
    def __init__(
        self,
        *,
        options: ParseOptions | Mapping[str, Any] | None = None,
        is_remote: bool = False,
        **changes: Any,
    ) -> None:
        if isinstance(options, Mapping):  # as `to_dict` left them
            options = LoaderOptions.of(**options)
        fields: dict[str, Any] = {"is_remote": is_remote, "options": LoaderOptions.of(options, **changes)}
        super().__init__(**fields)

    @classmethod
    def class_name(cls) -> str:
        return "InternVLReader"

    @field_serializer("options")
    def _without_password(self, options: LoaderOptions) -> dict[str, Any]:
        return options.model_dump(mode="json", exclude={"password"})

    def lazy_load_data(
        self, file: Any, extra_info: Mapping[str, Any] | None = None, fs: Any = None
    ) -> Iterator[Document]:
        """Documents as their pages become ready, each pointing to its PREVIOUS one.

        Args:
            file: A path, bytes, a binary stream, an image, a URL, a directory, a glob, or a list.
            extra_info: Metadata to add; it wins over ours.
            fs: The fsspec filesystem that `file` is a path on.

        Raises:
            PageError: On a failed page, after its predecessors, if `on_error` is `raise`.
            SourceError: On a document that cannot be opened, likewise.
        """
        chain = _Chain()
        with closing(load(_source(file, fs), self.options)) as records:
            for record in records:
                yield chain.link(_document(record, self.options, extra_info), record)

    def load_data(
        self, file: Any, extra_info: Mapping[str, Any] | None = None, fs: Any = None
    ) -> list[Document]:
        """`lazy_load_data` at once, each Document pointing to its NEXT one as well."""
        return _linked_forward(list(self.lazy_load_data(file, extra_info, fs)))

    async def aload_data(
        self, file: Any, extra_info: Mapping[str, Any] | None = None, fs: Any = None
    ) -> list[Document]:
        """`load_data` that never blocks the event loop; cancelling it ends the work."""
        chain, documents = _Chain(), []
        async with aclosing(aload(_source(file, fs), self.options)) as records:
            async for record in records:
                document = await asyncio.to_thread(_document, record, self.options, extra_info)
                documents.append(chain.link(document, record))
        return _linked_forward(documents)


class _EmbeddedImage(ImageDocument):
    """An ImageDocument that keeps its image in a docstore, from where it returns as an ImageDocument.

    The base class leaves the bytes out of what it serializes, though it reads them back.
    """

    @model_serializer(mode="wrap")
    def custom_model_dump(
        self, handler: SerializerFunctionWrapHandler, info: SerializationInfo
    ) -> dict[str, Any]:
        return {**super().custom_model_dump(handler, info), "image": self.image}


class _Chain:
    """Links the Documents of one source, in the order in which they come; what is on another stays apart."""

    def __init__(self) -> None:
        self.last: tuple[str, str] | None = None

    def link(self, document: Document, record: Record) -> Document:
        if record.parent is None:
            source = str(record.metadata["source"])
            if self.last is not None and self.last[0] == source:
                document.relationships[NodeRelationship.PREVIOUS] = _related(self.last[1])
            self.last = source, record.id
        return document


def _linked_forward(documents: list[Document]) -> list[Document]:
    by_id = {document.id_: document for document in documents}
    for document in documents:
        if document.prev_node is not None:
            by_id[document.prev_node.node_id].relationships[NodeRelationship.NEXT] = _related(document.id_)
    return documents


def _related(identity: str) -> RelatedNodeInfo:
    return RelatedNodeInfo(node_id=identity, node_type=ObjectType.DOCUMENT)


def _document(record: Record, options: LoaderOptions, extra_info: Mapping[str, Any] | None) -> Document:
    common: dict[str, Any] = {
        "id_": record.id,
        "text": record.text,
        "metadata": {**record.metadata, **(extra_info or {})},
        "excluded_embed_metadata_keys": [key for key in record.metadata if key not in EMBEDDED],
        "excluded_llm_metadata_keys": [key for key in record.metadata if key not in TOLD],
    }
    if record.parent is not None:
        common["relationships"] = {NodeRelationship.PARENT: _related(record.parent)}
    if record.image is None:
        return Document(**common)
    common["image_mimetype"] = record.image.mime_type
    if options.image_dir is not None:
        return ImageDocument(image_path=store_image(record.image, options.image_dir), **common)
    common["image"] = base64.b64encode(record.image.data).decode("ascii")
    return _EmbeddedImage(**common)


def _source(file: Any, fs: Any) -> Any:
    return file if fs is None else FsspecFile(fs, str(file))
