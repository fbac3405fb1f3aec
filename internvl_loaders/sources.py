"""Anything a document comes from, resolved lazily to `Source` values that workers can open."""

from __future__ import annotations

import glob
import hashlib
import io
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from internvl_llm.media.limits import Limits
from internvl_loaders.errors import (
    DocumentNotFoundError,
    OptionError,
    SourceError,
    SourcePermissionError,
    limit_error,
)

EXTENSIONS = frozenset(
    {".pdf", ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".tif", ".tiff", ".gif"}
)
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_MAGIC = re.compile(
    rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff|RIFF....WEBP|BM....\x00\x00\x00\x00|II\*\x00|MM\x00\*|II\+\x00|MM\x00\+|GIF8[79]a",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Source:
    """One document: where it is (`path`) or what it is (`data`), or why it is not to be had (`error`).

    `name` is what its pages call their source, `output` the relative path its results are filed under.
    """

    name: str
    output: str
    path: Path | None = None
    data: bytes | None = None
    error: SourceError | None = None


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


def is_document(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a type we read."""
    return b"%PDF-" in head[:1024] or _MAGIC.match(head) is not None


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


def resolve(source: Any, limits: Limits, allow_hosts: tuple[str, ...] = ()) -> Iterator[Source]:
    """The documents behind `source`, one by one, in a stable order.

    What cannot be had comes as a Source with `error`; a `source` of a type that is no source at all
    raises OptionError.
    """
    if isinstance(source, str):
        if _URL.match(source):
            yield _url(source, limits, allow_hosts)
        else:
            yield from _paths(source)
    elif isinstance(source, os.PathLike):
        yield from _paths(os.fspath(source))
    elif isinstance(source, Named):
        yield _named(source, limits)
    elif isinstance(source, FsspecFile):
        yield from _fsspec(source, limits)
    elif isinstance(source, bytes | bytearray | memoryview):
        yield _memory(bytes(source), None)
    elif _is_image(source):
        yield _memory(_png(source), getattr(source, "filename", "") or None)
    elif hasattr(source, "as_bytes") and hasattr(source, "mimetype"):
        yield _blob(source, limits)
    elif hasattr(source, "fs") and hasattr(source, "path"):
        yield from _fsspec(FsspecFile(source.fs, source.path), limits)
    elif hasattr(source, "read"):
        yield _stream(source, None, limits)
    elif isinstance(source, Iterable):
        for item in source:
            yield from resolve(item, limits, allow_hosts)
    else:
        raise OptionError(
            f"not a source of documents: {type(source).__name__}",
            remedy="Give a path, bytes, a binary stream, an image, a Blob, a URL, or a list of these",
        )


def _paths(text: str) -> Iterator[Source]:
    path = Path(text)
    try:
        if path.is_dir():
            yield from _directory(path)
            return
        if not path.exists() and glob.has_magic(text):
            names = sorted(glob.glob(text, recursive=True))
            for name in names:
                match = Path(name)
                if match.is_file() and (match.suffix.lower() in EXTENSIONS or _sniff(match)):
                    yield Source(name, match.name, path=match)
            if not names:
                yield _missing(text, "nothing matches this pattern")
            return
        yield Source(text, path.name, path=path) if path.exists() else _missing(text, "no such file")
    except (OSError, ValueError) as error:
        yield _failed(text, error)


def _directory(root: Path) -> Iterator[Source]:
    """Its documents in depth, by name; linked folders are not entered."""
    empty = True
    waiting = [root]
    while waiting:
        path = waiting.pop()
        if path is root or (path.is_dir() and not path.is_symlink()):
            try:
                waiting.extend(path / name for name in sorted(os.listdir(path), reverse=True))
            except OSError as error:
                empty = False
                yield _failed(str(path), error)
        elif path.suffix.lower() in EXTENSIONS or _sniff(path):
            empty = False
            yield Source(str(path), path.relative_to(root).as_posix(), path=path)
    if empty:
        yield _missing(str(root), "no documents in this folder")


def _sniff(path: Path) -> bool:
    """Whether a file without a document's name is one; unreadable ones without the name are not."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return is_document(file.read(1024))
    except OSError:
        return False


def _missing(name: str, message: str) -> Source:
    error = DocumentNotFoundError(
        message, source=name, remedy="Check the path; supported are PDF, PNG, JPEG, WEBP, BMP, TIFF and GIF"
    )
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
        return _memory(_png(named.data), named.name)
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


def _fsspec(file: FsspecFile, limits: Limits) -> Iterator[Source]:
    fs, root = file.fs, str(file.path)
    try:
        folder = fs.isdir(root)
        paths = sorted(p for p in fs.find(root)) if folder else [root]
    except Exception as error:  # fsspec backends raise whatever their library raises
        yield _failed(root, error)
        return
    for path in paths:
        if folder and PurePosixPath(path).suffix.lower() not in EXTENSIONS:
            continue
        try:
            with fs.open(path, "rb") as stream:
                yield _stream(stream, path, limits)
        except FileNotFoundError:
            yield _missing(path, "no such file")
        except Exception as error:
            yield _failed(path, error)


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
    safe = re.sub(r'[\x00-\x1f<>:"|?*]+', "-", last).strip(". ")
    return safe or "document"
