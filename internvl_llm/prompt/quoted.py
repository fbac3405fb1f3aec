"""Calls that stand in what nobody vouches for: a model that repeats one means no call."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable
from functools import cached_property

from internvl_llm.messages import Message, Text, ToolResult

_UNSEEN = re.compile("[\\s\\\\\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]+")
_ARGUMENTS = ("arguments", "parameters")


class Quoted:
    """Text of users, their documents and tools. Calls are found there whatever white space, backslashes and
    entities there are; written otherwise they are not. Nothing is searched before a call is looked for."""

    def __init__(self, messages: Iterable[Message]) -> None:
        self._messages = tuple(messages)

    def mentions(self, name: str) -> bool:
        """Whether a call of that name may stand there."""
        return _squeezed(f'"name":{json.dumps(name, ensure_ascii=False)}') in self._text

    def holds(self, name: str, arguments: str, body: str = "") -> bool:
        """Whether this call stands there; `body` is how it is written, where that is not as usual."""
        if not self.mentions(name):
            return False
        named = f'"name":{json.dumps(name, ensure_ascii=False)}'
        forms = [body, arguments, *_canonical(arguments)]
        calls = [f'{{{named},"{key}":{form}}}' for key in _ARGUMENTS for form in forms[1:]]
        calls += [f'{{"{key}":{form},{named}}}' for key in _ARGUMENTS for form in forms[1:]]
        return any(_squeezed(call) in self._text for call in (*forms[:1], *calls) if call)

    @cached_property
    def _text(self) -> str:
        return _squeezed("\n".join(self._texts()))

    def _texts(self) -> Iterable[str]:
        for message in self._messages:
            for part in message.parts:
                if isinstance(part, ToolResult):
                    yield from (inner.text for inner in part.parts if isinstance(inner, Text))
                elif isinstance(part, Text) and message.role == "user":
                    yield part.text


def _canonical(arguments: str) -> list[str]:
    try:
        value = json.loads(arguments)
    except (ValueError, RecursionError):
        return []
    return [json.dumps(value, ensure_ascii=ascii_only) for ascii_only in (False, True)]


def _squeezed(text: str) -> str:
    return _UNSEEN.sub("", html.unescape(text))
