"""How a command ends: with an exit status, and what is wrong in one line on standard error."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from internvl_llm.names import on_screen, printable
from internvl_loaders.cli.terminal import Terminated, said_of, standard_streams, tell_unless_unread
from internvl_loaders.errors import InternVLError, OptionError


class App(typer.Typer):
    """Ends with an exit status and, without `--debug`, never with a traceback."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        with standard_streams():
            try:
                return super().__call__(*arguments, **named)
            except OSError as error:
                if "--debug" in sys.argv:
                    raise
                tell_unless_unread(error)
                raise SystemExit(1) from None
            except Exception as error:
                if "--debug" in sys.argv:
                    raise
                _tell(f"{error if isinstance(error, InternVLError) else repr(error)}")
                raise SystemExit(1) from None


class _Printable(logging.Formatter):
    """A line a record; a traceback has lines of its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return on_screen(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:
        return "\n".join(map(on_screen, super().formatException(ei).split("\n")))


@contextmanager
def errors(debug: bool) -> Iterator[None]:
    """Errors as one line on standard error; status 2 for wrong use, 1 for the rest."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Printable("%(name)s: %(message)s" if debug else "internvl: %(message)s"))
    logging.basicConfig(level=logging.DEBUG if debug else logging.ERROR, handlers=[handler])
    if not debug:
        for name in ("internvl_loaders", "internvl_llm"):
            logging.getLogger(name).setLevel(logging.WARNING)
    try:
        yield
    except BrokenPipeError:
        raise typer.Exit(1) from None  # whoever read our output has had enough
    except Terminated as error:
        raise typer.Exit(128 + error.number) from None
    except InternVLError as error:
        if debug:
            raise
        _tell(str(error))
        raise typer.Exit(2 if isinstance(error, OptionError) else 1) from None
    except OSError as error:
        if debug:
            raise
        _tell(said_of(error))
        raise typer.Exit(1) from None


def _tell(what: str) -> None:
    typer.echo(f"internvl: {on_screen(printable(what))}", err=True)
