"""Paragraphs, told from cells of text."""

from __future__ import annotations

from collections.abc import Sequence

from internvl_loaders.structure.tables.words import Piece, Row, Word, is_value, rows_of


def without_prose(words: Sequence[Word]) -> list[Word]:
    """The words less those of paragraphs: at least three full lines of several words."""
    rows = rows_of(words)
    chains: list[list[tuple[int, Row, Piece]]] = []
    for k, row in enumerate(rows):
        for piece in row.pieces:
            if len(piece.words) < 3:
                continue
            em = row.line.em
            for chain in reversed(chains[-12:]):
                _, above, last = chain[-1]
                pitch = row.line.middle - above.line.middle
                shared = min(piece.x1, last.x1) - max(piece.x0, last.x0)
                if (
                    0 < pitch < 2.0 * em
                    and abs(piece.x0 - chain[-1][2].x0) < 2.5 * em
                    and shared > 0.5 * min(piece.x1 - piece.x0, last.x1 - last.x0)
                ):
                    chain.append((k, row, piece))
                    break
            else:
                chains.append([(k, row, piece)])
    gone: set[int] = set()
    for chain in chains:
        if len(chain) < 3 or sum(len(p.words) for _, _, p in chain) < 5 * len(chain):
            continue
        widths = [p.x1 - p.x0 for _, _, p in chain]
        full = sum(w > 0.75 * max(widths[max(k - 1, 0) : k + 2]) for k, w in enumerate(widths[:-1]))
        partners = sum(
            any(q is not p and (len(q.words) <= 3 or is_value(q.text)) for q in row.pieces)
            for _, row, p in chain
        )
        if full * 4 >= 3 * (len(chain) - 1) and (len(chain) > 3 or not partners):
            gone |= {id(w) for _, _, p in chain for w in p.words}
    return [w for w in words if id(w) not in gone]
