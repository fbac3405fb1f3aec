"""Page images too dark or too pale to be read well, and what is done about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    import PIL.Image

_LOOK = 1000
"""Pixels of the longer side at which light is looked at."""
_PAPER, _PALE = 150, 60
"""Of 255: paper darker than the first is a photograph in poor light; ink that is no further from its paper than
the second is hardly printed."""
_MOSTLY = 0.5
"""Lightness of most of a page, by that of its lightest part, below which it is light text on dark."""
_CLIP, _GRID = 3.0, (8, 8)


def is_dim(image: PIL.Image.Image) -> bool:
    """Whether `lightened` helps: on clear pages it changes what is read for the worse as often as not."""
    small = image.convert("L")
    small.thumbnail((_LOOK, _LOOK))
    ink, most, paper = np.percentile(np.asarray(small), [0.5, 50, 95])
    if most < _MOSTLY * paper or paper - ink < 12:
        return False
    return bool(paper < _PAPER or paper - ink < _PALE)


def lightened(image: PIL.Image.Image) -> PIL.Image.Image:
    """With its contrast made even, place by place (CLAHE, Zuiderveld 1994); colours keep their hue."""
    from PIL import Image

    light, a, b = cv2.split(cv2.cvtColor(np.asarray(image.convert("RGB")), cv2.COLOR_RGB2LAB))
    light = cv2.createCLAHE(_CLIP, _GRID).apply(light)
    return Image.fromarray(cv2.cvtColor(cv2.merge([light, a, b]), cv2.COLOR_LAB2RGB))
