"""Ours beside other tools: the same files, the same metrics, one run. See README.md."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from functools import partial
from pathlib import Path

import tools
from isolation import IsolatedReader, ToolError
from rich.console import Console

from internvl_loaders.errors import InternVLError
from internvl_loaders.evaluate import DocumentReading, Evaluation, Reader, evaluate
from internvl_loaders.evaluate.report import comparison
from internvl_loaders.evaluate.truth import Entry, load_manifest

SCHEMA = "internvl-peers/1"


def main() -> int:
    options = _arguments()
    entries = {str(options.directory / e.path): e for e in load_manifest(options.directory)}
    console, errors = Console(), Console(stderr=True)
    evaluations: list[Evaluation] = []
    for name in options.tools:
        with IsolatedReader(name) as isolated:
            evaluations.append(
                evaluate(
                    options.directory,
                    read=_reader(isolated, options, entries),
                    name=name,
                    kinds=options.kinds,
                    match=options.match,
                    progress=partial(_progress, errors, name),
                )
            )
        if options.json:
            _write(options.json, evaluations)
    console.print(comparison(evaluations))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path, help="holds manifest.jsonl")
    parser.add_argument("--tools", type=_names, default=list(tools.TOOLS), help=", ".join(tools.TOOLS))
    parser.add_argument("--kinds", type=_names, default=(), help="of the manifest; default all")
    parser.add_argument("--match", action="append", default=[], help="glob on the paths, may be repeated")
    parser.add_argument(
        "--timeout", type=float, default=60.0, help="seconds a page, at least two pages' worth"
    )
    parser.add_argument("--json", type=Path, help="write all results here")
    parser.add_argument("--readings", type=Path, help="keep what the tools read here, and take it from there")
    options = parser.parse_args()
    unknown = set(options.tools) - set(tools.TOOLS)
    if unknown:
        parser.error(f"unknown tools: {', '.join(sorted(unknown))}")
    return options


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def _progress(console: Console, name: str, done: int, total: int, path: str) -> None:
    console.print(f"{name} {done + 1}/{total} {path}", highlight=False, markup=False)


def _reader(isolated: IsolatedReader, options: argparse.Namespace, entries: dict[str, Entry]) -> Reader:
    def read(path: Path, password: str | None) -> DocumentReading:
        entry = entries[str(path)]
        limit = options.timeout * max(2, entry.pages or 1)
        return isolated.read(path, password, entry.lang or "", limit)

    return read if options.readings is None else _kept(read, options.readings / isolated.name)


def _kept(read: Reader, folder: Path) -> Reader:
    """`read`, whose results are files in `folder`, keyed by the document's content and name."""
    folder.mkdir(parents=True, exist_ok=True)

    def kept(path: Path, password: str | None) -> DocumentReading:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        file = folder / f"{path.name}.{digest}.json"
        if file.exists():
            return DocumentReading.model_validate_json(file.read_bytes())
        reading = read(path, password)
        file.write_text(reading.model_dump_json(), encoding="utf-8")
        return reading

    return kept


def _write(file: Path, evaluations: list[Evaluation]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    body = {"schema": SCHEMA, "evaluations": [json.loads(e.to_json()) for e in evaluations]}
    file.write_text(json.dumps(body, ensure_ascii=False, indent=1), encoding="utf-8")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (InternVLError, ToolError) as error:
        sys.exit(str(error))
