"""Fuzzes the pure parts in this process: `python -m tests.fuzz.run MINUTES [--help]`.

Targets take turns. A property that does not hold is written to standard error once, with the
smallest input found, and its target goes on being tried for other errors.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from pathlib import Path

from tests.fuzz import evaluating, inputs, reading, rendering
from tests.fuzz.target import TARGETS

__all__ = ["TARGETS", "evaluating", "fuzz", "inputs", "reading", "rendering"]

EXAMPLES = 150
"""Inputs a target tries in one turn."""


def fuzz(names: list[str], seconds: float, seed: int, save: Path | None = None) -> dict[str, list[str]]:
    """By target, where errors were raised; `save` takes the figures after every round."""
    found: dict[str, list[str]] = {}
    start = time.monotonic()
    turn = seed * 1_000_000
    while time.monotonic() - start < seconds:
        for name in names:
            turn += 1
            try:
                TARGETS[name].run(EXAMPLES, turn)
            except Exception as error:  # whatever it is, it is a finding
                for one in error.exceptions if isinstance(error, ExceptionGroup) else (error,):
                    where = traceback.extract_tb(one.__traceback__)[-1]
                    place = f"{Path(where.filename).name}:{where.lineno} {type(one).__name__}"
                    if place not in found.setdefault(name, []):
                        found[name].append(place)
                        story = "".join(traceback.format_exception(one))
                        print(f"{name} (turn {turn}): {place}\n{story}", file=sys.stderr, flush=True)
        if save is not None:
            told = {
                "minutes": round((time.monotonic() - start) / 60, 1),
                "seed": seed,
                "inputs": {name: TARGETS[name].runs for name in names},
                "errors": found,
            }
            save.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("minutes", type=float)
    parser.add_argument("--only", action="append", choices=sorted(TARGETS), help="these targets, not all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    names = options.only or list(TARGETS)
    found = fuzz(names, options.minutes * 60, options.seed, options.json)
    for name in names:
        print(f"{name:44}{TARGETS[name].runs:>10,} inputs {len(found.get(name, ())):>3} errors")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
