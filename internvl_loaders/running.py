"""Tables that go on over page breaks: their pages keep their parts, the document has the whole."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Protocol

from internvl_loaders.values import Cell

_AROUND = frozenset(("header", "footer", "footnote"))
"""Blocks that may stand between the parts of a table."""
_CONTINUED = re.compile(
    r"\b(?:cont(?:inued|['’.]?d)?|fortsetzung|suite|vervolg|continua\w*)\b|续|續|続", re.IGNORECASE
)


_LIKE = 0.85
"""How like the first a head is that comes again, misread maybe."""
_LONGEST_HEAD = 400
_MOSTLY = 0.8
"""Share of a column's texts that are of one kind."""
_SHIFT = 0.05
"""Share of the page's width by which a column may stand elsewhere on the next page."""
_VALUES = frozenset({"date", "amount", "number"})
_CURRENCY = r"(?:[$€£¥₹]|[A-Z]{3}|Rs\.?)"
_MONTH = r"(?:jan|feb|m[aä]r|apr|ma[iy]|jun|jul|aug|sep|o[ck]t|nov|de[cz])[a-zä]*\.?"
_DATE = (
    r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}|\d{1,2}(?:/\d{1,2}|\.\d{1,2}\.)"
    rf"|(?:\w{{2,3}} )?\d{{1,2}}\.?[ -]?{_MONTH}(?:[ -]?\d{{2,4}})?|{_MONTH} \d{{1,2}}(?:,? \d{{4}})?"
    r"|\d{4}年\d{1,2}月(?:\d{1,2}日)?"
)
_AMOUNT = (
    rf"[-–−+(]?\s?{_CURRENCY}?\s?[-–−]?\d[\d., '’]*[.,]\d{{2}}\s?{_CURRENCY}?\)?\s?(?:-|CR|DR)?"
    r"|[-–−+(]?\s?[$€£¥₹]\s?\d[\d.,]*\)?"
)
_KINDS = (
    ("date", re.compile(_DATE, re.IGNORECASE)),
    ("amount", re.compile(_AMOUNT)),
    ("number", re.compile(r"[-–−+(]?\d[\d.,]*\)?\s?%?")),
)
_ENDS = re.compile(
    r"\W*(?:(?:grand |sub-?)?totals?|sum|summe|gesamt\w*|closing balance|balance carried"
    r"|合计|合計|总计|總計|小计)\b",
    re.IGNORECASE,
)
"""How the last row of a table begins, after which another one comes."""


class _Table(Protocol):
    @property
    def rows(self) -> int: ...
    @property
    def cols(self) -> int: ...
    @property
    def cells(self) -> Sequence[Cell]: ...
    @property
    def header_rows(self) -> int: ...
    def grid(self) -> list[list[str]]: ...


