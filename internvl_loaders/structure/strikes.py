"""Words struck through: drawn lines that cross them and end where they end."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import replace

from internvl_loaders.content import Content, Ruling, Span
from internvl_loaders.document import Block
from internvl_loaders.structure.links import moved
from internvl_loaders.values import TextSpan

_HIGHEST, _LOWEST = 0.35, 0.72
"""Where on a word's height, from its top, a line strikes it; lower ones underline, higher ones overline."""
_CROSSED = 0.6
"""Least share of a word's width that the line crosses, and of the line's that words fill."""
_OVERHANG = 1.0
"""Font sizes by which the line reaches beyond the words; the rules of tables reach further."""
_TALLEST = 2.0
"""Font sizes up to which a box tells where in it the letters are."""

_OPEN, _CLOSE = "\ufdd0", "\ufdd1"
"""Around a struck word while structure is found; no document's text may hold these noncharacters."""
_MARK = re.compile(f"[{_OPEN}{_CLOSE}]")
_BETWEEN = re.compile(rf"{_CLOSE}(\s*){_OPEN}")


def strike(content: Content) -> Content:
    """The page with the words that lines cross marked as struck, and without these lines."""
    spans = [
        s for s in content.spans if s.upright and not s.hidden and s.y1 - s.y0 < _TALLEST * (s.size or 1e9)
    ]
    if not spans or not content.rulings:
        return content
    order = sorted(spans, key=lambda s: s.y0)
    tops = [s.y0 for s in order]
    tallest = max(s.y1 - s.y0 for s in order)
    struck: set[int] = set()
    rulings: list[Ruling] = []
    for ruling in content.rulings:
        crossed: list[Span] = []
        if ruling.y0 == ruling.y1:
            near = order[bisect_left(tops, ruling.y0 - tallest) : bisect_right(tops, ruling.y0)]
            crossed = [s for s in near if _crosses(ruling, s)]
        if crossed and _ends_with(ruling, crossed):
            struck.update(map(id, crossed))
        else:
            rulings.append(ruling)
    if not struck:
        return content
    marked = [replace(s, struck=True) if id(s) in struck else s for s in content.spans]
    return replace(content, spans=marked, rulings=rulings)


def _crosses(ruling: Ruling, span: Span) -> bool:
    place = (ruling.y0 - span.y0) / (span.y1 - span.y0)
    across = min(ruling.x1, span.x1) - max(ruling.x0, span.x0)
    return _HIGHEST <= place <= _LOWEST and across >= _CROSSED * (span.x1 - span.x0)


def _ends_with(ruling: Ruling, crossed: Sequence[Span]) -> bool:
    size = max(s.size or s.y1 - s.y0 for s in crossed)
    if not any(c.isalnum() for s in crossed for c in s.text):
        return False
    left, right = min(s.x0 for s in crossed), max(s.x1 for s in crossed)
    filled = sum(s.x1 - s.x0 for s in crossed)
    overhang = max(left - ruling.x0, ruling.x1 - right)
    return overhang <= _OVERHANG * size and filled >= _CROSSED * (ruling.x1 - ruling.x0)


def open_marks(content: Content) -> Content:
    """The page with its struck words set between marks, which `close_marks` takes for spans."""
    if not any(s.struck for s in content.spans):
        return content
    spans = []
    for s in content.spans:
        text = _MARK.sub("", s.text)
        text = f"{_OPEN}{text}{_CLOSE}" if s.struck and text.strip() else text
        spans.append(s if text == s.text else replace(s, text=text))
    return replace(content, spans=spans)


def close_marks(block: Block) -> Block:
    text, marks = _closed(block.text)
    update: dict[str, object] = {"text": text, "spans": marks}
    update["marker"] = block.marker and _MARK.sub("", block.marker)
    update["links"] = moved(block.links, block.text, _without_marks)
    update["words"] = tuple(w.model_copy(update={"text": _MARK.sub("", w.text)}) for w in block.words)
    if block.table:
        cells = []
        for cell in block.table.cells:
            text, marks = _closed(cell.text)
            links = moved(cell.links, cell.text, _without_marks)
            cells.append(cell.model_copy(update={"text": text, "spans": marks, "links": links}))
        update["table"] = block.table.model_copy(update={"cells": tuple(cells)})
    return block.model_copy(update=update)


def _without_marks(text: str) -> str:
    return _MARK.sub("", text)


def _closed(text: str) -> tuple[str, tuple[TextSpan, ...]]:
    if _OPEN not in text and _CLOSE not in text:
        return text, ()
    text = _BETWEEN.sub(r"\1", text)
    plain: list[str] = []
    marks: list[TextSpan] = []
    start, length = None, 0
    for part in re.split(f"([{_OPEN}{_CLOSE}])", text):
        if part == _OPEN:
            start = length
        elif part == _CLOSE:
            if start is not None and length > start:
                marks.append(TextSpan(start=start, end=length, struck=True))
            start = None
        else:
            plain.append(part)
            length += len(part)
    return "".join(plain), tuple(marks)
