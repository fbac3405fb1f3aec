"""Which files of folders, globs and fsspec filesystems are documents, and of what kinds the others are."""

from __future__ import annotations

import glob
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

EXTENSIONS = frozenset(
    {
        *(".pdf", ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".tif", ".tiff", ".gif"),
        *(".heic", ".heif", ".hif", ".avif", ".jp2", ".j2k", ".jpf", ".jpx", ".j2c", ".jpc"),
    }
)
_MAGIC = re.compile(
    rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff|RIFF....WEBP|BM....\x00\x00\x00\x00|II\*\x00|MM\x00\*|II\+\x00|MM\x00\+|GIF8[79]a"
    rb"|\x00\x00\x00\x0cjP  |\xff\x4f\xff\x51|....ftyp(?:avif|avis|hei[cxms]|hev[cxms]|mif[12]|msf1)",
    re.DOTALL,
)
_LITTER = re.compile(r"__MACOSX|\._.*|\.DS_Store|~\$.*|Thumbs\.db|desktop\.ini", re.IGNORECASE | re.DOTALL)
"""What systems and office programs leave in folders: no documents, whatever their names end with."""
_SEPARATORS = re.escape(os.sep + (os.altsep or ""))
_ANY_DEPTH = re.compile(rf"(?:^|(?<=[{_SEPARATORS}]))(?:\*\*[{_SEPARATORS}]+)*\*\*(?:[{_SEPARATORS}]+|$)")
_KIND = re.compile(r"\.\w{1,12}")
_MAX_KINDS = 100

Skipped = Counter[str]
"""How many files of each kind (`.docx`) were seen that are no documents we read."""


def skipped_files(skipped: Skipped) -> str:
    """`12 files skipped: 3 .heic, 9 .docx`"""
    count = skipped.total()
    return f"{count:,} file{'s' * (count != 1)} skipped: {_kinds(skipped)}"


def only(skipped: Skipped) -> str:
    """To say after that there are no documents: what there is."""
    return f", only {_kinds(skipped)}" if skipped else ""


def is_document(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a type we read."""
    return b"%PDF-" in head[:1024] or _MAGIC.match(head) is not None


def in_folder(root: Path, skipped: Skipped) -> Iterator[tuple[Path, OSError | None]]:
    """Its documents in depth, by name; what cannot be looked at comes with its error, and what is beside it
    follows. Linked folders are not entered."""
    waiting = [root]
    while waiting:
        path = waiting.pop()
        try:
            if path is root or (path.is_dir() and not path.is_symlink()):
                waiting.extend(_entries(path))
            elif path.is_dir():
                _count(skipped, "linked folder")
            elif _is_document(path, skipped):
                yield path, None
        except OSError as error:
            yield path, error


def matching(pattern: str, skipped: Skipped) -> Iterator[tuple[str, OSError | None]]:
    """The files that a glob matches and that are documents, by name; folders are not entered. What `**`
    cannot look into comes with its error."""
    own = frozenset(Path(pattern).parts)
    for name, error in sorted(dict(_expanded(pattern)).items()):
        path = Path(name)
        if error is not None:
            yield name, error
        elif not _is_litter(path, own) and not path.is_dir() and _is_document(path, skipped):
            yield name, None


def on_filesystem(fs: Any, root: str, skipped: Skipped) -> Iterator[str]:
    """Documents, by their names, of an fsspec folder or glob; any file that is named itself."""
    if fs.isdir(root):
        found = fs.find(root)
    elif glob.has_magic(root) and not fs.exists(root):
        found = [path for path in fs.glob(root) if not fs.isdir(path)]
    else:
        yield root
        return
    own = frozenset(PurePosixPath(root).parts)
    for name in sorted(found):
        path = PurePosixPath(name)
        if path.suffix.lower() in EXTENSIONS and not _is_litter(path, own):
            yield name
        elif not _is_litter(path, own):
            _count(skipped, _kind(path))


def _expanded(pattern: str) -> Iterator[tuple[str, OSError | None]]:
    """`glob.glob(pattern, recursive=True)`, but `**` enters no linked folder: two links may lead round in
    circles in more ways than there is time for."""
    deep = _ANY_DEPTH.search(pattern)
    if deep is None:
        yield from ((name, None) for name in glob.iglob(pattern))
        return
    above, below = pattern[: deep.start()], pattern[deep.end() :] or "*"
    errors: list[OSError] = []
    for root in glob.iglob(above) if above else [""]:
        for folder, inner, _ in os.walk(root or os.curdir, onerror=errors.append):
            inner[:] = [name for name in inner if not name.startswith(".")]
            here = folder if root else folder[len(f"{os.curdir}{os.sep}") :]
            yield from _expanded(os.path.join(glob.escape(here), below))
    yield from ((str(error.filename), error) for error in errors)


def _entries(folder: Path) -> list[Path]:
    """The first by name last."""
    names = sorted(os.listdir(folder), reverse=True)
    return [folder / name for name in names if not _LITTER.fullmatch(name)]


def _is_litter(path: PurePath, own: frozenset[str]) -> bool:
    """Whether a part of the path is litter, other than those that a user wrote."""
    return any(part not in own and _LITTER.fullmatch(part) for part in path.parts)


def _is_document(path: Path, skipped: Skipped) -> bool:
    """By its name or its first bytes; counted if it is none."""
    if path.suffix.lower() in EXTENSIONS or _sniff(path):
        return True
    _count(skipped, _kind(path))
    return False


def _sniff(path: Path) -> bool:
    """Whether a file without a document's name is one; unreadable ones without the name are not."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return is_document(file.read(1024))
    except OSError:
        return False


def _kind(path: PurePath) -> str:
    return path.suffix.lower() if _KIND.fullmatch(path.suffix) else "without a type"


def _count(skipped: Skipped, kind: str) -> None:
    """Strangers name the kinds: there are not endlessly many of them."""
    skipped[kind if kind in skipped or len(skipped) < _MAX_KINDS else "of other kinds"] += 1


def _kinds(skipped: Skipped, most: int = 8) -> str:
    shown = skipped.most_common(most)
    rest = skipped.total() - sum(count for _, count in shown)
    parts = [f"{count:,} {kind}" for kind, count in reversed(shown)]
    return ", ".join([*parts, f"{rest:,} of other kinds"] if rest else parts)
