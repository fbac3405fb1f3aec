"""Standard streams that may be closed or full, signals that end a run, and what may be said of an error."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any


def summary(error: Exception) -> str:
    """The first line of what an error says, or its type; at most 200 characters."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


def hide_bars_of_libraries() -> None:
    """Those that transformers draws as it loads weights, before it is imported."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")


class Terminated(KeyboardInterrupt):
    """Ctrl-C by another signal."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP, where they are not ignored, end the block as Ctrl-C does."""

    def end(number: int, frame: FrameType | None) -> None:
        raise Terminated(number)

    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is signal.SIG_DFL:
                before[number] = signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Signals that would end the block are ignored."""
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            if (number := getattr(signal, name, None)) is not None:
                before[number] = signal.signal(number, signal.SIG_IGN)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Output(io.TextIOWrapper):
    """Standard output whose errors name it. In UTF-8, whatever the locale says."""

    def write(self, text: str) -> int:
        with _naming("standard output"):
            return super().write(text)

    def flush(self) -> None:
        with _naming("standard output"):
            super().flush()


class _Messages(io.TextIOWrapper):
    """Standard error: nobody to tell is no reason to stop."""

    def write(self, text: str) -> int:
        with suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            super().flush()


@contextmanager
def standard_streams() -> Iterator[None]:
    """What a command writes to a closed or full standard output is an OSError; all of it is written, or the
    exit status is not 0, when the block is left. Nothing is then said by the interpreter as it ends."""
    _fill_closed()
    own = sys.__stdout__, sys.__stderr__
    if own[0] is None or own[1] is None or (sys.stdout, sys.stderr) != own:
        yield  # whoever calls has put streams of its own there
        return
    lines = own[0].line_buffering
    sys.stdout = out = _Output(own[0].buffer, "utf-8", "backslashreplace", line_buffering=lines)
    sys.stderr = _Messages(own[1].buffer, "utf-8", "backslashreplace", line_buffering=True)
    status: object = 0
    try:
        yield
    except SystemExit as end:
        status = end.code
    try:
        out.flush()
    except OSError as error:
        _give_up(out)
        if not status:
            tell_unless_unread(error)
        status = status or 1
    raise SystemExit(status)


def tell_unless_unread(error: OSError) -> None:
    """Whoever reads our output may have had enough of it."""
    if not isinstance(error, BrokenPipeError):
        sys.stderr.write(f"internvl: {said_of(error)}\n")


def said_of(error: OSError) -> str:
    """`standard output: No space left on device`"""
    parts = [error.filename if isinstance(error.filename, str) else "", error.strerror or ""]
    return ": ".join(filter(None, parts)) if error.strerror else str(error)


def _fill_closed() -> None:
    """So that no file we open later is taken for standard output; reading from and writing to it fails."""
    for number, flags in enumerate((os.O_WRONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, flags)
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            stream = open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)


def _give_up(out: io.TextIOWrapper) -> None:
    """What is left in its buffer goes nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    with suppress(OSError):
        out.flush()


@contextmanager
def _naming(stream: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            raise OSError(error.errno, error.strerror, stream) from None
        raise
