"""A worker has no network, and nothing in it asks for any."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
from PIL import ImageDraw, ImageFont

from internvl_llm.media.workers import process, sandbox
from internvl_llm.media.workers.job import Job, Resource
from internvl_llm.media.workers.pool import Pool, Session
from internvl_loaders import parse
from tests.kit import escapes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a way")

NAMESPACE = "from internvl_llm.media.workers import sandbox; sandbox._MACHINES = {}; " + process.BOOTSTRAP


@pytest.fixture
def doors(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Sockets of every kind that are open here, inheritable ones, and nobody may come in by."""
    path = str(tmp_path / "door")
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_UNIX) as unix,
        socket.socket(socket.AF_UNIX) as abstract,
    ):
        port = tcp.getsockname()[1]
        for door, address in ((unix, path), (abstract, f"\0internvl-{port}")):
            door.bind(address)
            door.listen()
        for door in (tcp, unix, abstract):
            door.set_inheritable(True)
            door.setblocking(False)
        yield {"port": port, "path": path, "handle": tcp.fileno()}
        for door in (tcp, unix, abstract):
            with pytest.raises(BlockingIOError):
                door.accept()


def tried(settings: dict[str, Any], *only: str) -> dict[str, Any]:
    """What became of each way."""
    session = Session(Pool(1))
    document = Resource(escapes.OPENER, b"", settings, 2**30)
    try:
        head, _ = session.submit(Job(document, {"op": "try", "only": only}, 60)).result(60)
    finally:
        session.close()
    return head


def test_every_way_out_is_refused(doors: dict[str, Any]) -> None:
    ways = tried(doors)["ways"]
    assert ways.pop("inherited") == "none"
    assert ways.pop("dns") == "gaierror"
    assert "Permission denied" in ways.pop("python child")
    assert "Permission denied" in ways.pop("bash child")
    if "int 80" in ways:
        assert ways.pop("int 80") in {"EACCES", "SIGSEGV"}
    assert ways == dict.fromkeys(ways, "EACCES")


def test_in_a_namespace_without_interfaces_nothing_is_reached(
    doors: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the kernel takes no filter of ours; it keeps unix sockets of the file system."""
    monkeypatch.setattr("internvl_llm.media.workers.process.BOOTSTRAP", NAMESPACE)
    only = ("connect", "connect abstract", "python child", "dns", "inherited")
    ways = tried(doors, *only)["ways"]
    if ways["connect"] == "through":
        pytest.skip("no namespaces for us here")
    assert (ways["connect"], ways["connect abstract"]) == ("ENETUNREACH", "ECONNREFUSED")
    assert (ways["dns"], ways["inherited"]) == ("gaierror", "none")
    assert "unreachable" in ways["python child"]


def test_a_filter_for_every_machine_refuses_what_is_not_native() -> None:
    """The instructions, carried out: none of another architecture, none by the numbers of x32."""
    for arch in (0xC000003E, 0xC00000B7):
        code = sandbox.program(arch, [41, 42], sandbox.REFUSE)
        assert ran(code, arch, 41) == ran(code, arch, 42) == sandbox.REFUSE
        assert ran(code, arch, 0) == ran(code, arch, 43) == ran(code, arch, 0x3FFFFFFF) == 0x7FFF0000
        assert ran(code, arch, 0x40000000) == ran(code, arch, 2**32 - 1) == sandbox.REFUSE
        assert ran(code, 0x40000003, 0) == ran(code, 0x40000028, 0) == sandbox.REFUSE


def ran(code: bytes, arch: int, number: int) -> int:
    """What a filter returns for a call."""
    import struct

    steps = list(struct.iter_unpack("HBBI", code))
    held, at = 0, 0
    while True:
        kind, yes, no, value = steps[at]
        at += 1
        match kind:
            case 0x20:
                held = {0: number, 4: arch}[value]
            case 0x15:
                at += yes if held == value else no
            case 0x35:
                at += yes if held >= value else no
            case 0x06:
                return int(value)


def test_no_library_reports_what_it_does() -> None:
    """Neither here nor in a worker, unless the user says so of this process."""
    asked = "import os, sys; import internvl_loaders; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    clean = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    for told, expected in (({}, "1"), ({"ORT_DISABLE_TELEMETRY": "0"}, "0")):
        done = subprocess.run(
            [sys.executable, "-c", asked], env=clean | told, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == expected


def picture() -> bytes:
    image = PIL.Image.new("RGB", (900, 600), "white")
    for line in range(8):
        text = f"Line {line} of a letter, total due 1,234.56"
        ImageDraw.Draw(image).text((40, 30 + 68 * line), text, fill="black", font=ImageFont.load_default(34))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize("seconds", [3, pytest.param(65, marks=pytest.mark.slow)])
def test_ocr_asks_for_no_socket_and_leaves_no_file(
    seconds: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_pools: None
) -> None:
    monkeypatch.setattr("internvl_llm.media.workers.process.BOOTSTRAP", escapes.WATCHED)
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")  # what the user says of this process is not for workers
    for name in ("TMPDIR", "HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(name, str(tmp_path / name))
    started, document = time.monotonic(), picture()
    while time.monotonic() - started < seconds:
        (page,) = parse(document, jobs=1)
        assert (page.status, page.reason) == ("ok", "")
        assert "1,234.56" in page.text
    assert not [path for path in tmp_path.rglob("*") if not path.is_dir()]


def test_the_watch_sees_an_attempt(doors: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("internvl_llm.media.workers.process.BOOTSTRAP", escapes.WATCHED)
    assert "SIGSYS" in tried(doors, "connect")["error"]["message"]
