"""LlamaIndex: tools that let agents read documents."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from pydantic import ValidationError, validate_call

from internvl_loaders.agents import DocumentTools, arguments, in_thread, refusal
from internvl_loaders.errors import OptionError
from internvl_loaders.records.loading import missing

try:
    from llama_index.core.base.llms.types import ImageBlock, TextBlock
    from llama_index.core.tools import ToolMetadata
    from llama_index.core.tools.tool_spec.base import SPEC_FUNCTION_TYPE, BaseToolSpec
except ImportError as error:
    raise missing("LlamaIndex", "llama-index") from error


class DocumentToolSpec(BaseToolSpec):
    """Tools that let an agent list, read, search and, given an engine, ask the documents of some folders.

    What cannot be done raises an InternVLError that says what would do; agents make it a ToolOutput with
    `is_error`, and go on.

    Example:
        ```python
        from llama_index.core.agent.workflow import FunctionAgent
        from internvl_loaders.agents import DocumentTools
        from internvl_loaders.llama_index import DocumentToolSpec

        agent = FunctionAgent(llm=llm, tools=DocumentToolSpec(DocumentTools("invoices/")).to_tool_list())
        ```

    Args:
        documents: The folders that may be read, how they are read, and the engine of `ask_page`.
        images: Whether there is `show_page`, whose result holds the image of a page.
    """

    def __init__(self, documents: DocumentTools, *, images: bool = False) -> None:
        self._functions = {function.__name__: function for function in documents.functions(images=images)}
        self.spec_functions: list[SPEC_FUNCTION_TYPE] = []
        for name, function in self._functions.items():
            call, acall = _checked(function)
            setattr(self, name, call)
            setattr(self, f"a{name}", acall)
            self.spec_functions.append((name, f"a{name}"))

    def get_metadata_from_fn_name(
        self, fn_name: str, spec_functions: list[SPEC_FUNCTION_TYPE] | None = None
    ) -> ToolMetadata:
        function = self._functions[fn_name]
        return ToolMetadata(
            name=fn_name, description=inspect.getdoc(function) or "", fn_schema=arguments(function)
        )


def _checked(function: Callable[..., Any]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """LlamaIndex passes on what a model gave as it is: it is checked here."""
    validated = validate_call(function)

    @functools.wraps(function)
    def call(*values: Any, **named: Any) -> Any:
        try:
            return _blocks(validated(*values, **named))
        except ValidationError as error:
            raise OptionError(refusal(error)) from error

    @functools.wraps(function)
    async def acall(*values: Any, **named: Any) -> Any:
        return await in_thread(call, *values, **named)

    return call, acall


def _blocks(result: Any) -> str | list[TextBlock | ImageBlock]:
    if isinstance(result, str):
        return result
    text, image = result
    return [TextBlock(text=text), ImageBlock(image=image.data, image_mimetype=image.mime_type)]
