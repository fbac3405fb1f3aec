"""Lines of receipts that end in a quantity, a price and their product: `2 x 5.00 10.00`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from internvl_loaders.document import Block
from internvl_loaders.ground.checks.numbers import Number, number_in_cell, numbers_in_line
from internvl_loaders.ground.checks.products import CENT, CHECK, counts
from internvl_loaders.ground.checks.relations import Figure, Relation

_QUANTITY = re.compile(
    r"(?:^|\s)(?P<number>\d{1,4}(?:[.,]\d{1,3})?)\s?(?:(?![xX]\b)[A-Za-z]{1,5}\.?)?\s?(?P<times>[xX×*@]?)\s?\(?$"
)
_AFTER = re.compile(r"\)?\s{0,3}[A-Z*]{0,2}\s*")
"""What may follow the amount: a tax code."""
_BETWEEN = re.compile(r"\)?\s{0,6}=?\s{0,6}[$€£¥RM]{0,2}\s?")


def items(blocks: Sequence[Block], mark: str) -> Iterator[Relation]:
    """Sure where most lines of a page prove it; one with a sign of multiplication is suspected by itself."""
    found = [
        told
        for number, block in enumerate(blocks)
        if block.table is None
        for told in _of_block(number, block, mark)
    ]
    telling = [relation for relation, _ in found if counts(relation)]
    held = sum(relation.holds for relation in telling)
    sure = held > 1 and 3 * held >= 2 * len(telling)
    for relation, is_told in found:
        if sure or is_told:
            yield replace(relation, sure=sure)


def _of_block(block: int, found: Block, mark: str) -> Iterator[tuple[Relation, bool]]:
    start = 0
    for line in found.text.split("\n"):
        amounts = numbers_in_line(line, mark)
        if len(amounts) > 1:
            price, amount = amounts[-2:]
            before = _QUANTITY.search(line[: price.start].rstrip("$€£¥RM "))
            quantity = None if before is None else number_in_cell(before["number"], mark)
            between = line[price.start + len(price.digits) : amount.start]
            end = line[amount.start + len(amount.digits) :]
            if (
                before is not None
                and quantity is not None
                and _BETWEEN.fullmatch(between)
                and _AFTER.fullmatch(end)
            ):
                quantity = replace(quantity, start=before.start("number") + quantity.start)
                q, p, a = (_figure(block, start, number, found) for number in (quantity, price, amount))
                relation = Relation(CHECK, ((1, p),), a, CENT, False, factor=q)
                yield relation, before["times"] != ""
        start += len(line) + 1


def _figure(block: int, start: int, number: Number, found: Block) -> Figure:
    place = (block, None, None, start + number.start)
    value = (number.digits, number.value, number.decimals)
    return Figure(*place, *value, money=number.money, box=found.box)
