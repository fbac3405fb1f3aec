"""Files that nobody but this user can have written."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

_REMEDY = "give a folder of your own, that nobody else may write to (chmod go-w)"


def private_file(path: Path, beside: tuple[str, ...] = ()) -> tuple[int, ...]:
    """Sees to it that the file and its folder are there, and tells what they are: others if it changes.

    Raises PermissionError where another user owns one of them, or may write to it, or it is a link; so too
    for files of its name with one of `beside` after it. On systems without such owners nothing is checked.
    """
    folder = path.parent
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not hasattr(os, "geteuid"):
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        return ()
    link = os.lstat(folder)
    if stat.S_ISLNK(link.st_mode) and link.st_uid not in {0, os.geteuid()}:
        raise PermissionError(f"user {link.st_uid} made the link {folder}: {_REMEDY}")
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        kept = [_checked(os.fstat(held), folder)]
        with suppress(FileExistsError):  # also of a link that leads nowhere
            os.close(os.open(path.name, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600, dir_fd=held))
        for end in ("", *beside):
            try:
                status = os.stat(path.name + end, dir_fd=held, follow_symlinks=False)
            except FileNotFoundError:
                continue
            if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
                raise PermissionError(f"{path}{end} is a link, or no file: {_REMEDY}")
            _checked(status, Path(f"{path}{end}"))
            kept += [status] if not end else []
        return tuple(number for status in kept for number in (status.st_dev, status.st_ino))
    finally:
        os.close(held)


def _checked(status: os.stat_result, path: Path) -> os.stat_result:
    if status.st_uid != os.geteuid():
        raise PermissionError(f"{path} is of another user ({status.st_uid}): {_REMEDY}")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(f"others may write to {path}: {_REMEDY}")
    return status
