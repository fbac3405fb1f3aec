"""Targets over what callers hand in: sources, page ranges, names of results, frames of workers."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import os
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hypothesis import assume
from hypothesis import strategies as st

from internvl_llm.media.limits import Limits
from internvl_llm.media.page_ranges import page_ranges, select_pages
from internvl_llm.media.workers.frames import read_frame, write_frame
from internvl_loaders.cli.files import Names
from internvl_loaders.errors import OptionError, SourceError
from internvl_loaders.folders import is_document
from internvl_loaders.options import ParseOptions
from internvl_loaders.sources import Named, Source, is_single, output_name, resolve
from tests.fuzz.target import target

LIMITS = Limits(max_bytes=1000, max_seconds=1, max_download_seconds=1)
NAMES = st.text(max_size=30) | st.text(st.characters(), max_size=8)
PARTS = st.sampled_from(
    [
        *("a.pdf", "A.PDF", "b.png", "*", "**", "[a]", "[", "]", "?", "{a}", "~", "sub", ".", " ", "\0"),
        *("con", "a" * 300, "\udcff", "é", "\n", "x.pdf/", "nul.png", "-rf", "%2e%2e", "C:"),
    ]
)
URLS = st.sampled_from(["http://", "https://", "ftp://", "data://", "HTTP://", "file://", "s3://"])
HOSTS = st.sampled_from(
    [
        *("", "[::1", "[::1]", "127.0.0.1", "2130706433", "0x7f.1", "[::ffff:10.0.0.1]", "10.0.0.1:99999"),
        *("169.254.169.254", "127.0.0.1:0", "a@127.0.0.1", "\0", "%31", "127.0.0.1\r\nX: y", "0", "[", ":"),
        *("[fe80::1%25lo]", "@", "192.168.0.1:x"),
    ]
)
LOCAL_URLS = st.builds(lambda scheme, host, rest: f"{scheme}{host}/{rest}", URLS, HOSTS, NAMES)


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "sub").mkdir()
        for file in ("a.pdf", "b.png", "sub/c.pdf", "sub/notes.txt"):
            (root / file).write_bytes(b"%PDF-1.4\n")
        (root / "loop").symlink_to(root)
        yield root


class Broken(io.RawIOBase):
    """A stream that fails when read."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def read(self, size: int = -1) -> bytes:
        raise self.error


IN_MEMORY = (
    st.binary(max_size=1200)
    | st.binary(max_size=20).map(bytearray)
    | st.binary(max_size=20).map(memoryview)
    | st.binary(max_size=1200).map(io.BytesIO)
    | st.sampled_from([OSError("x"), ValueError("closed"), PermissionError()]).map(Broken)
)
NOT_SOURCES = st.none() | st.integers() | st.floats() | st.booleans() | st.builds(object)


def check_source(found: Source, own: Path | None) -> None:
    assert sum(value is not None for value in (found.path, found.data, found.error)) == 1, found
    assert isinstance(found.name, str) and found.output
    assert found.error is None or (isinstance(found.error, SourceError) and str(found.error))
    filed = PurePosixPath(found.output)
    assert not filed.is_absolute() and ".." not in filed.parts, found.output
    if own is not None and found.path is not None:
        assert own.resolve() in found.path.resolve().parents


@target(st.lists(PARTS | NAMES, max_size=4), st.booleans())
def paths_resolve(parts: list[str], as_path: bool) -> None:
    assume(not any(".." in part or part.startswith("/") or "/../" in part for part in parts))
    with folder() as root:
        text = "/".join([str(root), *parts])
        source: Any = text
        if as_path:
            with contextlib.suppress(ValueError):
                source = Path(text)
        assert is_single(source) in {True, False}
        for found in itertools.islice(resolve(source, LIMITS), 50):
            check_source(found, root)


