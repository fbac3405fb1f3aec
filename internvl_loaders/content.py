"""What a page holds before it has structure: spans, rulings and figures in page units.

Both a PDF's text layer and OCR come down to this, so structure is found by one code for both.
Units are points (1/72 inch) of the upright page, origin top left.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple


class Rect(NamedTuple):
    """x0 <= x1, y0 <= y1."""

    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(slots=True, frozen=True)
class Span:
    """A word as a reader or OCR gives it: no inner spaces unless `text` is one OCR line.

    `size` is the font size in points (for OCR: the line's height), `line` the reader's own line
    (spans of one `line` follow one another on a baseline, in order); `confidence` only from OCR.
    `upright` is False for text that runs up or down the page. `hidden` is text that is not
    painted (render mode 3, or the like): an OCR layer under a scan. `tied` is text that belongs to what
    stands before it on its line, however wide the gap: the value of a form's field. `struck` is text with a
    line through it. `href` is the target of the link that the word is, or is part of, which covers `linked`.
    `pale` is text in a colour that does not show on white.
    """

    text: str
    x0: float
    y0: float
    x1: float
    y1: float
    size: float = 0.0
    line: int = -1
    font: str = ""
    bold: bool = False
    italic: bool = False
    mono: bool = False
    superscript: bool = False
    upright: bool = True
    hidden: bool = False
    confidence: float | None = None
    tied: bool = False
    struck: bool = False
    href: str = ""
    linked: Rect | None = None
    pale: bool = False

    @property
    def rect(self) -> Rect:
        return Rect(self.x0, self.y0, self.x1, self.y1)


class Ruling(NamedTuple):
    """A straight drawn line, horizontal (y0 == y1) or vertical (x0 == x1)."""

    x0: float
    y0: float
    x1: float
    y1: float


FieldKind = Literal["checkbox", "radio", "text", "choice", "signature"]


class Field(NamedTuple):
    """A field of a PDF's form; `checked` of check boxes and radio buttons alone. `label` is the field's own
    alternate name, which need not be on the page."""

    kind: FieldKind
    rect: Rect
    name: str = ""
    value: str = ""
    checked: bool | None = None
    label: str = ""


class PageLink(NamedTuple):
    """Where a page can be clicked, and the address that leads to; `#page=7` is a page of the document."""

    rect: Rect
    target: str


class Mark(NamedTuple):
    """A drawing that stands for a character: an empty box or circle `☐`, a ticked one `☒`, a filled one `■`,
    and a tick `✓`, a cross `✗` or a dot `●` without a box."""

    rect: Rect
    text: str


class Title(NamedTuple):
    """An entry of a document's outline that leads to the page; `level` is from 1."""

    level: int
    text: str


@dataclass(slots=True)
class Content:
    """Everything a page holds. `drawings` counts its vector drawings, rulings or not; `shapes` are the places
    of small ones that may be boxes or ticks, `marks` what they turned out to be; `fills` are the
    places of filled ones that may cover text."""

    width: float
    height: float
    spans: list[Span] = field(default_factory=list)
    rulings: list[Ruling] = field(default_factory=list)
    figures: list[Rect] = field(default_factory=list)
    drawings: int = 0
    fields: list[Field] = field(default_factory=list)
    shapes: list[Rect] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    links: list[PageLink] = field(default_factory=list)
    fills: list[Rect] = field(default_factory=list)
    outline: list[Title] = field(default_factory=list)
