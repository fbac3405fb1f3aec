"""Do answers of a model of random weights fit their JSON schemas?

    python -m benchmarks.schema_conformance [--generated 300] [--suite FOLDER] [--seeds 2]

`--suite` is a folder of JSON-Schema-Test-Suite (tests/draft2020-12). Prints how many schemas there were,
which were refused and why, how many answers ended, and how many of these `jsonschema` accepts.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

import jsonschema

from internvl_llm import Request, Sampling, open_engine
from internvl_llm.errors import GrammarError
from internvl_llm.grammar import JsonSchema
from tests.kit.checkpoints import built
from tests.kit.schemas import schema


def suite(folder: Path) -> dict[str, dict[str, Any]]:
    return {
        f"{file.relative_to(folder)}: {group['description']}": group["schema"]
        for file in sorted(folder.rglob("*.json"))
        for group in json.loads(file.read_text())
        if isinstance(group["schema"], dict)
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--generated", type=int, default=300)
    options.add_argument("--suite", type=Path)
    options.add_argument("--seeds", type=int, default=2)
    options.add_argument("--max-tokens", type=int, default=300)
    told = options.parse_args()
    engine = open_engine(built("tiny"))
    sources = {"generated": {str(seed): schema(seed) for seed in range(told.generated)}}
    if told.suite:
        sources["suite"] = suite(told.suite)
    for source, schemas in sources.items():
        refused: Counter[str] = Counter()
        requests: list[tuple[str, dict[str, Any], Request]] = []
        started = time.monotonic()
        for name, wanted in schemas.items():
            asked = [
                Request("Go", Sampling(told.max_tokens, 1.0, seed=seed), grammar=JsonSchema(wanted))
                for seed in range(told.seeds)
            ]
            try:
                engine.generate([Request("Go", Sampling(1), grammar=JsonSchema(wanted))])
            except GrammarError as error:
                refused[error.message[:110]] += 1
                continue
            requests += [(name, wanted, one) for one in asked]
        ended = fits = formatted = unjudged = 0
        for at in range(0, len(requests), 64):
            batch = requests[at : at + 64]
            for (name, wanted, _), result in zip(batch, engine.generate([b[2] for b in batch]), strict=True):
                if result.finish_reason != "stop":
                    continue
                ended += 1
                checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
                try:
                    value = json.loads(result.text)
                    jsonschema.Draft202012Validator(wanted).validate(value)
                    fits += 1
                    jsonschema.Draft202012Validator(wanted, format_checker=checker).validate(value)
                    formatted += 1
                except re.error:
                    unjudged += 1  # Python knows no \p in patterns
                except (ValueError, jsonschema.ValidationError) as error:
                    print(f"WRONG {name} {json.dumps(wanted)[:300]}\n  {result.text[:300]!r}")
                    print(f"  {str(error)[:200]}")
        print(
            f"{source}: {len(schemas)} schemas, {sum(refused.values())} refused, {len(requests)} answers, "
            f"{ended} ended, {fits} valid, {formatted} with formats too, "
            f"{unjudged} not judged, {time.monotonic() - started:.0f} s"
        )
        for why, count in refused.most_common():
            print(f"  {count:4} {why}")
    engine.close()


if __name__ == "__main__":
    main()
