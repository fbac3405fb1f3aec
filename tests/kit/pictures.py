"""Small images, and videos in which every frame tells its number."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageDraw
import pytest

SIZE = (64, 48)
STEP = 8
"""Grey levels between one frame and the next."""


def gradient(width: int = 60, height: int = 40) -> PIL.Image.Image:
    """No two of its turns and reflections are the same."""
    across, down = np.meshgrid(np.arange(width), np.arange(height))
    return PIL.Image.fromarray(
        np.stack([across * 4 % 256, down * 6 % 256, across ^ down], -1).astype(np.uint8)
    )


def noise(size: tuple[int, int], mode: str = "RGB", seed: int = 0) -> PIL.Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 4), dtype=np.uint8)
    return PIL.Image.fromarray(values, "RGBA").convert(mode)


def text_page(size: tuple[int, int]) -> PIL.Image.Image:
    """Dark lines of text on white, with a scan's grain."""
    image = PIL.Image.new("RGB", size, "white")
    draw = PIL.ImageDraw.Draw(image)
    for y in range(20, size[1], 30):
        draw.text(
            (30, y), "The quick brown fox jumps over 13 lazy dogs. " * 4, fill=(y % 90,) * 3, font_size=22
        )
    grain = np.random.default_rng(1).integers(-12, 13, (size[1], size[0], 3))
    return PIL.Image.fromarray((np.asarray(image).astype(int) + grain).clip(0, 255).astype(np.uint8))


def video(frames: int = 24, *, form: str = "mp4", codec: str = "mpeg4") -> bytes:
    """8 frames a second, a keyframe every 6; frame n is of the grey n * STEP, its top left quarter white."""
    av = pytest.importorskip("av")
    out = io.BytesIO()
    with av.open(out, "w", format=form) as container:
        stream: Any = container.add_stream(codec, rate=8, options={"g": "6", "qmax": "2"})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for number in range(frames):
            picture = np.full((SIZE[1], SIZE[0], 3), number * STEP, np.uint8)
            picture[: SIZE[1] // 2, : SIZE[0] // 2] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return out.getvalue()


def turned(mp4: bytes) -> bytes:
    """To be shown a quarter to the right, as phones held upright write it: the matrix of its track header."""
    at = mp4.index(b"tkhd") + 4 + 40
    matrix = [0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000]
    return mp4[:at] + b"".join(value.to_bytes(4, "big", signed=True) for value in matrix) + mp4[at + 36 :]
