"""No network for a worker, whatever its libraries or a document's code may try.

On Linux a seccomp filter refuses the process, and all that it starts, every socket and the ways to borrow
another process's. Where the kernel takes no filter of ours the process goes into a network namespace without
interfaces, which leaves it sockets of the file system. Elsewhere there is no way that needs no rights.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Iterable
from contextlib import suppress
from errno import EACCES

_CALLS: dict[str, tuple[int, int]] = {
    "socket": (41, 198),
    "socketpair": (53, 199),  # an end of one can be connected elsewhere
    "connect": (42, 203),
    "bind": (49, 200),
    "listen": (50, 201),
    "accept": (43, 202),
    "accept4": (288, 242),
    "sendto": (44, 206),
    "sendmsg": (46, 211),
    "sendmmsg": (307, 269),
    # rings do what system calls do, unseen by filters
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    # sockets of others
    "pidfd_getfd": (438, 438),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    # the kernel asks the network itself: names by keys, file systems
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "mount": (165, 40),
    "fsopen": (430, 430),
    "setns": (308, 268),
}
"""What is refused: numbers on x86-64, and of the kernel's common table for newer machines."""

_SECCOMP = (317, 277)
_MACHINES = {  # the column above, and the AUDIT_ARCH of its 64-bit programs
    "x86_64": (0, 0xC000003E),
    "aarch64": (1, 0xC00000B7),
    "riscv64": (1, 0xC00000F3),
    "loongarch64": (1, 0xC0000102),
}

REFUSE = 0x00050000 | EACCES
"""SECCOMP_RET_ERRNO"""
KILL = 0x80000000
"""SECCOMP_RET_KILL_PROCESS, for tests that nothing even tries."""
_ALLOW = 0x7FFF0000

_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER, _ARCH = 0, 4
"""Offsets in seccomp_data."""
_X32 = 0x40000000
"""x86-64 programs reach the calls by these numbers, too."""

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def leave_network() -> str | None:
    """Cut this process off, for good, and say how; None where nothing does. Before it starts threads."""
    if sys.platform != "linux":
        return None
    for way, name in ((refuse_sockets, "seccomp filter"), (_leave_namespace, "empty network namespace")):
        try:
            way()
        except OSError:
            continue
        return name
    return None


def refuse_sockets(action: int = REFUSE) -> None:
    """`action` on every call of the table, in all threads. Raises OSError where that cannot be."""
    machine = _MACHINES.get(os.uname().machine)
    if machine is None or struct.calcsize("P") != 8:
        raise OSError(f"no filter for {os.uname().machine}")
    column, arch = machine
    code = program(arch, (numbers[column] for numbers in _CALLS.values()), action)
    libc = ctypes.CDLL(None, use_errno=True)
    asked = _Program(len(code) // 8, code)
    one, none = ctypes.c_ulong(1), ctypes.c_ulong(0)
    if libc.prctl(38, one, none, none, none):  # PR_SET_NO_NEW_PRIVS, without which only root may
        raise OSError(ctypes.get_errno(), "prctl")
    # SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC
    if libc.syscall(ctypes.c_long(_SECCOMP[column]), one, one, ctypes.byref(asked)):
        raise OSError(ctypes.get_errno(), "seccomp")


def program(arch: int, numbers: Iterable[int], action: int) -> bytes:
    """The filter: `action` on these calls, and on all that are not in the native way of the machine."""
    calls = [(_EQUAL, number) for number in numbers]
    tests = [(_AT_LEAST, _X32), *calls]
    steps = [
        struct.pack("HBBI", _LOAD, 0, 0, _ARCH),
        struct.pack("HBBI", _EQUAL, 0, len(tests) + 2, arch),
        struct.pack("HBBI", _LOAD, 0, 0, _NUMBER),
    ]
    for at, (test, value) in enumerate(tests):
        steps.append(struct.pack("HBBI", test, len(tests) - at, 0, value))
    return b"".join([*steps, *(struct.pack("HBBI", _RETURN, 0, 0, end) for end in (_ALLOW, action))])


def _leave_namespace() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.geteuid(), os.getegid()
    if libc.unshare(_CLONE_NEWNET) == 0:  # whoever may needs no users of its own
        return
    if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")
    maps = {"setgroups": "deny", "uid_map": f"{user} {user} 1", "gid_map": f"{group} {group} 1"}
    for name, text in maps.items():
        # Without, files are the same user's still, though names of users are not.
        with suppress(OSError), open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def tell() -> None:
    """For `internvl check`, in a process of its own: how it is cut off, on standard output, if it is."""
    import socket

    way = leave_network()
    try:
        socket.create_connection(("127.0.0.1", 9), 1).close()
    except PermissionError:  # of the filter
        print(way)
    except OSError as error:
        print(way if "namespace" in (way or "") and error.errno == 101 else "")  # ENETUNREACH
