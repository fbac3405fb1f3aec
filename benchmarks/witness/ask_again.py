"""What reading again on crops settles, with an engine that is right about a crop with a given chance.

    python -m benchmarks.witness.ask_again TRUTH --words FOLDER --json benchmarks/results/ask_again.json

Numeric tokens of true pages are made wrong at a base rate; the page is grounded against rapidocr's words of
its real image, and what is in dispute is settled. Of the engine's wrong readings of a crop half repeat the
fault: what was transcribed, or where that is right what the witness misreads.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import PIL.Image

from benchmarks.witness import faults
from benchmarks.witness.disputes import positions
from benchmarks.witness.faults import Place
from benchmarks.witness.truth import FORMS, TruePage, pages
from internvl_loaders.document import Block, Dispute, Page
from internvl_loaders.ground.ask_again import Budget, settle
from internvl_loaders.ground.checks import check
from internvl_loaders.ground.page import ground
from internvl_loaders.ground.questions import questions, worth_asking
from internvl_loaders.ground.readings import same
from internvl_loaders.ground.tokens import has_digit

BASE_RATE = 0.02
IMAGE = PIL.Image.new("RGB", (1000, 1400), "white")
"""Crops are of their box alone: the simulated engine knows what stands there."""

Where = tuple[int, int | None, int | None]


class Engine:
    """Right about a crop with chance `right`; half of its wrong readings are the fault."""

    def __init__(
        self, page: Page, truths: dict[Where, list[tuple[int, int, str]]], right: float, seed: str
    ) -> None:
        self.chance = random.Random(seed)
        self.right = right
        self.calls = 0
        self.expected = [
            (question.dispute, _truth(question.dispute, truths))
            for question in worth_asking(
                questions(page, check(page.blocks)), crops=Budget().crops, words=Budget().words
            )
            for _ in range(question.readings)
        ]

    async def ask(self, crops: Sequence[tuple[PIL.Image.Image, str]]) -> list[str]:
        self.calls += len(crops)
        return [self._read(*expected) for expected in self.expected] + [""] * (
            len(crops) - len(self.expected)
        )

    def _read(self, dispute: Dispute, truth: str) -> str:
        if self.chance.random() < self.right:
            return truth
        fault = dispute.witness if same(dispute.text, truth) else dispute.text
        if fault and self.chance.random() < 0.5:
            return fault
        kind = self.chance.choice(list(faults.TOKENS)) if has_digit(truth) else None
        return (kind and faults.TOKENS[kind](truth, self.chance)) or "[illegible]"


def _truth(dispute: Dispute, truths: dict[Where, list[tuple[int, int, str]]]) -> str:
    """Of the token that stands where `dispute` does; what is not numeric was not made wrong."""
    assert dispute.block is not None
    start = dispute.start or 0
    for first, last, text in truths.get((dispute.block, dispute.row, dispute.col), ()):
        if first < start + len(dispute.text) and start < last:
            return text
    return dispute.text


def wrong(page: TruePage, rate: float, chance: random.Random) -> tuple[TruePage, list[tuple[Place, str]]]:
    """With faults of all kinds, and where its numeric tokens then are, each with what it is in truth."""
    found = faults.numeric(page)
    changes: list[tuple[Place, str]] = []
    for place in found:
        text = faults.token(page, place)
        kind = chance.choice(list(faults.TOKENS))
        put = faults.TOKENS[kind](text, chance) if chance.random() < rate else None
        changes.append((place, put or text))
    faulty = faults.changed(page, changes)
    truths = [faults.token(page, place) for place in sorted(found, key=lambda p: (p.row, p.piece, p.start))]
    return faulty.page, list(zip(faulty.places, truths, strict=True))


def run(page: TruePage, form: str, rate: float, right: float, seed: str, *, witness: bool) -> Counter[str]:
    chance = random.Random(seed)
    faulty, places = wrong(page, rate, chance)
    where = positions(faulty, form)
    truths: dict[Where, list[tuple[int, int, str]]] = defaultdict(list)
    for place, text in places:
        block, row, col, first = where[place.row, place.piece]
        truths[block, row, col].append((first + place.start, first + place.end, text))
    seen = page.witness if witness else replace(page.witness, words=())
    grounded = ground(FORMS[form](faulty), seen)
    before = Page(source=page.name, number=1, status="ok", blocks=grounded.blocks, disputes=grounded.disputes)
    engine = Engine(before, truths, right, f"{seed} engine")
    after = asyncio.run(settle(before, IMAGE, engine.ask))
    told: Counter[str] = Counter({"pages": 1, "crops": engine.calls, "calls": bool(engine.calls)})
    for at, tokens in truths.items():
        one, two = _text(before.blocks, at), _text(after.blocks, at)
        told.update(_judged(tokens, one, two, [d for d in after.disputes if (d.block, d.row, d.col) == at]))
    return told


def _text(blocks: Sequence[Block], at: Where) -> str:
    block, row, col = at
    table = blocks[block].table
    if table is None:
        return blocks[block].text
    return next(cell.text for cell in table.cells if (cell.row, cell.col) == (row, col))


def _judged(
    tokens: list[tuple[int, int, str]], before: str, after: str, disputes: Sequence[Dispute]
) -> Counter[str]:
    told: Counter[str] = Counter()
    changes = _changes(disputes)
    for first, last, truth in tokens:
        moved = sum(more for start, more in changes if start < first)
        within = sum(more for start, more in changes if first <= start < last)
        start, end = first + moved, last + moved + within
        was_right, is_right = before[first:last] == truth, same(after[start:end], truth)
        is_open = any(
            d.settled is None and (d.start or 0) < end and start < (d.start or 0) + len(d.text)
            for d in disputes
        )
        is_settled = any(
            d.settled is not None and (d.start or 0) < end and start < (d.start or 0) + len(d.settled)
            for d in disputes
        )
        told["tokens"] += 1
        told["wrong before"] += not was_right
        told["wrong after"] += not is_right
        told["silently wrong"] += not is_right and not is_open
        told["never in dispute"] += not is_right and not is_open and not is_settled
        told["made wrong"] += was_right and not is_right
        told["open"] += is_open
    return told


def _changes(disputes: Sequence[Dispute]) -> list[tuple[int, int]]:
    """Where tokens began that were changed, in the text as it was, and how much longer they are."""
    found: list[tuple[int, int]] = []
    moved = 0
    for dispute in sorted(disputes, key=lambda d: d.start or 0):
        if dispute.settled is not None:
            more = len(dispute.settled) - len(dispute.text)
            found.append(((dispute.start or 0) - moved, more))
            moved += more
    return found


def summary(told: Counter[str]) -> dict[str, float]:
    tokens, count = told["tokens"], told["pages"]
    shares = {
        name: round(told[name] / tokens, 5)
        for name in (
            "wrong before",
            "wrong after",
            "silently wrong",
            "never in dispute",
            "made wrong",
            "open",
        )
    }
    return (
        {"pages": count, "numeric tokens": tokens}
        | shares
        | {
            "crops per page": round(told["crops"] / count, 3),
            "pages asked about": round(told["calls"] / count, 3),
        }
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("truth", type=Path, help="a folder with a manifest.jsonl, as for peers.py")
    parser.add_argument("--words", type=Path, required=True, help="folder in which OCR's words are kept")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--right", type=float, default=0.9)
    parser.add_argument("--rate", type=float, default=BASE_RATE)
    parser.add_argument("--forms", default="rows,table")
    parser.add_argument("--kept-only", action="store_true", help="only pages whose words are in the folder")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    result: dict[str, dict[str, float]] = {}
    found = list(pages(args.truth, args.words, kept_only=args.kept_only))
    for kind in sorted({page.kind for page in found}):
        for form in args.forms.split(","):
            if kind == "scans" and form == "table":
                continue  # their truth has no columns
            for witness in (True, False):
                told: Counter[str] = Counter()
                for seed in range(args.seeds):
                    for page in (page for page in found if page.kind == kind):
                        told += run(page, form, args.rate, args.right, f"{seed} {page.name}", witness=witness)
                name = f"{kind}, {form}, {'rapidocr' if witness else 'no'} witness"
                result[name] = summary(told)
                print(f"{name}: {json.dumps(result[name])}", flush=True)
    if args.json is not None:
        args.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
