"""A faster resizer for tiles: single values differ from Pillow's by a grey level or two."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

    from internvl_llm.prompt.tiling import Resize


def torch_bicubic(image: Image.Image) -> Resize:
    # A channels-last view: torch has a vectorised uint8 kernel for that layout.
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None]

    def resize(width: int, height: int) -> NDArray[np.uint8]:
        resized = torch.nn.functional.interpolate(
            pixels, size=(height, width), mode="bicubic", antialias=True, align_corners=False
        )
        array: NDArray[np.uint8] = resized[0].permute(1, 2, 0).contiguous().numpy()
        return array

    return resize
