"""Files below a folder, opened without leaving it: whatever a name says, whatever is swapped meanwhile."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from internvl_llm.errors import (
    DocumentNotFoundError,
    SourceError,
    SourcePermissionError,
    UnsupportedDocumentError,
    limit_error,
)

_LINKS = 40
"""Symbolic links that one name may lead through, as on Linux."""
_BY_DESCRIPTOR = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")
_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_SAFE = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)  # a pipe without a writer waits for none
_PIECE = 2**20


class Outside(Exception):
    """The name leads out of the folder."""


@contextmanager
def opened(roots: Iterable[Path], name: str, remedy: str) -> Iterator[int]:
    """A descriptor of the regular file `name`, below the first of `roots` (resolved) that has it.

    Links are followed where they stay below that folder; a hard link is a file of it like any other. Raises
    SourceError.
    """
    failures: list[OSError | Outside] = []
    for root in roots:
        try:
            descriptor = _open(root, name)
        except (OSError, Outside) as error:
            failures.append(error)
            continue
        except ValueError as error:  # a NUL, half a character
            raise SourceError("this is no path", remedy=remedy) from error
        try:
            yield descriptor
        finally:
            os.close(descriptor)
        return
    raise _refusal(failures, remedy)


def read(descriptor: int, max_bytes: int) -> bytes:
    """All of it. Raises LimitError."""
    size = os.fstat(descriptor).st_size
    if size > max_bytes:
        raise limit_error(f"the file has {size:,} bytes, more than", "max_bytes", max_bytes)
    pieces, left = [], max_bytes + 1
    while left and (piece := os.read(descriptor, min(_PIECE, left))):
        pieces.append(piece)
        left -= len(piece)
    if not left:  # it has grown since
        raise limit_error("the file has more bytes than", "max_bytes", max_bytes)
    return b"".join(pieces)


def _refusal(failures: list[OSError | Outside], remedy: str) -> SourceError:
    told = [error for error in failures if isinstance(error, OSError)]
    if not told:
        return SourceError("this is outside the folders that may be read", remedy=remedy)
    codes = {error.errno for error in told}
    missing = {errno.ENOENT, errno.ENOTDIR}
    if codes <= missing:
        return DocumentNotFoundError("no such document", remedy=remedy)
    if codes <= {*missing, errno.EACCES, errno.EPERM}:
        return SourcePermissionError("no permission to read the file", remedy="Change its permissions")
    if codes <= {*missing, errno.EISDIR, errno.EINVAL}:
        return UnsupportedDocumentError("this is no file", remedy=remedy)
    return SourceError("this is no path", remedy=remedy)


def _open(root: Path, name: str) -> int:
    """Raises OSError (EINVAL for what is neither a file nor a folder), Outside or ValueError."""
    inside = _inside(root, name)
    if not inside:
        raise OSError(errno.ENOENT, "no name")
    return _walk(root, inside) if _BY_DESCRIPTOR else _checked(root, inside)


def _inside(root: Path, name: str) -> list[str]:
    """The parts of the name from `root` on; raises Outside where it begins elsewhere."""
    if len(name) > 2**15:
        raise OSError(errno.ENAMETOOLONG, "too long")
    path = Path(name)
    if not path.anchor:
        return list(path.parts)
    if path.parts[: len(root.parts)] != root.parts:
        raise Outside
    return list(path.parts[len(root.parts) :])


def _walk(root: Path, parts: list[str]) -> int:
    """Folder after folder, each opened in the one before it: none can be swapped for a link."""
    folders = [os.open(root, _FLAGS | os.O_DIRECTORY)]
    waiting, links = parts[::-1], 0
    try:
        while waiting:
            part = waiting.pop()
            if part == "..":
                if len(folders) == 1:
                    raise Outside
                os.close(folders.pop())
                continue
            try:
                found = _enter(folders[-1], part)
            except OSError as error:
                if error.errno not in (errno.ELOOP, errno.EMLINK):
                    raise
                links += 1
                if links > _LINKS:
                    raise
                target = _inside_link(root, part, folders)
                waiting += target[::-1]
                continue
            if stat.S_ISDIR(os.fstat(found).st_mode):
                folders.append(found)
            elif waiting:
                os.close(found)
                raise OSError(errno.ENOTDIR, "no folder")
            else:
                return found
        raise OSError(errno.EISDIR, "a folder")
    finally:
        for folder in folders:
            os.close(folder)


def _enter(folder: int, part: str) -> int:
    """A descriptor of the file or folder; ELOOP where it is a link."""
    kind = os.stat(part, dir_fd=folder, follow_symlinks=False).st_mode
    if stat.S_ISLNK(kind):
        raise OSError(errno.ELOOP, "a link")
    if not (stat.S_ISDIR(kind) or stat.S_ISREG(kind)):  # opening a device may do something already
        raise OSError(errno.EINVAL, "no file")
    descriptor = os.open(part, _FLAGS | _SAFE, dir_fd=folder)
    kind = os.fstat(descriptor).st_mode
    if not (stat.S_ISDIR(kind) or stat.S_ISREG(kind)):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "no file")
    return descriptor


def _inside_link(root: Path, part: str, folders: list[int]) -> list[str]:
    """Where a link leads, from the last of `folders`; an absolute one leaves the first of these alone."""
    try:
        target = Path(os.readlink(part, dir_fd=folders[-1]))
    except OSError as error:
        if error.errno == errno.EINVAL:  # it was a link a moment ago
            return [part]
        raise
    if not target.anchor:
        return list(target.parts)
    inside = _inside(root, str(target))
    while len(folders) > 1:
        os.close(folders.pop())
    return inside


def _checked(root: Path, parts: list[str]) -> int:
    """Where the system opens nothing by a folder's descriptor: what was opened is looked at once more."""
    path = Path(os.path.realpath(root.joinpath(*parts), strict=True))
    if not path.is_relative_to(root):
        raise Outside
    if not path.is_file():
        raise OSError(errno.EISDIR if path.is_dir() else errno.EINVAL, "no file")
    descriptor = os.open(path, _FLAGS)
    with suppress(OSError):
        now = Path(os.path.realpath(path, strict=True))
        if now == path and os.path.samestat(os.fstat(descriptor), os.stat(path)):
            return descriptor
    os.close(descriptor)
    raise Outside
