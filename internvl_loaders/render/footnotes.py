"""A footnote for each token in dispute, whose place goes through escaping as characters no text may hold."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from internvl_loaders.render.escape import inline, one_line
from internvl_loaders.values import Dispute

_MARK, _END = "\U000efffe", "\U000effff"
_PLACE = re.compile(f"{_MARK}([0-9]+){_END}")
_OURS = re.compile(f"[{_MARK}{_END}]")
_NO_TEXT = frozenset({"code", "formula"})
"""Types of blocks in which a reference would be text."""


def annotated(blocks: Sequence[Any], disputes: Sequence[Dispute]) -> tuple[list[Any], list[int]]:
    """Blocks whose texts have a mark behind every token in dispute, and the disputes that are marked.

    What is in dispute in code or in a formula, or stands nowhere, has no footnote.
    """
    places: dict[tuple[int, int | None, int | None], list[int]] = defaultdict(list)
    for number, dispute in enumerate(disputes):
        if dispute.block is not None and dispute.start is not None:
            places[dispute.block, dispute.row, dispute.col].append(number)
    marked: list[int] = []

    def put(item: Any, numbers: Sequence[int]) -> Any:
        text = _OURS.sub("\ufffd", item.text)
        if not numbers and text == item.text:
            return item
        ends = []
        for number in numbers:
            dispute = disputes[number]
            said = dispute.text if dispute.settled is None else dispute.settled
            start = dispute.start or 0
            if text.startswith(said, start):
                ends.append((start + len(said), number))
                marked.append(number)
        update: dict[str, object] = {"text": text}
        for end, number in sorted(ends, reverse=True):
            mark = f"{_MARK}{number}{_END}"
            update["text"] = f"{str(update['text'])[:end]}{mark}{str(update['text'])[end:]}"
        for name in ("spans", "links"):
            update[name] = tuple(_moved(span, ends) for span in getattr(item, name))
        return item.model_copy(update=update)

    result = []
    for index, block in enumerate(blocks):
        if block.table is not None:
            cells = tuple(
                put(cell, places.get((index, cell.row, cell.col), ())) for cell in block.table.cells
            )
            block = block.model_copy(update={"table": block.table.model_copy(update={"cells": cells})})
        else:
            numbers = () if block.type in _NO_TEXT else places.get((index, None, None), ())
            block = put(block, numbers)
        result.append(block)
    return result, sorted(marked)


def _moved(span: Any, ends: Sequence[tuple[int, int]]) -> Any:
    """With the marks that stand before it, and in it, counted."""

    def at(place: int, *, end: bool) -> int:
        before = [number for mark, number in ends if mark < place or (mark == place and not end)]
        return place + sum(len(str(number)) + 2 for number in before)

    return span.model_copy(update={"start": at(span.start, end=False), "end": at(span.end, end=True)})


def written(markdown: str, disputes: Sequence[Dispute], marked: Sequence[int], prefix: str) -> str:
    """References and footnotes for the marks, named by `prefix` and a number from 1."""
    names = {number: f"{prefix}{place}" for place, number in enumerate(marked, 1)}

    def reference(found: re.Match[str]) -> str:
        number = int(found[1]) if len(found[1]) < 9 else -1
        return f"[^{names[number]}]" if number in names else "\ufffd"  # of an address or a marker

    text = _PLACE.sub(reference, markdown)
    notes = "\n\n".join(f"[^{names[number]}]: {_told(disputes[number])}" for number in marked)
    return f"{text}\n\n{notes}" if notes else text


def _told(dispute: Dispute) -> str:
    def quoted(text: str) -> str:
        return f"“{inline(one_line(text))}”"

    seen = f"the witness reads {quoted(dispute.witness)}" if dispute.witness else "the witness sees nothing"
    if dispute.check and not dispute.witness:
        seen = inline(one_line(dispute.check))
    asked = ", ".join(map(quoted, dict.fromkeys(dispute.asked)))
    parts = [f"transcribed as {quoted(dispute.text)}", seen, asked and f"read again as {asked}"]
    told = "; ".join(filter(None, parts))
    return f"{told}; {'settled' if dispute.settled is not None else 'open'}."
