"""What the checks of a page's own figures accuse of true pages, and what they see of faults in their tables.

    python -m benchmarks.witness.checks TRUTH --json benchmarks/results/checks.json

True pages are the transcriptions and tables of the documents that have one, and what their text layers hold.
A fault is a digit wrong, dropped, added or doubled in one figure of a table that has rules which hold.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from benchmarks.witness import faults
from internvl_loaders import ParseOptions, parse
from internvl_loaders.document import Block, Cell
from internvl_loaders.errors import InternVLError
from internvl_loaders.evaluate.truth import Entry, load_manifest, load_truth
from internvl_loaders.ground.changes import with_table
from internvl_loaders.ground.checks import check
from internvl_loaders.ground.checks.numbers import number_in_cell
from internvl_loaders.transcribe.answer.blocks import blocks as read

KINDS = ("digit swapped", "digit dropped", "digit added", "first digit doubled")
MOST_PAGES = 4
"""Of a PDF whose text layer is read."""
MOST_FAULTS = 12
"""Of one table."""


def true_pages(truth: Path, entry: Entry) -> Iterator[tuple[str, list[Block]]]:
    known = load_truth(truth, entry)
    for text in (known.text, known.reference):
        if text:
            yield "text", [Block(type="paragraph", text=text)]
    for part in entry.gt:
        if part.type.startswith("table_html"):
            for block in read((truth / part.path).read_text(encoding="utf-8")):
                if block.table is not None:
                    yield "table", [block]
    if entry.path.endswith(".pdf") and entry.gt:
        options = ParseOptions(transcriber="text-layer", password=entry.password)
        try:
            for page in islice(parse(str(truth / entry.path), options), MOST_PAGES):
                yield "text layer", list(page.blocks)
        except InternVLError as error:
            print(f"left out: {error}")


def figures(block: Block) -> Iterator[Cell]:
    assert block.table is not None
    for cell in block.table.cells:
        number = None if cell.header else number_in_cell(cell.text)
        if number is not None and sum(map(str.isdigit, number.digits)) > 2:
            yield cell


def injected(blocks: list[Block], seed: str) -> Iterator[tuple[Block, Cell, list[Block]]]:
    """Each figure of each table that has rules, wrong in one way or another."""
    for number, block in enumerate(blocks):
        if block.table is None or not check([block]).held:
            continue
        found = list(figures(block))
        chance = random.Random(f"{seed} {number}")
        for cell in chance.sample(found, min(MOST_FAULTS, len(found))):
            text = faults.TOKENS[chance.choice(KINDS)](cell.text, chance)
            if text and text != cell.text:
                wrong = cell.model_copy(update={"text": text})
                cells = [wrong if other is cell else other for other in block.table.cells]
                yield block, wrong, [*blocks[:number], with_table(block, cells), *blocks[number + 1 :]]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("truth", type=Path, help="a folder with a manifest.jsonl, as for peers.py")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    told: dict[str, Counter[str]] = {}
    seconds = 0.0
    for entry in load_manifest(args.truth):
        for kind, blocks in true_pages(args.truth, entry):
            count = told.setdefault(kind, Counter())
            started = time.process_time()
            found = check(blocks)
            seconds += time.process_time() - started
            count.update({"pages": 1, "pages accused": bool(found.findings), "rules that hold": found.held})
            for finding in found.findings:
                print(f"{entry.path}, {kind}: {finding.text}")
            for _, cell, wrong in injected(blocks, entry.path):
                after = check(wrong)
                named = [s for s in after.suspects if (s.row, s.col) == (cell.row, cell.col)]
                count["faults"] += 1
                count["faults seen"] += len(after.findings) > len(found.findings)
                count["the figure among the suspects"] += bool(named)
                count["the figure the only suspect"] += any(s.unique for s in named)
    pages = sum(count["pages"] for count in told.values())
    result = {kind: dict(count) for kind, count in told.items()}
    result["seconds of CPU per page"] = {"check": round(seconds / max(pages, 1), 5)}  # type: ignore[dict-item]
    print(json.dumps(result, indent=1))
    if args.json is not None:
        args.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
