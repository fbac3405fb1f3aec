"""InternVL's `<ref>text</ref><box>[[x1, y1, x2, y2]]</box>` in a transcription: where each text is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from internvl_llm.grounding import boxes
from internvl_loaders.document import Box

_LONGEST = 4000
"""Characters of a label, and of its boxes."""
_BOX = re.compile(rf"\s*<box>([^<>]{{0,{_LONGEST}}})(?:</box>|\Z)", re.IGNORECASE)
_REF = re.compile(r"</?ref>", re.IGNORECASE)
_LARGE = re.compile(
    rf"<ref>((?:(?!</?ref>).){{0,{_LONGEST}}})</ref>(\s*<box>[^<>]{{0,{_LONGEST}}}(?:</box>|\Z))",
    re.IGNORECASE | re.DOTALL,
)
_CORNERS = r"\[\s*\d{1,4}(?:\.\d+)?(?:\s*[,，]\s*\d{1,4}(?:\.\d+)?){3}\s*\]"
_BARE = re.compile(rf"^(.*\S)\s*(\[\s*{_CORNERS}(?:\s*,\s*{_CORNERS})*\s*\])[ \t]*$", re.MULTILINE)
_BOX_KEYS = ("bbox_2d", "bbox", "box", "bounding_box", "coordinates")
_TEXT_KEYS = ("text_content", "text", "content", "label", "ref")


def parts(text: str) -> Iterator[tuple[str, Box | None]]:
    """The text in parts: each line that has boxes by itself, with the box around them, the rest as it stands.

    Lines of markdown tables keep theirs, which belong to cells.
    """
    if read := from_json(text):
        yield from read
        return
    text = _tagged(text)
    if "<box>" not in text.lower():
        yield text, None
        return
    at = 0
    for large in _LARGE.finditer(text):
        if "\n" in large[1]:
            yield from _lines(text[at : large.start()])
            yield large[1], box_around(large[2])
            at = large.end()
    yield from _lines(text[at:])


def without_boxes(text: str) -> tuple[str, Box | None]:
    """Its words, and the box around all of its boxes."""
    if "<box>" not in text.lower():
        return text, None
    found = [box for mark in _BOX.finditer(text) if (box := box_around(mark[0]))]
    return _REF.sub("", _BOX.sub("", text)), Box.around(found)


def box_around(markup: str) -> Box | None:
    return Box.around([Box.of(b.left, b.top, b.right, b.bottom) for b in boxes(markup)])


def _lines(text: str) -> Iterator[tuple[str, Box | None]]:
    waiting: list[str] = []
    for line in text.split("\n"):
        if "<box>" not in line.lower() or line.lstrip().startswith("|") or "<t" in line:
            waiting.append(line)
            continue
        if waiting:
            yield "\n".join(waiting), None
            waiting = []
        yield without_boxes(line)
    if waiting:
        yield "\n".join(waiting), None


def _tagged(text: str) -> str:
    """With the tags that a server dropped, where most lines end in corners on the grid."""
    if "<box>" in text or "[[" not in text.replace(" ", ""):
        return text
    lines = [line for line in text.split("\n") if line.strip()]
    ends = [mark for mark in _BARE.finditer(text) if box_around(f"<box>{mark[2]}</box>")]
    if len(ends) < 2 or 2 * len(ends) < len(lines):
        return text
    return _BARE.sub(r"\1<box>\2</box>", text)


def from_json(text: str) -> list[tuple[str, Box | None]]:
    """Of a list of objects, each with a text and its box."""
    body = text.strip()
    if not body.startswith("[") or not any(f'"{key}"' in body for key in _BOX_KEYS):
        return []
    try:
        items: Any = json.loads(body)
    except (ValueError, RecursionError):
        return []
    found = []
    for item in items:
        if not isinstance(item, dict):
            return []
        said = next((item[key] for key in _TEXT_KEYS if isinstance(item.get(key), str)), None)
        corners = next((item[key] for key in _BOX_KEYS if key in item), None)
        others = set(item) - set(_TEXT_KEYS) - set(_BOX_KEYS)
        if said is None or corners is None or others:  # a list of other things
            return []
        found.append((str(said), box_around(f"<box>[{json.dumps(corners)}]</box>")))
    return found
