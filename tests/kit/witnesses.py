"""Witnesses made of texts: words in lines as a page of fixed-width print has them."""

from __future__ import annotations

import re

from internvl_loaders.ground.witness import Witness, WitnessWord

WIDE, HIGH = 0.01, 0.02
"""Of a character and a line, as shares of the page."""


def witness(page: str, *, confidence: float | None = 0.99, sure: dict[str, float] | None = None) -> Witness:
    """A line of text is a row; words that more than two spaces part are of other lines of the witness."""
    words: list[WitnessWord] = []
    line = -1
    for row, text in enumerate(page.split("\n")):
        for stretch in re.finditer(r"\S+(?: {1,2}\S+)*", text):
            line += 1
            for found in re.finditer(r"\S+", stretch[0]):
                x = (stretch.start() + found.start()) * WIDE
                y = row * HIGH * 1.5
                score = (sure or {}).get(found[0], confidence)
                words.append(WitnessWord(found[0], x, y, x + len(found[0]) * WIDE, y + HIGH, score, line))
    return Witness(tuple(words), "rapidocr", confidence, 0.7)
