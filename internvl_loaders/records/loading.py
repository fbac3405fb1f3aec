"""Sources to records, streaming: the running half of both framework adapters."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing, closing
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

from internvl_loaders.document import Image
from internvl_loaders.errors import MissingDependencyError
from internvl_loaders.pipeline.run import aparse, parse
from internvl_loaders.records.options import LoaderOptions
from internvl_loaders.records.recorder import Record, Recorder


def load(source: Any, options: LoaderOptions) -> Generator[Record, None, None]:
    """Records as pages become ready; closing the iterator ends the work."""
    recorder = Recorder(options)
    with closing(parse(source, options.parsing())) as pages:
        for page in pages:
            yield from recorder.add(page)
    yield from recorder.finish()


async def aload(source: Any, options: LoaderOptions) -> AsyncGenerator[Record, None]:
    """`load` for asyncio: parsing, rendering and writing images happen off the event loop."""
    recorder = Recorder(options)
    async with aclosing(aparse(source, options.parsing())) as pages:
        async for page in pages:
            for record in await asyncio.to_thread(recorder.add, page):
                yield record
    for record in recorder.finish():
        yield record


def store_image(image: Image, folder: Path) -> str:
    """Write the image into `folder` unless it is there; the path, named by the content."""
    suffix = image.mime_type.rpartition("/")[2]
    path = folder / f"{sha256(image.data).hexdigest()[:32]}.{suffix}"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{uuid4().hex}")
        try:
            part.write_bytes(image.data)
            part.replace(path)  # whole or not at all, whoever else writes it
        finally:
            part.unlink(missing_ok=True)
    return str(path)


def missing(framework: str, extra: str) -> MissingDependencyError:
    return MissingDependencyError(
        f"{framework} is not installed", remedy=f"Run pip install 'internvl-documents[{extra}]'"
    )