@target(st.recursive(IN_MEMORY | LOCAL_URLS, lambda inner: st.lists(inner, max_size=4), max_leaves=8))
def data_and_urls_resolve(source: Any) -> None:
    assert is_single(source) in {True, False}
    for found in resolve(source, LIMITS):
        check_source(found, None)
        assert found.data is None or len(found.data) <= 1200


@target(IN_MEMORY | NOT_SOURCES, NAMES)
def named_data_resolves(data: Any, name: str) -> None:
    try:
        for found in resolve(Named(data, name), LIMITS):
            check_source(found, None)
    except OptionError:
        assert not isinstance(data, bytes | bytearray | memoryview | io.IOBase)


@target(NOT_SOURCES | st.lists(NOT_SOURCES, min_size=1, max_size=3))
def what_is_no_source_is_said_so(source: Any) -> None:
    try:
        list(resolve(source, LIMITS))
    except OptionError:
        return
    raise AssertionError(f"{source!r} was taken for a source")


@target(st.text() | st.lists(PARTS | NAMES, max_size=5).map("/".join), st.binary(max_size=40))
def names_of_outputs_are_plain(name: str, head: bytes) -> None:
    given = output_name(name)
    assert given and "/" not in given and "\\" not in given and "\0" not in given and given not in {".", ".."}
    assert is_document(head) in {True, False}


RANGES = (
    st.text("0123456789-, ", max_size=30) | st.text(max_size=10) | st.text("19", min_size=4000, max_size=5000)
)


@target(RANGES, st.integers(0, 200))
def page_ranges_are_pages(text: str, total: int) -> None:
    try:
        ranges = page_ranges(text)
    except OptionError:
        with pytest.raises(OptionError):
            ParseOptions.of(pages=text)
        return
    chosen = list(select_pages(text, total))
    assert chosen == [n for n in range(1, total + 1) if any(a <= n <= (b or total) for a, b in ranges)]
    assert ParseOptions.of(pages=text).pages == text


@target(st.lists(st.lists(PARTS | NAMES | st.just(".."), max_size=4).map("/".join), max_size=12))
def output_names_stay_inside_and_apart(wanted: list[str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name).resolve()
        names = Names(root)
        given = [names.claim(text) for text in wanted]
        assert len({str(path).casefold() for path in given}) == len(given)
        for path in given:
            assert root in Path(os.path.normpath(path)).parents, path
            # a format's suffix is put behind it
            for part in path.relative_to(root).parts:
                assert len(os.fsencode(part)) <= 240
                assert not part.endswith(" ") and "\0" not in part
        # none is a folder of another: a document `a` and a folder `a` could not both be there
        files = {str(path).casefold() + ".md" for path in given}
        assert not any(str(parent).casefold() in files for path in given for parent in path.parents)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@target(st.dictionaries(st.text(max_size=9), JSON, max_size=4), st.binary(max_size=99), st.data())
def frames_come_back_or_end(head: dict[str, Any], payload: bytes, data: st.DataObject) -> None:
    stream = io.BytesIO()
    write_frame(stream, head, payload)
    raw = stream.getvalue()
    assert read_frame(io.BytesIO(raw)) == (head, payload)
    damaged = bytearray(raw)
    for at in data.draw(st.lists(st.integers(0, len(raw) - 1), max_size=4)):
        damaged[at] = data.draw(st.integers(0, 255))
    frame_or_end(bytes(damaged[: data.draw(st.integers(0, len(raw)))]))


@target(st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()) | st.just(b"[" * 3000))
def any_head_of_a_frame_is_a_frame_or_the_end(raw: bytes) -> None:
    frame_or_end(struct.pack(">II", len(raw), 0) + raw)


def frame_or_end(raw: bytes) -> None:
    assume(max(raw[0:1] or b"\0", raw[4:5] or b"\0") == b"\0")  # gigabytes are not there to be read
    try:
        head, payload = read_frame(io.BytesIO(raw))
    except (EOFError, ValueError, OSError):
        return
    assert isinstance(head, dict) and isinstance(payload, bytes)
