"""What a server says when it does not answer, as errors that name its address and the remedy."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from internvl_llm.engines.server.addresses import Address
from internvl_llm.errors import ContextError, EngineError, ServerError
from internvl_llm.names import printable

LONGEST = 2**16
"""Bytes of an error's text that are looked at."""

_CONTEXT = re.compile(
    r"context length|context size|context window|maximum context|max_model_len|exceed_context_size"
    r"|context_length_exceeded|input length \(",
    re.IGNORECASE,
)
_LIMIT = re.compile(
    r"(?:maximum context length(?: is| of)?|available context size|context length|max_model_len)\D{0,4}(\d+)",
    re.IGNORECASE,
)
_PROMPT = re.compile(
    r"(\d+)(?: input tokens| tokens from the input| in the messages)"
    r"|(?:request|input length|the input) \((\d+)",
    re.IGNORECASE,
)
_IMAGES = re.compile(
    r"not a multimodal model|image input is not supported|not support (?:image|multimodal|vision)"
    r"|at most 0 image|missing data required for image|no image support|mmproj",
    re.IGNORECASE,
)
_TAGS = re.compile(r"<[^<>]{0,500}>")


class Fault(Exception):
    """Why a request was not answered. `again` is whether it may be asked again, after `seconds` at least;
    `reached` whether there was somebody at the address. `room` is how many tokens the answer may have where
    it asked for more."""

    def __init__(
        self,
        error: EngineError,
        *,
        again: bool = False,
        seconds: float = 0.0,
        reached: bool = True,
        room: int | None = None,
        status: int = 0,
    ) -> None:
        super().__init__(str(error))
        self.error = error
        self.again = again
        self.seconds = seconds
        self.reached = reached
        self.room = room
        self.status = status


@dataclass(frozen=True, slots=True)
class Asked:
    """Of whom, and what may not be told of it."""

    address: Address
    model: str
    key: str

    def said(self, text: str) -> str:
        """What the server said, in short, on one line, without the key."""
        text = " ".join(printable(text).split())
        if self.key:
            text = text.replace(self.key, "…")
        return text if len(text) <= 300 else f"{text[:300]}…"

    def error(self, problem: str, remedy: str) -> ServerError:
        return said_of(self.address, problem, remedy)


def said_of(address: Address, problem: str, remedy: str) -> ServerError:
    """The address stands in the message: what an error is of may be a document that it reads."""
    return ServerError(f"{address.url} {problem}", remedy=remedy)


def refusal(asked: Asked, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
    """Of an answer that is no success."""
    text = body[:LONGEST].decode("utf-8", "replace")
    message = asked.said(_message(text))
    told = f"{status}: {message}" if message else f"{status}"
    if status in (401, 403):
        problem = f"refuses the key ({told})" if asked.key else f"asks for a key ({told})"
        return Fault(asked.error(problem, "Give its key as api_key or INTERNVL_API_KEY"))
    if 300 <= status < 400:
        place = asked.said(headers.get("location", "elsewhere"))
        return Fault(asked.error(f"sends its callers to {place} ({status})", "Give the address itself"))
    if status == 429 or status >= 500:
        what = "is too busy" if status == 429 else "has failed"
        seconds = _retry_after(headers.get("retry-after", ""))
        error = asked.error(f"{what} ({told})", "Try again later, or ask for less at once (concurrency)")
        return Fault(error, again=True, seconds=seconds)
    if status == 404:
        if "model" in message.lower():
            problem = f"does not serve {asked.model} ({told})"
            return Fault(asked.error(problem, "Name a model that it serves: internvl check --base-url"))
        error = asked.error(f"has no such address ({told})", "Check base_url: it mostly ends with /v1")
        return Fault(error, status=status)
    if _CONTEXT.search(text):
        return _context(asked, _message(text), message)
    if _IMAGES.search(text):
        return Fault(
            asked.error(f"takes no images ({told})", "Serve an InternVL model with its vision part there")
        )
    return Fault(
        asked.error(f"refuses the request ({told})", "Change what it does not take, or how it is served")
    )


def _context(asked: Asked, full: str, message: str) -> Fault:
    limits = [int(number) for number in _LIMIT.findall(full)]
    prompt = next((int(found[1] or found[2]) for found in _PROMPT.finditer(full)), None)
    room = None
    if limits and prompt is not None and prompt < min(limits):
        room = min(limits) - prompt
    elif limits and prompt is None and "cannot be greater" in full:
        room = min(limits)
    error = ContextError(
        f"the request is longer than {asked.address.url} takes ({message})",
        remedy="Show fewer pages or tiles (max_tiles), drop earlier turns, or serve with a longer context",
    )
    return Fault(error, room=room)


def _message(text: str) -> str:
    """Of the forms in which servers wrap it, or the words of a page of HTML."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return _TAGS.sub(" ", text)
    for _ in range(3):
        if not isinstance(found, dict):
            break
        found = next((found[key] for key in ("error", "message", "detail") if found.get(key)), text)
    return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)


def _retry_after(text: str) -> float:
    """Seconds, of a number of them or a date; 0 where there is none."""
    import datetime

    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        when = parsedate_to_datetime(text)
        return max(0.0, (when - datetime.datetime.now(when.tzinfo)).total_seconds())
    except (ValueError, TypeError):
        return 0.0


def said_in_stream(asked: Asked, error: Any) -> Fault:
    """Of an error told in the middle of an answer, with a status or without."""
    code = error.get("code") if isinstance(error, dict) else None
    status = code if isinstance(code, int) and 400 <= code < 600 else 500
    return refusal(asked, status, {}, json.dumps({"error": error}).encode())


def lost(asked: Asked, why: str, *, reached: bool = True) -> Fault:
    error = asked.error(f"lost the connection ({why})", "See whether the server still runs, and its log")
    return Fault(error, again=True, reached=reached)


def garbage(asked: Asked, what: str, *, again: bool = True) -> Fault:
    error = asked.error(
        f"answered what no OpenAI-compatible server does ({what})",
        "Check base_url: it mostly ends with /v1; and what stands between",
    )
    return Fault(error, again=again)
