"""What a transcription and its witness have in common, line by line: lines left out, said twice, invented."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from internvl_loaders.ground.align import Aligned
from internvl_loaders.ground.tokens import Atom
from internvl_loaders.ground.witness import Map, Witness
from internvl_loaders.values import Box, Finding

_SURE_LINE = 0.8
"""Confidence of a witness's line from which it is missed."""
_SURE_PAGE = 0.9
"""Confidence of a page from which the witness would have seen what the transcription says."""
_MISSED, _NOT_SEEN = 0.35, 0.7
"""Share of a witness's line that the transcription has, up to which it lacks the line; share of a line
that the witness has not, from which it is not on the page."""
_ELSEWHERE, _ENOUGH = 0.45, 10
"""Share of both texts that they have in common, below which they are not of one page; pieces of both from
which that is said."""
_LONG = 40
"""Letters and digits of fewer than four words that the witness should have seen."""
_SHOWN = 160
"""Characters of a text in a finding."""


class Line(NamedTuple):
    """A line of the transcription (of a block's text, or a row of a table): its block and its atoms, which
    are counted through the page."""

    block: int
    text: str
    atoms: range


@dataclass(frozen=True, slots=True)
class Coverage:
    """`recall` is the share of the witness's letters and digits that the transcription has, `precision` that
    of the transcription's that the witness has. `repeated` are atoms of lines that are said twice."""

    recall: float
    precision: float
    findings: tuple[Finding, ...] = ()
    repeated: frozenset[int] = frozenset()
    elsewhere: bool = False
    """Whether they seem to be of different pages."""


def coverage(
    lines: Sequence[Line], every: Sequence[Atom], aligned: Aligned, layout: Map, witness: Witness
) -> Coverage:
    have = [_had(layout, aligned, line) for line in layout.lines]
    total = sum(len(piece.text) for piece in layout.pieces)
    same = sum(
        len(atom.text)
        for number, atom in enumerate(every)
        if aligned.claims[number] is not None and number not in aligned.again
    )
    said = sum(len(atom.text) for atom in every)
    recall = sum(count for count, _ in have) / total
    precision = same / said if said else 0.0
    sure = witness.confidence is None or witness.confidence >= _SURE_PAGE
    enough = min(len(every), len(layout.pieces)) >= _ENOUGH
    if sure and enough and recall < _ELSEWHERE and precision < _ELSEWHERE:
        text = (
            f"what was transcribed is not what the {witness.method or 'witness'} sees on this page: "
            f"they have {precision:.0%} of it in common"
        )
        return Coverage(recall, precision, (Finding(check="another page", text=text),), elsewhere=True)
    twice = list(_twice(lines, every, aligned))
    repeated = frozenset(n for line in twice for n in line.atoms)
    findings = [*_missing(have, layout), *_told(twice, "repeated", "is said again: ")]
    if sure:
        findings += _told(_unseen(lines, every, aligned, repeated), "unseen", "the witness sees no ")
    return Coverage(recall, precision, tuple(findings), repeated)


def _had(layout: Map, aligned: Aligned, line: range) -> tuple[int, int]:
    """Characters of a witness's line: those that the transcription has, and all."""
    have = sum(until - at for piece in line for at, until, _ in aligned.taken.get(piece, ()))
    return have, sum(len(layout.pieces[piece].text) for piece in line)


def _missing(have: Sequence[tuple[int, int]], layout: Map) -> Iterator[Finding]:
    """Runs of lines, row by row, that the transcription lacks; `cut off` where they are the page's last."""
    order = [line for row in layout.rows for line in row]

    def missed(line: int) -> bool:
        had, size = have[line]
        return size >= 3 and had <= _MISSED * size and _confident(layout, line)

    last = max((n for n, line in enumerate(order) if have[line][0]), default=-1)
    for gone, run in groupby(enumerate(order), key=lambda each: missed(each[1])):
        if not gone:
            continue
        places = list(run)
        lines = [line for _, line in places]
        words = dict.fromkeys(layout.pieces[p].word for line in lines for p in layout.lines[line])
        text = " ".join(layout.words[word].text for word in words)
        at_end = places[0][0] > last and len(lines) > 1 and last >= 0
        yield Finding(
            check="cut off" if at_end else "missing",
            text=f"not transcribed: {_clip(text)}",
            box=Box.around([Box.of(*layout.boxes[line]) for line in lines]),
        )


def _confident(layout: Map, line: int) -> bool:
    sure = [
        c
        for word in {layout.pieces[p].word for p in layout.lines[line]}
        if (c := layout.words[word].confidence) is not None
    ]
    return not sure or sum(sure) / len(sure) >= _SURE_LINE


def _twice(lines: Sequence[Line], every: Sequence[Atom], aligned: Aligned) -> Iterator[Line]:
    """Lines that another one has said already and that stand once on the page; stretches of paragraphs."""
    said = [tuple(every[n].text for n in line.atoms) for line in lines]
    for number, (line, texts) in enumerate(zip(lines, said, strict=True)):
        near = [*said[max(number - 3, 0) : number], *said[number + 1 : number + 4]]
        size = sum(map(len, texts))
        again = sum(len(every[n].text) for n in line.atoms if n in aligned.again)
        none = sum(len(every[n].text) for n in line.atoms if aligned.claims[n] is None)
        whole = again >= 0.6 * size and size >= 5 and len(texts) > 1
        if size and (whole or (again + none >= 0.3 * size and len(texts) > 1 and texts in near)):
            yield line
        elif again:
            yield from _stretches(line, every, aligned)


def _stretches(line: Line, every: Sequence[Atom], aligned: Aligned) -> Iterator[Line]:
    for again, run in groupby(line.atoms, key=lambda n: n in aligned.again):
        numbers = list(run)
        if again and len(numbers) >= 3 and sum(len(every[n].text) for n in numbers) >= 8:
            span = range(numbers[0], numbers[-1] + 1)
            yield Line(line.block, " ".join(every[n].text for n in span), span)


def _unseen(
    lines: Sequence[Line], every: Sequence[Atom], aligned: Aligned, repeated: frozenset[int]
) -> Iterator[Line]:
    """Lines that stand together, of which the witness has hardly a word."""

    def unseen(line: Line) -> bool:
        size = sum(len(every[n].text) for n in line.atoms)
        lost = sum(
            len(every[n].text)
            for n in line.atoms
            if aligned.claims[n] is None or (n in aligned.again and n not in repeated)
        )
        told = sum(n in repeated for n in line.atoms)
        return size > 0 and lost >= _NOT_SEEN * size and 2 * told < len(line.atoms)

    said = [line for line in lines if line.atoms]
    for gone, run in groupby(said, key=unseen):
        found = list(run)
        atoms = range(found[0].atoms.start, found[-1].atoms.stop)
        if gone and (len(atoms) >= 4 or sum(len(every[n].text) for n in atoms) >= _LONG):
            yield Line(found[0].block, " ".join(line.text for line in found), atoms)


def _told(lines: Iterator[Line] | Sequence[Line], check: str, what: str) -> list[Finding]:
    return [Finding(check=check, text=f"{what}{_clip(line.text)}", block=line.block) for line in lines]


def _clip(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…"
