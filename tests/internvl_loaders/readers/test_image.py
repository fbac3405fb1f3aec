from __future__ import annotations

import PIL.Image

from internvl_llm.media.limits import Limits
from internvl_loaders.readers.image import ImageReader
from tests.kit.build import image_bytes


def test_content_is_one_figure() -> None:
    data = image_bytes(PIL.Image.new("L", (80, 40)), "PNG")
    content = ImageReader(data, name="given", limits=Limits()).content(0)
    assert content.spans == []
    assert [tuple(f) for f in content.figures] == [(0, 0, content.width, content.height)]
