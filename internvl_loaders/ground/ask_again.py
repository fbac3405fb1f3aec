"""What is in dispute on a page, read again by the model on enlarged crops, and settled two of three.

The readings are the transcription, the witness and what a model says of a crop; where there is no witness,
of two crops that differ in size. What no two agree on stays in dispute. An engine that fails, says nothing
or says too much changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import PIL.Image

from internvl_loaders.document import Block, Page
from internvl_loaders.ground.bad_tables import better_table, moved, ragged
from internvl_loaders.ground.changes import changed
from internvl_loaders.ground.checks import CHECKS, Checked, check
from internvl_loaders.ground.crops import cut, cut_block
from internvl_loaders.ground.questions import Question, questions, worth_asking
from internvl_loaders.ground.readings import chosen, put_in, read_crop, same, token_in
from internvl_loaders.values import AttemptRecord, Box, Dispute, Finding

Ask = Callable[[Sequence[tuple[PIL.Image.Image, str]]], Awaitable[Sequence[str]]]
"""All crops of a page at once, each with its prompt, to as many answers."""

PROMPT_VERSION = "crops-1"
"""A wording never changes under its name."""
CROP_PROMPT = """\
This is a small part of a document, enlarged. Copy the characters printed in it, on one line: every digit, \
letter and sign exactly as it stands, nothing added, completed or corrected. Answer with these characters \
alone, or with [illegible]."""
TABLE_PROMPT = """\
This is a table of a document. Transcribe all of it into one HTML table: <table>, <tr>, <th>, <td>, with \
rowspan and colspan where cells span. Keep every row, every column and every empty cell, and each figure in \
the column it is printed in. Copy every digit exactly as it stands. Answer with the table alone."""

_TOLD = 5
"""Changes that a page's reason names; of more it gives the number."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Crops of a page that are read again at most, `words` of them of names and words, and whole `tables`."""

    crops: int = 24
    words: int = 4
    tables: int = 2


def with_checks(page: Page) -> Page:
    """The page with what the checks of its figures come to: findings, and tokens that they speak against."""
    checked = check(page.blocks)
    found = questions(page, checked)
    return page.model_copy(update={"findings": _findings(page, checked), "disputes": _listed(found)})


def asks(page: Page, *, budget: Budget | None = None) -> bool:
    """Whether `settle` has anything to ask, and needs the page's image."""
    budget = budget or Budget()
    checked = check(page.blocks)
    found = questions(page, checked)
    return bool(worth_asking(found, crops=budget.crops, words=budget.words) or _tables(page, checked, budget))


async def settle(page: Page, image: PIL.Image.Image, ask: Ask, *, budget: Budget | None = None) -> Page:
    """The page with what was settled: texts, disputes, findings, and a reason that says what changed.

    `image` is the page that boxes are fractions of. `ask` is called once at most; what it raises is told in
    the page's history, and its disputes stay open.
    """
    budget = budget or Budget()
    checked = check(page.blocks)
    found = questions(page, checked)
    tokens: list[tuple[Question, int]] = []
    requests: list[tuple[PIL.Image.Image, str]] = []
    for question in worth_asking(found, crops=budget.crops, words=budget.words):
        assert question.box is not None
        crops = [cut(image, question.box, zoom) for zoom in range(question.readings)]
        whole = [(crop, CROP_PROMPT) for crop in crops if crop is not None]
        tokens.append((question, len(whole)))
        requests += whole
    tables = []
    for number, box in _tables(page, checked, budget):
        if (crop := cut_block(image, box)) is not None:
            tables.append(number)
            requests.append((crop, TABLE_PROMPT))
    if not requests:
        return page.model_copy(update={"findings": _findings(page, checked), "disputes": _listed(found)})
    answers, record = await _answers(ask, requests)
    read: dict[int, list[str]] = {}
    for question, count in tokens:
        read[id(question)] = [answers.pop(0) for _ in range(count)]
    page = page.model_copy(update={"history": (*page.history, record)})
    return _settled(page, found, read, dict(zip(tables, answers, strict=True)))


def _tables(page: Page, checked: Checked, budget: Budget) -> list[tuple[int, Box]]:
    """Blocks whose tables are worth another reading, and where they stand."""
    bad = dict.fromkeys([*checked.bad_tables, *ragged(page.blocks)])
    found = [(number, box) for number in bad if (box := page.blocks[number].box) is not None]
    return found[: budget.tables]


