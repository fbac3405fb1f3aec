"""`internvl ask`, with a scripted engine and with a real one."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from internvl_llm import Document, EngineSpec, Finish, Text, TextDelta, Usage, Video
from internvl_llm import Image as Shown
from internvl_llm.media.load import Loaded
from internvl_llm.prompt.chatml import DEFAULT_SYSTEM
from internvl_loaders.cli import ask as asking
from internvl_loaders.cli.app import app
from tests.kit.command import internvl_process
from tests.kit.paths import EXAMPLE
from tests.kit.pdfs import pdf
from tests.kit.scripted import ScriptedEngine, says, shown

needs_engine = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("torch", "transformers", "accelerate")),
    reason="the engine's libraries are not installed",
)


def talking(*pieces: str, reason: Any = "stop") -> ScriptedEngine:
    """Says the same to everybody, piece by piece."""
    events = [*map(TextDelta, pieces), Finish(reason, Usage(3346, 42, 3328))]
    return ScriptedEngine(lambda request: events)


Ask = Callable[..., tuple[Result, list[EngineSpec]]]


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Runs the command in this process on a scripted engine; the specs it opened come with the result."""

    def run(
        engine: ScriptedEngine, *arguments: object, **environment: str
    ) -> tuple[Result, list[EngineSpec]]:
        opened: list[EngineSpec] = []
        monkeypatch.setattr(asking, "open_engine", lambda spec: opened.append(spec) or engine)
        monkeypatch.delenv("INTERNVL_MODEL", raising=False)
        told = CliRunner().invoke(app, ["ask", *map(str, arguments)], env=environment)
        return told, opened

    return run


def test_an_answer(ask: Ask) -> None:
    engine = talking("The total ", "is 356.65", ".")
    run, (spec,) = ask(
        engine, EXAMPLE, "What is the total?", "--model", "8B", "--pages", "1", "--max-tiles", 24
    )
    assert (run.exit_code, run.stdout) == (0, "The total is 356.65.\n")
    assert "3,346 tokens read, 3,328 of them of images, 42 written" in run.stderr
    assert (spec.model, spec.engine, spec.precision) == ("8B", "transformers", "bf16")
    (request,) = engine.requests
    (message,) = request.messages
    assert message.parts[0] == Document(EXAMPLE, "1")
    assert message.text == "What is the total?"
    assert (request.max_tiles, request.page, request.system) == (24, True, DEFAULT_SYSTEM)
    assert (request.sampling.max_tokens, request.sampling.temperature) == (1024, 0.0)
    assert engine.running == 0


def test_several_files_and_options(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "film.MP4").write_bytes(b"film")
    engine = talking("Yes.")
    run, (spec,) = ask(
        engine, EXAMPLE, tmp_path / "film.MP4", "https://example.com/a.pdf?b=.mp4", "Same?",
        "--system", "", "--temperature", 0.7, "--seed", 3, "--device", "cpu", "--dtype", "bfloat16", "-q",
        INTERNVL_MODEL="OpenGVLab/InternVL3-2B",
    )  # fmt: skip
    assert (run.exit_code, run.stdout, run.stderr) == (0, "Yes.\n", "")
    assert (spec.model, spec.device, spec.dtype) == ("OpenGVLab/InternVL3-2B", "cpu", "bfloat16")
    (request,) = engine.requests
    assert request.messages[0].parts[:3] == (
        Document(EXAMPLE),
        Video(tmp_path / "film.MP4"),
        Document("https://example.com/a.pdf?b=.mp4"),
    )
    assert request.system is None
    assert (request.sampling.temperature, request.sampling.seed) == (0.7, 3)


def test_pages_that_are_not_there_are_said(ask: Ask, caplog: pytest.LogCaptureFixture) -> None:
    engine = ScriptedEngine(lambda request: says(f"It is {shown(request).width} pixels wide."))
    run, _ = ask(engine, EXAMPLE, "How wide?", "--model", "8B", "--pages", "1,50,60-", "-q")
    assert (run.exit_code, run.stdout) == (0, "It is 1654 pixels wide.\n")
    assert caplog.messages == [f"{EXAMPLE}: has 2 pages, not 50,60-"]
    run, _ = ask(engine, EXAMPLE, "How wide?", "--model", "8B", "--pages", "50")
    assert (run.exit_code, run.stdout) == (1, "")
    assert "it has 2 pages, none of them among 50" in run.stderr


