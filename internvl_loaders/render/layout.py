"""What all formats share: which blocks are shown, how list items nest, which caption belongs to what."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeVar

from internvl_loaders.render.escape import one_line
from internvl_loaders.render.shapes import Block

_BULLETS = frozenset("•◦‣∙·●○▪▫■►▶➢➤❖⁃*+-–—−o")
B = TypeVar("B", bound=Block)

_MAX_LEVEL = 8
_HINTS = {
    "table": re.compile(r"\s*(tab|表)", re.IGNORECASE),
    "figure": re.compile(r"\s*(fig|abb|图|圖|図)", re.IGNORECASE),
}


def content(blocks: Sequence[Block], headers_footers: bool) -> list[Block]:
    """The blocks that have something to show, without page headers and footers if so wished."""
    return [
        block
        for block in blocks
        if (headers_footers or block.type not in ("header", "footer"))
        and (one_line(block.text) or block.table or block.type == "figure" or printed_marker(block))
    ]


def printed_marker(block: Block) -> str:
    """A list item's printed number, letter or box; nothing for a mere bullet."""
    marker = one_line(block.marker or "")
    bullet = marker in _BULLETS or (len(marker) == 1 and unicodedata.category(marker) == "Co")
    return "" if bullet or block.type != "list_item" else marker


def heading_level(block: Block) -> int:
    """1 to 6; 1 where the level is unknown."""
    return min(max(block.level or 1, 1), 6)


def is_list_item(block: Block) -> bool:
    return block.type == "list_item"


@dataclass(frozen=True, slots=True)
class Item:
    """A list item with the items nested in it."""

    block: Block
    children: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Single:
    """A block that is no list item, with its caption if it is a table or figure that has one."""

    block: Block
    caption: Block | None = None
    caption_below: bool = False


def layout(blocks: Sequence[Block]) -> Iterator[Single | tuple[Item, ...]]:
    """Neighbouring list items as one forest, captions with what they belong to, the rest one by one."""
    caption_of = _captions(blocks)
    inside = set(caption_of.values())
    for listed, run in groupby(enumerate(blocks), key=lambda pair: is_list_item(pair[1])):
        if listed:
            yield nest([block for _, block in run])
            continue
        for index, block in run:
            if index in caption_of:
                yield Single(block, blocks[caption_of[index]], caption_of[index] > index)
            elif index not in inside:
                yield Single(block)


def nest(blocks: Sequence[Block]) -> tuple[Item, ...]:
    """List items as a forest: those of a deeper level belong to the item before them."""
    items: list[Item] = []
    start = 0
    while start < len(blocks):
        level = _level(blocks[start])
        end = start + 1
        while end < len(blocks) and _level(blocks[end]) > level:
            end += 1
        items.append(Item(blocks[start], nest(blocks[start + 1 : end])))
        start = end
    return tuple(items)


def _level(block: Block) -> int:
    return min(max(block.level or 0, 0), _MAX_LEVEL)


def caption_blocks(blocks: Sequence[B]) -> dict[int, B]:
    """The captions, by the index of the table or figure that each belongs to."""
    return {index: blocks[caption] for index, caption in _captions(blocks).items()}


def _captions(blocks: Sequence[Block]) -> dict[int, int]:
    """The index of each captioned table or figure, with that of its caption, a direct neighbour.

    Between two candidates the caption's first word decides (`Table 1`, `Fig. 2`), then custom:
    captions stand above tables and below figures.
    """
    caption_of: dict[int, int] = {}
    for index, block in enumerate(blocks):
        if block.type != "caption":
            continue
        near = [
            (_fit(block, other, other_index < index), -other_index)
            for other_index in (index - 1, index + 1)
            if 0 <= other_index < len(blocks)
            and (other := blocks[other_index]).type in _HINTS
            and other_index not in caption_of
        ]
        if near:
            caption_of[-max(near)[1]] = index
    return caption_of


def _fit(caption: Block, captioned: Block, above: bool) -> tuple[bool, bool]:
    kind = captioned.type
    return bool(_HINTS[kind].match(caption.text)), (kind == "figure") == above
