"""LangChain: tools that let agents read documents."""

from __future__ import annotations

import base64
import inspect
from collections.abc import Callable
from typing import Any

from internvl_loaders.agents import DocumentTools, arguments, in_thread, refusal
from internvl_loaders.errors import InternVLError
from internvl_loaders.records.loading import missing

try:
    from langchain_core.tools import StructuredTool, ToolException
except ImportError as error:
    raise missing("LangChain", "langchain") from error


def document_tools(documents: DocumentTools, *, images: bool = False) -> list[StructuredTool]:
    """Tools that let an agent list, read, search and, given an engine, ask the documents of some folders.

    What cannot be done is a tool result of status `error` that says what would do; it ends no agent.

    Example:
        ```python
        from langchain.agents import create_agent
        from internvl_loaders.agents import DocumentTools
        from internvl_loaders.langchain import document_tools

        agent = create_agent(model, document_tools(DocumentTools("invoices/")))
        ```

    Args:
        documents: The folders that may be read, how they are read, and the engine of `ask_page`.
        images: Whether there is `show_page`, whose result holds the image of a page.
    """
    return [_tool(function) for function in documents.functions(images=images)]


def _tool(function: Callable[..., Any]) -> StructuredTool:
    def run(**values: Any) -> str | list[dict[str, Any]]:
        try:
            return _content(function(**values))
        except InternVLError as error:
            raise ToolException(str(error)) from error

    async def arun(**values: Any) -> str | list[dict[str, Any]]:
        return await in_thread(run, **values)

    return StructuredTool.from_function(
        run,
        arun,
        name=function.__name__,
        description=inspect.getdoc(function),
        args_schema=arguments(function),
        handle_tool_error=True,
        handle_validation_error=refusal,
    )


def _content(result: Any) -> str | list[dict[str, Any]]:
    if isinstance(result, str):
        return result
    text, image = result
    encoded = base64.b64encode(image.data).decode("ascii")
    picture = {"type": "image", "base64": encoded, "mime_type": image.mime_type}
    return [{"type": "text", "text": text}, picture]
