"""Anything a document comes from, resolved lazily to `Source` values that workers can open."""

from __future__ import annotations

import glob
import hashlib
import io
import logging
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from internvl_llm.media.codecs import KINDS
from internvl_llm.media.limits import Limits
from internvl_llm.names import encodable, file_name
from internvl_loaders.errors import (
    DocumentNotFoundError,
    InternVLError,
    OptionError,
    SourceError,
    SourcePermissionError,
    limit_error,
)
from internvl_loaders.folders import Skipped, in_folder, matching, on_filesystem, only, skipped_files

log = logging.getLogger("internvl_loaders")

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


@dataclass(frozen=True, slots=True)
class Source:
    """One document: where it is (`path`) or what it is (`data`), or why it is not to be had (`error`).

    `name` is what its pages call their source, as UTF-8 can carry it; `output` the relative path its results
    are filed under. One that is `embedded` is a file inside another document.
    """

    name: str
    output: str
    path: Path | None = None
    data: bytes | None = None
    error: SourceError | None = None
    embedded: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", encodable(self.name))


@dataclass(frozen=True, slots=True)
class Named:
    """In-memory data (bytes, a binary stream or an image) with a name to go by."""

    data: Any
    name: str


@dataclass(frozen=True, slots=True)
class FsspecFile:
    """A file or a folder on an fsspec filesystem."""

    fs: Any
    path: str


def is_single(source: object) -> bool:
    """Whether `source` can only ever be one document."""
    if isinstance(source, str | os.PathLike):
        text = str(os.fspath(source))
        if _URL.match(text) or os.path.exists(text):
            return not os.path.isdir(text)
        return not glob.has_magic(text)
    if isinstance(source, FsspecFile):
        return not source.fs.isdir(source.path)
    is_data = isinstance(source, bytes | bytearray | memoryview) or hasattr(source, "read")
    return is_data or hasattr(source, "as_bytes") or not isinstance(source, Iterable)


def is_url(source: object) -> bool:
    return isinstance(source, str) and _URL.match(source) is not None


def resolve(
    source: Any, limits: Limits, allow_hosts: tuple[str, ...] = (), skipped: Skipped | None = None
) -> Iterator[Source]:
    """The documents behind `source`, one by one, in a stable order.

    What cannot be had comes as a Source with `error`; a `source` of a type that is no source at all
    raises OptionError. Files of folders and globs that are no documents are counted in `skipped`, or logged
    at the end where that is left out.
    """
    count = Skipped() if skipped is None else skipped
    yield from _resolve(source, limits, allow_hosts, count)
    if skipped is None and count:
        log.warning("%s", skipped_files(count))


def _resolve(source: Any, limits: Limits, allow_hosts: tuple[str, ...], skipped: Skipped) -> Iterator[Source]:
    if isinstance(source, Source):
        yield source
    elif isinstance(source, str | os.PathLike):
        text = os.fspath(source)
        yield from [_url(text, limits, allow_hosts)] if is_url(source) else _paths(text, skipped)
    elif isinstance(source, Named):
        yield _named(source, limits)
    elif isinstance(source, FsspecFile):
        yield from _fsspec(source, limits, skipped)
    elif isinstance(source, bytes | bytearray | memoryview):
        yield _memory(bytes(source), None)
    elif _is_image(source):
        yield _image(source, getattr(source, "filename", "") or None, limits)
    elif hasattr(source, "as_bytes") and hasattr(source, "mimetype"):
        yield _blob(source, limits)
    elif hasattr(source, "fs") and hasattr(source, "path"):
        yield from _fsspec(FsspecFile(source.fs, source.path), limits, skipped)
    elif hasattr(source, "read"):
        yield _stream(source, None, limits)
    elif isinstance(source, Iterable):
        for item in source:
            yield from _resolve(item, limits, allow_hosts, skipped)
    else:
        raise OptionError(
            f"not a source of documents: {type(source).__name__}",
            remedy="Give a path, bytes, a binary stream, an image, a Blob, a URL, or a list of these",
        )


def _paths(text: str, skipped: Skipped) -> Iterator[Source]:
    path = Path(text)
    try:
        if path.is_dir():
            yield from _directory(path, skipped)
        elif not path.exists() and glob.has_magic(text):
            yield from _glob(text, skipped)
        else:
            yield Source(text, path.name, path=path) if path.exists() else _missing(text, "no such file")
    except (OSError, ValueError) as error:
        yield _failed(text, error)


def _directory(root: Path, skipped: Skipped) -> Iterator[Source]:
    empty, here = True, Skipped()
    for path, error in in_folder(root, here):
        empty = False
        if error is None:
            yield Source(str(path), path.relative_to(root).as_posix(), path=path)
        else:
            yield _failed(str(path), error)
    skipped.update(here)
    if empty:
        yield _missing(str(root), f"no documents in this folder{only(here)}")


