"""What image files say they hold, read from their structure before a library acts on it."""

from __future__ import annotations

import mmap
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

Buffer = bytes | mmap.mmap

_TYPE_BYTES = (0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 2, 8, 8, 8, 8)
"""Of a TIFF value, by its type (TIFF 6.0 section 2; 16 to 18 are BigTIFF's)."""
_SPARE = 2**20
_MARKER = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])", re.DOTALL)
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9


@contextmanager
def buffer(document: Path | bytes) -> Iterator[Buffer]:
    """The content, not copied; `document` is not empty."""
    if isinstance(document, bytes):
        yield document
        return
    with document.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        yield mapped


def tiff_frames(data: Buffer, most: int) -> int:
    """How many frames are chained, counted to `most` and one; a chain may end outside the file.

    Raises ValueError where directories claim several times what the file holds: each claim would
    be a copy in memory.
    """
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    count, entry, link = (
        (struct.Struct(order + form) for form in ("Q", "HHQQ", "Q"))
        if big
        else (struct.Struct(order + form) for form in ("H", "HHII", "I"))
    )
    if len(data) < 16:
        return 1
    (here,) = link.unpack_from(data, 8 if big else 4)
    seen: set[int] = set()
    claimed = 0
    while here and here not in seen and len(seen) <= most:
        seen.add(here)
        start = here + count.size
        if start > len(data):
            break
        (entries,) = count.unpack_from(data, here)
        end = start + entries * entry.size
        if end + link.size > len(data):
            break
        claimed += end - here
        for _, kind, values, offset in entry.iter_unpack(data[start:end]):
            size = values * (_TYPE_BYTES[kind] if kind < len(_TYPE_BYTES) else 0)
            if size > link.size:
                claimed += min(size, max(0, len(data) - offset))
        if claimed > 2 * len(data) + _SPARE:
            raise ValueError("its directories claim more than the file holds")
        (here,) = link.unpack_from(data, end)
    return len(seen)


def jpeg_scans(data: Buffer) -> int:
    """Scans of the first image: a progressive one is decoded in as many runs over all its pixels."""
    scans, place = 0, 2
    while (marker := _MARKER.search(data, place)) is not None and marker[1][0] != _END_OF_IMAGE:
        scans += marker[1][0] == _START_OF_SCAN
        place = marker.end()
        if len(data) < place + 2:
            break
        place += int.from_bytes(data[place : place + 2], "big")
    return scans


def webp_canvas(data: Buffer) -> tuple[int, int]:
    """Width and height of an animation's canvas; (0, 0) for a plain image."""
    if data[12:16] != b"VP8X" or len(data) < 30:
        return 0, 0
    width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
    return width, height


def png_metadata(data: Buffer) -> bytes:
    """The PNG with one pixel in place of its own, and what is said beside them, before or behind."""
    place, kept = len(_PNG), []
    while len(data) >= place + 12:
        size, kind = _CHUNK.unpack_from(data, place)
        if kind in _METADATA:
            kept.append(data[place : place + 12 + size])
        place += 12 + size
    return b"".join([_PNG, _ONE_PIXEL[0], *kept, *_ONE_PIXEL[1:]])


def _chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


_PNG = b"\x89PNG\r\n\x1a\n"
_CHUNK = struct.Struct(">I4s")
_METADATA = {b"eXIf", b"tEXt", b"zTXt", b"iTXt"}
_ONE_PIXEL = (
    _chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)),
    _chunk(b"IDAT", zlib.compress(bytes(2))),
    _chunk(b"IEND"),
)
