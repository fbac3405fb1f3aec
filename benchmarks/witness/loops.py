"""Characters that a loop has been written for when it is seen, and false alarms on honest texts.

    python -m benchmarks.witness.loops TRUTH [--before FILE] [--json FILE]

FILE of `--before` is another module's, with an `at_end(text)` that is asked every 256 characters, to compare.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import random
import re
import statistics
import string
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pymupdf

from benchmarks.witness import honest
from internvl_loaders.evaluate.truth import load_manifest
from internvl_loaders.transcribe.model.guard import Guard, degeneration

PERIODS = (
    *(1, 2, 3, 5, 8, 9, 12, 13, 16, 19, 25, 34, 48, 61, 80, 100, 150, 200, 300, 380, 500),
    *(750, 1000, 1250, 1500, 1750, 2000),
)
SEEDS = 8
PAGES = 10
"""Of a PDF."""
MOST = 40_000
"""Characters of a runaway: more than any answer has."""
TOKEN = 4
"""Characters that come at once."""


def true_texts(truth: Path) -> Iterator[tuple[str, str]]:
    """Texts, markdown, tables and lines of all ground truth of one page; an answer is about one."""
    told = set()
    for entry in load_manifest(truth):
        for one in entry.gt:
            if one.path in told or one.path.endswith(".jsonl") or (entry.pages or 1) > 1:
                continue
            told.add(one.path)
            text = (truth / one.path).read_text(encoding="utf-8", errors="replace")
            if one.path.endswith(".json"):
                data = json.loads(text)
                lines = data.get("lines") if isinstance(data, dict) else None
                if not lines:
                    continue
                text = "\n".join(str(line.get("text", "")) for line in lines)
            yield one.path, text


def true_pages(truth: Path) -> Iterator[tuple[str, str]]:
    """Pages of PDFs as their text layers have them, line by line and paragraph by paragraph."""
    for entry in load_manifest(truth):
        if not entry.path.endswith(".pdf") or entry.password is not None:
            continue
        try:
            with pymupdf.open(truth / entry.path) as document:
                texts = [page.get_text("blocks") for page in itertools.islice(document, PAGES)]
        except (RuntimeError, ValueError):  # damaged on purpose
            continue
        for number, blocks in enumerate(texts, 1):
            said = [block[4] for block in blocks if block[6] == 0]
            yield f"{entry.path}, page {number}, lines", "".join(said)
            yield f"{entry.path}, page {number}", "\n\n".join(" ".join(block.split()) for block in said)


def new(start: str, runaway: str) -> int | None:
    """Characters of the runaway that had come when it was told of."""
    guard = Guard()
    text = start + runaway
    for at in range(0, len(text), TOKEN):
        if guard.add(text[at : at + TOKEN]):
            return max(0, min(at + TOKEN, len(text)) - len(start))
    return None


def old(module: ModuleType, start: str, runaway: str) -> int | None:
    text = start + runaway
    for end in range(256, len(text), 256):
        if module.at_end(text[:end]):
            return max(0, end - len(start))
    return None


def loops(source: str, rng: random.Random) -> Iterator[tuple[str, str]]:
    """A unit of each period, out of a true text, without end."""
    for period in PERIODS:
        at = rng.randrange(len(source) - period)
        unit = source[at : at + period]
        if not any(c.isalnum() for c in unit):
            unit = "".join(rng.choice(string.ascii_lowercase) for _ in range(period))
        yield f"period {period}", unit * (MOST // period)


def irregular(source: str, rng: random.Random) -> Iterator[tuple[str, str]]:
    words = sorted(set(re.findall(r"[a-z]{3,}", source)))
    sentences = [" ".join(rng.choices(words, k=12)).capitalize() + "." for _ in range(5)]
    paragraph = " ".join(" ".join(rng.choices(words, k=14)).capitalize() + "." for _ in range(5))
    others = [" ".join(rng.choices(words, k=40)).capitalize() + "." for _ in range(400)]
    yield "word drift without an end of sentence", " ".join(rng.choices(words, k=MOST // 7))
    syllables = ["inter", "national", "iza", "tion", "al"]
    yield "one word without end", "".join(rng.choices(syllables, k=MOST // 5))
    yield "few words in any order", " ".join(rng.choices(words[:4], k=MOST // 6))
    yield "five sentences in any order", " ".join(rng.choices(sentences, k=MOST // 80))
    mixed = [line for other in others for line in (other, paragraph)]
    yield "the same paragraph between others", "\n\n".join(mixed)[:MOST]
    yield "exclamation marks", "!" * MOST


def figures(values: list[int | None]) -> dict[str, Any]:
    seen = [value for value in values if value is not None]
    return {
        "seen": len(seen),
        "of": len(values),
        "median": round(statistics.median(seen)) if seen else None,
        "most": max(seen, default=None),
    }


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("truth", type=Path)
    options.add_argument("--before", type=Path)
    options.add_argument("--json", type=Path)
    given = options.parse_args()
    pymupdf.TOOLS.mupdf_display_errors(False)
    texts = [*true_texts(given.truth), *true_pages(given.truth)]
    started = time.process_time()
    alarms = [(name, told.what) for name, text in texts if (told := degeneration(text))]
    seconds = time.process_time() - started
    made = list(honest.pages())
    made_alarms = [(kind, told.what) for kind, text in made if (told := degeneration(text))]
    prose = [text for _, text in texts if len(text) > 4000 and "<t" not in text and "|" not in text]
    ways: dict[str, Callable[[str, str], int | None]] = {"after": new}
    if given.before is not None:
        module = _module(given.before)
        ways["before"] = lambda start, runaway: old(module, start, runaway)
    found: dict[str, dict[str, list[int | None]]] = {}
    for seed in range(SEEDS):
        rng = random.Random(seed)
        source = rng.choice(prose)
        for kind, runaway in (*loops(source, rng), *irregular(source, rng)):
            for way, see in ways.items():
                found.setdefault(kind, {}).setdefault(way, []).append(see(source[:500], runaway))
    characters = sum(len(text) for _, text in texts)
    result = {
        "true_texts": {"texts": len(texts), "characters": characters, "false_alarms": alarms},
        "honest_pages": {
            "pages": len(made),
            "characters": sum(len(t) for _, t in made),
            "false_alarms": made_alarms,
        },
        "microseconds_a_character": round(seconds / characters * 1e6, 2),
        "characters_until_seen": {
            kind: {way: figures(values) for way, values in each.items()} for kind, each in found.items()
        },
    }
    print(json.dumps(result, indent=1, ensure_ascii=False))
    if given.json is not None:
        given.json.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    missed = [kind for kind, each in found.items() if None in each["after"]]
    return 1 if alarms or made_alarms or missed else 0


def _module(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("before", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["before"] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    sys.exit(main())
