"""Runs a program and tells whom it, and all that it starts, asks for: connect, bind, sendto, sendmsg.

The kernel stops each of these calls until its address has been looked at (seccomp's user notification), so
native code is seen as well, and nothing is missed. What a filter of the program's own refuses is not seen.

Run as a program it waits for its watcher, and then becomes what its arguments are.
"""

from __future__ import annotations

import ctypes
import os
import select
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

_CALLS = {"x86_64": (42, 49, 44, 46, 307), "aarch64": (203, 200, 206, 211, 269)}
_ARCHS = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_NAMES = ("connect", "bind", "sendto", "sendmsg", "sendmmsg")
_PIDFD_GETFD = 438
_SECCOMP = {"x86_64": 317, "aarch64": 277}
_RECEIVE, _ANSWER = 0xC0502100, 0xC0182101
_CONTINUE = 1
_USER_NOTIF, _ALLOW = 0x7FC00000, 0x7FFF0000
_MACHINE = os.uname().machine if hasattr(os, "uname") else ""

POSSIBLE = sys.platform == "linux" and _MACHINE in _CALLS


def outside(asked: Iterable[str]) -> list[str]:
    """Those addresses that are not of this machine, once each."""
    return sorted({to for to in asked if not to.startswith(("127.", "[::1]", "unix"))})


@contextmanager
def watching(command: Sequence[str], **options: Any) -> Iterator[tuple[subprocess.Popen[bytes], list[str]]]:
    """The process, with pipes for its standard input and output, and what it asks for, which is complete once
    the block is left: addresses such as `127.0.0.1:80` and `[::1]:80`, `unix`, or another family's number.

    `options` are Popen's.
    """
    launcher = [sys.executable, os.path.abspath(__file__), *command]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    asked: list[str] = []
    with subprocess.Popen(launcher, **pipes | options) as process:
        assert process.stdin is not None and process.stdout is not None
        listener = _descriptor_of(process.pid, int(process.stdout.readline()))
        watcher = threading.Thread(target=_watch, args=(listener, asked), daemon=True)
        watcher.start()
        process.stdin.write(b"\n")
        process.stdin.flush()
        yield process, asked
    watcher.join(10)
    os.close(listener)


def _watch(listener: int, asked: list[str]) -> None:
    """Until the last of the processes has ended."""
    from fcntl import ioctl

    events = select.poll()
    events.register(listener, select.POLLIN)
    while True:
        [(_, what)] = events.poll()
        if not what & select.POLLIN:
            return
        with suppress(OSError):  # it was killed meanwhile
            told = bytearray(80)
            ioctl(listener, _RECEIVE, told)
            call, process, _, number, _, _, *arguments = struct.unpack("=QIIiIQ6Q", told)
            with suppress(OSError, struct.error):
                asked.extend(_addresses(process, _NAMES[_CALLS[_MACHINE].index(number)], arguments))
            ioctl(listener, _ANSWER, struct.pack("=QqiI", call, 0, 0, _CONTINUE))


def _addresses(process: int, name: str, arguments: Sequence[int]) -> list[str]:
    with open(f"/proc/{process}/mem", "rb", 0) as memory:

        def read(at: int, size: int) -> bytes:
            memory.seek(at)
            return memory.read(size)

        if name in ("connect", "bind"):
            places = [(arguments[1], arguments[2])]
        elif name == "sendto":
            places = [(arguments[4], arguments[5])]
        else:
            messages = 1 if name == "sendmsg" else min(arguments[2], 1024)
            heads = [read(arguments[1] + 64 * at, 12) for at in range(messages)]
            places = [struct.unpack("=QI", head) for head in heads]
        return [_written(read(at, min(size, 128))) for at, size in places if at and size >= 2]


def _written(address: bytes) -> str:
    (family,) = struct.unpack_from("=H", address)
    if family == socket.AF_INET:
        return f"{socket.inet_ntop(family, address[4:8])}:{int.from_bytes(address[2:4], 'big')}"
    if family == socket.AF_INET6:
        return f"[{socket.inet_ntop(family, address[8:24])}]:{int.from_bytes(address[2:4], 'big')}"
    return "unix" if family == socket.AF_UNIX else f"family {family}"


def _descriptor_of(process: int, number: int) -> int:
    handle = os.pidfd_open(process)
    libc = ctypes.CDLL(None, use_errno=True)
    found = libc.syscall(*map(ctypes.c_long, (_PIDFD_GETFD, handle, number, 0)))
    os.close(handle)
    if found < 0:
        raise OSError(ctypes.get_errno(), "pidfd_getfd")
    return int(found)


def _install() -> int:
    """The filter, in this process and all that follow; the descriptor of whoever listens."""
    calls = _CALLS[_MACHINE]
    steps = [
        struct.pack("HBBI", 0x20, 0, 0, 4),
        struct.pack("HBBI", 0x15, 0, len(calls) + 1, _ARCHS[_MACHINE]),
    ]
    steps += [struct.pack("HBBI", 0x20, 0, 0, 0)]
    steps += [struct.pack("HBBI", 0x15, len(calls) - at, 0, number) for at, number in enumerate(calls)]
    steps += [struct.pack("HBBI", 0x06, 0, 0, end) for end in (_ALLOW, _USER_NOTIF)]
    code = b"".join(steps)

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))

    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(38, *map(ctypes.c_ulong, (1, 0, 0, 0)))
    program = Program(len(steps), code)
    new_listener = ctypes.c_ulong(8)
    found = libc.syscall(
        ctypes.c_long(_SECCOMP[_MACHINE]), ctypes.c_ulong(1), new_listener, ctypes.byref(program)
    )
    if found < 0:
        raise OSError(ctypes.get_errno(), "seccomp")
    return int(found)


def _main() -> None:
    print(_install(), flush=True)
    os.read(0, 1)
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    _main()
