"""What goes between a worker and its owner: JSON heads with bytes behind them, never code."""

from __future__ import annotations

import json
import struct
from typing import IO, Any

from internvl_llm import errors
from internvl_llm.errors import InternVLError

KEPT_DOCUMENTS = 4
"""Open documents a worker keeps; its owner reckons with the same ones."""

BEGUN: dict[str, Any] = {"begun": True}
"""The head that a new worker sends once, when it is about to touch its first document."""

Reply = tuple[dict[str, Any], bytes]

_HEADER = struct.Struct(">II")


def write_frame(stream: IO[bytes], head: dict[str, Any], payload: bytes = b"") -> None:
    raw = json.dumps(head).encode()
    stream.write(_HEADER.pack(len(raw), len(payload)))
    stream.write(raw)
    stream.write(payload)
    stream.flush()


def read_frame(stream: IO[bytes]) -> Reply:
    """The next frame; EOFError when the other side is gone, ValueError when this is none."""
    sizes = _exactly(stream, _HEADER.size)
    head_size, payload_size = _HEADER.unpack(sizes)
    try:
        head = json.loads(_exactly(stream, head_size))
    except RecursionError as error:
        raise ValueError("a frame nested too deeply") from error
    if not isinstance(head, dict):
        raise ValueError("a frame without a head")
    return head, _exactly(stream, payload_size)


def _exactly(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise EOFError
    return data


def refusal(error: InternVLError) -> dict[str, Any]:
    """The head of a reply that says why there is no result."""
    return {
        "error": {
            "type": type(error).__name__,
            "message": error.message,
            "source": error.source,
            "page": error.page,
            "remedy": error.remedy,
        }
    }


def refused(head: dict[str, Any]) -> InternVLError:
    """The error of a reply whose head is a refusal; ValueError where it is none.

    What the head names is one of `internvl_llm.errors`, or else a PageError: a document may have taken over
    the worker that sends it.
    """
    match head.get("error"):
        case {
            "type": str(name),
            "message": str(message),
            "source": str() | None as source,
            "page": int() | None as page,
            "remedy": str() | None as remedy,
        }:
            kind = getattr(errors, name, None)
            if not (isinstance(kind, type) and issubclass(kind, InternVLError)):
                kind = errors.PageError
            return kind(message, source=source, page=page, remedy=remedy)
    raise ValueError("no refusal")
