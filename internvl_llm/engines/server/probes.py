"""What a server does, found out by asking it: how it cuts images, and whether it keeps to a schema."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from internvl_llm.engines.server.images import PROBES, Sight, data_url, measured
from internvl_llm.engines.server.refusals import Fault
from internvl_llm.errors import ContextError

Count: TypeAlias = Callable[[list[dict[str, Any]]], Awaitable[int]]
"""The prompt tokens of messages; 0 where the server does not tell."""
Ask: TypeAlias = Callable[[dict[str, Any]], Awaitable[Any]]
"""The whole answer to a body, as the server's JSON has it."""

_SECRET = {"type": "object", "properties": {"code": {"const": 7351}}, "required": ["code"]}
"""What nobody answers who is not held to it."""


async def sight(count: Count) -> Sight:
    """Raises Fault, also where the server takes no images."""
    try:
        return measured(*[await count(_showing(*size)) for size in PROBES])
    except Fault as fault:
        if isinstance(fault.error, ContextError):  # not even the longest image fits
            return Sight(None)
        raise


def _showing(width: int, height: int) -> list[dict[str, Any]]:
    from PIL import Image

    url = data_url(Image.new("RGB", (width, height), "white"))
    content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "?"}]
    return [{"role": "user", "content": content}]


async def keeps_schemas(ask: Ask) -> bool:
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": _SECRET, "strict": True}}
    messages = [{"role": "user", "content": "Say hello."}]
    answer = await ask({"messages": messages, "response_format": form, "max_tokens": 64, "temperature": 0.0})
    try:
        return bool(json.loads(said(answer)) == {"code": 7351})
    except ValueError:
        return False


def said(answer: Any) -> str:
    """The text of a whole answer; empty where there is none."""
    choices = answer.get("choices") if isinstance(answer, Mapping) else None
    first = choices[0] if isinstance(choices, list) and choices else None
    message = first.get("message") if isinstance(first, Mapping) else None
    text = message.get("content") if isinstance(message, Mapping) else None
    return text if isinstance(text, str) else ""


def prompt_tokens(answer: Any) -> int:
    usage = answer.get("usage") if isinstance(answer, Mapping) else None
    tokens = usage.get("prompt_tokens") if isinstance(usage, Mapping) else None
    return tokens if isinstance(tokens, int) else 0
