"""InternVL's grounding: `<ref>label</ref><box>[[x1, y1, x2, y2], ...]</box>`, corners on a grid of 0 to 1000
over the whole image as it is shown, upright, from its top left
(https://internvl.readthedocs.io/en/latest/get_started/chat_data_format.html).

Ask for it with `Text("... <ref>the total</ref>", grounding=True)`, which makes the tags what the model was
trained on; the text of an answer keeps its tags.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from internvl_llm.errors import GrammarError
from internvl_llm.grammar import Regex

QUESTION = "Please provide the bounding box coordinate of the region this sentence describes: <ref>{}</ref>"
"""What InternVL was trained and is evaluated on."""

GRID = 1000
_MAX_BOXES = 100
"""Boxes of one answer of the grammar."""
_MAX_LENGTH = 200
"""Characters between the brackets of a box, or of a label that the grammar leaves free."""

_TAG = re.compile(r"(</?(?:ref|box)>)")
_BOX = re.compile(rf"\[([^\[\]]{{1,{_MAX_LENGTH}}})\]")
_BARE = re.compile(rf"\[\[[^\[\]]{{1,{_MAX_LENGTH}}}\](?:[ ]?,[ ]?\[[^\[\]]{{1,{_MAX_LENGTH}}}\])*\]?")
"""What a server that drops special tokens leaves of boxes."""
_NUMBER = re.compile(r"\s*(-?[0-9]{1,9}(?:\.[0-9]{0,9})?)\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Grounded:
    """A labelled box; its edges are fractions of the image, left <= right and top <= bottom."""

    label: str
    left: float
    top: float
    right: float
    bottom: float

    def pixels(self, width: int, height: int) -> tuple[int, int, int, int]:
        """(left, top, right, bottom) of the pixels it touches, one at least, the right and bottom ones
        exclusive, as PIL's `crop` takes them. `width` and `height` are of the upright image."""
        left, right = _pixel_span(self.left, self.right, width)
        top, bottom = _pixel_span(self.top, self.bottom, height)
        return left, top, right, bottom


def boxes(text: str) -> tuple[Grounded, ...]:
    """The boxes of an answer, in order. A box has the label of the last `<ref>` before it, none is "".

    Whatever the model wrote: corners are ordered and moved into the image, what is no box is left out, and a
    box whose end was cut off still counts. Of a text without any tag, as of a server that drops special
    tokens, bare `[[x1, y1, x2, y2], ...]` on the grid are read, with the words right before them as their
    label. Never raises; in linear time.
    """
    return tuple(_parse(text))


def image_boxes(text: str, size: tuple[int, int]) -> tuple[tuple[str, tuple[int, int, int, int]], ...]:
    """(label, (left, top, right, bottom)) in pixels of the one image an answer is about, of `size` (width,
    height), for any chat's text: `image_boxes(message.text, image.size)`. See `boxes`, `Grounded.pixels`."""
    return tuple((box.label, box.pixels(*size)) for box in boxes(text))


def strip(text: str) -> str:
    """What an answer says without its boxes and tags; labels stay."""
    if not _TAG.search(text):
        text = _BARE.sub(lambda found: "" if any(_bare(found[0])) else found[0], text)
    outside, in_box = [], False
    for index, piece in enumerate(_TAG.split(text)):
        if index % 2:
            in_box = piece == "<box>"
        elif not in_box:
            outside.append(piece)
    return "".join(outside).strip()


def grammar(label: str | None = None, most: int = 1) -> Regex:
    """One `<ref>` with 1 to `most` boxes, and nothing else; without a `label` the model writes one.

    Raises:
        GrammarError: If the label is empty or holds a tag or a line break, or `most` is not 1 to 100.
    """
    if not 1 <= most <= _MAX_BOXES:
        raise GrammarError(f"most cannot be {most}", remedy=f"Give 1 to {_MAX_BOXES}")
    if label is not None and (not label.strip() or re.search(r"[<>\n\r]", label)):
        raise GrammarError(f"{label[:50]!r} is no label", remedy="Give one line of text without < and >")
    name = rf"[^<>\n\r]{{1,{_MAX_LENGTH}}}" if label is None else re.escape(label)
    number = rf"(?:0|[1-9][0-9]{{0,2}}|{GRID})"
    box = rf"\[{', '.join([number] * 4)}\]"
    more = f"(?:, {box}){{0,{most - 1}}}" if most > 1 else ""
    return Regex(rf"<ref>{name}</ref><box>\[{box}{more}\]</box>")


def _parse(text: str) -> Iterator[Grounded]:
    if not _TAG.search(text):
        for found in _BARE.finditer(text):
            label = _words_before(text, found.start())
            yield from (Grounded(label, *corners) for corners in _bare(found[0]) if corners)
        return
    label, tag = "", ""
    for index, piece in enumerate(_TAG.split(text)):
        if index % 2:
            tag = piece
        elif tag == "<ref>":
            label = " ".join(piece.split())
        elif tag == "<box>":
            for numbers in _BOX.findall(piece):
                if corners := _corners(numbers):
                    yield Grounded(label, *corners)


def _words_before(text: str, end: int) -> str:
    """Of one line, after the last bracket. Words that a blank parts from the box are no label, but what an
    answer says."""
    words = re.split(r"[\[\]\n]", text[max(0, end - _MAX_LENGTH) : end])[-1]
    return "" if words.endswith(" ") else " ".join(words.split())


def _bare(boxes: str) -> list[tuple[float, float, float, float] | None]:
    """None for what is no box, and for all where one leads out of the grid: those are other numbers."""
    numbers = [float(number) for number in re.findall(r"-?\d{1,9}(?:\.\d{0,9})?", boxes, re.ASCII)]
    within = all(0 <= number <= GRID for number in numbers)
    return [_corners(one) if within else None for one in _BOX.findall(boxes)]


def _corners(numbers: str) -> tuple[float, float, float, float] | None:
    """Left, top, right, bottom; None where these are not four numbers."""
    matches = [_NUMBER.fullmatch(number) for number in numbers.split(",")]
    if len(matches) != 4 or None in matches:
        return None
    x1, y1, x2, y2 = (min(max(float(match[1]) / GRID, 0.0), 1.0) for match in matches if match)
    return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)


def _pixel_span(low: float, high: float, length: int) -> tuple[int, int]:
    """Thousandths are no binary fractions, so what is a hair off a border is taken to be on it."""
    first = min(math.floor(round(low * length, 6)), length - 1)
    return first, max(math.ceil(round(high * length, 6)), first + 1)
