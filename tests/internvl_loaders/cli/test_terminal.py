"""Standard streams that are closed, full, or not read to their end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.internvl_loaders.cli.test_parse import shell
from tests.kit.marks import slow
from tests.kit.paths import EXAMPLE
from tests.kit.pdfs import pdf

SPOILED = {
    "closed": ">&-",
    "full": "> /dev/full",
    "unread": "> >(exec 0<&-; sleep 1)",
}


@pytest.fixture
def long(tmp_path: Path) -> Path:
    path = tmp_path / "long.pdf"
    path.write_bytes(pdf(*["A page of some text.\n" * 40] * 60))
    return path


def assert_quiet(said: str) -> None:
    assert "Traceback" not in said and "Exception ignored" not in said, said


@pytest.mark.parametrize("how", SPOILED)
@pytest.mark.parametrize("form", ["md", *slow("json")])
def test_parse_where_standard_output_takes_nothing(long: Path, tmp_path: Path, form: str, how: str) -> None:
    report = tmp_path / "report.json"
    run = shell(
        f'internvl parse "$1" -f {form} --no-cache --report "$2" {SPOILED[how]}; echo "=$?" >&2', long, report
    )
    assert_quiet(run.stderr)
    assert run.stderr.endswith("=1\n")
    assert ("internvl: standard output: " in run.stderr) == (how != "unread")
    assert '"status": "partial"' in report.read_text() or '"documents": []' in report.read_text()
    assert '"error": "' in report.read_text()


@pytest.mark.parametrize("how", SPOILED)
def test_what_goes_to_files_needs_no_standard_output(tmp_path: Path, how: str) -> None:
    (tmp_path / "a.pdf").write_bytes(pdf("x"))
    run = shell(f'internvl parse "$1" -o "$2" {SPOILED[how]}; echo "=$?" >&2', tmp_path / "a.pdf", tmp_path)
    assert_quiet(run.stderr)
    assert run.stderr.endswith("=0\n")
    assert (tmp_path / "a.pdf.md").read_text() == "x\n"


@pytest.mark.parametrize("where", ["2>&-", "2> /dev/full"])
def test_nobody_to_tell_is_no_reason_to_stop(tmp_path: Path, where: str) -> None:
    (tmp_path / "a.pdf").write_bytes(pdf("x"))
    (tmp_path / "b.pdf").touch()
    run = shell(f'internvl parse "$1" -o "$1" {where}; echo "=$?"', tmp_path)
    assert run.stdout == "=1\n"
    assert (tmp_path / "a.pdf.md").read_text() == "x\n"


@pytest.mark.parametrize(
    ("how", "command"),
    [
        pytest.param(how, command, marks=() if command in quick else pytest.mark.slow)
        for how, quick in (("closed", {"--help"}), ("full", {"--version", "cache info"}))
        for command in ("--help", "--version", "parse --help", "models --json", "models", "cache info")
    ],
)
def test_other_commands_where_standard_output_takes_nothing(tmp_path: Path, command: str, how: str) -> None:
    run = shell(f'XDG_CACHE_HOME="$1" internvl {command} {SPOILED[how]}; echo "=$?" >&2', tmp_path)
    assert_quiet(run.stderr)
    assert run.stderr.endswith("=1\n")
    assert len(run.stderr.splitlines()) == 2 and "standard output: " in run.stderr


@pytest.mark.slow
def test_check_and_evaluate_where_standard_output_takes_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(pdf("x"))
    (tmp_path / "a.txt").write_text("x")
    entry = '{"path": "a.pdf", "kind": "letter", "truth": {"text": "a.txt"}}\n'
    (tmp_path / "manifest.jsonl").write_text(entry)
    for command in ("check", 'evaluate -q "$1"', 'evaluate -q --json "$1"'):
        run = shell(f'internvl {command} > /dev/full; echo "=$?" >&2', tmp_path)
        assert_quiet(run.stderr)
        assert run.stderr.endswith("=1\n")


def test_standard_input_that_is_closed_is_a_document_that_cannot_be_read() -> None:
    run = shell('internvl parse - <&-; echo "=$?" >&2')
    assert_quiet(run.stderr)
    assert "failed stdin: " in run.stderr
    assert run.stderr.endswith("=1\n")


def test_all_of_a_pipe_that_is_read(long: Path) -> None:
    run = shell('set -o pipefail; internvl parse "$1" -q | wc -l; echo "=$?"', long)
    assert run.stdout.endswith("=0\n")
    run = shell('internvl parse "$1" | head -1', EXAMPLE)
    assert_quiet(run.stderr)
    assert len(run.stdout.splitlines()) == 1


def test_output_is_utf8_whatever_the_locale(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(pdf("Größe"))
    run = shell('PYTHONIOENCODING=cp1252 LC_ALL=C internvl parse "$1" -q', tmp_path / "a.pdf")
    assert (run.returncode, run.stdout, run.stderr) == (0, "Größe\n", "")
