"""Page results on disk: a run that was cut off, or is repeated, reads no page twice.

One SQLite file in WAL mode, shared by any number of processes of one user. It is a convenience and never a
reason to fail: a damaged file is set aside and begun anew; a full disk, and a file or folder that others may
write to, end the caching. That is said once in the log.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import os
import sqlite3
import sys
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakSet

import internvl_llm.version
from internvl_loaders.pipeline.private import private_file

log = logging.getLogger("internvl_loaders")

MAX_BYTES = 2 * 2**30
"""Of compressed results, before the least recently used are dropped."""

_CHECK_EVERY = 50
"""Pages written between two looks at the cache's size."""

_FILE = "pages-1.sqlite"
_BESIDE = ("-wal", "-shm", "-journal")
"""What SQLite puts beside its file, and trusts."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS pages (
    key TEXT PRIMARY KEY, data BLOB NOT NULL, size INTEGER NOT NULL, used REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS pages_used ON pages (used, size);
"""

_PAUSE = 3
"""Seconds that a fork waits for a cache which another thread is at."""

T = TypeVar("T")

_caches: WeakSet[PageCache] = WeakSet()
_inherited: list[sqlite3.Connection] = []
"""Of the process that this one was forked from: closing one here might end its parent's transactions."""


def default_folder() -> Path:
    """The user's cache folder for us, by the platform's custom; INTERNVL_CACHE_DIR overrides it."""
    if chosen := os.environ.get("INTERNVL_CACHE_DIR"):
        return Path(chosen)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "internvl-documents"


def page_key(sha256: str, page: int, settings: dict[str, Any]) -> str:
    """The key of one page's result: content, page, settings, and the versions of what reads it."""
    parts = json.dumps([sha256, page, settings, _versions(), code_digest()], sort_keys=True)
    return hashlib.sha256(parts.encode()).hexdigest()


@functools.cache
def _versions() -> tuple[str, ...]:
    """Of the readers; an engine's are in its fingerprint."""
    return tuple(map(_version, ("pymupdf", "pypdfium2", "rapidocr", "onnxruntime", "pillow")))


def _version(distribution: str) -> str:
    try:
        return f"{distribution} {version(distribution)}"
    except PackageNotFoundError:
        return f"no {distribution}"


@functools.cache
def code_digest(*packages: Path) -> str:
    """Of the Python files of both packages (or of `packages`), by path and content."""
    digest = hashlib.sha256()
    for package in packages or (Path(internvl_llm.version.__file__).parent, Path(__file__).parents[1]):
        for file in sorted(package.rglob("*.py")):
            digest.update(f"{package.name}/{file.relative_to(package).as_posix()}\0".encode())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class CacheInfo:
    path: Path
    pages: int
    bytes: int
    """Of compressed results."""


