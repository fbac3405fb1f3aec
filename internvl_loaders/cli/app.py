"""The command `internvl`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from internvl_llm.version import __version__
from internvl_loaders.cli.errors import App, errors
from internvl_loaders.cli.fields import (
    Options,
    ask_options,
    command,
    engine_options,
    engine_values,
    parse_options,
    parse_values,
)
from internvl_loaders.errors import OptionError

if TYPE_CHECKING:
    from internvl_loaders.cli.files import Format

# pydantic would look through all that is installed for plugins, which takes time and may send what they see.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

app = App(
    name="internvl",
    help="Read PDFs and scanned images on this machine: text, tables, boxes.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


_Debug = Annotated[bool, typer.Option("--debug", help="Log details; show tracebacks.")]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"internvl-documents {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and end.")
    ] = False,
) -> None:
    pass


def _parse_options() -> Options:
    cache = {"show_default": "the user's cache folder"}
    return parse_options(on_error={"default": "placeholder"}, cache_dir=cache)


@command(app, _parse_options)
def parse(
    sources: Annotated[
        list[str], typer.Argument(help="Files, folders, globs or http(s) URLs; `-` is standard input.")
    ],
    out: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder for one file a document and format.")
    ] = None,
    format: Annotated[
        list[str] | None, typer.Option("-f", "--format", help="md, json, html, csv, text; several by commas.")
    ] = None,
    *,
    headers_footers: Annotated[
        bool, typer.Option(help="Keep running headers, footers and page numbers (md, text, html).")
    ] = True,
    page_breaks: Annotated[bool, typer.Option("--page-breaks", help="A form feed between pages.")] = False,
    footnotes: Annotated[
        bool, typer.Option("--footnotes", help="A footnote for each token in dispute (md).")
    ] = False,
    report: Annotated[Path | None, typer.Option(help="Write a JSON report of every page.")] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Read every page anew; keep nothing.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress, no summary.")] = False,
    debug: _Debug = False,
    **fields: Any,
) -> None:
    """Read documents: markdown on standard output, or files in a folder.

    Exit status: 0 every page read, 1 some failed (each is named on standard error), 2 wrong use.
    """
    from internvl_loaders.cli.parse import ParseCommand
    from internvl_loaders.options import ParseOptions
    from internvl_loaders.pipeline.cache import default_folder

    with errors(debug):
        fields["cache_dir"] = None if no_cache else fields["cache_dir"] or default_folder()
        good = ParseCommand(
            sources=list(sources),
            options=ParseOptions.of(**parse_values(fields)),
            formats=_formats(format or ("md",)),
            out=out,
            report=report,
            headers_footers=headers_footers,
            page_breaks=page_breaks,
            footnotes=footnotes,
            quiet=quiet,
        ).run()
    raise typer.Exit(0 if good else 1)


@command(app, lambda: parse_options(without={"on_error"}))
def evaluate(
    directory: Annotated[Path, typer.Argument(help="A folder with documents, truth and manifest.jsonl.")],
    as_json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
    kind: Annotated[list[str] | None, typer.Option(help="Only documents of this kind.")] = None,
    match: Annotated[list[str] | None, typer.Option(help="Only documents whose path matches.")] = None,
    *,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress.")] = False,
    debug: _Debug = False,
    **fields: Any,
) -> None:
    """Score against ground truth: edit distance, word recall, TEDS, key values, pages a second."""
    from rich.console import Console
    from rich.markup import escape

    from internvl_llm.names import on_screen, plain_json
    from internvl_loaders.cli.terminal import ended_by_signals, hide_bars_of_libraries
    from internvl_loaders.options import ParseOptions

    with errors(debug), ended_by_signals():
        hide_bars_of_libraries()
        from internvl_loaders import evaluate as scoring
        from internvl_loaders.evaluate.report import report

        options = ParseOptions.of(**parse_values(fields))
        with Console(stderr=True, highlight=False).status("reading") as status:

            def progress(done: int, total: int, path: str) -> None:
                status.update(f"{done} of {total}, {escape(on_screen(path))}")

            result = scoring.evaluate(
                directory,
                options,
                kinds=kind or (),
                match=match or (),
                progress=(lambda done, total, path: None) if quiet else progress,
            )
        if as_json:
            typer.echo(plain_json(result.to_json()))
        else:
            Console(highlight=False).print(report(result))


def _ask_options() -> Options:
    system = {"default": None, "help": "System message; '' is none.", "show_default": "InternVL's own"}
    return ask_options(model={"envvar": "INTERNVL_MODEL"}, system=system)


@command(app, _ask_options)
def ask(
    files_and_question: Annotated[
        list[str],
        typer.Argument(metavar="FILE... QUESTION", help="PDFs, images or videos, then the question."),
    ],
    *,
    boxes: Annotated[
        bool,
        typer.Option(
            "--boxes",
            help="End with the boxes of the answer as JSON lines, in pixels of the one image shown.",
        ),
    ] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Nothing but the answer.")] = False,
    debug: _Debug = False,
    **fields: Any,
) -> None:
    """Ask an InternVL model about documents; the answer comes as it is written.

    Exit status: 0 an answer, 1 none, 2 wrong use.
    """
    with errors(debug):
        from internvl_loaders.cli.ask import AskCommand
        from internvl_loaders.cli.terminal import ended_by_signals

        with ended_by_signals():
            AskCommand(*files_and_question, fields=fields, boxes=boxes, quiet=quiet).run()


@app.command()
def models(
    as_json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
    serve: Annotated[
        str | None, typer.Option(help="Write the commands of servers for this member.", metavar="NAME")
    ] = None,
    gpus: Annotated[int, typer.Option(help="That serve it.", min=1, max=64)] = 1,
    gpu_memory: Annotated[float, typer.Option(help="GB of each of them.", min=1)] = 80,
    context_tokens: Annotated[
        int | None, typer.Option(help="Of a prompt and its answer; the member's own if left out.", min=1)
    ] = None,
    debug: _Debug = False,
) -> None:
    """The InternVL family: what its members need, what fits on this machine, and how servers are started."""
    from internvl_loaders.cli.models import machine, print_table, to_json

    if serve is not None:
        from internvl_llm.checkpoints.family import member
        from internvl_loaders.cli.serve import lines, plan

        with errors(debug):
            for line in lines(plan(member(serve), gpus, int(gpu_memory * 1e9), context_tokens)):
                typer.echo(line)
    elif as_json:
        typer.echo(to_json(machine()))
    else:
        print_table(machine())


cache = typer.Typer(help="The cache of pages already read.", no_args_is_help=True)
app.add_typer(cache, name="cache")

_CacheDir = Annotated[
    Path | None, typer.Option("--cache-dir", help="Its folder. [default: the user's cache folder]")
]


@cache.command()
def info(cache_dir: _CacheDir = None) -> None:
    """Where it is and what it holds."""
    from internvl_llm.names import on_screen
    from internvl_loaders.pipeline.cache import PageCache, default_folder

    info = PageCache(cache_dir or default_folder()).info()
    typer.echo(f"{on_screen(str(info.path))}: {info.pages} pages, {info.bytes:,} bytes")


@cache.command()
def clear(cache_dir: _CacheDir = None) -> None:
    """Drop everything in it."""
    from internvl_loaders.pipeline.cache import PageCache, default_folder

    typer.echo(f"{PageCache(cache_dir or default_folder()).clear()} pages dropped")


@command(app, engine_options)
def mcp(
    folders: Annotated[list[Path], typer.Argument(help="Folders whose documents may be read.")],
    *,
    http: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Serve over HTTP, at /mcp of this address. Who reaches it may read the folders.",
        ),
    ] = None,
    debug: _Debug = False,
    **fields: Any,
) -> None:
    """Serve the documents of folders to agents: an MCP server on standard input and output, or over HTTP.

    With an engine, agents can ask about pages: it answers ask_page.
    """
    from internvl_loaders.agents import DocumentTools
    from internvl_loaders.mcp import server
    from internvl_loaders.options import ParseOptions

    with errors(debug):
        engine = ParseOptions.of(**engine_values(fields)).chosen_engine()
        if engine is not None:
            from internvl_llm.engines.open import opened

            engine = opened(engine)
        tools = server(DocumentTools(folders, engine=engine))
        if http is None:
            tools.run()
        else:
            host, port = _address(http)
            tools.run("streamable-http", host=host, port=port)


@app.command()
def check(
    base_url: Annotated[
        str | None, typer.Option(help="Of a server: what it is and serves, and what works there.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Of several that the server has.")] = None,
    debug: _Debug = False,
) -> None:
    """What is installed, what would run where, and why; or what a server does.

    Exit status: 0, or 1 where the server cannot be reached or does not answer, 2 wrong use.
    """
    from internvl_loaders.cli.check import findings, print_table, server_findings

    with errors(debug):
        if base_url is None and model is not None:
            raise OptionError("a model is checked on its server", remedy="Give --base-url, or leave it out")
        found = findings() if base_url is None else list(server_findings(base_url, model))
    print_table(found)
    if any(one.name == "answers" and one.state == "no" for one in found):
        raise typer.Exit(1)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or not 0 < int(port) < 2**16:
        raise OptionError(f"{text!r} is no address", remedy="Give HOST:PORT, as 127.0.0.1:8765")
    return host.strip("[]") or "127.0.0.1", int(port)


def _formats(values: Iterable[str]) -> list[Format]:
    from internvl_loaders.cli.files import FORMATS

    names = dict.fromkeys(name.strip() for text in values for name in text.split(","))
    for name in names:
        if name not in FORMATS:
            raise OptionError(f"no such format: {name!r}", remedy=f"Formats are {', '.join(FORMATS)}")
    return [form for form in FORMATS if form in names]
