"""In every process with this folder on its PYTHONPATH: a line for each watched file that is opened."""

import os
import sys

_LOG = os.environ.get("WATCH_LOG")
_WATCHED = os.environ.get("WATCHED", "").split(os.pathsep)


def _seen(event: str, args: tuple) -> None:
    if event == "open" and isinstance(args[0], str | bytes | os.PathLike):
        path = os.path.realpath(os.path.join(os.getcwd(), os.fsdecode(args[0])))
        if os.path.lexists(path) and any(
            path == watched or path.startswith(watched + os.sep) for watched in _WATCHED
        ):
            os.write(_FILE, f"{os.getpid()} {path}\n".encode("utf-8", "replace"))


if _LOG:
    _FILE = os.open(_LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.set_inheritable(_FILE, False)
    sys.addaudithook(_seen)
