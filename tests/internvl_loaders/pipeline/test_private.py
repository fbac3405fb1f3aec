"""A cache that somebody else may have written is not read, and not written either; the user is told."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from internvl_loaders import Named, parse
from internvl_loaders.pipeline.cache import PageCache
from tests.internvl_loaders.pipeline.test_faults import scripted  # noqa: F401  (a fixture)

pytestmark = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no owners of POSIX")
ANOTHER = 12_345
root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away"
)


def filled(folder: Path) -> Path:
    cache = PageCache(folder)
    cache.put("k", b"page")
    cache.close()
    return cache.path


def refused(folder: Path, caplog: pytest.LogCaptureFixture) -> str:
    """Why nothing is got from there and nothing put."""
    before = sorted((path.name, path.lstat().st_size) for path in folder.iterdir())
    cache = PageCache(folder)
    assert cache.get("k") is None
    cache.put("other", b"page")
    assert sorted((path.name, path.lstat().st_size) for path in folder.iterdir()) == before
    (record,) = [record for record in caplog.records if "pages are not cached" in record.message]
    return record.message


def world_writable_folder(file: Path) -> None:
    file.parent.chmod(0o777)


def sticky_folder(file: Path) -> None:
    file.parent.chmod(0o1777)


def group_writable_folder(file: Path) -> None:
    file.parent.chmod(0o770)


def writable_file(file: Path) -> None:
    file.chmod(0o606)


def group_writable_file(file: Path) -> None:
    file.chmod(0o660)


def linked_file(file: Path) -> None:
    file.rename(file.with_name("elsewhere"))
    file.symlink_to("elsewhere")


def dangling_link(file: Path) -> None:
    file.unlink()
    file.symlink_to("nowhere")


def hard_link(file: Path) -> None:
    os.link(file, file.with_name("another"))


def pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def linked_journal(file: Path) -> None:
    file.with_name("mine").write_bytes(b"")
    file.with_name(file.name + "-wal").symlink_to("mine")


def owned(file: Path) -> None:
    os.chown(file, ANOTHER, -1)


def owned_folder(file: Path) -> None:
    os.chown(file.parent, ANOTHER, -1)


def owned_journal(file: Path) -> None:
    journal = file.with_name(file.name + "-journal")
    journal.write_bytes(b"")
    os.chown(journal, ANOTHER, -1)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (world_writable_folder, "others may write"),
        (sticky_folder, "others may write"),
        (group_writable_folder, "others may write"),
        (writable_file, "others may write"),
        (group_writable_file, "others may write"),
        (linked_file, "is a link"),
        (dangling_link, "is a link"),
        (hard_link, "is a link"),
        (pipe, "no file"),
        (linked_journal, "is a link"),
        pytest.param(owned, "another user", marks=root),
        pytest.param(owned_folder, "another user", marks=root),
        pytest.param(owned_journal, "another user", marks=root),
    ],
)
def test_what_others_may_have_written_is_refused(
    change: Callable[[Path], None], reason: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = filled(tmp_path / "cache")
    change(file)
    told = refused(file.parent, caplog)
    assert reason in told
    assert str(file.parent) in told


@root
def test_a_link_of_another_user_to_a_folder_of_ours(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    filled(tmp_path / "cache")
    (tmp_path / "ours").symlink_to("cache")
    assert PageCache(tmp_path / "ours").get("k") == b"page"
    (tmp_path / "theirs").symlink_to("cache")
    os.chown(tmp_path / "theirs", ANOTHER, -1, follow_symlinks=False)
    assert "made the link" in refused(tmp_path / "theirs", caplog)


def test_an_exchange_while_it_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file, forged = filled(tmp_path / "cache"), filled(tmp_path / "forged")
    connect = sqlite3.connect

    def exchange(*arguments: object, **more: object) -> sqlite3.Connection:
        os.replace(forged, file)
        return connect(*arguments, **more)  # type: ignore[call-overload,no-any-return]

    monkeypatch.setattr(sqlite3, "connect", exchange)
    assert PageCache(tmp_path / "cache").get("k") is None
    assert "exchanged" in caplog.text


def test_a_page_at_another_key_is_damage(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache = PageCache(tmp_path)
    cache.put("a", b"page a")
    cache.put("b", b"page b")
    cache.close()
    with sqlite3.connect(cache.path) as db:
        db.execute("UPDATE pages SET data = (SELECT data FROM pages WHERE key = 'b') WHERE key = 'a'")
    db.close()
    assert cache.get("a") is None
    assert "set aside" in caplog.text


@pytest.mark.usefixtures("scripted")
def test_nothing_is_lost_where_the_cache_is_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tmp_path.chmod(0o777)
    pages = list(parse(Named(b"text a\ntext b", "s"), cache_dir=tmp_path))
    assert [page.status for page in pages] == ["ok", "ok"]
    assert caplog.text.count("pages are not cached") == 1
    assert not list(tmp_path.iterdir())


def test_folders_that_we_make_are_ours_alone(tmp_path: Path) -> None:
    file = filled(tmp_path / "a" / "b")
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
