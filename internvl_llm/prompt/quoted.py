"""Calls that stand in what nobody vouches for: a model that repeats one means no call."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable
from functools import cached_property

from internvl_llm.messages import Message, Text, ToolResult
from internvl_llm.prompt.written_calls import ARGUMENTS, NAMES

_UNSEEN = re.compile("[\\s\\\\\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]+")
_QUOTES = str.maketrans(dict.fromkeys("'“”„‟‘’‚‛`", '"'))
_KEY = re.compile(rf'"({"|".join([*NAMES, *ARGUMENTS])})":')
_PYTHON = re.compile(r"(?<=[:\[,])(?:True|False|None)(?=[,\]}])")
_OPEN, _CLOSE = re.compile(r'"?\{+'), re.compile(r',?\}+"?')
"""Braces, doubled maybe, or those of arguments that are written as a string."""


class Quoted:
    """Text of users, their documents and tools. Calls are found there in every form in which a model's are
    read (`written_calls`), whatever white space, backslashes and entities there are. Nothing is searched
    before a call is looked for."""

    def __init__(self, messages: Iterable[Message]) -> None:
        self._messages = tuple(messages)

    def mentions(self, name: str) -> bool:
        """Whether a call of that name may stand there."""
        return _named(name) in self._text

    def holds(self, name: str, arguments: str, body: str = "") -> bool:
        """Whether this call stands there; `body` is how it is written, where that is not as usual."""
        if not self.mentions(name):
            return False
        named = _named(name)
        given = [f'"arguments":{_alike(form)}' for form in (arguments, *_canonical(arguments))]
        calls = [call for form in given for call in (f"{named},{form}", f"{form},{named}")]
        return any(call in self._text for call in [*calls, *filter(None, [_alike(body)])])

    @cached_property
    def _text(self) -> str:
        return _alike("\n".join(self._texts()))

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


def _named(name: str) -> str:
    return _alike(f'"name":{json.dumps(name, ensure_ascii=False)}')


def _alike(text: str) -> str:
    """The same for all ways to write a call: JSON or Python, with these keys or those. Linear."""
    text = _UNSEEN.sub("", html.unescape(text)).translate(_QUOTES)
    text = _KEY.sub(lambda key: '"name":' if key[1] in NAMES else '"arguments":', text)
    text = _PYTHON.sub(lambda word: {"None": "null"}.get(word[0], word[0].lower()), text)
    return _CLOSE.sub("}", _OPEN.sub("{", text))
