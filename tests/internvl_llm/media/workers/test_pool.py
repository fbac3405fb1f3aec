"""Frames: what a worker sends is read as a frame or ends the worker, never the caller."""

from __future__ import annotations

import io
import struct

import pytest

from internvl_llm.media.workers.pool import read_frame, write_frame
from internvl_loaders import parse


def framed(head: bytes, payload: bytes = b"") -> bytes:
    return struct.pack(">II", len(head), len(payload)) + head + payload


def test_frames_come_back() -> None:
    stream = io.BytesIO()
    write_frame(stream, {"a": 1}, b"data")
    write_frame(stream, {})
    stream.seek(0)
    assert read_frame(stream) == ({"a": 1}, b"data")
    assert read_frame(stream) == ({}, b"")
    with pytest.raises(EOFError):
        read_frame(stream)


@pytest.mark.parametrize("head", [b"", b"{", b"null", b"[]", b"\xff", b"1", b"[" * 100_000])
def test_what_is_no_frame_is_said_so(head: bytes) -> None:
    with pytest.raises(ValueError, match="frame|Expecting|decode"):
        read_frame(io.BytesIO(framed(head)))


@pytest.mark.parametrize("cut", range(12))
def test_half_a_frame_is_the_end(cut: int) -> None:
    with pytest.raises(EOFError):
        read_frame(io.BytesIO(framed(b"{}", b"data")[:cut]))


@pytest.mark.parametrize(
    "said", [framed(b"null"), framed(b"[" * 100_000), framed(b"{"), b"\xff" * 8, b"\0" * 7]
)
def test_a_worker_that_talks_nonsense_costs_its_document(
    said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    nonsense = f"import os, time; os.write(1, {said!r}); os.close(1); time.sleep(0.2)"
    monkeypatch.setattr("internvl_llm.media.workers.pool.BOOTSTRAP", nonsense)
    monkeypatch.setattr("internvl_llm.media.workers.pool._pools", {})
    (page,) = parse([b"%PDF-1.4"], limits={"max_seconds": 20})
    assert (page.number, page.status) == (0, "failed")
    assert "the process reading it ended" in page.reason


ANSWERING = """
import os
from internvl_llm.media.workers.pool import read_frame, write_frame
requests, replies = os.fdopen(os.dup(0), 'rb'), os.fdopen(os.dup(1), 'wb')
while True:
    head, _ = read_frame(requests)
    write_frame(replies, {opened} if head['op'] == 'open' else {read}, b'junk')
"""
OPENED = {"pages": 1, "sha256": "0"}


@pytest.mark.parametrize(
    ("opened", "read"),
    [
        ({}, {}),
        ({"pages": "many", "sha256": 3}, {}),
        ({"error": 5}, {}),
        ({"error": {"type": "annotations", "message": 5, "source": 1, "page": 1, "remedy": []}}, {}),
        (OPENED, {}),
        (OPENED, {"error": {}}),
        (OPENED, {"error": None}),
    ],
)
def test_a_worker_that_answers_something_else_costs_its_page(
    opened: object, read: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering = ANSWERING.replace("{opened}", repr(opened)).replace("{read}", repr(read))
    monkeypatch.setattr("internvl_llm.media.workers.pool.BOOTSTRAP", answering)
    monkeypatch.setattr("internvl_llm.media.workers.pool._pools", {})
    (page,) = parse([b"%PDF-1.4"], limits={"max_seconds": 20})
    assert (page.number, page.status) == (int(opened == OPENED), "failed")
    assert "is no page" in page.reason
