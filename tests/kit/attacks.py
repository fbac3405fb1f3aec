# ruff: noqa: E501
"""Content blocks that try to have a file of this machine read: what strangers send to a chat model.

Run as a program in a folder of bait, under `watch/sitecustomize.py`, it shows all of them to both frameworks'
chat models, and prints how many there were and what came of them.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

NAME = "secret.png"
CONTROL = "control"
"""The one file that is opened: whoever watches sees it."""


def spellings(bait: Path) -> list[str]:
    """Of the file `secret.png` in `bait`, which is the folder the process is in, and of files of the system."""
    path = str(bait / NAME)
    return [
        *(path, NAME, f"./{NAME}", f"../{bait.name}/{NAME}", f"sub/../{NAME}", "~/secret.png", "~root/x"),
        *(f"file:{path}", f"file:/{path}", f"file://{path}", f"FILE://{path}", f"file://localhost{path}"),
        *(f"File:\\\\{path}", f"file:{NAME}", f"file://{quote(path, safe='')}", f" file://{path}"),
        *(
            f"http:/{path}",
            f"http:{path}",
            f"http:{NAME}",
            f"HTTP:{NAME}",
            f"http:\\\\{NAME}",
            f"http:/{NAME}",
        ),
        *(
            f"https:/{NAME}",
            f"https:{path}",
            f"Https:/{NAME}",
            f"http:/../{bait.name}/{NAME}",
            f"http:///{path}",
        ),
        *(f"https:///{path}", "http://", "https://?", "http:/..", "https:/./../x", f"http:/.//{NAME}"),
        *(
            f"data:/{path}",
            f"data:{NAME}",
            f"data:../{NAME}",
            "data:",
            "data:image/png;base64",
            "data:;base64,@@",
        ),
        *(f"data:image/png;base64,{path}", f"DATA:{NAME}", f"data://{path}", f"data:file://{path},"),
        *(f" {path}", f"{path} ", f"\t{path}", f"\n{path}", f"{path}\n", f"\x00{path}", f"{path}\x00.png"),
        *(f"\x01{path}", f"\u200b{path}", f"\ufeff{path}", f"\u2028{path}", f"\x85{path}", f" http:/{NAME}"),
        *(
            quote(path),
            quote(path, safe=""),
            path.replace("/", "%2f"),
            "%2e%2e/secret.png",
            f"http:%2f{NAME}",
        ),
        *(path.replace("/", "\u2215"), path.replace("/", "\uff0f"), f"ｆile://{path}", f"ｈttp:/{NAME}"),
        *(
            f"httpſ:/{NAME}",
            f"ht\ttp:/{NAME}",
            f"h\nttps:/{NAME}",
            f"http\uff1a/{NAME}",
            f"\u2024\u2024/{NAME}",
        ),
        *(f"//localhost{path}", f"//{path}", f"\\\\localhost\\c$\\{NAME}", f"//?/{path}", f"\\\\?\\{path}"),
        *(
            f"C:\\{NAME}",
            f"C:{NAME}",
            f"c:/{NAME}",
            f"\\{NAME}",
            f".\\{NAME}",
            f"C|/{NAME}",
            "NUL",
            "CON",
            "aux.png",
        ),
        *("/proc/self/environ", "/proc/self/fd/0", "/dev/zero", "/dev/stdin", "/dev/fd/0", "/etc/passwd"),
        *("/etc//passwd", "/./etc/passwd", "/proc/self/root/etc/passwd", "/proc/self/cwd/secret.png"),
        *(str(bait / "pipe"), "pipe", str(bait), ".", "..", "/", "link.png", "linked/secret.png", "hard.png"),
        *(f"{'a/../' * 500}{NAME}", f"{path}{'x' * 5000}", "x" * 100_000, f"{'../' * 60}{path[1:]}"),
        *(
            f"blob:{path}",
            f"jar:file://{path}!/x",
            f"ftp://localhost{path}",
            f"s3://{path}",
            f"view-source:{path}",
        ),
        *(f"url({path})", f"'{path}'", f'"{path}"', f"<{path}>", f"${{HOME}}/{NAME}", "$HOME/secret.png"),
        *(
            f"php://filter/resource={path}",
            f"concat:{path}",
            f"subfile,,:{path}",
            f"pipe:{path}",
            f"fd:0 {path}",
        ),
    ]


def langchain_blocks(spelling: str) -> Iterator[dict[str, Any]]:
    yield {"type": "image_url", "image_url": spelling}
    yield {"type": "image_url", "image_url": {"url": spelling}}
    yield {"type": "image", "url": spelling}
    yield {"type": "image", "source": {"type": "url", "url": spelling}}
    yield {"type": "file", "url": spelling, "mime_type": "application/pdf"}
    yield {"type": "file", "file": {"file_data": spelling, "filename": spelling}}
    yield {"type": "document", "source": {"type": "url", "url": spelling}, "title": spelling}
    yield {"type": "video_url", "video_url": {"url": spelling}}
    yield {"type": "image", "path": spelling}
    yield {"type": "text-plain", "url": spelling}


def llama_index_blocks(spelling: str) -> Iterator[dict[str, Any]]:
    for kind in ("image", "document", "video"):
        for field in ("path", "url"):
            yield {"block_type": kind, field: spelling}


def _outcomes(bait: Path, media_root: list[str]) -> Iterator[str]:
    from langchain_core.messages import HumanMessage, ToolMessage
    from llama_index.core.llms import ChatMessage

    from internvl_llm.errors import InternVLError
    from internvl_llm.langchain import ChatInternVL
    from internvl_llm.llama_index import InternVL
    from tests.kit.scripted import ScriptedEngine, shown

    engine = ScriptedEngine(lambda request: str(shown(request).size))
    chat = ChatInternVL(engine=engine, media_root=media_root)
    llm = InternVL(engine=engine, media_root=media_root)

    def outcome(ask: Any) -> str:
        try:
            return f"answered {ask()}"
        except InternVLError as error:
            return type(error).__name__

    for place, spelling in enumerate(spellings(bait)):
        for number, block in [*enumerate(langchain_blocks(spelling))][place % 2 :: 2]:
            called = {"type": "tool_call", "id": "1", "name": "f", "args": {}}
            message: Any = HumanMessage([block])
            if number % 4 == 3:
                message = ToolMessage([block], tool_call_id=called["id"])
            yield outcome(lambda message=message: chat.invoke([message]).content)
        for block in [*llama_index_blocks(spelling)][: 3 if place % 2 else None]:
            try:
                message = ChatMessage.model_validate_json(json.dumps({"role": "user", "blocks": [block]}))
            except (OSError, ValueError):  # LlamaIndex refuses what is no file, or no URL
                yield "unread"
                continue
            yield outcome(lambda message=message: llm.chat([message]).message.content)


def _no_network(*arguments: Any, **named: Any) -> Any:
    raise socket.gaierror("there is no network here")


def main() -> None:
    bait = Path.cwd()
    socket.getaddrinfo = _no_network
    (bait / CONTROL).read_bytes()
    found = list(_outcomes(bait, sys.argv[1:]))
    answered = sorted({outcome for outcome in found if outcome.startswith("answered")})
    print(
        json.dumps({"blocks": len(found), "answered": answered, "others": sorted(set(found) - set(answered))})
    )


def lay(folder: Path, picture: bytes) -> None:
    """The bait, also where a spelling that is taken for a relative path would lead."""
    from tests.kit.pdfs import pdf

    document = pdf("secret")
    for where in (".", "http:", "https:", "Https:", "HTTP:", "data:", "file:", "sub"):
        (folder / where).mkdir(parents=True, exist_ok=True)
        (folder / where / NAME).write_bytes(picture)
    for name in (f"http:{NAME}", f"HTTP:{NAME}", f"data:{NAME}", f"file:{NAME}", f"C:\\{NAME}", f"C:{NAME}"):
        (folder / name).write_bytes(document)
    (folder / CONTROL).write_bytes(b"-")
    os.mkfifo(folder / "pipe")
    os.symlink("/etc/passwd", folder / "link.png")
    os.symlink("..", folder / "linked")
    os.link(folder / NAME, folder / "hard.png")


if __name__ == "__main__":
    main()
