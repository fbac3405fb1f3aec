"""Whether a page's text layer can stand for the page."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from internvl_loaders.content import Content, Rect
from internvl_loaders.transcribe.legibility import illegible

Kind = Literal["sound", "empty", "missing", "image", "hidden", "garbled"]

_FEW_CHARACTERS = 250
"""Up to so many beside a large image are a header, a footer or a stamp, not the page."""
_LARGE = 0.5
"""Share of the page that images cover from which they, not the text, may be the page."""
_OUTLINES = 150
"""So many drawings and hardly a word: text drawn as curves, a map, a plan."""


@dataclass(slots=True, frozen=True)
class Verdict:
    """What the text layer is worth.

    `sound`: it is the page. `empty`: nothing is on the page. `missing`: things are, but no text.
    `image`: images or drawings are the page and the text a fringe. `hidden`: the text is not
    painted, an OCR layer of unknown worth. `garbled`: its characters are not those one sees.
    `reason` tells a person why it is not sound.
    """

    kind: Kind
    reason: str = ""

    @property
    def sound(self) -> bool:
        return self.kind == "sound"


def judge(content: Content) -> Verdict:
    words = [s.text for s in content.spans if not s.hidden]
    count = sum(map(len, words))
    hidden = sum(len(s.text) for s in content.spans if s.hidden)
    covered = _covered(content)
    if not content.spans and not content.figures and not content.drawings:
        return Verdict("empty", "nothing is on the page")
    if hidden > count and (covered > _LARGE or count < _FEW_CHARACTERS // 5):
        return Verdict("hidden", "its text is not painted: an OCR layer under a scan")
    if not words:
        return Verdict("missing", "the page has no text layer")
    if covered > _LARGE and count < _FEW_CHARACTERS:
        return Verdict("image", f"images cover {covered:.0%} of the page and its text is {count} characters")
    if content.drawings > _OUTLINES and count < _FEW_CHARACTERS // 8:
        return Verdict(
            "image", f"the page is {content.drawings:,} drawings and its text is {count} characters"
        )
    reason = illegible(words)
    return Verdict("garbled", f"its text layer is not legible: {reason}") if reason else Verdict("sound")


def visible(content: Content) -> Content:
    """The page without the text that is not painted."""
    return replace(content, spans=[s for s in content.spans if not s.hidden])


def _covered(content: Content) -> float:
    """The share of the page that figures cover, counted once where they overlap, on a 40 x 40 grid."""
    cells = 40
    taken = [0] * cells  # a bit a cell
    for figure in content.figures:
        columns, rows = _cells(figure, content.width, content.height, cells)
        mask = (1 << len(columns)) - 1 << columns.start
        for row in rows:
            taken[row] |= mask
    return sum(map(int.bit_count, taken)) / cells**2


def _cells(box: Rect, width: float, height: float, cells: int) -> tuple[range, range]:
    """The grid cells whose centres lie in the box."""

    def span(start: float, end: float, whole: float) -> range:
        scale = cells / whole if whole > 0 else 0.0
        return range(max(0, round(start * scale)), min(cells, round(end * scale)))

    return span(box.x0, box.x1, width), span(box.y0, box.y1, height)
