"""Page images too dark or too pale to be read well, and what is done about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import ImageOps

if TYPE_CHECKING:
    import PIL.Image

_LOOK = 1000
"""Pixels of the longer side at which light is looked at."""
_PAPER, _PALE = 150, 60
"""Of 255: paper darker than the first is a photograph in poor light; ink that is no further from its paper
than the second is hardly printed."""
_MOSTLY = 0.5
"""Lightness of most of a page, by that of its lightest part, below which it is light text on dark."""


def is_dim(image: PIL.Image.Image) -> bool:
    """Whether it is darker or paler than what scanners give; not of light text on dark."""
    small = image.convert("L")
    small.thumbnail((_LOOK, _LOOK))
    ink, most, paper = np.percentile(np.asarray(small), [0.5, 50, 95])
    if most < _MOSTLY * paper or paper - ink < 12:
        return False
    return bool(paper < _PAPER or paper - ink < _PALE)


def lightened(image: PIL.Image.Image) -> PIL.Image.Image:
    """Stretched from its darkest to its lightest; colours keep their hue."""
    return ImageOps.autocontrast(image.convert("RGB"), cutoff=1, preserve_tone=True)
