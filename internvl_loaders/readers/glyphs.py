"""Characters as readers give them, and the style that those of a run share."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal, NamedTuple

Axis = Literal["x", "y", "oblique"]
"""Along which text runs; on an oblique line boxes overlap, so only the reader's spaces part words."""

SPACES = frozenset(filter(str.isspace, map(chr, range(0x3001)))) - set("\x1c\x1d\x1e\x1f")

_PALE = 200
_BOLD = re.compile(r"bold|black|heavy|demi", re.IGNORECASE)
_ITALIC = re.compile(r"ital|obli|slant", re.IGNORECASE)
_MONO = re.compile(r"mono|courier|consol|menlo|typewriter|cmtt", re.IGNORECASE)


class Style(NamedTuple):
    """What the glyphs of one text run share; `size` in points as seen on the page."""

    font: str
    size: float
    bold: bool
    italic: bool
    mono: bool
    hidden: bool
    pale: bool = False


Glyph = tuple[str, float, float, float, float, float, Style]
"""One character: text, x0, y0, x1, y1, its baseline's y, style; in points of the upright page.

Plain, for there are thousands on a page."""


@lru_cache(4096)
def style_of(
    font: str,
    size: float,
    *,
    bold: bool = False,
    italic: bool = False,
    mono: bool = False,
    hidden: bool = False,
    pale: bool = False,
) -> Style:
    """What the reader does not know of a font is told by its name; a subset's tag is cut off."""
    name = font[7:] if font[6:7] == "+" else font
    return Style(
        name,
        size,
        bold or _BOLD.search(name) is not None,
        italic or _ITALIC.search(name) is not None,
        mono or _MONO.search(name) is not None,
        hidden,
        pale,
    )


def is_pale(red: int, green: int, blue: int) -> bool:
    """Whether a colour may not show on white; 0 to 255 each."""
    return min(red, green, blue) >= _PALE


def axis_of(dx: float, dy: float) -> Axis:
    """From a direction; 10 degrees off (a tilted scan's layer) still count as straight."""
    if abs(dy) <= 0.18 * abs(dx):
        return "x"
    return "y" if abs(dx) <= 0.18 * abs(dy) else "oblique"