def test_a_model_cannot_steer_the_terminal(ask: Ask) -> None:
    engine = talking("a\x1b[31mred\x1b]0;title\x07\n", "\x1b", "[2Jb\tc\u009b1md\r\x00é")
    run, _ = ask(engine, EXAMPLE, "What?", "--model", "8B")
    assert run.stdout == "a[31mred]0;title\n[2Jb\tc1mdé\n"


def test_an_answer_cut_short_says_so(ask: Ask) -> None:
    run, _ = ask(talking("The", reason="length"), EXAMPLE, "What?", "--model", "8B", "-q")
    assert (run.exit_code, run.stdout) == (0, "The\n")
    assert "cut short. Raise --max-tokens" in run.stderr


def test_boxes_are_lines_of_json_in_pixels_of_the_image(ask: Ask, tmp_path: Path) -> None:
    Image.new("RGB", (400, 200), "white").save(tmp_path / "a.png")
    engine = talking("The <ref>to", "tal\x1b</ref><box>[[250, 100, 500, ", "2000], [9]]</box> it is")
    run, _ = ask(
        engine, tmp_path / "a.png", "Where is <ref>the total</ref>?", "--model", "8B", "--boxes", "-q"
    )
    answer, found = run.stdout.splitlines()
    assert (run.exit_code, run.stderr) == (0, "")
    assert answer == "The <ref>total</ref><box>[[250, 100, 500, 2000], [9]]</box> it is"
    assert json.loads(found) == {"label": "total", "box": [100, 20, 200, 200], "size": [400, 200]}
    ((message,),) = (request.messages for request in engine.requests)
    shown, question = message.parts
    assert isinstance(shown, Shown)
    assert isinstance(shown.source, Loaded) and shown.source.draw().size == (400, 200)
    assert question == Text("Where is <ref>the total</ref>?", grounding=True)
    run, _ = ask(talking("It has none"), tmp_path / "a.png", "Where?", "--model", "8B", "--boxes", "-q")
    assert (run.exit_code, run.stdout) == (0, "It has none\n")
    assert run.stderr == "internvl: the answer has no boxes.\n"


def test_boxes_are_of_one_image(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(pdf("One", "Two"))
    run, opened = ask(talking("no"), tmp_path / "a.pdf", "Where?", "--model", "8B", "--boxes")
    assert (run.exit_code, run.stdout, opened) == (2, "", [])
    assert (
        "2 pages and frames are shown. Ask about one image, or one page of a document: --pages N"
        in run.stderr
    )
    run, _ = ask(talking("<box>[[0, 0, 1000, 1000]]</box>"), tmp_path / "a.pdf", "Where?", "--model", "8B",
                 "--boxes", "--pages", 2, "--dpi", 72)  # fmt: skip
    told = json.loads(run.stdout.splitlines()[-1])
    assert told["label"] == ""
    assert told["box"] == [0, 0, *told["size"]]


def test_an_answer_that_breaks_off_ends_its_line(ask: Ask) -> None:
    from internvl_llm import EngineError

    breaking = [TextDelta("The total"), EngineError("out of \x1bmemory", remedy="Use less")]
    run, _ = ask(ScriptedEngine([breaking]), EXAMPLE, "What?", "--model", "8B")
    assert (run.exit_code, run.stdout) == (1, "The total\n")
    assert run.stderr == "internvl: out of memory. Use less.\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([EXAMPLE], "FILE... QUESTION"),
        ([EXAMPLE, EXAMPLE, "--model", "8B"], "no question"),
        ([EXAMPLE, " ", "--model", "8B"], "no question"),
        ([EXAMPLE, "What?"], "internvl models"),
        ([EXAMPLE, "What?", "--model", "InternVL9-8B"], "InternVL3-8B"),
        ([EXAMPLE, "What?", "--model", "8B", "--engine", "magic"], "transformers"),
        ([EXAMPLE, "What?", "--model", "8B", "--precision", "int2"], "int4"),
        ([EXAMPLE, "What?", "--model", "8B", "--pages", "5-2"], "page range"),
        ([EXAMPLE, "What?", "--model", "8B", "--dpi", "1"], "dpi"),
        ([EXAMPLE, "What?", "--model", "8B", "--max-tokens", "0"], "max_tokens"),
        ([EXAMPLE, "What?", "--model", "8B", "--max-tiles", "0"], "tiles"),
        ([EXAMPLE, "What?", "--model", "8B", "--temperature", "-1"], "temperature"),
    ],
)
def test_wrong_use_is_status_2_and_loads_nothing(ask: Ask, arguments: list[Any], said: str) -> None:
    run, opened = ask(talking("no"), *arguments)
    assert (run.exit_code, run.stdout, opened) == (2, "", [])
    assert said in run.stderr
    assert len(run.stderr.splitlines()) == 1


