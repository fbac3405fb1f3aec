"""What the witness catches of faults in true transcriptions of real pages, and how often it is wrong.

python -m benchmarks.witness.disputes TRUTH --words FOLDER --json benchmarks/results/witness.json
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.witness import faults
from benchmarks.witness.faults import Faulty, Place
from benchmarks.witness.truth import FORMS, TruePage, pages
from internvl_loaders.document import Block
from internvl_loaders.ground.page import Grounded, ground
from internvl_loaders.ground.tokens import atoms, has_digit

PAGE_FAULTS = {
    "line skipped": (faults.skipped, {"missing", "cut off"}),
    "line repeated": (faults.repeated, {"repeated"}),
    "truncated": (faults.truncated, {"cut off", "missing"}),
    "loop": (faults.looped, {"repeated", "unseen"}),
    "words without end": (faults.drifting, {"repeated", "unseen"}),
    "chatter": (faults.chatter, {"unseen"}),
    "invented summary": (faults.summary, {"unseen", "repeated"}),
}
"""The fault, and the findings that tell of it."""


def positions(page: TruePage, form: str) -> dict[tuple[int, int], tuple[int, int | None, int | None, int]]:
    """By row and piece: the block, the cell's row and column, and from which character of its text on."""
    found: dict[tuple[int, int], tuple[int, int | None, int | None, int]] = {}
    ends: Counter[int] = Counter()
    for r, row in enumerate(page.rows):
        for p, (text, _) in enumerate(row):
            if form == "table":
                found[r, p] = 0, r, p, 0
            else:
                block = p if form == "columns" else 0
                found[r, p] = block, None, None, ends[block]
                ends[block] += len(text) + 1
    return found


def caught(grounded: Grounded, places: Sequence[Place], where: Any) -> list[bool]:
    told = [(d.block, d.row, d.col, d.start or 0, len(d.text)) for d in grounded.disputes]
    result = []
    for place in places:
        block, row, col, first = where[place.row, place.piece]
        start, end = first + place.start, first + place.end
        result.append(
            any(b == block and (r, c) == (row, col) and s < end and s + n > start for b, r, c, s, n in told)
        )
    return result


def run(page: TruePage, faulty: Faulty, form: str) -> tuple[Grounded, list[bool], float]:
    built: list[Block] = FORMS[form](faulty.page)
    started = time.process_time()
    grounded = ground(built, page.witness)
    seconds = time.process_time() - started
    return grounded, caught(grounded, faulty.places, positions(faulty.page, form)), seconds


def numeric_alarms(grounded: Grounded) -> int:
    return sum(has_digit(d.text + d.witness) for d in grounded.disputes)


def measure(found: Sequence[TruePage], form: str, seeds: int) -> dict[str, Any]:
    result: dict[str, Any] = {"pages": len(found)}
    tokens = alarms = words = 0
    findings: Counter[str] = Counter()
    seconds = 0.0
    for page in found:
        grounded, _, spent = run(page, Faulty(page), form)
        tokens += len(faults.numeric(page))
        alarms += numeric_alarms(grounded)
        words += len(grounded.disputes) - numeric_alarms(grounded)
        findings.update(finding.check for finding in grounded.findings)
        seconds += spent
    result |= {
        "numeric tokens": tokens,
        "false alarms per numeric token": round(alarms / max(tokens, 1), 4),
        "false alarms per page": round(alarms / len(found), 3),
        "words in dispute per page": round(words / len(found), 3),
        "findings per true page": {k: round(v / len(found), 3) for k, v in sorted(findings.items())},
        "seconds of CPU per page": round(seconds / len(found), 4),
    }
    kinds: dict[str, Any] = {}
    digits: Counter[bool] = Counter()
    for kind in faults.TOKENS:
        told: Counter[bool] = Counter()
        for seed in range(seeds):
            for number, page in enumerate(found):
                chance = random.Random(f"{kind} {seed} {number}")
                faulty = faults.tokens_wrong(page, kind, chance)
                if faulty is not None:
                    told.update(run(page, faulty, form)[1])
        kinds[kind] = share(told)
        digits.update(told if kind != "letter for digit" else {})
    kinds["all digit faults"] = share(digits)
    either: Counter[bool] = Counter()
    both: Counter[bool] = Counter()
    for seed in range(3 * seeds):
        for number, page in enumerate(found):
            faulty = faults.exchanged(page, random.Random(f"exchanged {seed} {number}"))
            if faulty is not None:
                seen = run(page, faulty, form)[1]
                either[any(seen)] += 1
                both.update(seen)
    kinds["tokens exchanged (one of the two)"] = share(either)
    kinds["tokens exchanged (each)"] = share(both)
    for kind, (make, checks) in PAGE_FAULTS.items():
        told = Counter()
        for seed in range(seeds):
            for number, page in enumerate(found):
                fault = make(page, random.Random(f"{kind} {seed} {number}"))
                if fault is not None:
                    grounded = run(page, fault, form)[0]
                    told[tells(grounded, fault, checks)] += 1
        kinds[kind] = share(told)
    told = Counter()
    for page, other in zip(found, [*found[1:], found[0]], strict=True):
        grounded = ground(FORMS[form](other), page.witness)
        told[any(finding.check == "another page" for finding in grounded.findings)] += 1
    kinds["another page"] = share(told)
    return result | {"caught": kinds}


def tells(grounded: Grounded, fault: Faulty, checks: set[str]) -> bool:
    """Whether a finding of these names half of what is wrong, or a good deal of the page's findings do."""
    wrong = Counter(atom.text for atom in atoms(fault.text))
    said: Counter[str] = Counter()
    for finding in grounded.findings:
        if finding.check in checks or finding.check == "another page":
            said.update(atom.text for atom in atoms(finding.text.partition(":")[2] or finding.text))
            if len(fault.text) > 1000 and finding.check == "unseen":
                return True
    return sum((wrong & said).values()) >= min(0.5 * sum(wrong.values()), 4)


def share(told: Counter[bool]) -> dict[str, Any]:
    total = told[True] + told[False]
    return {"of": total, "caught": round(told[True] / total, 4) if total else None}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("truth", type=Path, help="a folder with a manifest.jsonl, as for peers.py")
    parser.add_argument("--words", type=Path, required=True, help="folder in which OCR's words are kept")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--forms", default="rows,joined,columns,table")
    parser.add_argument("--kept-only", action="store_true", help="only pages whose words are in the folder")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    by_kind: dict[str, list[TruePage]] = defaultdict(list)
    for page in pages(args.truth, args.words, kept_only=args.kept_only):
        by_kind[page.kind].append(page)
    result: dict[str, Any] = {}
    for kind, found in by_kind.items():
        for form in args.forms.split(","):
            if kind == "scans" and form in ("columns", "table"):
                continue  # their truth has no columns
            measured = measure(found, form, args.seeds)
            result[f"{kind}, {form}"] = measured
            print(f"{kind}, {form}: {json.dumps(measured, indent=1)}", flush=True)
    if args.json is not None:
        args.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
