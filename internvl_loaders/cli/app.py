"""The command `internvl`."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from internvl_llm.version import __version__
from internvl_loaders.errors import InternVLError, OptionError

if TYPE_CHECKING:
    from internvl_loaders.cli.output import Format

app = typer.Typer(
    name="internvl",
    help="Read PDFs and scanned images on this machine: text, tables, boxes.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

_LIMITS = "Limits"


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


@app.command()
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
    transcriber: Annotated[str, typer.Option(help="auto, text-layer, rapidocr or internvl.")] = "auto",
    engine: Annotated[str | None, typer.Option(help="transformers, vllm, lmdeploy or server.")] = None,
    model: Annotated[str | None, typer.Option(help="An InternVL checkpoint.")] = None,
    base_url: Annotated[str | None, typer.Option(help="Of a server engine.")] = None,
    max_tokens: Annotated[
        int | None, typer.Option(help="Of a model's answer about a page. [default: 4096]")
    ] = None,
    max_tiles: Annotated[
        int | None, typer.Option(help="448 px tiles of a page, for a model. [default: 24]")
    ] = None,
    best_of: Annotated[int | None, typer.Option(help="Answers a model samples a page. [default: 1]")] = None,
    in_flight: Annotated[
        int | None, typer.Option(help="Pages a model is asked about at once. [default: 32]")
    ] = None,
    pages: Annotated[str | None, typer.Option(help="Such as 2-5,9 or 3-.")] = None,
    password: Annotated[str | None, typer.Option(help="Of encrypted PDFs.")] = None,
    jobs: Annotated[int | None, typer.Option(help="Worker processes. [default: one a core]")] = None,
    dpi: Annotated[
        int | None, typer.Option(help="At which PDF pages are drawn for OCR. [default: 200]")
    ] = None,
    images: Annotated[str, typer.Option(help="Keep images: none, figures, pages or all.")] = "none",
    words: Annotated[bool, typer.Option(help="Keep words with boxes (json).")] = False,
    headers_footers: Annotated[
        bool, typer.Option(help="Keep running headers, footers and page numbers (md, text, html).")
    ] = True,
    page_breaks: Annotated[bool, typer.Option("--page-breaks", help="A form feed between pages.")] = False,
    on_error: Annotated[
        str, typer.Option(help="A failed page: placeholder (a visible note), skip, or raise (stop).")
    ] = "placeholder",
    report: Annotated[Path | None, typer.Option(help="Write a JSON report of every page.")] = None,
    cache_dir: Annotated[
        Path | None, typer.Option(help="Folder of the page cache. [default: the user's cache folder]")
    ] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Read every page anew; keep nothing.")] = False,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="A host URLs may name although its address is private.")
    ] = None,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress, no summary.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Log details; show tracebacks.")] = False,
    max_bytes: Annotated[int | None, typer.Option(rich_help_panel=_LIMITS)] = None,
    max_pages: Annotated[int | None, typer.Option(rich_help_panel=_LIMITS)] = None,
    max_pixels: Annotated[int | None, typer.Option(rich_help_panel=_LIMITS)] = None,
    max_image_pixels: Annotated[int | None, typer.Option(rich_help_panel=_LIMITS)] = None,
    max_seconds: Annotated[float | None, typer.Option(rich_help_panel=_LIMITS)] = None,
    max_memory: Annotated[int | None, typer.Option(rich_help_panel=_LIMITS)] = None,
    max_redirects: Annotated[int | None, typer.Option(rich_help_panel=_LIMITS)] = None,
    max_download_seconds: Annotated[float | None, typer.Option(rich_help_panel=_LIMITS)] = None,
    max_cache_bytes: Annotated[int | None, typer.Option(rich_help_panel=_LIMITS)] = None,
) -> None:
    """Read documents: markdown on standard output, or files in a folder.

    Exit status: 0 every page read, 1 some failed (each is named on standard error), 2 wrong use.
    """
    from internvl_loaders.cli.parse import ParseCommand
    from internvl_loaders.options import ParseOptions
    from internvl_loaders.pipeline.cache import default_folder

    limits = {
        "max_bytes": max_bytes,
        "max_pages": max_pages,
        "max_pixels": max_pixels,
        "max_image_pixels": max_image_pixels,
        "max_seconds": max_seconds,
        "max_memory": max_memory,
        "max_redirects": max_redirects,
        "max_download_seconds": max_download_seconds,
        "max_cache_bytes": max_cache_bytes,
    }
    with _errors(debug):
        defaulted: dict[str, Any] = {
            "dpi": dpi,
            "max_tokens": max_tokens,
            "max_tiles": max_tiles,
            "best_of": best_of,
            "in_flight": in_flight,
        }
        options = ParseOptions.of(
            transcriber=transcriber,
            engine=engine,
            model=model,
            base_url=base_url,
            pages=pages,
            password=password,
            jobs=jobs,
            images=images,
            words=words,
            on_error=on_error,
            cache_dir=None if no_cache else cache_dir or default_folder(),
            allow_hosts=tuple(allow_host or ()),
            limits={name: value for name, value in limits.items() if value is not None},
            **{name: value for name, value in defaulted.items() if value is not None},
        )
        good = ParseCommand(
            sources=sources,
            options=options,
            formats=_formats(format or ["md"]),
            out=out,
            report=report,
            headers_footers=headers_footers,
            page_breaks=page_breaks,
            quiet=quiet,
        ).run()
    raise typer.Exit(0 if good else 1)


@app.command()
def evaluate(
    directory: Annotated[Path, typer.Argument(help="A folder with documents, truth and manifest.jsonl.")],
    as_json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
    transcriber: Annotated[str, typer.Option(help="auto, text-layer, rapidocr or internvl.")] = "auto",
    engine: Annotated[str | None, typer.Option(help="transformers, vllm, lmdeploy or server.")] = None,
    model: Annotated[str | None, typer.Option(help="An InternVL checkpoint.")] = None,
    base_url: Annotated[str | None, typer.Option(help="Of a server engine.")] = None,
    kind: Annotated[list[str] | None, typer.Option(help="Only documents of this kind.")] = None,
    match: Annotated[list[str] | None, typer.Option(help="Only documents whose path matches.")] = None,
    jobs: Annotated[int | None, typer.Option(help="Worker processes. [default: one a core]")] = None,
    dpi: Annotated[
        int | None, typer.Option(help="At which PDF pages are drawn for OCR. [default: 200]")
    ] = None,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Log details; show tracebacks.")] = False,
) -> None:
    """Score against ground truth: edit distance, word recall, TEDS, key values, pages a second."""
    from rich.console import Console

    from internvl_loaders.options import ParseOptions

    with _errors(debug):
        from internvl_loaders import evaluate as scoring
        from internvl_loaders.evaluate.report import report

        given: dict[str, Any] = {} if dpi is None else {"dpi": dpi}
        options = ParseOptions.of(
            transcriber=transcriber, engine=engine, model=model, base_url=base_url, jobs=jobs, **given
        )
        told = Console(stderr=True, highlight=False)
        with told.status("reading") as status:

            def progress(done: int, total: int, path: str) -> None:
                status.update(f"{done} of {total}, {path}")

            result = scoring.evaluate(
                directory,
                options,
                kinds=kind or (),
                match=match or (),
                progress=(lambda done, total, path: None) if quiet else progress,
            )
        if as_json:
            typer.echo(result.to_json())
        else:
            Console(highlight=False).print(report(result))


@app.command()
def ask(
    given: Annotated[
        list[str],
        typer.Argument(metavar="FILE... QUESTION", help="PDFs, images or videos, then the question."),
    ],
    model: Annotated[
        str | None,
        typer.Option(envvar="INTERNVL_MODEL", help="A name that `internvl models` lists, or a local folder."),
    ] = None,
    engine: Annotated[str | None, typer.Option(help="transformers, vllm, lmdeploy or server.")] = None,
    base_url: Annotated[str | None, typer.Option(help="Of a server engine.")] = None,
    device: Annotated[str, typer.Option(help="auto, cuda, mps or cpu.")] = "auto",
    dtype: Annotated[str, typer.Option(help="auto, bfloat16, float16 or float32.")] = "auto",
    precision: Annotated[str, typer.Option(help="Of the weights: bf16, int8 or int4.")] = "bf16",
    pages: Annotated[str | None, typer.Option(help="Such as 2-5,9 or 3-.")] = None,
    dpi: Annotated[int, typer.Option(help="At which PDF pages are drawn.")] = 200,
    max_tokens: Annotated[int, typer.Option(help="Of the answer.")] = 1024,
    temperature: Annotated[float, typer.Option(help="0 always says the likeliest.")] = 0.0,
    seed: Annotated[int | None, typer.Option(help="Makes an answer at a temperature repeatable.")] = None,
    max_tiles: Annotated[int, typer.Option(help="448 px tiles of a page; 24 for small print.")] = 12,
    system: Annotated[
        str | None, typer.Option(help="System message; '' is none. [default: InternVL's own]")
    ] = None,
    boxes: Annotated[
        bool,
        typer.Option(
            "--boxes",
            help="End with the boxes of the answer as JSON lines, in pixels of the one image shown.",
        ),
    ] = False,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="A host URLs may name although its address is private.")
    ] = None,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Nothing but the answer.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Log details; show tracebacks.")] = False,
) -> None:
    """Ask an InternVL model about documents; the answer comes as it is written.

    Exit status: 0 an answer, 1 none, 2 wrong use.
    """
    with _errors(debug):
        from internvl_loaders.cli.ask import AskCommand

        AskCommand(
            given=given,
            model=model,
            engine=engine,
            base_url=base_url,
            device=device,
            dtype=dtype,
            precision=precision,
            pages=pages,
            dpi=dpi,
            max_tokens=max_tokens,
            temperature=temperature,
            seed=seed,
            max_tiles=max_tiles,
            system=system,
            boxes=boxes,
            allow_hosts=tuple(allow_host or ()),
            quiet=quiet,
        ).run()


@app.command()
def models(
    as_json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
) -> None:
    """The InternVL family: what its members need, and what fits on this machine."""
    from internvl_loaders.cli.models import machine, print_table, to_json

    if as_json:
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
    from internvl_loaders.pipeline.cache import PageCache, default_folder

    found = PageCache(cache_dir or default_folder()).info()
    typer.echo(f"{found.path}: {found.pages} pages, {found.bytes:,} bytes")


@cache.command()
def clear(cache_dir: _CacheDir = None) -> None:
    """Drop everything in it."""
    from internvl_loaders.pipeline.cache import PageCache, default_folder

    typer.echo(f"{PageCache(cache_dir or default_folder()).clear()} pages dropped")


@app.command()
def mcp(
    folders: Annotated[list[Path], typer.Argument(help="Folders whose documents may be read.")],
    model: Annotated[str | None, typer.Option(help="An InternVL model that answers ask_page.")] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Log details; show tracebacks.")] = False,
) -> None:
    """Serve the documents of folders to agents: an MCP server on standard input and output."""
    from internvl_loaders.agents import DocumentTools
    from internvl_loaders.mcp import server

    with _errors(debug):
        engine = None
        if model is not None:
            from internvl_llm import open_engine

            engine = open_engine(model)
        server(DocumentTools(folders, engine=engine)).run()


@app.command()
def check() -> None:
    """What is installed, what would run where, and why."""
    from internvl_loaders.cli.check import findings, print_table

    print_table(findings())


class _Printable(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        from internvl_loaders.cli.terminal import printable

        return "\n".join(map(printable, super().format(record).splitlines()))


@contextmanager
def _errors(debug: bool) -> Iterator[None]:
    """Errors as one line on standard error; status 2 for wrong use, 1 for the rest."""
    told = logging.StreamHandler()
    told.setFormatter(_Printable("%(name)s: %(message)s" if debug else "internvl: %(message)s"))
    logging.basicConfig(level=logging.DEBUG if debug else logging.ERROR, handlers=[told])
    if not debug:
        logging.getLogger("internvl_loaders").setLevel(logging.WARNING)
    try:
        yield
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has had enough
        raise typer.Exit(1) from None
    except InternVLError as error:
        if debug:
            raise
        from internvl_loaders.cli.terminal import printable

        typer.echo(f"internvl: {printable(str(error))}", err=True)
        raise typer.Exit(2 if isinstance(error, OptionError) else 1) from None
    except OSError as error:
        if debug:
            raise
        typer.echo(f"internvl: {error}", err=True)
        raise typer.Exit(1) from None


def _formats(given: list[str]) -> list[Format]:
    from internvl_loaders.cli.output import FORMATS

    names = dict.fromkeys(name.strip() for text in given for name in text.split(","))
    for name in names:
        if name not in FORMATS:
            raise OptionError(f"no such format: {name!r}", remedy=f"Formats are {', '.join(FORMATS)}")
    return [form for form in FORMATS if form in names]
