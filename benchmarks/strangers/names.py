"""Names that Linux allows and nobody expects: of files, of folders, and in the arguments of tools."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.strangers.ground import ground, left_processes
from benchmarks.strangers.kills import COMMAND
from internvl_llm.names import file_name, same_name
from internvl_loaders.agents import DocumentTools
from internvl_loaders.errors import InternVLError
from tests.kit.names import HOSTILE
from tests.kit.pdfs import pdf

_JOINERS = "\u200c\u200d"
ARGUMENTS = [
    *HOSTILE,
    *(
        "",
        ".",
        "..",
        "/",
        "~",
        "\ud800",
        "a\udfff",
        "\x00",
        "a\x00.pdf",
        "\ufffe",
        "x" * 10**6,
        "../" * 10**4,
    ),
    *(
        "/etc/passwd",
        "../../etc/passwd",
        "file:///etc/passwd",
        "http://127.0.0.1/",
        "a/../..",
        "//x/y",
        "C:\\x",
    ),
]


def run() -> dict[str, Any]:
    with ground() as place:
        scans, out, report = (place.here / name for name in ("scans", "out", "report.json"))
        for number, name in enumerate(HOSTILE):
            folder = scans / HOSTILE[number // 10 * 10]
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{name}.pdf").write_bytes(pdf(f"Letter {number}"))
        arguments = ["parse", scans, "-o", out, "-f", "md,json", "--report", report, "--no-cache"]
        done = subprocess.run(
            [sys.executable, "-c", COMMAND, *map(str, arguments)],
            env=place.env,
            capture_output=True,
            check=False,
        )
        told = json.loads(report.read_bytes().decode())
        complete = sum(document["status"] == "ok" for document in told["documents"])
        written = [path for path in out.rglob("*") if path.is_file()]
        texts = sorted(path.read_text().strip() for path in written if path.suffix == ".md")
        lost = len(HOSTILE) - complete + len(set(map(_letter, range(len(HOSTILE)))) - set(texts))
        problems = [f"exit status {done.returncode}"] if done.returncode else []
        problems += ["letters are lost"] if lost else []
        problems += [f"outside: {path!a}" for path in written if not path.resolve().is_relative_to(out)]
        problems += [
            f"no name for every file system: {path.name!a}" for path in written if not _is_tame(path)
        ]
        alike = len(written) - len({same_name(str(path)) for path in written})
        problems += [f"{alike} outputs alike"] if alike else []
        forged = _unseen(done.stderr.decode())
        problems += ["characters that a terminal obeys on standard error"] if forged else []
        calls, wrong = _calls(scans)
        problems += wrong
        left, alive = place.left_files(), left_processes(place.env["HOME"])
        problems += [f"left: {name}" for name in left] + [f"process {each} is left" for each in alive]
        return {
            "tried": len(HOSTILE),
            "arguments_tried": calls,
            "lost": lost,
            "leaked": sum(problem.startswith("outside") for problem in problems) + len(wrong),
            "files_left": len(left),
            "processes_left_over": len(alive),
            "problems": problems,
        }


def _letter(number: int) -> str:
    return f"Letter {number}"


def _is_tame(path: Path) -> bool:
    stem = path.name.rpartition(".")[0]
    return file_name(stem) == stem and len(path.name.encode()) <= 255


def _unseen(text: str) -> bool:
    return any(not char.isprintable() and char not in f"\n{_JOINERS}" for char in text)


def _calls(scans: Path) -> tuple[int, list[str]]:
    """Every argument as a path, a range and a query: answers and errors are of this folder, and clean."""
    tools, tried, wrong = DocumentTools(scans), 0, []
    for argument in ARGUMENTS:
        for name, call in (
            ("path", lambda given: tools.read_page(given, 1)),
            ("range", lambda given: tools.parse_document("Invoice.pdf", given)),
            ("query", lambda given: tools.search_in_document("Invoice.pdf", given)),
        ):
            tried += 1
            try:
                said = call(argument)
            except InternVLError as error:
                said = str(error)
            except Exception as error:
                wrong.append(f"{name} {argument[:50]!a}: {type(error).__name__}")
                continue
            if _unseen(said) or len(said) > 25_000 or "root:" in said:
                wrong.append(f"{name} {argument[:50]!a}: {said[:80]!a}")
    return tried, wrong