class _Block(Protocol):
    @property
    def type(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def table(self) -> _Table | None: ...


class _Page(Protocol):
    @property
    def number(self) -> int: ...
    @property
    def blocks(self) -> Sequence[_Block]: ...


Place = tuple[int, int]
"""Page number, and index of the block on it."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a table over page breaks, without the `head` rows that only repeat those of the first."""

    place: Place
    table: _Table
    head: int = 0


def runs(pages: Sequence[_Page]) -> Iterator[list[Part]]:
    """The parts of every table that ends a page and goes on with the next one: under the same head, or
    without one where its columns hold the same."""
    run: list[Part] = []
    last: _Page | None = None
    for page in pages:
        first, told = _first(page)
        follows = last is not None and page.number == last.number + 1
        repeated = _repeats(run, first[1], told) if run and follows and first is not None else None
        if run and repeated is None:
            yield from [run] if len(run) > 1 else []
            run = []
        if run and first is not None and repeated is not None:
            run.append(Part(*first, repeated))
        final = _last(page)
        if final is not None and not (run and run[-1].place == final[0]):
            yield from [run] if len(run) > 1 else []
            run = [Part(*final)]
        elif final is None:
            yield from [run] if len(run) > 1 else []
            run = []
        last = page
    yield from [run] if len(run) > 1 else []


def may_run(page: _Page) -> bool:
    """Whether the page begins or ends with a table: no other counts."""
    return _first(page)[0] is not None or _last(page) is not None


def _first(page: _Page) -> tuple[tuple[Place, _Table] | None, bool]:
    """The table that the page begins with, a line that says it goes on aside, and whether there is one."""
    told = False
    for index, block in enumerate(page.blocks):
        if block.table is not None:
            return ((page.number, index), block.table), told
        if block.type not in _AROUND:
            if not _CONTINUED.search(block.text[:200]):
                return None, False
            told = True
    return None, False


def _last(page: _Page) -> tuple[Place, _Table] | None:
    for index in range(len(page.blocks) - 1, -1, -1):
        block = page.blocks[index]
        if block.table is not None:
            return (page.number, index), block.table
        if block.type not in _AROUND and not (len(block.text) < 80 and _CONTINUED.search(block.text)):
            return None
    return None


def _repeats(run: Sequence[Part], table: _Table, told: bool) -> int | None:
    """How many rows at the top of a table only repeat the head of the run before it; None where it is no part
    of it. `told` is whether a line says that it goes on."""
    whole = run[0].table
    if whole.cols != table.cols or not _same_places(run[-1].table, table):
        return None
    ours, theirs = whole.grid(), table.grid()
    count = whole.header_rows
    if not count and not any(_kind(text) in _VALUES for text in ours[0]):
        count = 1  # words, as a head has, if it comes again
    if 0 < count < table.rows and _alike(ours[:count], theirs[:count]):
        return count
    if table.header_rows and not _is_data(theirs[0]):
        return None
    body = [row for part in run for row in part.table.grid()[part.head or part.table.header_rows :]]
    if not body or _ENDS.match(next((text for text in body[-1] if text.strip()), "")):
        return None
    return 0 if _same_columns(body, theirs) or (told and not table.header_rows) else None


def _alike(rows: Sequence[Sequence[str]], others: Sequence[Sequence[str]]) -> bool:
    """The same but for a letter that was misread."""
    ours, theirs = _plain(rows), _plain(others)
    if ours == theirs:
        return True
    a, b = "\n".join(ours), "\n".join(theirs)
    if len(a) > _LONGEST_HEAD or len(b) > _LONGEST_HEAD or any(c.isdigit() for c in a):
        return False
    return SequenceMatcher(None, a, b, autojunk=False).ratio() >= _LIKE


def _is_data(row: Sequence[str]) -> bool:
    return any(_kind(text) in _VALUES for text in row)


def _kind(text: str) -> str:
    text = " ".join(text.split())
    if not text:
        return ""
    return next((kind for kind, form in _KINDS if form.fullmatch(text)), "text")


def _same_columns(body: Sequence[Sequence[str]], rows: Sequence[Sequence[str]]) -> bool:
    """Whether every column holds what it held: dates, amounts, numbers or words. Two columns of values, or
    one and one of words, must have shown what they hold."""
    values = words = 0
    for col in range(len(rows[0])):
        usual = Counter(kind for row in body if (kind := _kind(row[col])))
        found = Counter(kind for row in rows if (kind := _kind(row[col])))
        if not usual or not found:
            continue
        kind, count = usual.most_common(1)[0]
        if count < _MOSTLY * usual.total() or found[kind] < _MOSTLY * found.total():
            return False
        if kind in _VALUES:
            values += count > 1
        else:
            words += 1
    return values > 1 or (values == 1 and words > 0)


def _same_places(table: _Table, other: _Table) -> bool:
    """Whether the columns stand where they stood, as far as boxes tell."""
    ours, theirs = _lefts(table), _lefts(other)
    return all(abs(ours[col] - theirs[col]) < _SHIFT for col in ours.keys() & theirs.keys())


def _lefts(table: _Table) -> dict[int, float]:
    """Of columns, the least left edge: cells may be set to the right."""
    lefts: dict[int, float] = {}
    for cell in table.cells:
        if cell.box is not None and cell.col_span == 1:
            lefts[cell.col] = min(lefts.get(cell.col, 1.0), cell.box.x0)
    return lefts


def _plain(rows: Sequence[Sequence[str]]) -> list[str]:
    return ["".join(text.split()).casefold() for row in rows for text in row]


def joined(parts: Sequence[Part]) -> tuple[int, list[Cell], list[int]]:
    """Rows and cells of the whole, whose head stands once, and the row at which each part begins."""
    cells = list(parts[0].table.cells)
    rows, starts = parts[0].table.rows, [0]
    for part in parts[1:]:
        starts.append(rows)
        moved = (c for c in part.table.cells if c.row >= part.head)
        cells += [c.model_copy(update={"row": c.row - part.head + rows, "header": False}) for c in moved]
        rows += part.table.rows - part.head
    return rows, cells, starts
