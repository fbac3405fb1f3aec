"""Mutators of PNG, JPEG, TIFF, GIF, BMP and WEBP images; see `tests.kit.mutations`."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from random import Random

HEADS = {
    "pdf": b"%PDF-1.7\n",
    "png": b"\x89PNG\r\n\x1a\n",
    "jpeg": b"\xff\xd8\xff\xe0",
    "tiff": b"II*\x00\x08\x00\x00\x00",
    "gif": b"GIF89a",
    "webp": b"RIFF\x00\x00\x10\x00WEBP",
    "bmp": b"BM\x00\x00\x10\x00\x00\x00\x00\x00",
}


def kind(data: bytes) -> str:
    """The type its first bytes tell: a key of `HEADS`, or `other`."""
    if b"%PDF-" in data[:1024]:
        return "pdf"
    if data[:4] == b"MM\x00*":
        return "tiff"
    heads = {"png": 4, "jpeg": 3, "tiff": 4, "gif": 4, "webp": 4, "bmp": 2}
    return next((name for name, size in heads.items() if data.startswith(HEADS[name][:size])), "other")


def lying_chunks(data: bytes, random: Random) -> bytes:
    """PNG chunks or JPEG segments with another length, another order, or twice."""
    parts = list(_chunks(data))
    if len(parts) < 3:
        return data
    at = random.randrange(1, len(parts))
    match random.randrange(4):
        case 0:
            size = struct.Struct(">I" if kind(data) == "png" else ">H")
            offset = 0 if kind(data) == "png" else 2
            lie = random.choice((0, 1, 2, 5, 0xFFFF, 0x7FFF_FFFF, 0xFFFF_FFFF)) & (2 ** (8 * size.size) - 1)
            if len(parts[at]) >= offset + size.size:
                parts[at] = parts[at][:offset] + size.pack(lie) + parts[at][offset + size.size :]
        case 1:
            parts.insert(at, parts[at] * random.choice((1, 50)))
        case 2:
            random.shuffle(parts)
        case _:
            del parts[at]
    return b"".join(parts)


def lying_size(data: bytes, random: Random) -> bytes:
    """Another width, height or depth than the pixels have; checksums are right."""
    out = bytearray(data)
    sides = [random.choice((0, 1, 7, 20_000, 65_535)) for _ in range(2)]
    match kind(data):
        case "png" if len(data) > 33:
            struct.pack_into(
                ">II", out, 16, *(random.choice((side, side * 30_000)) & 0xFFFF_FFFF for side in sides)
            )
            out[24] = random.choice((out[24], 1, 3, 16))
            struct.pack_into(">I", out, 29, zlib.crc32(out[12:29]))
        case "jpeg":
            frame = re.search(rb"\xff[\xc0-\xc2]\x00.", data, re.DOTALL)
            if frame and frame.end() + 5 <= len(data):
                struct.pack_into(">HH", out, frame.end() + 1, *sides)
        case "gif" if len(data) > 10:
            struct.pack_into("<HH", out, 6, *sides)
        case "bmp" if len(data) > 26:
            struct.pack_into("<ii", out, 18, *(side * random.choice((1, -1, 30_000)) for side in sides))
        case "webp" if len(data) > 30:
            out[random.randrange(20, 30)] = random.randrange(256)
        case "tiff":
            _lie_in_tiff(out, random, tags={256, 257, 258, 277, 278})
    return bytes(out)


def lying_tags(data: bytes, random: Random) -> bytes:
    """TIFF entries with another count, type or value."""
    out = bytearray(data)
    _lie_in_tiff(out, random, tags=None)
    return bytes(out)


def cyclic_directories(data: bytes, random: Random) -> bytes:
    """The TIFF directory that follows the last one is an earlier one, or itself."""
    out = bytearray(data)
    order, directories = _directories(data)
    if directories:
        start = random.choice(directories)
        (count,) = struct.unpack_from(f"{order}H", data, start)
        struct.pack_into(f"{order}I", out, start + 2 + 12 * count, random.choice(directories))
    return bytes(out)


def _chunks(data: bytes) -> Iterator[bytes]:
    """The signature and the chunks of a PNG, the marker segments of a JPEG; what follows as one."""
    if kind(data) == "png":
        at = 8
        yield data[:at]
        while at + 12 <= len(data):
            end = at + 12 + struct.unpack_from(">I", data, at)[0]
            yield data[at:end]
            at = end
    else:
        at = 2
        yield data[:at]
        while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
            end = at + 2 + struct.unpack_from(">H", data, at + 2)[0]
            yield data[at:end]
            at = end
        yield data[at:]


def _directories(data: bytes) -> tuple[str, list[int]]:
    """The byte order and where the directories of a TIFF start."""
    order = "<" if data[:2] == b"II" else ">"
    found: list[int] = []
    at = struct.unpack_from(f"{order}I", data, 4)[0] if len(data) >= 8 else 0
    while at and at + 2 <= len(data) and at not in found:
        (count,) = struct.unpack_from(f"{order}H", data, at)
        end = at + 2 + 12 * count
        if end + 4 > len(data):
            break
        found.append(at)
        (at,) = struct.unpack_from(f"{order}I", data, end)
    return order, found


def _lie_in_tiff(out: bytearray, random: Random, tags: set[int] | None) -> None:
    order, directories = _directories(bytes(out))
    for start in directories:
        (count,) = struct.unpack_from(f"{order}H", out, start)
        entries = [start + 2 + 12 * n for n in range(count)]
        if tags is not None:
            entries = [at for at in entries if struct.unpack_from(f"{order}H", out, at)[0] in tags]
        for at in random.sample(entries, min(2, len(entries))):
            lie = random.choice((0, 1, 3, 65_535, 70_000, 2**31, 2**32 - 1))
            if tags is not None or random.random() < 0.5:
                struct.pack_into(f"{order}I", out, at + 8, lie)
            else:
                struct.pack_into(f"{order}I", out, at + 4, lie)
