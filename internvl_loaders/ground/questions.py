"""Which tokens of a page are worth another reading. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from internvl_loaders.document import Page
from internvl_loaders.ground.checks import Checked, Suspect
from internvl_loaders.ground.crops import place_of
from internvl_loaders.values import Box, Dispute

_ORDER = {"amount": 0, "identifier": 1, "date": 2, "number": 3, "name": 4, "word": 5}
_WORDS = ("name", "word")


@dataclass(frozen=True, slots=True)
class Question:
    """A token to be read again, where it stands (None: it is not), and the value that a check needs.

    `listed`: whether it is one of the page's disputes even if nothing comes of it. A token is not where
    another one may as well be what a check speaks against.
    """

    dispute: Dispute
    box: Box | None
    expected: Decimal | None = None
    listed: bool = True

    @property
    def readings(self) -> int:
        """Crops that are read: two where no witness speaks."""
        return 1 if self.dispute.witness else 2


def questions(page: Page, checked: Checked) -> list[Question]:
    """The page's disputes and the checks' suspects, as one where they are of one token, in reading order."""
    suspects = list(checked.suspects)
    found = []
    for dispute in page.disputes:
        if dispute.settled is not None:
            found.append(Question(dispute, None))
            continue
        same = next((s for s in suspects if _meet(dispute, s)), None)
        if same is not None:
            suspects.remove(same)
            dispute = dispute.model_copy(update={"check": dispute.check or same.check})
        box = dispute.box or place_of(page.blocks, dispute.block, dispute.row, dispute.start)
        found.append(Question(dispute, box, same.expected if same is not None else None))
    for suspect in suspects:
        box = suspect.box or place_of(page.blocks, suspect.block, suspect.row, suspect.start)
        box = box if suspect.misread else None
        dispute = Dispute(
            text=suspect.text,
            kind=suspect.kind,
            check=suspect.check,
            box=suspect.box,
            block=suspect.block,
            row=suspect.row,
            col=suspect.col,
            start=suspect.start,
        )
        found.append(Question(dispute, box, suspect.expected, suspect.unique))
    return sorted(found, key=lambda question: _place(question.dispute))


def worth_asking(found: Sequence[Question], *, crops: int, words: int) -> list[Question]:
    """Figures first, those that a check speaks against before others, as far as the crops go; few words."""
    ranked = sorted(
        (question for question in found if question.dispute.settled is None and question.box is not None),
        key=lambda q: (_ORDER[q.dispute.kind] > 3, not q.dispute.check, not q.listed, _ORDER[q.dispute.kind]),
    )
    chosen = []
    for question in ranked:
        is_word = question.dispute.kind in _WORDS
        if question.readings <= crops and (not is_word or words >= question.readings):
            crops -= question.readings
            words -= question.readings * is_word
            chosen.append(question)
    return chosen


def _place(dispute: Dispute) -> tuple[int, int, int, int]:
    block, row, col, start = (
        -1 if number is None else number
        for number in (dispute.block, dispute.row, dispute.col, dispute.start)
    )
    return block, row, col, start


def _meet(dispute: Dispute, suspect: Suspect) -> bool:
    if (dispute.block, dispute.row, dispute.col) != (suspect.block, suspect.row, suspect.col):
        return False
    start = dispute.start or 0
    return start < suspect.start + len(suspect.text) and suspect.start < start + len(dispute.text)
