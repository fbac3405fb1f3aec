"""Facts that must or must not hold, as olmOCR-bench states them: present, absent, order, table.

A check is a JSON object with `type` and, by type, `text`; `before` and `after`; `cell` and any of
`up`, `down`, `left`, `right` (the neighbour), `top_heading`, `left_heading` (any cell above, left).
`max_diffs` edits are forgiven, `case_sensitive` is true by default, `first_n`/`last_n` bound the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rapidfuzz import fuzz
from rapidfuzz.distance import Levenshtein

from internvl_loaders.evaluate.metrics import normalise
from internvl_loaders.evaluate.tables import TableTree

_NEEDED = {"present": ("text",), "absent": ("text",), "order": ("before", "after"), "table": ("cell",)}
TYPES = frozenset(_NEEDED)

Check = Mapping[str, Any]


def is_complete(check: Check) -> bool:
    """Whether it is of one of TYPES, and says what it is about."""
    needed = _NEEDED.get(str(check.get("type")))
    return needed is not None and all(isinstance(check.get(name), str) for name in needed)


def holds(check: Check, text: str, tables: Iterable[TableTree]) -> bool:
    """Whether the check, of one of TYPES, passes on a page's text and tables."""
    if check["type"] == "table":
        return any(_in_table(check, table.grid()) for table in tables)
    text = _comparable(check, text)
    if check["type"] == "order":
        return _in_order(check, text)
    present = _position(_comparable(check, check["text"]), _bounded(check, text), _diffs(check)) is not None
    return present is (check["type"] == "present")


def _comparable(check: Check, text: str) -> str:
    return normalise(text, fold_case=not check.get("case_sensitive", True))


def _diffs(check: Check) -> int:
    return int(check.get("max_diffs") or 0)


def _bounded(check: Check, text: str) -> str:
    first, last = check.get("first_n"), check.get("last_n")
    if not first and not last:
        return text
    return (text[:first] if first else "") + (text[-last:] if last else "")


def _position(part: str, text: str, diffs: int, *, last: bool = False) -> int | None:
    """Where `part` stands in `text`, at most `diffs` edits away: its first or last exact place."""
    place = text.rfind(part) if last else text.find(part)
    if place >= 0 or not diffs or len(part) > len(text) + diffs:
        return place if place >= 0 else None
    near = fuzz.partial_ratio_alignment(part, text, score_cutoff=100 * (1 - diffs / len(part)))
    return near.dest_start if near else None


def _in_order(check: Check, text: str) -> bool:
    before = _position(_comparable(check, check["before"]), text, _diffs(check))
    after = _position(_comparable(check, check["after"]), text, _diffs(check), last=True)
    return before is not None and after is not None and before < after


def _in_table(check: Check, grid: list[list[str]]) -> bool:
    def same(text: str, key: str) -> bool:
        expected, actual = _comparable(check, str(check[key])), _comparable(check, text)
        return Levenshtein.distance(expected, actual) <= _diffs(check)

    neighbours = [k for k in ("up", "down", "left", "right", "top_heading", "left_heading") if check.get(k)]
    return any(
        all(any(same(t, key) for t in _neighbours(grid, r, c, key)) for key in neighbours)
        for r, row in enumerate(grid)
        for c, text in enumerate(row)
        if same(text, "cell")
    )


def _neighbours(grid: list[list[str]], r: int, c: int, key: str) -> Iterator[str]:
    ways = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}
    if key in ways:
        r, c = r + ways[key][0], c + ways[key][1]
        if 0 <= r < len(grid) and 0 <= c < len(grid[r]):
            yield grid[r][c]
    elif key == "top_heading":
        yield from (grid[y][c] for y in range(r) if c < len(grid[y]))
    else:
        yield from grid[r][:c]
