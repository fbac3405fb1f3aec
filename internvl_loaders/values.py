"""Frozen values that documents are made of: boxes, words, images, cells, disputes.

They know no format, so that `render` can stand on them and below `document`.
"""

from __future__ import annotations

import base64
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    model_validator,
)


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


Text = Annotated[str, AfterValidator(_encodable)]
"""Text that UTF-8 can carry: a lone surrogate, as broken fonts and file names yield, is U+FFFD."""


def _bytes(value: object) -> bytes:
    if isinstance(value, str):
        return base64.b64decode(value, validate=True)
    if isinstance(value, bytes):
        return value
    raise ValueError("neither bytes nor base64 text")


Base64Bytes = Annotated[
    bytes,
    PlainValidator(_bytes),
    PlainSerializer(lambda v: base64.b64encode(v).decode("ascii"), when_used="json"),
]


class Value(BaseModel):
    """Frozen, closed: an unknown field is an error, so a newer schema is noticed."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Box(Value):
    """A rectangle in fractions of the page, origin top left; 0 <= x0 <= x1 <= 1, same for y."""

    x0: float
    y0: float
    x1: float
    y1: float

    @model_validator(mode="after")
    def _ordered(self) -> Box:
        if not (0 <= self.x0 <= self.x1 <= 1 and 0 <= self.y0 <= self.y1 <= 1):
            raise ValueError(f"not a box within the page: {self}")
        return self

    @classmethod
    def of(cls, x0: float, y0: float, x1: float, y1: float, width: float = 1, height: float = 1) -> Box:
        """From page units, clipped to the page and rounded to 5 digits (0.01 mm on A4)."""

        def clip(v: float, whole: float) -> float:
            return round(min(max(v / whole, 0.0), 1.0), 5)

        left, right = sorted((clip(x0, width), clip(x1, width)))
        top, bottom = sorted((clip(y0, height), clip(y1, height)))
        return cls(x0=left, y0=top, x1=right, y1=bottom)

    @classmethod
    def around(cls, boxes: list[Box]) -> Box | None:
        """The smallest box that holds all of them."""
        if not boxes:
            return None
        return cls(
            x0=min(b.x0 for b in boxes),
            y0=min(b.y0 for b in boxes),
            x1=max(b.x1 for b in boxes),
            y1=max(b.y1 for b in boxes),
        )

    def __str__(self) -> str:
        return f"{self.x0:g},{self.y0:g},{self.x1:g},{self.y1:g}"


class Word(Value):
    """A word (or, in scripts without spaces, a run) with its place."""

    text: Text
    box: Box
    confidence: float | None = None


class Link(Value):
    """A piece of a text, from `start` to before `end`, that leads to a `url` or to a `page`, from 1."""

    text: Text
    url: Text = ""
    page: int | None = None
    start: int = Field(ge=0)
    end: int = Field(ge=0)


class Image(Value):
    """Encoded image bytes; base64 in JSON."""

    data: Base64Bytes = Field(repr=False)
    mime_type: Literal["image/png", "image/jpeg"] = "image/png"
    width: int
    height: int


class TextSpan(Value):
    """A stretch of an element's text, as offsets into it, that is set off: `struck` through."""

    start: int = Field(ge=0)
    end: int = Field(ge=0)
    struck: bool = False


class Cell(Value):
    """A table cell at (`row`, `col`), 0-based, covering `row_span` x `col_span` grid places.

    `source` says what read it, where that is not what read the page.
    """

    row: int = Field(ge=0)
    col: int = Field(ge=0)
    row_span: int = Field(default=1, ge=1)
    col_span: int = Field(default=1, ge=1)
    text: Text = ""
    header: bool = False
    box: Box | None = None
    confidence: float | None = None
    source: str = ""
    spans: tuple[TextSpan, ...] = ()
    links: tuple[Link, ...] = ()

    @property
    def places(self) -> list[tuple[int, int]]:
        """The (row, column) of every grid place the cell covers."""
        return [
            (row, col)
            for row in range(self.row, self.row + self.row_span)
            for col in range(self.col, self.col + self.col_span)
        ]


class FormField(Value):
    """Something to fill in: a field of a PDF's form, which has a `name`, or a printed box to tick.

    `checked` is of check boxes and radio buttons alone, whose `value` is what ticking them says; `label` is
    what stands beside or above it on the page.
    """

    kind: Literal["checkbox", "radio", "text", "choice", "signature"]
    name: Text = ""
    label: Text = ""
    value: Text = ""
    checked: bool | None = None
    box: Box | None = None


DisputeKind = Literal["number", "date", "amount", "identifier", "name", "word"]


class Dispute(Value):
    """A token that the transcription and a second reading of the page, the witness, read differently, or that
    a check speaks against.

    `text` is as it was transcribed, `witness` as the witness reads it ('' where it has nothing there),
    `asked` as it was read on a crop when the model was asked again, and `settled` the reading that the page
    now says: None while the dispute is open, `text` where that was kept. It stands in block `block` of the
    page (from 0), in a table in the cell at `row` and `col`, from character `start` of its text on.
    """

    text: Text
    witness: Text = ""
    kind: DisputeKind = "word"
    asked: tuple[Text, ...] = ()
    settled: Text | None = None
    check: Text = ""
    confidence: float | None = None
    box: Box | None = None
    block: int | None = None
    row: int | None = None
    col: int | None = None
    start: int | None = None


class Finding(Value):
    """What a check of the page's own figures came to, such as a sum that its rows do not give."""

    check: str
    text: Text
    block: int | None = None
    box: Box | None = None


class AttemptRecord(Value):
    """How a model was asked about a page, and what was wrong with the answer (nothing, where it is used)."""

    what: Text
    problem: Text = ""
    tokens: int | None = None
    seconds: float | None = None
