"""What figures of a page must come to, and which of them is wrong where they do not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from functools import cached_property
from typing import NamedTuple

from rapidfuzz.distance import OSA

from internvl_loaders.document import Box


@dataclass(frozen=True, slots=True)
class Figure:
    """A number and where it stands: block of the page, cell of a table, characters of its text."""

    block: int
    row: int | None
    col: int | None
    start: int
    text: str
    value: Decimal
    decimals: int
    percent: bool = False
    money: bool = False
    box: Box | None = field(default=None, compare=False)

    def written(self, value: Decimal) -> str:
        """`value` with as many decimals as this figure has, and a point."""
        return f"{value:.{self.decimals}f}"


@dataclass(frozen=True, eq=False)
class Relation:
    """The `terms`, each with its sign, times their factors, come to `result`, give or take `tolerance`.

    `sure` where other rows or columns prove the rule; what only its words tell is accused of misreadings
    alone: where another digit in one figure would do.
    """

    check: str
    terms: tuple[tuple[int, Figure], ...]
    result: Figure
    tolerance: Decimal = Decimal(0)
    sure: bool = True
    factor: Figure | None = None
    scale: Decimal = Decimal(1)

    @property
    def figures(self) -> tuple[Figure, ...]:
        rest = (self.result,) if self.factor is None else (self.factor, self.result)
        return (*(figure for _, figure in self.terms), *rest)

    @cached_property
    def _sum(self) -> Decimal:
        return sum((sign * figure.value for sign, figure in self.terms), Decimal(0))

    @cached_property
    def _signs(self) -> dict[int, int]:
        return {id(figure): sign for sign, figure in self.terms}

    @property
    def _times(self) -> Decimal:
        return self.scale if self.factor is None else self.scale * self.factor.value

    @property
    def computed(self) -> Decimal:
        return self._sum * self._times

    @property
    def holds(self) -> bool:
        return abs(self.computed - self.result.value) <= self.tolerance

    def fixed(self, wrong: Figure) -> Decimal | None:
        """What `wrong` must be for the relation to hold; None where nothing in its decimals would do."""
        if wrong is self.result:
            value = self.computed
        else:
            try:
                if wrong is self.factor:
                    value = self.result.value / (self.computed / self.factor.value)
                else:
                    sign = self._signs[id(wrong)]
                    value = wrong.value + sign * (self.result.value / self._times - self._sum)
            except (InvalidOperation, ZeroDivisionError):
                return None
        try:
            rounded = value.quantize(Decimal(1).scaleb(-wrong.decimals))
        except InvalidOperation:
            return None
        if self._times == 1 or wrong is self.result:
            return rounded if abs(rounded - value) <= self.tolerance else None
        error = abs(rounded / value - 1) * abs(self.result.value) if value else Decimal(0)
        return rounded if error <= self.tolerance else None

    def told(self) -> str:
        """In a sentence."""
        found = self.result.written(self.computed)
        return f"{self.check}: {found} is computed, {self.result.text} is printed"


@dataclass(frozen=True, slots=True)
class Flaw:
    """What is wrong, and the figures that may be why, the likeliest first, with what they should be.

    Just one where no other would do.
    """

    check: str
    text: str
    block: int
    box: Box | None = None
    culprits: tuple[tuple[Figure, Decimal | None], ...] = ()

    @property
    def is_misplaced(self) -> bool:
        """Its figure is right, and in the wrong column."""
        return any(value is None for _, value in self.culprits)


def is_misreading(figure: Figure, value: Decimal, digits: int = 1) -> bool:
    """Whether `digits` dropped, doubled, exchanged or wrong, or a lost sign or mark, make `figure` of it."""
    printed, right = (
        "".join(filter(str.isdecimal, figure.written(abs(number)))) for number in (figure.value, value)
    )
    if value < 0 <= figure.value and printed != right:
        return False
    if printed.strip("0") == right.strip("0"):
        return printed != right or value == -figure.value
    far = OSA.distance(printed, right, score_cutoff=digits)
    return len(max(printed, right, key=len)) > digits + 1 and far <= digits


MOST_CULPRITS = 3


def flaws(relations: Sequence[Relation]) -> Iterator[Flaw]:
    """One flaw a relation that does not hold, but those that are not sure and that no misreading explains."""
    court = _Court(relations)
    for relation in relations:
        if relation.holds:
            continue
        ranked = sorted(court.suspects(relation), key=lambda suspect: suspect[0])
        if not relation.sure:
            ranked = [suspect for suspect in ranked if not suspect[0].is_far]
            if not ranked:
                continue
        best = [(figure, value) for rank, figure, value in ranked if rank == ranked[0][0]]
        result = relation.result
        culprits = tuple(best) if len(best) <= MOST_CULPRITS else ()
        yield Flaw(relation.check, relation.told(), result.block, result.box, culprits)


class _Rank(NamedTuple):
    """Of a figure in a broken relation; the likeliest culprits are the least.

    First what no other relation clears, then what others that are broken do not need otherwise, and the more
    of them need it just so the likelier; then what one digit makes right.
    """

    is_cleared: bool
    is_disputed: bool
    agreed: int
    is_far: bool


class _Court:
    def __init__(self, relations: Sequence[Relation]) -> None:
        self._clear = {id(f) for r in relations if r.holds and r.sure for f in r.figures}
        self._charges: dict[int, list[Relation]] = {}
        for relation in relations:
            if not relation.holds:
                for figure in relation.figures:
                    self._charges.setdefault(id(figure), []).append(relation)

    def suspects(self, relation: Relation) -> Iterator[tuple[_Rank, Figure, Decimal]]:
        """Figures that may be misread, with what they must be."""
        for figure in relation.figures:
            value = relation.fixed(figure)
            if value is None or value == figure.value:
                continue
            charges = self._charges[id(figure)]
            agree = len({charge.fixed(figure) for charge in charges}) == 1
            near = is_misreading(figure, value)
            if not (near or is_misreading(figure, value, 2) or (agree and len(charges) > 1)):
                continue
            rank = _Rank(
                id(figure) in self._clear,
                not agree,
                -len(charges) if agree else 0,
                not near,
            )
            yield rank, figure, value