def _glob(pattern: str, skipped: Skipped) -> Iterator[Source]:
    empty, here = True, Skipped()
    for name, error in matching(pattern, here):
        empty = False
        yield Source(name, Path(name).name, path=Path(name)) if error is None else _failed(name, error)
    skipped.update(here)
    if empty:
        yield _missing(pattern, f"no documents match this pattern{only(here)}")


def _missing(name: str, message: str) -> Source:
    kinds = f"PDF, {', '.join(KINDS[:-1])} and {KINDS[-1]}"
    remedy = f"Check the path; supported are {kinds}"
    error = DocumentNotFoundError(message, source=name, remedy=remedy)
    return Source(name, output_name(name), error=error)


def _failed(name: str, error: Exception) -> Source:
    if isinstance(error, PermissionError):
        failure: SourceError = SourcePermissionError(
            "no permission to read", source=name, remedy="Give this user the right to read it"
        )
    elif isinstance(error, SourceError):
        failure = error
    else:
        failure = SourceError(f"cannot be read: {error}", source=name)
    return Source(name, output_name(name), error=failure)


def _memory(data: bytes, name: str | None) -> Source:
    name = name or f"sha256:{hashlib.sha256(data).hexdigest()[:16]}"
    return Source(name, output_name(name), data=data)


def _named(named: Named, limits: Limits) -> Source:
    if isinstance(named.data, bytes | bytearray | memoryview):
        return _memory(bytes(named.data), named.name)
    if _is_image(named.data):
        return _image(named.data, named.name, limits)
    if hasattr(named.data, "read"):
        return _stream(named.data, named.name, limits)
    raise OptionError(f"Named holds bytes, a stream or an image, not {type(named.data).__name__}")


def _stream(stream: Any, name: str | None, limits: Limits) -> Source:
    own = getattr(stream, "name", None)
    name = name or (own if isinstance(own, str) else None)
    try:
        data = stream.read(limits.max_bytes + 1)
    except (OSError, ValueError) as error:
        return _failed(name or "stream", error)
    if isinstance(data, str):
        raise OptionError("this stream is open for text", remedy="Open it with mode 'rb'")
    if len(data) > limits.max_bytes:
        return _failed(name or "stream", limit_error("larger than", "max_bytes", limits.max_bytes, name))
    return _memory(data, name)


def _blob(blob: Any, limits: Limits) -> Source:
    name = blob.source
    if blob.data is None and blob.path is not None:
        path = Path(blob.path)
        name = name or str(path)
        if not path.exists():
            return _missing(name, "no such file")
        return Source(name, path.name, path=path)
    data = blob.as_bytes()
    if len(data) > limits.max_bytes:
        return _failed(name or "blob", limit_error("larger than", "max_bytes", limits.max_bytes, name))
    return _memory(data, name)


def _fsspec(file: FsspecFile, limits: Limits, skipped: Skipped) -> Iterator[Source]:
    fs, root = file.fs, str(file.path)
    empty, here = True, Skipped()
    try:
        for path in on_filesystem(fs, root, here):
            empty = False
            yield _fsspec_file(fs, path, limits)
    except Exception as error:  # fsspec backends raise whatever their library raises
        empty = False
        yield _failed(root, error)
    skipped.update(here)
    if empty:
        yield _missing(root, f"no documents here{only(here)}")


def _fsspec_file(fs: Any, path: str, limits: Limits) -> Source:
    try:
        with fs.open(path, "rb") as stream:
            return _stream(stream, path, limits)
    except FileNotFoundError:
        return _missing(path, "no such file")
    except Exception as error:
        return _failed(path, error)


def _url(url: str, limits: Limits, allow_hosts: tuple[str, ...]) -> Source:
    from internvl_llm.media.fetch import fetch

    name = url.split("#", 1)[0]
    try:
        return Source(name, output_name(name), data=fetch(url, limits, allow_hosts))
    except SourceError as error:
        return _failed(name, error)


def _is_image(source: object) -> bool:
    return any(
        kind.__module__.startswith("PIL.") and kind.__name__ == "Image" for kind in type(source).__mro__
    )


def _image(image: Any, name: str | None, limits: Limits) -> Source:
    """Of a file that is not decoded yet the file, which workers decode; else its pixels."""
    from internvl_llm.media.source import undecoded

    try:
        return _memory(undecoded(image, limits) or _png(image), name)
    except InternVLError as error:
        return _failed(name or "image", error)


def _png(image: Any) -> bytes:
    """The image's current frame, losslessly, with its orientation and resolution."""
    out = io.BytesIO()
    if image.mode not in {"1", "L", "LA", "I", "I;16", "P", "RGB", "RGBA"}:
        image = image.convert("RGB")
    dpi = image.info.get("dpi")
    extra = {"dpi": dpi} if dpi else {}
    image.save(out, "PNG", exif=image.getexif(), compress_level=1, **extra)
    return out.getvalue()


def output_name(name: str) -> str:
    """A file name for a document of that `name` (a URL, a path, a label): its last part, made safe."""
    last = re.split(r"[?#]", name)[0].rstrip("/").replace("\\", "/").rsplit("/", 1)[-1]
    return file_name(last.strip(". ")) or "document"
