"""The command `internvl`: in this process, whose workers are warm, or as a user runs it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner

from internvl_loaders.cli.app import app

MAIN = "from internvl_loaders.cli.app import app; app()"
WIDE = {"COLUMNS": "200"}


def internvl(
    *arguments: object, stdin: bytes | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    with contextlib.chdir(cwd or Path.cwd()):
        run = CliRunner().invoke(app, [*map(str, arguments)], input=stdin, env=WIDE)
    if run.exception is not None and not isinstance(run.exception, SystemExit):
        raise run.exception
    return subprocess.CompletedProcess(arguments, run.exit_code, run.stdout, run.stderr)


def internvl_process(
    *arguments: object, stdin: bytes | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", MAIN, *map(str, arguments)]
    run = subprocess.run(command, input=stdin, capture_output=True, cwd=cwd, env=os.environ | WIDE)
    out = subprocess.CompletedProcess(run.args, run.returncode, run.stdout.decode(), run.stderr.decode())
    assert "Traceback" not in out.stderr
    return out
