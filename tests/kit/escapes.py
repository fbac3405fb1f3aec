"""A document that has taken over its worker, and tries every way out to the network."""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from errno import errorcode
from pathlib import Path
from typing import Any

from internvl_llm.media.workers.frames import Reply
from internvl_llm.media.workers.sandbox import _CALLS

OPENER = "tests.kit.escapes:Escapes"
WATCHED = (
    "from internvl_llm.media.workers import sandbox; sandbox.refuse_sockets(sandbox.KILL); "
    "from internvl_llm.media.workers.worker import main; main()"
)
"""A worker that dies at the first attempt, so that none goes unseen."""

FAMILIES = {
    name: getattr(socket, f"AF_{name}")
    for name in ("UNIX", "INET", "INET6", "NETLINK", "PACKET", "TIPC", "ALG", "VSOCK", "BLUETOOTH")
    if hasattr(socket, f"AF_{name}")
}
X86 = os.uname().machine == "x86_64" if hasattr(os, "uname") else False


def call(name: str, *arguments: Any) -> str:
    number = _CALLS[name][0 if X86 else 1] if name in _CALLS else {"pidfd_open": 434}[name]
    return raw(number, *arguments)


def raw(number: int, *arguments: Any) -> str:
    """The name of the error, or `through`."""
    libc = ctypes.CDLL(None, use_errno=True)
    told = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    if libc.syscall(ctypes.c_long(number), *told) < 0:
        return errorcode[ctypes.get_errno()]
    return "through"


def by_int_80() -> str:
    """socket(AF_INET, SOCK_STREAM, 0) by the calls of 32-bit programs."""
    code = bytes.fromhex("53b867010000bb02000000b90100000031d2cd805bc3")
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    child = os.fork()
    if not child:
        os._exit(abs(ctypes.CFUNCTYPE(ctypes.c_int)(address)()) % 256)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):  # a kernel without these calls
        return signal.Signals(os.WTERMSIG(status)).name
    return errorcode.get(os.WEXITSTATUS(status), "through")


def stolen(process: int, handle: int) -> str:
    """The socket of another process of the same user, by its number there."""
    libc = ctypes.CDLL(None, use_errno=True)
    pidfd = libc.syscall(ctypes.c_long(434), ctypes.c_long(process), ctypes.c_long(0))
    return call("pidfd_getfd", pidfd, handle, 0)


def connected(family: int, address: Any) -> str:
    try:
        socket.socket(family).connect(address)
    except OSError as error:
        return errorcode[error.errno or 0]
    return "through"


def resolved(name: str) -> str:
    try:
        socket.getaddrinfo(name, 80)
    except OSError as error:
        return type(error).__name__
    return "through"


def child(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return done.stderr.strip().splitlines()[-1] if done.returncode else "through"


def inherited() -> str:
    """Descriptors of this process that are sockets."""
    links = []
    for each in os.listdir("/proc/self/fd"):
        try:
            links.append(os.readlink(f"/proc/self/fd/{each}"))
        except OSError:  # that of the folder itself
            continue
    return ", ".join(link for link in links if link.startswith("socket:")) or "none"


class Escapes:
    def __init__(self, content: Path | bytes, settings: dict[str, Any]) -> None:
        self.settings = settings

    def close(self) -> None:
        pass

    def answer(self, request: dict[str, Any]) -> Reply:
        ways = self._ways()
        wanted = request.get("only") or list(ways)
        return {"ways": {name: ways[name]() for name in wanted}}, b""

    def _ways(self) -> dict[str, Callable[[], str]]:
        port, path, handle = self.settings["port"], self.settings["path"], self.settings["handle"]
        parent = os.getppid()
        ways: dict[str, Callable[[], str]] = {
            **{
                f"socket {name}": lambda n=int(number): call(
                    "socket", n, 3 if n == socket.AF_NETLINK else 1, 0
                )
                for name, number in FAMILIES.items()
            },
            "socketpair": lambda: call("socketpair", 1, 2, 0, (ctypes.c_int * 2)()),
            "connect": lambda: connected(socket.AF_INET, ("127.0.0.1", port)),
            "connect unix": lambda: connected(socket.AF_UNIX, path),
            "connect abstract": lambda: connected(socket.AF_UNIX, f"\0internvl-{port}"),
            "io_uring": lambda: call("io_uring_setup", 8, ctypes.create_string_buffer(120)),
            "pidfd_getfd": lambda: stolen(parent, handle),
            "ptrace": lambda: call("ptrace", 0x4206, parent, 0, 0),
            "process_vm_readv": lambda: call("process_vm_readv", parent, 0, 0, 0, 0, 0),
            "request_key": lambda: call("request_key", b"dns_resolver", b"localhost", b"", -2),
            "mount": lambda: call("mount", b"none", b"/nowhere", b"nfs", 0, 0),
            "setns": lambda: call("setns", -1, 0),
            "dns": lambda: resolved("localhost.example"),
            "python child": lambda: child(
                sys.executable, "-c", f"import socket; socket.create_connection(('127.0.0.1', {port}))"
            ),
            "bash child": lambda: child("bash", "-c", f"echo hello > /dev/tcp/127.0.0.1/{port}"),
            "inherited": inherited,
        }
        if X86:
            ways["x32"] = lambda: raw(0x40000000 | 41, 2, 1, 0)
            ways["int 80"] = by_int_80
        return ways
