"""What is a field is an option: of the commands, of `parse`, of loaders and readers."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer.main
from pydantic import Field
from typer.testing import CliRunner

from internvl_llm import EngineSpec, Request, Sampling
from internvl_llm.media.limits import Limits
from internvl_loaders import ParseOptions, aparse, parse
from internvl_loaders.cli import app as commands
from internvl_loaders.cli.fields import (
    NOT_ASKED,
    ask_options,
    engine_options,
    engine_values,
    parse_options,
    parse_values,
    request_fields,
)
from internvl_loaders.options import keywords
from internvl_loaders.records.options import LoaderOptions

ENGINE = {"engine", "model", "base_url"}
SPEC = {"device", "dtype", "attention", "precision", "replicas", "revision"}
SPEC |= {"tensor_parallel", "context_tokens", "memory_share", "backend", "draft_tokens", "repeat_limit"}
SPEC |= {"native_tools", "concurrency", "max_retries"}
SPEC |= {"connect_timeout", "first_token_timeout", "token_timeout"}


def options(command: str) -> dict[str, Any]:
    """Of a command, by their names on the command line."""
    found = typer.main.get_command(commands.app).commands[command]  # type: ignore[attr-defined]
    context = found.make_context(command, [], resilient_parsing=True)
    return {name: one for one in found.get_params(context) for name in one.opts if name.startswith("--")}


def names(parameters: list[inspect.Parameter]) -> set[str]:
    return {one.name for one in parameters}


def test_every_field_is_an_option() -> None:
    assert names(engine_options()) == ENGINE | SPEC
    described = {one.name for one in fields(EngineSpec) if "description=" in str(one.type)}
    assert described <= ENGINE | SPEC
    whole = (set(ParseOptions.model_fields) - {"limits"}) | set(Limits.model_fields) | SPEC
    assert names(parse_options()) == whole
    asked = {one.name for one in [*fields(Sampling), *fields(Request)] if "description=" in str(one.type)}
    assert {one.name for one in request_fields()} == asked - NOT_ASKED
    assert names(ask_options()) == (asked - NOT_ASKED) | ENGINE | SPEC | {"pages", "dpi", "allow_hosts"}


def test_a_field_that_is_added_is_an_option_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    class Newer(ParseOptions):
        denoise: Annotated[int | None, Field(description="How much.")] = None

    class NewerLimits(Limits):
        max_words: Annotated[int, Field(description="Of a page.")] = 7

    monkeypatch.setattr("internvl_loaders.options.ParseOptions", Newer)
    monkeypatch.setattr("internvl_llm.media.limits.Limits", NewerLimits)
    for command in ("parse", "evaluate"):
        found = options(command)
        assert found["--denoise"].default is None
        assert found["--denoise"].help == "How much."
        assert found["--max-words"].default == 7
    assert parse_values({"denoise": 3, "max_words": 9}) == {"denoise": 3, "limits": {"max_words": 9}}

    @keywords(Newer)
    def function(source: str, **changes: Any) -> None: ...

    assert inspect.signature(function).parameters["denoise"].default is None


@pytest.mark.parametrize("command", ["parse", "evaluate", "ask", "mcp"])
def test_all_commands_have_the_same_engine_options(command: str) -> None:
    told = {name: (one.default, one.help) for name, one in options(command).items()}
    wanted = {name: (one.default, one.help) for name, one in options("parse").items()}
    for name in ENGINE | SPEC:
        option = f"--{name.replace('_', '-')}"
        assert told[option] == wanted[option]


STAYS = {
    "parse": {
        "--output": None, "--format": None, "--transcriber": "auto", "--engine": None, "--model": None,
        "--base-url": None, "--max-tokens": 4096, "--max-tiles": 24, "--best-of": 1, "--in-flight": 32,
        "--pages": None, "--password": None, "--jobs": None, "--dpi": 200, "--images": "none",
        "--words": False, "--headers-footers": True, "--page-breaks": False, "--on-error": "placeholder",
        "--report": None, "--cache-dir": None, "--no-cache": False, "--allow-host": [], "--quiet": False,
        "--debug": False, "--max-bytes": 2**29, "--max-pages": 100_000, "--max-pixels": 40_000_000,
        "--max-seconds": 120.0,
        "--max-image-pixels": 200_000_000, "--max-memory": 2**32, "--max-redirects": 5,
        "--max-download-seconds": 60.0, "--max-cache-bytes": 2**31,
    },
    "evaluate": {
        "--json": False, "--transcriber": "auto", "--engine": None, "--model": None, "--base-url": None,
        "--kind": None, "--match": None, "--jobs": None, "--dpi": 200, "--quiet": False, "--debug": False,
        "--cache-dir": None,
    },
    "ask": {
        "--model": None, "--engine": None, "--base-url": None, "--device": "auto", "--dtype": "auto",
        "--precision": "bf16", "--pages": None, "--dpi": 200, "--max-tokens": 1024, "--temperature": 0.0,
        "--seed": None, "--max-tiles": 12, "--system": None, "--boxes": False, "--allow-host": [],
        "--quiet": False, "--debug": False,
    },
    "mcp": {"--model": None, "--debug": False},
}  # fmt: skip


@pytest.mark.parametrize("command", STAYS)
def test_names_and_defaults_that_scripts_rely_on(command: str) -> None:
    found = options(command)
    assert {name: found[name].default for name in STAYS[command]} == STAYS[command]
    short = {name for one in found.values() for name in one.opts if not name.startswith("--")}
    assert short == {"parse": {"-o", "-f", "-q"}, "evaluate": {"-q"}, "ask": {"-q"}, "mcp": set()}[command]
    if command == "parse":
        assert found["--words"].secondary_opts == ["--no-words"]
        assert found["--headers-footers"].secondary_opts == ["--no-headers-footers"]
    if command == "ask":
        assert found["--model"].envvar == "INTERNVL_MODEL"


def test_a_command_without_options_gives_the_defaults() -> None:
    values = {one.name: one.default for one in parse_options()}
    values["allow_hosts"] = tuple(values["allow_hosts"])
    assert ParseOptions.of(**parse_values(values)) == ParseOptions()


@pytest.mark.parametrize(
    ("values", "engine"),
    [
        ({"engine": None, "dtype": "auto"}, None),
        ({"engine": "transformers", "dtype": "auto", "replicas": None}, "transformers"),
        ({"engine": None, "precision": "int8"}, {"precision": "int8"}),
        ({"engine": "server", "device": "cpu"}, {"engine": "server", "device": "cpu"}),
    ],
)
def test_options_of_a_spec_are_fields_of_the_engine(values: dict[str, Any], engine: Any) -> None:
    assert engine_values(values) == {"engine": engine}


def run(*arguments: object) -> Any:
    return CliRunner().invoke(commands.app, [*map(str, arguments)])


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[ParseOptions]:
    """The options that commands come to; nothing is read."""
    found: list[ParseOptions] = []

    class Command:
        def __init__(self, options: ParseOptions, **rest: Any) -> None:
            found.append(options)

        def run(self) -> bool:
            return True

    monkeypatch.setattr("internvl_loaders.cli.parse.ParseCommand", Command)
    return found


def test_parse_takes_them_all(told: list[ParseOptions], tmp_path: Path) -> None:
    arguments = ["--model", "8B", "--precision", "int8", "--revision", "v2", "--max-pixels", 5000, "--words"]
    arguments += ["--allow-host", "a", "--allow-host", "b", "--cache-dir", tmp_path, "--on-error", "skip"]
    assert run("parse", "a.pdf", *arguments, "--images", "pages", "--max-tokens", 9).exit_code == 0
    assert told == [
        ParseOptions(
            engine=EngineSpec("8B", precision="int8", revision="v2"),
            model="8B",
            limits=Limits(max_pixels=5000),
            words=True,
            allow_hosts=("a", "b"),
            cache_dir=tmp_path,
            on_error="skip",
            images="pages",
            max_tokens=9,
        )
    ]


def test_wrong_values_are_wrong_use(told: list[ParseOptions]) -> None:
    for arguments in (
        ["--precision", "int2", "--model", "8B"],
        ["--precision", "int8"],
        ["--engine", "warp", "--model", "8B"],
        ["--images", "some"],
        ["--best-of", 65],
    ):
        assert run("parse", "a.pdf", *arguments).exit_code == 2
    assert told == []


def test_signatures_name_the_options() -> None:
    for function in (parse, aparse):
        assert set(ParseOptions.model_fields) <= set(inspect.signature(function).parameters)
    loaders = pytest.importorskip("internvl_loaders.langchain")
    readers = pytest.importorskip("internvl_loaders.llama_index")
    edges: list[Callable[..., Any]] = [
        loaders.InternVLLoader, loaders.InternVLBlobParser, readers.InternVLReader
    ]  # fmt: skip
    for edge in edges:
        parameters = inspect.signature(edge).parameters
        assert set(LoaderOptions.model_fields) <= set(parameters)
        assert parameters["on_error"].default == "raise"
        assert all(one.kind is not one.VAR_KEYWORD for one in parameters.values())
