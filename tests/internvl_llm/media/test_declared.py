from __future__ import annotations

import struct
from pathlib import Path

import pytest

from internvl_llm.media.declared import buffer, jpeg_scans, tiff_frames, webp_canvas
from tests.kit import bombs


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_frames_are_counted(order: str, big: bool, tmp_path: Path) -> None:
    magic = {"<": b"II", ">": b"MM"}[order]
    if big:
        head = magic + struct.pack(order + "HHHQ", 43, 8, 0, 16)
        one = struct.pack(order + "QHHQQ", 1, 256, 4, 1, 1)
        link = "Q"
    else:
        head = magic + struct.pack(order + "HI8x", 42, 16)
        one = struct.pack(order + "HHHII", 1, 256, 4, 1, 1)
        link = "I"
    size = len(one) + struct.calcsize(order + link)

    def chain(count: int, last: int) -> bytes:
        links = [16 + (i + 1) * size for i in range(count - 1)] + [last]
        return head + b"".join(one + struct.pack(order + link, place) for place in links)

    assert tiff_frames(chain(5, 0), 100) == 5
    assert tiff_frames(chain(5, 16), 100) == 5  # round and round
    assert tiff_frames(chain(5, 10**6), 100) == 6  # one that is cut off: it will fail, not vanish
    assert tiff_frames(chain(5, 0), 3) == 4
    assert tiff_frames(head[:9], 3) == 1
    path = tmp_path / "a.tif"
    path.write_bytes(chain(2, 0))
    with buffer(path) as data:
        assert tiff_frames(data, 100) == 2


def test_scans_are_counted() -> None:
    """Of the image alone: what other segments hold, or what follows it, is none of its scans."""
    assert jpeg_scans(bombs.jpeg_of_scans(7, 64)) == 6 - 1 + 7
    plain = bombs.jpeg_of_scans(1, 64)
    thumbnail = b"\xff\xe1\x00\x0a" + b"\xff\xda" * 4
    assert jpeg_scans(plain[:2] + thumbnail + plain[2:] + plain) == jpeg_scans(plain) == 6
    assert jpeg_scans(plain[:50]) == 0


def test_canvases() -> None:
    assert webp_canvas(bombs.webp_canvas(70_000, 3)) == (70_000, 3)
    assert webp_canvas(b"RIFF\0\0\0\0WEBPVP8X") == (0, 0)
