"""Running heads, running feet and page numbers among blocks, by what the pages beside a page have at the same
end: for pages that a model or OCR read. (`structure.furniture` does it for text layers, by their place.)"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Protocol, Self, TypeVar

from internvl_loaders.values import Box


class _Block(Protocol):
    @property
    def type(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def box(self) -> Box | None: ...
    def model_copy(self, *, update: dict[str, Any]) -> Any: ...


class _Page(Protocol):
    @property
    def number(self) -> int: ...
    @property
    def label(self) -> str: ...
    @property
    def method(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def blocks(self) -> Sequence[_Block]: ...
    def model_copy(self, *, update: dict[str, Any]) -> Self: ...


_P = TypeVar("_P", bound=_Page)

_ROMAN = r"(?=[ivxl])(?:xl|l?x{0,3})(?:ix|iv|v?i{0,3})"
_PAGE_OF = (
    r"(?:page|seite|p\.|s\.|pagina|página|pág\.|стр\.?)\s*\d{1,4}(?:\s*(?:/|of|von|de|di|sur|из)\s*\d{1,4})?"
    r"|\d{1,4}\s*(?:/|of|von|de|di|sur|из)\s*\d{1,4}"
    r"|第\s*\d{1,4}\s*[页頁](?:\s*[,，/]?\s*共\s*\d{1,4}\s*[页頁])?"
)
COUNTED = re.compile(_PAGE_OF, re.IGNORECASE)
NUMBER = re.compile(rf"[-–—－\[(|· ]*(?:\d{{1,4}}|{_ROMAN}|{_PAGE_OF})[-–—－\])|· ]*", re.IGNORECASE)
DIGITS = re.compile(r"\d+")

_MOST = 4
"""Blocks at one end of a page that may be running lines."""
_LONGEST = 120
_NUMBERED = re.compile(
    rf"{COUNTED.pattern}|\A\s*\d{{1,4}}(?:\s*[|·•–—\n]|\s{{2,}})|(?:[|·•–—\n]\s*|\s{{2,}})\d{{1,4}}\s*\Z",
    re.IGNORECASE,
)
"""A page's number within a running line."""
_TYPES = frozenset({"paragraph", "heading", "header", "footer"})
_SAME_PLACE = 0.02
"""Share of the page's height by which the same line may stand higher or lower."""


NEAR = 2
"""Pages away: left and right pages of a book have heads of their own."""


def all_marked(pages: Sequence[_P]) -> list[_P]:
    """The pages of a document, in order, each `marked` by those beside it that are among them."""
    return [
        marked(page, [*pages[max(0, place - NEAR) : place], *pages[place + 1 : place + 1 + NEAR]])
        for place, page in enumerate(pages)
    ]


def marked(page: _P, neighbours: Sequence[_P]) -> _P:
    """The page whose running lines are of type `header` and `footer`; nothing else is changed.

    A block at an end of the page is one if a neighbour has the same there, the page's number aside, or if it
    is that number. A title that stands on the first page stays one.
    """
    if page.method in {"", "text-layer"} or page.status == "failed":
        return page
    neighbours = [other for other in neighbours if 0 < abs(other.number - page.number) <= NEAR]
    changes: dict[int, str] = {}
    ends: tuple[tuple[str, bool], ...] = (("header", True), ("footer", False))
    for kind, head in ends:
        theirs = [(other, block) for other in neighbours for _, block in _ends(other, head)]
        for rank, (index, block) in enumerate(_ends(page, head)):
            if block.type == kind:
                continue
            is_title = block.type == "heading" and page.number == 1
            repeated = not is_title and any(_is_same(page, block, *their) for their in theirs)
            if index in changes or not (repeated or (rank == 0 and _is_page_number(page, block))):
                break
            changes[index] = kind
    rest = [block for index, block in enumerate(page.blocks) if index not in changes]
    if not changes or not any(block.type not in {"header", "footer"} for block in rest):
        return page
    blocks = tuple(
        block.model_copy(update={"type": changes[index], "level": None}) if index in changes else block
        for index, block in enumerate(page.blocks)
    )
    return page.model_copy(update={"blocks": blocks})


def _ends(page: _Page, head: bool) -> Iterator[tuple[int, _Block]]:
    """The short lines at an end of a page, outermost first, up to what can be none."""
    indices = range(len(page.blocks)) if head else range(len(page.blocks) - 1, -1, -1)
    for index in indices[:_MOST]:
        block = page.blocks[index]
        if block.type == "footnote":
            continue
        text = block.text.strip()
        if block.type not in _TYPES or not text or len(text) > _LONGEST or text.count("\n") > 1:
            return
        yield index, block


def _is_same(page: _Page, block: _Block, other: _Page, theirs: _Block) -> bool:
    if _key(block.text) != _key(theirs.text):
        return False
    if (
        block.box is not None
        and theirs.box is not None
        and abs(block.box.y0 + block.box.y1 - theirs.box.y0 - theirs.box.y1) > 2 * _SAME_PLACE
    ):
        return False
    apart = page.number - other.number
    pairs = zip(DIGITS.findall(block.text), DIGITS.findall(theirs.text), strict=False)
    steps = {int(ours) - int(their) for ours, their in pairs}
    if steps <= {0}:
        return any(c.isalpha() for c in block.text)
    return steps <= {0, apart} and bool(_NUMBERED.search(block.text) or NUMBER.fullmatch(block.text.strip()))


def _key(text: str) -> str:
    return "".join(DIGITS.sub("#", text).casefold().split())


def _is_page_number(page: _Page, block: _Block) -> bool:
    text = block.text.strip()
    if block.type == "heading" or not NUMBER.fullmatch(text):
        return False
    numbers = DIGITS.findall(text)
    return bool(COUNTED.search(text)) or (bool(numbers) and numbers[0] in {str(page.number), page.label})
