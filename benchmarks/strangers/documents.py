"""A folder of documents, and mutants made of them."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.strangers.survey import failures, survey
from internvl_llm.media.limits import Limits
from internvl_loaders.folders import EXTENSIONS
from tests.kit.mutations import mutants


def run(
    folder: Path, limits: Limits, *, jobs: int, seed: int, count: int, mutant_pages: str, mutants_only: bool
) -> Iterator[tuple[str, dict[str, Any]]]:
    """What came of the documents, and of `count` mutants."""
    files = sorted(f for f in folder.rglob("*") if f.suffix.lower() in EXTENSIONS and f.is_file())
    with tempfile.TemporaryDirectory(prefix="internvl-mutants-") as place:
        made = list(_write_mutants(files, folder, Path(place), count, seed))
        for kind, which, root, pages in (
            ("documents", [] if mutants_only else files, folder, None),
            ("mutants", made, Path(place), mutant_pages),
        ):
            if not which:
                continue
            seen = survey(which, root, limits, pages, jobs)
            told = seen.summary() | {
                "problems": seen.problems(limits, pages),
                "failed": failures(seen, root),
            }
            if kind == "mutants":
                told["mutators"] = dict(Counter(name.split("/")[0] for name in seen.files))
            yield kind, told


def _write_mutants(files: Sequence[Path], root: Path, folder: Path, count: int, seed: int) -> Iterator[Path]:
    documents = {file.relative_to(root).as_posix(): file.read_bytes() for file in files}
    for number, (name, mutator, data) in enumerate(mutants(documents, count, seed), 1):
        path = folder / mutator / f"{number:04}-{name.replace('/', '_')}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        yield path
