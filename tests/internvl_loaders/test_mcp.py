"""The MCP server through the SDK's own client: in memory, and as the command on standard streams or HTTP."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp.server.mcpserver")

from mcp import Client, StdioServerParameters

from internvl_loaders.agents import DocumentTools
from internvl_loaders.mcp import server
from tests.kit.command import internvl
from tests.kit.pdfs import pdf


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.pdf").write_bytes(pdf("Invoice 4711", "Delivery note 88213"))
    return tmp_path


def text(result: Any) -> str:
    (content,) = result.content
    return content.text  # type: ignore[no-any-return]


async def test_tools(folder: Path) -> None:
    async with Client(server(DocumentTools(folder))) as client:
        offered = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert list(offered) == ["list_documents", "parse_document", "read_page", "search_in_document"]
        page = offered["read_page"]
        assert "markdown" in page.description
        assert page.input_schema["properties"]["page"]["type"] == "integer"
        assert page.input_schema["required"] == ["path", "page"]
        assert page.annotations.read_only_hint
        read = await client.call_tool("read_page", {"path": "a.pdf", "page": 2})
        assert text(read) == "Delivery note 88213"
        assert not read.is_error


async def test_errors_are_results_that_say_what_to_do(folder: Path) -> None:
    async with Client(server(DocumentTools(folder))) as client:
        for path in ("../a.pdf", "nothing.pdf"):
            refused = await client.call_tool("read_page", {"path": path, "page": 1})
            assert refused.is_error
            assert "list_documents" in text(refused)


async def test_the_command(folder: Path) -> None:
    command = StdioServerParameters(
        command=sys.executable,
        args=["-c", "from internvl_loaders.cli.app import app; app()", "mcp", str(folder)],
        env=dict(os.environ),
    )
    async with Client(command) as client:
        found = await client.call_tool("search_in_document", {"path": "a.pdf", "query": "delivery note"})
        assert text(found).startswith("page 2")


async def test_over_http(folder: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = [sys.executable, "-c", "from internvl_loaders.cli.app import app; app()"]
    process = await asyncio.create_subprocess_exec(
        *program, "mcp", str(folder), "--http", f"127.0.0.1:{port}", stderr=asyncio.subprocess.DEVNULL
    )
    try:
        for _ in range(600):
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                break
            except OSError:
                assert process.returncode is None
                await asyncio.sleep(0.1)
        async with Client(f"http://127.0.0.1:{port}/mcp") as client:
            found = await client.call_tool("search_in_document", {"path": "a.pdf", "query": "delivery note"})
            assert text(found).startswith("page 2")
    finally:
        process.terminate()
        await process.wait()


def test_an_address_that_is_none(folder: Path) -> None:
    for wrong in ("8765x", "localhost", "localhost:0", "localhost:70000"):
        run = internvl("mcp", folder, "--http", wrong)
        assert run.returncode == 2 and "HOST:PORT" in run.stderr
