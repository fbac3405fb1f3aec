from __future__ import annotations

import pytest
from PIL import Image

from internvl_llm.media.pixels import is_blank, scale_within


def test_blank() -> None:
    paper = Image.new("RGB", (100, 100), (250, 250, 245))
    assert is_blank(paper)
    paper.putpixel((50, 50), (90, 90, 90))
    assert not is_blank(paper)


@pytest.mark.parametrize(
    ("width", "height", "scale", "limit"),
    [(595, 842, 2.8, 40_000_000), (595, 842, 2.8, 1000), (1e6, 1, 4.2, 5000), (3, 3, 0.1, 1), (0, 5, 1, 9)],
)
def test_scale_within(width: float, height: float, scale: float, limit: int) -> None:
    found = scale_within(width, height, scale, limit)
    assert 0 < found <= scale
    assert max(1, -(-width * found // 1)) * max(1, -(-height * found // 1)) <= max(limit, 1)
