"""Frames: what a worker sends is read as a frame or ends the worker, never the caller."""

from __future__ import annotations

import io
import struct

import pytest

from internvl_llm import errors
from internvl_llm.errors import LimitError, PageError, limit_error
from internvl_llm.media.workers.frames import read_frame, refusal, refused, write_frame


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


def test_errors_come_back() -> None:
    for error in (
        limit_error("larger than", "max_bytes", 5, "a.pdf"),
        PageError("odd", source="a.pdf", page=3, remedy="Mend it"),
        errors.DamagedDocumentError("cut"),
    ):
        back = refused(refusal(error))
        assert type(back) is type(error) and str(back) == str(error)


@pytest.mark.parametrize("name", ["annotations", "limit_error", "_rebuild", "Exception", "", "refused"])
def test_a_worker_names_no_class_but_our_errors(name: str) -> None:
    assert type(refused({"error": refusal(LimitError("x"))["error"] | {"type": name}})) is PageError


@pytest.mark.parametrize(
    "error",
    [None, 5, {}, {"message": 5}, {"page": "1"}, {"source": []}, {"remedy": {}}, {"type": None}],
)
def test_what_is_no_refusal(error: object) -> None:
    sound = refusal(LimitError("x"))["error"]
    given = sound | error if isinstance(error, dict) and error else error
    with pytest.raises(ValueError, match="no refusal"):
        refused({"error": given})
