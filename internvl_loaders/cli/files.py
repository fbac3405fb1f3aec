"""Results on disk: complete or not there at all, under names of their own, never outside the folder."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import IO, Literal, NamedTuple
from uuid import uuid4

from internvl_llm.names import file_name, same_name
from internvl_loaders.errors import InternVLError

Format = Literal["md", "json", "html", "csv", "text"]
FORMATS: tuple[Format, ...] = ("md", "json", "html", "csv", "text")

_BY_DESCRIPTOR = {os.open, os.mkdir, os.unlink, os.link, os.rename} <= os.supports_dir_fd
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)


class _Place(NamedTuple):
    """A name in a folder, which is open where the system can name files relative to a descriptor."""

    folder: Path
    descriptor: int | None
    name: str

    def at(self, name: str) -> str | Path:
        return self.folder / name if self.descriptor is None else name


@contextmanager
def replacing(path: Path, below: Path | None = None) -> Iterator[IO[str]]:
    """A text file that takes `path`'s place when the block ends well, and else leaves no trace.

    On Linux it has no name until then, so that even a killed process leaves nothing behind. From `below` on
    no link is followed, whoever puts one there meanwhile; a link of the file's own name is replaced.
    """
    with _place(path, below) as place:
        part = f".{path.name[:40]}.{uuid4().hex}.part"
        handle = _unnamed_file(place)
        named = handle is None
        if handle is None:
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
            handle = os.open(place.at(part), flags, 0o600, dir_fd=place.descriptor)
        try:
            with open(handle, "w", encoding="utf-8", newline="", errors="backslashreplace") as file:
                yield file
                file.flush()
                os.chmod(handle if os.chmod in os.supports_fd else place.at(part), 0o666 & ~_umask())
                os.fsync(handle)
                if not named:
                    source = f"/proc/self/fd/{handle}"
                    # Only with a directory's descriptor does Python ask for the link to be followed (linkat).
                    os.link(source, place.at(part), dst_dir_fd=place.descriptor, follow_symlinks=True)
            ends = {"src_dir_fd": place.descriptor, "dst_dir_fd": place.descriptor}
            os.replace(place.at(part), place.at(path.name), **ends)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(place.at(part), dir_fd=place.descriptor)
            raise


@contextmanager
def replacing_or_into(path: Path) -> Iterator[IO[str]]:
    """`replacing`, but a device or a pipe, such as `/dev/stdout`, is written to."""
    system = path.is_absolute() and path.parts[1:2] in (("dev",), ("proc",))
    if system or (path.exists() and not path.is_file()):
        with path.open("w", encoding="utf-8", newline="") as file:
            yield file
    else:
        with replacing(path) as file:
            yield file


@contextmanager
def _place(path: Path, below: Path | None) -> Iterator[_Place]:
    """`path` in its folder, which is made if it is not there."""
    root = path.parent if below is None else below
    parts = path.parent.relative_to(root).parts
    root.mkdir(parents=True, exist_ok=True)
    if not _BY_DESCRIPTOR:
        for depth in range(len(parts)):
            folder = root.joinpath(*parts[: depth + 1])
            folder.mkdir(exist_ok=True)
            _no_link(folder, folder.is_symlink() or _is_junction(folder))
        yield _Place(path.parent, None, path.name)
        return
    descriptor = os.open(root, _FOLDER)
    try:
        for depth, part in enumerate(parts):
            inner = _inner_folder(descriptor, part, root.joinpath(*parts[: depth + 1]))
            os.close(descriptor)
            descriptor = inner
        yield _Place(path.parent, descriptor, path.name)
    finally:
        os.close(descriptor)


def _inner_folder(descriptor: int, name: str, path: Path) -> int:
    with suppress(FileExistsError):
        os.mkdir(name, dir_fd=descriptor)
    try:
        return os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=descriptor)
    except OSError:
        _no_link(path, path.is_symlink())
        raise


def _no_link(path: Path, linked: bool) -> None:
    if linked:
        raise InternVLError(
            f"{path} is a link, and would lead out of the folder", remedy="Remove it, or name another folder"
        )


def _is_junction(path: Path) -> bool:
    """Of Windows; Path.is_junction is of Python 3.12."""
    return bool(getattr(os.path, "isjunction", lambda _: False)(path))


def _unnamed_file(place: _Place) -> int | None:
    """A descriptor of a file that is not in its folder's listing; None where there are no such files."""
    if sys.platform != "linux" or not os.path.isdir("/proc/self/fd"):
        return None
    try:
        return os.open(".", os.O_TMPFILE | os.O_RDWR, 0o600, dir_fd=place.descriptor)
    except OSError:  # not every filesystem has them
        return None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


class Names:
    """Output names within a folder: never outside it, never two alike, on any filesystem.

    A document's name gets a suffix of each of `formats`; neither of those is ever a folder of another's.
    """

    def __init__(self, folder: Path, formats: Collection[Format] = FORMATS) -> None:
        self.folder = folder
        self._suffixes = ["0.csv" if form == "csv" else form for form in formats]
        self._files: set[str] = set()
        self._folders: dict[str, str] = {}
        self._turns: dict[str, int] = {}

    def claim(self, relative: str) -> Path:
        """The path (without a format's suffix) for a document filed under `relative`."""
        parts = [file_name(part) for part in PurePosixPath(relative.replace("\\", "/")).parts]
        *above, last = [part for part in parts if part] or ["document"]
        place = ""
        folders: list[str] = []
        for part in above:
            folders.append(self._folder(place, part))
            place = f"{place}{_key(folders[-1])}/"
        return self.folder.joinpath(*folders, self._file(place, last))

    def _folder(self, place: str, name: str) -> str:
        key = place + _key(name)
        if key not in self._folders:
            chosen = name
            for turn in range(2, 10**9):
                if place + _key(chosen) not in self._files:
                    break
                chosen = f"{name}~{turn}"
            self._folders[key] = chosen
            self._folders.setdefault(place + _key(chosen), chosen)
        return self._folders[key]

    def _file(self, place: str, name: str) -> str:
        stem, end = os.path.splitext(name)
        base = place + same_name(name)
        for turn in range(self._turns.get(base, 1), 10**9):
            chosen = name if turn == 1 else f"{stem}~{turn}{end}"
            own = {place + _key(f"{chosen}.{suffix}") for suffix in self._suffixes}
            if not own & self._files and not own & self._folders.keys():
                self._files |= own
                self._turns[base] = turn + 1
                return chosen
        raise AssertionError("unreachable")


def _key(name: str) -> str:
    """Alike for files that cannot be beside each other; the tables of a document count as one."""
    return re.sub(r"\.[0-9]+\.csv$", ".#.csv", same_name(name))


def said_of_file(error: Exception) -> str:
    """What kept a file from being written, without the name that it has on its way."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return error.explanation if isinstance(error, InternVLError) else f"{type(error).__name__}: {error}"