async def _answers(
    ask: Ask, requests: Sequence[tuple[PIL.Image.Image, str]]
) -> tuple[list[str], AttemptRecord]:
    """As many as there are requests, '' for each of them if they did not come."""
    started = time.perf_counter()
    answers: list[str] = []
    try:
        answers = [answer if isinstance(answer, str) else "" for answer in await ask(requests)]
        problem = "" if len(answers) == len(requests) else f"{len(answers)} answers came back"
    except Exception as error:  # an engine may fail in any way; what it was asked stays in dispute
        problem = f"{type(error).__name__}: {error}"[:200]
    what = f"{len(requests)} crop{'s' * (len(requests) > 1)} of what was in dispute ({PROMPT_VERSION})"
    record = AttemptRecord(what=what, problem=problem, seconds=round(time.perf_counter() - started, 4))
    return (list(answers) if not problem else [""] * len(requests)), record


def _settled(
    page: Page, found: Sequence[Question], read: dict[int, list[str]], tables: dict[int, str]
) -> Page:
    """`read` are the answers about each question, by its identity, and `tables` those about blocks."""
    blocks, told = list(page.blocks), []
    done: list[tuple[Question, Dispute]] = []
    for question in reversed(found):  # from the end of each text, so that what is before stays in its place
        dispute, blocks = _settle(question, read.get(id(question), ()), blocks)
        if dispute.settled not in (None, dispute.text) and question.dispute.settled is None:
            told.append(f"{dispute.text!r} was read again as {dispute.settled!r}")
            done = [(other, _after(later, dispute)) for other, later in done]
        done.append((question, dispute))
    disputes = [d for question, d in reversed(done) if question.listed or d.settled not in (None, d.text)]
    told.reverse()
    for number, answer in tables.items():
        better = better_table(blocks[number], answer)
        if better is not None and better.table is not None:
            blocks[number] = better
            disputes = [moved(d, better.table) if d.block == number else d for d in disputes]
            told.append("a table that did not come out was read again")
    if len(told) > _TOLD:
        told = [*told[:_TOLD], f"{len(told) - _TOLD} more were read again"]
    update = {
        "blocks": tuple(blocks),
        "disputes": tuple(disputes),
        "reason": "; ".join(filter(None, [page.reason, *told])),
        "findings": _findings(page, check(blocks)),
    }
    return page.model_copy(update=update)


def _settle(question: Question, answers: Sequence[str], blocks: list[Block]) -> tuple[Dispute, list[Block]]:
    dispute = question.dispute
    if dispute.settled is not None or not answers:
        return dispute, blocks
    tokens = (token_in(read_crop(answer), dispute.text, dispute.witness) for answer in answers)
    asked = tuple(token for token in tokens if token)
    dispute = dispute.model_copy(update={"asked": (*dispute.asked, *asked)})
    reading = chosen(dispute.text, dispute.witness, asked, question.expected)
    if reading is None:
        return dispute, blocks
    if same(reading, dispute.text):
        return dispute.model_copy(update={"settled": dispute.text}), blocks
    text = put_in(dispute.text, reading)
    put = changed(blocks, dispute, text)
    if put is None:
        return dispute, blocks
    return dispute.model_copy(update={"settled": text, "start": put[1]}), put[0]


def _after(later: Dispute, dispute: Dispute) -> Dispute:
    """`later` in the same text moves with what `dispute` made longer or shorter."""
    places = [(d.block, d.row, d.col) for d in (later, dispute)]
    if places[0] != places[1] or None in (later.start, dispute.start) or dispute.settled is None:
        return later
    assert later.start is not None and dispute.start is not None
    if later.start <= dispute.start:
        return later
    more = len(dispute.settled) - len(dispute.text)
    return later.model_copy(update={"start": max(later.start + more, 0)})


def _listed(found: Sequence[Question]) -> tuple[Dispute, ...]:
    return tuple(question.dispute for question in found if question.listed)


def _findings(page: Page, checked: Checked) -> tuple[Finding, ...]:
    """Those of other rooms stay."""
    return (*(finding for finding in page.findings if finding.check not in CHECKS), *checked.findings)
