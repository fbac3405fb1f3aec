"""Which pieces of a witness the atoms of a transcription are: in any order of blocks, columns or rows.

The cheapest way through the witness is found (Viterbi): a text goes on to the right, in the next line or
below; whatever else is a jump, at a cost that a few equal words pay back. What cannot be reached so is not in
the witness. States that cost more than a jump from the best one cannot win and are dropped, so that a text
which its witness agrees with keeps one state an atom; elsewhere `_STATES` bound it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from rapidfuzz.distance import Levenshtein

from internvl_loaders.ground.tokens import lookalike
from internvl_loaders.ground.witness import Map

_JUMP = 2.0
_NOT_THERE = 1.0
_OTHER_NUMBER, _OTHER_WORD = 0.8, 1.25
"""Of one number read as another, which nothing but its place speaks for; of words alike."""
_PART, _TORN, _REST = 0.25, 0.2, 0.05
"""Of ending within a piece; of going on in the next one, each time; of going on within one."""
_ALIKE = 0.5
_NEAR, _CLOSE = 0.16, 0.6
"""Cost of the way to an equal piece up to which nothing less alike is looked at; how far behind the best way
one may be from which it is."""
_STATES, _RUN, _BEHIND = 8, 3, 0.9
"""States that are kept; equal atoms in a row after which none is that is so much behind."""
_FEW, _MANY = 6, 12
"""Places of an atom that may be jumped to as they are; else those that its successor speaks for, so many."""


class Claim(NamedTuple):
    """An atom is the witness's text from `at` of piece `first` to before `until` of piece `last`.

    `exact`: read the same. `jump`: it does not follow what stands before it in the witness.
    """

    first: int
    at: int
    last: int
    until: int
    exact: bool
    jump: bool = False


@dataclass(slots=True)
class _State:
    cost: float
    before: _State | None
    claim: Claim | None
    place: tuple[int, int] | None
    """The piece, and the character of it up to which it is used."""
    run: int = 0
    """Atoms up to here that were read the same and followed each other at hardly a cost."""


@dataclass
class Aligned:
    """A claim by atom, None where the witness has nothing for it. `again`: atoms whose text another one has
    claimed already, as lines that are said twice."""

    claims: list[Claim | None]
    again: set[int] = field(default_factory=set)
    taken: dict[int, list[tuple[int, int, int]]] = field(default_factory=dict)
    """By piece: from which character to which, and by which atom."""


@lru_cache(maxsize=1 << 15)
def similarity(one: str, other: str) -> float:
    """0 to 1; letters that look like a digit are half of it."""
    plain = Levenshtein.normalized_similarity(one, other)
    if plain >= 0.99:
        return plain
    return (plain + Levenshtein.normalized_similarity(lookalike(one), lookalike(other))) / 2


def align(texts: Sequence[str], witness: Map) -> Aligned:
    """`texts` are folded atoms in the order of the transcription."""
    states = [_State(0.0, None, None, None)]
    trail: list[_State] = []
    for number, text in enumerate(texts):
        states = _step(texts, number, text, states, witness)
        trail.append(states[0])
    claims: list[Claim | None] = []
    state: _State | None = min(states, key=lambda s: s.cost) if texts else None
    while state is not None and len(claims) < len(texts):
        claims.append(state.claim)
        state = state.before
    claims.reverse()
    found = Aligned(claims)
    _once(found, texts, witness)
    _between(found, texts, witness)
    return found


def _step(texts: Sequence[str], number: int, text: str, states: list[_State], witness: Map) -> list[_State]:
    best: dict[tuple[int, int] | None, _State] = {}

    def offer(cost: float, before: _State, claim: Claim | None, place: tuple[int, int] | None) -> None:
        held = best.get(place)
        if held is None or cost < held.cost:
            run = before.run + 1 if claim is not None and claim.exact and cost <= before.cost + _NEAR else 0
            best[place] = _State(cost, before, claim, place, run)

    cheapest = states[0].cost
    for state in states:
        offer(state.cost + _NOT_THERE, state, None, state.place)
        if state.place is not None:
            close = state.cost <= cheapest + _CLOSE
            for cost, claim in _going_on(text, state.place, witness, close=close):
                offer(state.cost + cost, state, claim, (claim.last, claim.until))
    least = min(s.cost for s in best.values())
    if least > cheapest:  # not simply going on
        top = states[0]
        for target in _jumps(texts, number, text, witness):
            claim = Claim(target, 0, target, len(text), True, True)
            offer(top.cost + _JUMP, top, claim, (target, len(text)))
    kept = sorted(best.values(), key=lambda s: s.cost)
    limit = kept[0].cost + (_BEHIND if kept[0].run >= _RUN else _JUMP)
    return [s for s in kept[:_STATES] if s.cost <= limit]


def _going_on(text: str, place: tuple[int, int], witness: Map, *, close: bool) -> list[tuple[float, Claim]]:
    """What is only alike is looked at from a place that is `close` to being the best."""
    piece, at = place
    found: list[tuple[float, Claim]] = []
    whole = witness.pieces[piece].text
    if at < len(whole):
        _compare(text, piece, at, _REST, witness, found)
        rest = 0.3
    else:
        rest = 0.0
    pieces, after = witness.pieces, witness.after(piece)
    same = [(cost + rest, Claim(t, 0, t, len(text), True)) for t, cost in after if pieces[t].text == text]
    if not close or (same and min(same)[0] <= _NEAR):
        return found + same
    for target, cost in after:
        _compare(text, target, 0, cost + rest, witness, found)
    return found


def _compare(
    text: str, piece: int, at: int, cost: float, witness: Map, found: list[tuple[float, Claim]]
) -> None:
    """The ways in which `text` may be what stands from character `at` of a piece on."""
    whole = witness.pieces[piece].text
    here = whole[at:] if at else whole
    if here == text:
        found.append((cost, Claim(piece, at, piece, len(whole), True)))
        return
    if len(here) > len(text) and here.startswith(text):
        found.append((cost + _PART, Claim(piece, at, piece, at + len(text), True)))
    if len(text) > len(here) and text.startswith(here):
        _torn(text, piece, at, cost, witness, found)
    short, long = sorted((len(text), len(here)))
    alike = similarity(text, here) if 2 * short >= long else 0.0
    if alike >= _ALIKE:
        found.append((cost + 0.35 + 1.2 * (1 - alike), Claim(piece, at, piece, len(whole), False)))
    elif cost < 0.6 and not at:
        numeric = text.isdigit(), here.isdigit()
        if all(numeric):
            found.append((cost + _OTHER_NUMBER, Claim(piece, at, piece, len(whole), False)))
        elif not any(numeric) and len(text) > 2 and len(here) > 2:
            found.append((cost + _OTHER_WORD, Claim(piece, at, piece, len(whole), False)))
    if len(here) > len(text) + 1 and len(text) > 2:  # run together with what follows
        alike = similarity(text, here[: len(text)])
        if 0.7 <= alike < 1.0:
            cut = at + len(text)
            found.append((cost + 0.5 + 1.2 * (1 - alike), Claim(piece, at, piece, cut, False)))


def _torn(
    text: str, piece: int, at: int, cost: float, witness: Map, found: list[tuple[float, Claim]]
) -> None:
    """`text` begins with the piece and goes on in those after it."""
    used = len(witness.pieces[piece].text) - at
    last = piece
    for _ in range(3):
        ahead = next((t for t, _ in witness.after(last) if witness.near(last, t)), None)
        line_end = last + 1 not in witness.lines[witness.line_of[last]]
        if ahead is None and line_end and not text.isdigit():  # a word broken at the end of a line
            ahead = next((t for t, c in witness.after(last) if t > last and c <= 0.2), None)
        if ahead is None:
            return
        other = witness.pieces[ahead].text
        cost += _TORN
        rest = text[used:]
        if rest == other:
            found.append((cost, Claim(piece, at, ahead, len(other), True)))
            return
        if other.startswith(rest):
            found.append((cost + _PART, Claim(piece, at, ahead, len(rest), True)))
            return
        if not rest.startswith(other):
            if (alike := similarity(rest, other)) >= _ALIKE:
                found.append((cost + 0.35 + (1 - alike), Claim(piece, at, ahead, len(other), False)))
            return
        used += len(other)
        last = ahead


def _jumps(texts: Sequence[str], number: int, text: str, witness: Map) -> Sequence[int]:
    places = witness.index.get(text, ())
    if len(places) <= _FEW:
        return places
    if number + 1 == len(texts):
        return ()
    ahead = texts[number + 1]
    found = []
    for place in places[:400]:
        if any(witness.pieces[t].text == ahead for t, _ in witness.after(place)):
            found.append(place)
            if len(found) == _MANY:
                break
    return found


def _once(found: Aligned, texts: Sequence[str], witness: Map) -> None:
    """Every character of the witness stands for one atom: of the longest stretch that has it."""
    runs: list[list[int]] = []
    for number, claim in enumerate(found.claims):
        if claim is None:
            continue
        if claim.jump or not runs:
            runs.append([])
        runs[-1].append(number)
    runs.sort(key=lambda run: (-sum(len(texts[n]) for n in run if _exact(found.claims[n])), run[0]))
    for run in runs:
        for number in sorted(run, key=lambda n: not _exact(found.claims[n])):
            claim = found.claims[number]
            assert claim is not None
            ranges = list(spans(claim, witness))
            clash = any(
                a < until and at < b for piece, at, until in ranges for a, b, _ in found.taken.get(piece, ())
            )
            if clash:
                if claim.exact:
                    found.again.add(number)
                else:
                    found.claims[number] = None
                continue
            for piece, at, until in ranges:
                found.taken.setdefault(piece, []).append((at, until, number))


def _between(found: Aligned, texts: Sequence[str], witness: Map) -> None:
    """What stands right beside an atom that has its place is what the witness has right beside that, if it is
    nothing else: a line's first number, read another way, is reached from no side."""
    claims = found.claims
    for number in [*range(len(texts) - 2, -1, -1), *range(1, len(texts))]:
        if claims[number] is not None:
            continue
        ahead = claims[number + 1] if number + 1 < len(texts) else None
        behind = claims[number - 1] if number else None
        places = []
        if ahead is not None and ahead.at == 0:
            places.append(witness.beside(ahead.first, -1))
        if behind is not None:
            places.append(witness.beside(behind.last, 1))
        for place in places:
            if place is None or place in found.taken:
                continue
            other, text = witness.pieces[place].text, texts[number]
            if similarity(text, other) >= _ALIKE or (text.isdigit() and other.isdigit()):
                claims[number] = Claim(place, 0, place, len(other), text == other)
                found.taken[place] = [(0, len(other), number)]
                break


def _exact(claim: Claim | None) -> bool:
    return claim is not None and claim.exact


def spans(claim: Claim, witness: Map) -> list[tuple[int, int, int]]:
    """Piece, from, until: of all pieces of a claim. Those of a torn word need not be consecutive."""
    if claim.first == claim.last:
        return [(claim.first, claim.at, claim.until)]
    found = [(claim.first, claim.at, len(witness.pieces[claim.first].text))]
    if claim.last - claim.first <= 3 and claim.last > claim.first:
        found += [(p, 0, len(witness.pieces[p].text)) for p in range(claim.first + 1, claim.last)]
    return [*found, (claim.last, 0, claim.until)]