def test_a_missing_file_is_status_1(ask: Ask, tmp_path: Path) -> None:
    run, opened = ask(talking("no"), tmp_path / "gone.pdf", "What?", "--model", "8B")
    assert (run.exit_code, run.stdout, opened) == (1, "", [])
    assert "gone.pdf: no such file. Check the path" in run.stderr


def test_without_torch_the_extra_is_named() -> None:
    code = "import sys; sys.modules['torch'] = None\nfrom internvl_loaders.cli.app import app; app()"
    arguments = ["ask", str(EXAMPLE), "What?", "--model", "1B"]
    run = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (1, "")
    assert "internvl-documents[transformers]" in run.stderr
    assert len(run.stderr.splitlines()) == 1


@needs_engine
@pytest.mark.slow
def test_a_real_model_answers(tmp_path: Path) -> None:
    from tests.kit.checkpoints import built

    (tmp_path / "a.pdf").write_bytes(pdf("Invoice 7", "Total 12.50"))
    run = internvl_process("ask", tmp_path / "a.pdf", "Total?", "--model", built("tiny"), "--max-tokens", 8,
                   "--max-tiles", 1, "--pages", "2,50")  # fmt: skip
    assert run.returncode == 0
    assert run.stdout.strip()
    assert "256 of them of images, 8 written" in run.stderr
    assert "a.pdf: has 2 pages, not 50\n" in run.stderr


@needs_engine
@pytest.mark.slow
def test_errors_beside_a_real_model_are_one_line(tmp_path: Path) -> None:
    from tests.kit.checkpoints import built

    (tmp_path / "b.pdf").write_bytes(b"%PDF-1.7 and nothing more")
    run = internvl_process("ask", tmp_path / "b.pdf", "Total?", "--model", built("tiny"), "-q")
    assert (run.returncode, run.stdout) == (1, "")
    assert "b.pdf" in run.stderr
    assert len(run.stderr.splitlines()) == 1


@needs_engine
@pytest.mark.slow
def test_ctrl_c_ends_an_answer(tmp_path: Path) -> None:
    from tests.kit.checkpoints import built

    (tmp_path / "a.pdf").write_bytes(pdf("Invoice 7"))
    command = [
        sys.executable,
        "-c",
        "from internvl_loaders.cli.app import app; app()",
        "ask",
        tmp_path / "a.pdf",
    ]
    options = ["Total?", "--model", built("tiny"), "--max-tiles", "1", "--max-tokens", "30000"]
    process = subprocess.Popen(
        [*command, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # What runs in the background of a script is started with interrupts ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    first = os.read(process.stdout.fileno(), 100)
    assert first
    process.send_signal(signal.SIGINT)
    started = time.monotonic()
    rest, said = process.communicate(timeout=30)
    assert time.monotonic() - started < 10
    assert process.returncode == 130
    assert (first + rest).endswith(b"\n")
    assert b"Traceback" not in said
