"""TEDS and TEDS-S, the tree-edit-distance similarity of tables (Zhong, ShafieiBavani, Jimeno Yepes 2020).

The tree is table > tr > td: `th` counts as `td`, `thead`/`tbody`/`tfoot` are looked through, and a
cell holds its plain normalised text. So no tool wins or loses by markup that truth sets disagree on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from apted import APTED, Config
from rapidfuzz.distance import Levenshtein

from internvl_loaders.evaluate.tables import Row, TableCell, TableTree, size

EXACT_LIMIT = 1_000_000
"""Product of both node counts up to which the edit distance is exact (about half a minute)."""


def teds(true: TableTree, read: TableTree, *, structure_only: bool = False) -> float:
    """1 - tree edit distance / the larger node count, 0 to 1; `structure_only` is TEDS-S.

    Insertions and deletions cost 1; so does a change of tag or span; a change of cell text costs its
    normalised Levenshtein distance. Above EXACT_LIMIT the distance is that of the best alignment of
    rows, and within them of cells: never less than the exact one, so the score never flatters.
    """
    nodes = max(true.nodes, read.nodes)
    if nodes == 0:
        return 1.0
    a, b = _strip_common(_keys(true, structure_only), _keys(read, structure_only))
    if not a or not b or size(a) * size(b) > EXACT_LIMIT:
        distance = _aligned(a, b)
    else:
        distance = APTED(_tree(a), _tree(b), _Costs()).compute_edit_distance()
    return max(0.0, 1.0 - distance / nodes)


def _keys(table: TableTree, structure_only: bool) -> Sequence[Row]:
    if not structure_only:
        return table.rows
    return [tuple(TableCell("", c.col_span, c.row_span) for c in row) for row in table.rows]


def _strip_common(a: Sequence[Row], b: Sequence[Row]) -> tuple[Sequence[Row], Sequence[Row]]:
    """Without the equal first and last rows, which leaves the distance as it is.

    A mapping keeps left-to-right order, so from two equal first subtrees nodes leave in one
    direction at most; mapping the two onto each other then costs no more.
    """
    start = 0
    while start < min(len(a), len(b)) and a[start] == b[start]:
        start += 1
    a, b = a[start:], b[start:]
    end = 0
    while end < min(len(a), len(b)) and a[len(a) - 1 - end] == b[len(b) - 1 - end]:
        end += 1
    return a[: len(a) - end], b[: len(b) - end]


class _Node(NamedTuple):
    tag: tuple[str, int, int]
    text: str
    children: list[Any]


def _tree(rows: Sequence[Row]) -> _Node:
    return _Node(
        ("table", 1, 1),
        "",
        [
            _Node(("tr", 1, 1), "", [_Node(("td", c.col_span, c.row_span), c.text, []) for c in row])
            for row in rows
        ],
    )


class _Costs(Config):  # type: ignore[misc]
    def rename(self, a: _Node, b: _Node) -> float:
        return 1.0 if a.tag != b.tag else Levenshtein.normalized_distance(a.text, b.text)

    def children(self, node: _Node) -> list[Any]:
        return node.children


def _aligned(a: Sequence[Row], b: Sequence[Row]) -> float:
    def cell(x: TableCell, y: TableCell) -> float:
        if (x.col_span, x.row_span) != (y.col_span, y.row_span):
            return 1.0
        return Levenshtein.normalized_distance(x.text, y.text)

    def row(x: Row, y: Row) -> float:
        return 0.0 if x == y else _alignment(x, y, cell, lambda _: 1.0)

    return _alignment(a, b, row, lambda r: 1.0 + len(r))


def _alignment(a: Sequence[Any], b: Sequence[Any], change: Any, weight: Any) -> float:
    """Weighted edit distance of two sequences."""
    above = [0.0]
    for y in b:
        above.append(above[-1] + weight(y))
    for x in a:
        line = [above[0] + weight(x)]
        for j, y in enumerate(b):
            line.append(min(above[j] + change(x, y), above[j + 1] + weight(x), line[j] + weight(y)))
        above = line
    return above[-1]


def table_scores(true: Sequence[TableTree], read: Sequence[TableTree]) -> dict[str, float]:
    """Means of TEDS and TEDS-S over the true tables; one that nothing was read for scores 0.

    True and read tables are paired one to one, most common words first, on the same page where
    both pages are known; read tables left over do not count.
    """
    if not true:
        return {}
    pairs = _pairs(true, read)
    return {
        "teds": sum(teds(t, r) for t, r in pairs) / len(true),
        "teds_s": sum(teds(t, r, structure_only=True) for t, r in pairs) / len(true),
    }


def _pairs(true: Sequence[TableTree], read: Sequence[TableTree]) -> list[tuple[TableTree, TableTree]]:
    true_words, read_words = [t.words for t in true], [r.words for r in read]

    def likeness(i: int, j: int) -> float:
        total = true_words[i].total() + read_words[j].total()
        return 2 * (true_words[i] & read_words[j]).total() / total if total else 1.0

    candidates = sorted(
        (-likeness(i, j), abs(i - j), i, j)
        for i, t in enumerate(true)
        for j, r in enumerate(read)
        if t.page is None or r.page is None or t.page == r.page
    )
    left_true, left_read = set(range(len(true))), set(range(len(read)))
    pairs = []
    for *_, i, j in candidates:
        if i in left_true and j in left_read:
            left_true.remove(i)
            left_read.remove(j)
            pairs.append((true[i], read[j]))
    return pairs
