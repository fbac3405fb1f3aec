"""Sends what strangers may send, and checks that nothing is lost, leaked or left; see README.md."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.strangers import blocks, documents, kills, names, pdfs
from internvl_llm.media.limits import Limits
from internvl_llm.media.workers.pool import cores


def main() -> int:
    options = arguments()
    result: dict[str, Any] = {"seed": options.seed, "jobs": options.jobs}
    broken = []
    for kind, told in parts(options, result):
        result[kind] = told
        broken += told["problems"]
        show(kind, told)
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 1 if broken else 0


def parts(options: argparse.Namespace, result: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    if options.part == "documents":
        limits = Limits(max_seconds=options.max_seconds, max_memory=options.max_memory * 2**20)
        result["limits"] = limits.model_dump()
        yield from documents.run(
            options.folder,
            limits,
            jobs=options.jobs,
            seed=options.seed,
            count=options.mutants,
            mutant_pages=options.mutant_pages,
            mutants_only=options.mutants_only,
        )
        return
    every = options.part == "strangers"
    if every or options.part == "blocks":
        yield "blocks", blocks.run()
    if every or options.part == "names":
        yield "names", names.run()
    if every or options.part == "kills":
        yield "kills", kills.run(options.seed, options.count)
    if every or options.part == "pdfs":
        yield "pdfs", pdfs.run(options.seed, options.jobs)


def show(kind: str, found: dict[str, Any]) -> None:
    print(f"\n{kind}")
    for name, value in found.items():
        if name == "problems":
            print(f"  {'promises broken':32}{len(value)}", *value, sep="\n    ", flush=True)
        elif name not in {"failed", "mutators"}:
            print(f"  {name.replace('_', ' '):32}{value}")


def arguments() -> argparse.Namespace:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--seed", type=int, default=1)
    common.add_argument("--jobs", type=int, default=cores())
    common.add_argument("--json", type=Path)
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="part", required=True)
    of = commands.add_parser("documents", parents=[common], help="a folder's, and mutants of them")
    of.add_argument("folder", type=Path)
    of.add_argument("--mutants", type=int, default=240)
    of.add_argument("--mutant-pages", default="1-3", help="pages read of a mutant")
    of.add_argument("--mutants-only", action="store_true")
    of.add_argument("--max-seconds", type=float, default=Limits().max_seconds)
    of.add_argument("--max-memory", type=int, default=Limits().max_memory // 2**20, help="MiB of a worker")
    for name, what in (
        ("blocks", "content blocks that try to have files read"),
        ("names", "of files and in tools' arguments"),
        ("kills", "of the command and its workers"),
        ("pdfs", "that ask for too much or lie"),
        ("strangers", "all four"),
    ):
        part = commands.add_parser(name, parents=[common], help=what)
        if name in ("kills", "strangers"):
            part.add_argument("--count", type=int, default=100, help="kills")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
