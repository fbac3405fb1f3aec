"""InternVL's grounding: `<ref>label</ref><box>[[x1, y1, x2, y2], ...]</box>`, corners on a grid of 0 to 1000
over the whole image as it is shown, upright, from its top left
(https://internvl.readthedocs.io/en/latest/get_started/chat_data_format.html).

Ask for it with `Text("... <ref>the total</ref>", grounding=True)`, which makes the tags what the model was
trained on; the text of an answer keeps its tags.
"""

from __future__ import annotations

import json
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

_TAG = re.compile(r"(</?(?:ref|pred|box)>)")
_TAG_ENDS = re.compile(r"</(?:ref|pred)>")
_BOX = re.compile(rf"\[([^\[\]]{{1,{_MAX_LENGTH}}})\]")
_BARE = re.compile(rf"\[\[[^\[\]]{{1,{_MAX_LENGTH}}}\](?:[ ]?,[ ]?\[[^\[\]]{{1,{_MAX_LENGTH}}}\])*\]?")
"""What a server that drops special tokens leaves of boxes."""
_FOUR = rf"\[[^\[\]]{{7,{_MAX_LENGTH}}}\]"
_SINGLE = re.compile(
    rf"\A\s*{_FOUR}\s*[.。]?\s*\Z"
    rf"|(?:bounding box|bbox|coordinates?|坐标|座標)[^\[\]\n]{{0,{_MAX_LENGTH}}}{_FOUR}",
    re.IGNORECASE,
)
"""A box that lacks the brackets around all of them, and says that it is one or is all that is said."""
_OBJECT = re.compile(r"\{[^{}]*(?:\}|\Z)")
_OBJECT_BOX = re.compile(
    rf"[\"'](?:bbox_2d|bbox|bounding_box|box|coordinates)[\"']\s*:\s*"
    rf"(\[[^{{}}\"']{{1,{_MAX_BOXES * 50}}}|null|None)"
)
_OBJECT_LABEL = re.compile(
    r"[\"'](?:label|name|text|text_content|description|ref)[\"']\s*:\s*(?:\"((?:[^\"\\]|\\.)*)\"|'((?:[^'\\]|\\.)*)')"
)
_FENCE = re.compile(r"```\w*")
_HAIR = 0.005
"""A box that is reversed by no more than this share of the image is how a model says that there is none."""
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

    Whatever the model wrote: corners are ordered and moved into the image, fractions are taken as such, what
    is no box is left out (`null`, all zeros, a side that is reversed by a hair), and a box whose end was cut
    off still counts. Of a text without any tag, as of a server that drops special tokens, bare
    `[[x1, y1, x2, y2], ...]` on the grid are read, with the words right before them as their label, and
    objects such as `{"bbox_2d": [...], "label": "..."}`. Never raises; in linear time.
    """
    return tuple(_parse(text))


def image_boxes(text: str, size: tuple[int, int]) -> tuple[tuple[str, tuple[int, int, int, int]], ...]:
    """(label, (left, top, right, bottom)) in pixels of the one image an answer is about, of `size` (width,
    height), for any chat's text: `image_boxes(message.text, image.size)`. See `boxes`, `Grounded.pixels`."""
    return tuple((box.label, box.pixels(*size)) for box in boxes(text))


def strip(text: str) -> str:
    """What an answer says without its boxes and tags; labels stay."""
    if not _TAG.search(text):
        text = _without_bare(text)
    outside, in_box = [], False
    pieces = _TAG.split(text)
    for index, piece in enumerate(pieces):
        if index % 2:
            in_box = piece == "<box>"
        elif not in_box:
            outside.append(
                _after_label(piece)[1] if index and _TAG_ENDS.fullmatch(pieces[index - 1]) else piece
            )
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
        yield from _untagged(text)
        return
    label, tag = "", ""
    labelled = "<ref>" in text or "<pred>" in text
    for index, piece in enumerate(_TAG.split(text)):
        if index % 2:
            tag = piece
        elif tag in {"<ref>", "<pred>"}:
            label = " ".join(piece.split())
        elif tag == "<box>":
            for numbers in _BOX.findall(piece):
                if corners := _corners(numbers):
                    yield Grounded(label, *corners)
        elif tag in {"</ref>", "</pred>"}:  # the tags of the boxes alone are gone
            yield from (Grounded(label, *corners) for corners in _after_label(piece)[0])
        elif not labelled:
            label = _words_before(piece, len(piece))


def _after_label(piece: str) -> tuple[list[tuple[float, float, float, float]], str]:
    """The bare boxes that follow a label at once, and what stands after them."""
    found = _BARE.match(piece.lstrip())
    corners = [one for one in _bare(found[0]) if one] if found else []
    return (corners, piece.lstrip()[found.end() :]) if found and corners else ([], piece)


def _untagged(text: str) -> Iterator[Grounded]:
    if _OBJECT_BOX.search(text):
        for written in _OBJECT.finditer(text):
            if box := _OBJECT_BOX.search(written[0]):
                label = _object_label(written[0])
                yield from (Grounded(label, *corners) for corners in _bare(box[1]) if corners)
        return
    for found in _BARE.finditer(text):
        label = _words_before(text, found.start())
        yield from (Grounded(label, *corners) for corners in _bare(found[0]) if corners)
    if "[[" not in text:
        for found in _SINGLE.finditer(text):
            yield from (Grounded("", *corners) for corners in _bare(found[0]) if corners)


def _object_label(written: str) -> str:
    found = _OBJECT_LABEL.search(written)
    if found is None:
        return ""
    try:
        return str(json.loads(f'"{found[1]}"', strict=False)) if found[1] is not None else found[2]
    except ValueError:
        return found[1]


def _without_bare(text: str) -> str:
    """Labels of objects stay, as those of boxes do."""
    if _OBJECT_BOX.search(text):
        labels = _OBJECT.sub(lambda o: f"{_object_label(o[0])}\n" if _OBJECT_BOX.search(o[0]) else o[0], text)
        lines = (line.strip("[], \t") for line in _FENCE.sub("", labels).split("\n"))
        return "\n".join(line for line in lines if line)
    without = _BARE.sub(lambda found: "" if any(_bare(found[0])) else found[0], text)
    if "[[" not in text and (alone := _SINGLE.match(text)) and any(_bare(alone[0])) and alone[0] == text:
        return ""
    return without if _FENCE.sub("", without).strip() else ""


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
    """Left, top, right, bottom; None where these are not four numbers, or say that there is no box."""
    matches = [_NUMBER.fullmatch(number) for number in re.split("[,，]", numbers)]
    if len(matches) != 4 or None in matches:
        return None
    written = [float(match[1]) for match in matches if match]
    if all(value == 0 for value in written) or all(value < 0 for value in written):
        return None
    fractions = "." in numbers and all(0 <= value <= 1 for value in written)
    x1, y1, x2, y2 = (min(max(value / (1 if fractions else GRID), 0.0), 1.0) for value in written)
    if (x2 < x1) != (y2 < y1) and 0 < max(x1 - x2, y1 - y2) <= _HAIR:
        return None
    return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)


def _pixel_span(low: float, high: float, length: int) -> tuple[int, int]:
    """Thousandths are no binary fractions, so what is a hair off a border is taken to be on it."""
    first = min(math.floor(round(low * length, 6)), length - 1)
    return first, max(math.ceil(round(high * length, 6)), first + 1)