class PageCache:
    """Thread-safe; every method works, if only as an empty cache, whatever the disk does."""

    def __init__(self, folder: Path, max_bytes: int = MAX_BYTES) -> None:
        self.path = folder / _FILE
        self.max_bytes = max_bytes
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._off = False
        self._paused_by: int | None = None
        """The thread that forks."""
        self._unchecked = _CHECK_EVERY
        _caches.add(self)

    def get(self, key: str) -> bytes | None:
        def read(db: sqlite3.Connection) -> bytes | None:
            row = db.execute("SELECT data, used FROM pages WHERE key = ?", (key,)).fetchone()
            if row is None:
                return None
            now = time.time()
            if now - row[1] > 3600:  # often enough to know what is used, too seldom to cost anything
                db.execute("UPDATE pages SET used = ? WHERE key = ?", (now, key))
            return zlib.decompress(_unsealed(key, row[0]))

        return self._try(read, None)

    def put(self, key: str, data: bytes) -> None:
        packed = _sealed(key, zlib.compress(data, 3))

        def write(db: sqlite3.Connection) -> None:
            with db:
                db.execute(
                    "INSERT OR REPLACE INTO pages VALUES (?, ?, ?, ?)",
                    (key, packed, len(packed), time.time()),
                )
            self._unchecked += 1
            if self._unchecked >= _CHECK_EVERY:
                self._unchecked = 0
                self._evict(db)

        self._try(write, None)

    def info(self) -> CacheInfo:
        def count(db: sqlite3.Connection) -> tuple[int, int]:
            pages, size = db.execute("SELECT count(*), coalesce(sum(size), 0) FROM pages").fetchone()
            return pages, size

        pages, size = self._try(count, (0, 0))
        return CacheInfo(self.path, pages, size)

    def clear(self) -> int:
        """Drop every page; how many there were."""

        def drop(db: sqlite3.Connection) -> int:
            with db:
                count = db.execute("DELETE FROM pages").rowcount
            db.execute("VACUUM")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return count

        return self._try(drop, 0)

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def before_fork(self) -> None:
        """Nothing is open: what SQLite keeps of open files within a process, locks that other threads hold
        among it, would count in the child too, where nobody gives them up.
        https://www.sqlite.org/howtocorrupt.html#_carrying_an_open_database_file_across_a_fork_"""
        if not self._lock.acquire(timeout=_PAUSE):
            return
        self._paused_by = threading.get_ident()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def after_fork(self) -> None:
        if self._paused_by == threading.get_ident():
            self._paused_by = None
            self._lock.release()

    def begin_anew(self) -> None:
        """In a forked child: a thread it has not may hold the lock, and the connection is its parent's."""
        self._lock = threading.Lock()
        self._paused_by = None
        if self._connection is not None:
            _inherited.append(self._connection)
            self._connection = None

    def _evict(self, db: sqlite3.Connection) -> None:
        (size,) = db.execute("SELECT coalesce(sum(size), 0) FROM pages").fetchone()
        if size <= self.max_bytes:
            return
        with db:
            for key, freed in db.execute("SELECT key, size FROM pages ORDER BY used").fetchall():
                if size <= self.max_bytes * 0.9:
                    break
                db.execute("DELETE FROM pages WHERE key = ?", (key,))
                size -= freed

    def _try(self, work: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        with self._lock:
            for last in (False, True):
                if self._off:
                    return otherwise
                try:
                    return work(self._db())
                except sqlite3.OperationalError as error:
                    if not _is_damage(error):
                        self._give_up(error)
                        return otherwise
                    self._set_aside(error, last)
                except (sqlite3.DatabaseError, zlib.error) as error:
                    self._set_aside(error, last)
                except OSError as error:
                    self._give_up(error)
            return otherwise

    def _db(self) -> sqlite3.Connection:
        if self._connection is None:
            checked = private_file(self.path, _BESIDE)
            db = sqlite3.connect(self.path, timeout=30, isolation_level="IMMEDIATE", check_same_thread=False)
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            db.executescript(_SCHEMA)
            if private_file(self.path, _BESIDE) != checked:
                db.close()
                raise PermissionError("it was exchanged while it was opened")
            self._connection = db
        return self._connection

    def _set_aside(self, error: Exception, last: bool) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if last:
            self._give_up(error)
            return
        aside = self.path.with_name(f"{self.path.name}.damaged-{time.time_ns()}")
        try:
            os.replace(self.path, aside)
            for suffix in ("-wal", "-shm"):
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        except OSError as problem:
            self._give_up(problem)
            return
        log.warning("the page cache is damaged (%s): set aside as %s and begun anew", error, aside)

    def _give_up(self, error: Exception) -> None:
        self._off = True
        log.warning("pages are not cached from here on: %s: %s", self.path, error)


def _sealed(key: str, data: bytes) -> bytes:
    """With a checksum of both in front: what is at another key, or not what was put there, is damage."""
    return hashlib.sha256(key.encode() + b"\0" + data).digest() + data


def _unsealed(key: str, sealed: bytes) -> bytes:
    data = sealed[hashlib.sha256().digest_size :]
    if _sealed(key, data) != sealed:
        raise sqlite3.DatabaseError("a page is not the one that was put there")
    return data


def _is_damage(error: sqlite3.OperationalError) -> bool:
    text = str(error)
    return "malformed" in text or "no such table" in text or "no such column" in text


_open: dict[tuple[Path, int], PageCache] = {}
_open_lock = threading.Lock()


def shared_cache(folder: Path, max_bytes: int = MAX_BYTES) -> PageCache:
    """One cache a folder and process."""
    with _open_lock:
        key = (folder.absolute(), max_bytes)
        if key not in _open:
            _open[key] = PageCache(folder, max_bytes)
        return _open[key]


def _before_fork() -> None:
    for cache in list(_caches):
        cache.before_fork()


def _after_fork() -> None:
    for cache in list(_caches):
        cache.after_fork()


def _begin_anew() -> None:
    """A forked child finds every lock free, whatever the other threads of its parent were at."""
    global _open_lock
    _open_lock = threading.Lock()
    for cache in list(_caches):
        cache.begin_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_begin_anew)
