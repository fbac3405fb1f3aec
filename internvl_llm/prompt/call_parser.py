"""Tool calls in what a model writes: the parser of its text as it comes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from internvl_llm.events import TextDelta, ToolCallDelta
from internvl_llm.messages import ToolCall
from internvl_llm.prompt.dialects import Format


class CallParser:
    """Text in, in pieces of any size; text and calls out, the same whatever the pieces were.

    A call is told as soon as its name is known and its arguments begin, and they follow as they come. What
    opens like a call but is none stays text. A call that is cut off stays as it is, its arguments no JSON;
    after complete arguments nothing is missed but the closing tag. Line breaks between calls and text, of
    the dialect's own, and blank text around calls are dropped; nothing else is.

    `anywhere` says whether a call may follow text. Ids are `call_<index>_<salt>`.
    """

    def __init__(self, form: Format, salt: str, *, anywhere: bool = True) -> None:
        self.completed = 0
        """Calls whose arguments came to their end."""
        self._form = form
        self._salt = salt
        self._anywhere = anywhere
        self._head = re.compile(_HEAD % form.arguments)
        self._state = self._text
        self._buffer = ""
        self._scanned = 0
        self._trailing = ""
        self._has_text = False  # since the last call
        self._calls = 0
        self._depth, self._quoted = 0, False
        self._events: list[TextDelta | ToolCallDelta] = []

    def push(self, text: str) -> list[TextDelta | ToolCallDelta]:
        self._buffer += text
        while self._state():
            pass
        return self._take_events()

    def finish(self) -> list[TextDelta | ToolCallDelta]:
        while self._state == self._header:
            if not self._emit_whole(self._buffer):
                self._not_a_call()
                while self._state():
                    pass
            else:
                self._buffer = ""
        if self._state == self._arguments:
            self._emit_arguments(self._buffer)
        elif self._state != self._tail:
            self._add_text(self._buffer)
            if self._has_text or not self._calls:
                self._emit_text(self._trailing)
        self._buffer = ""
        return self._take_events()

    # States: each looks at the buffer, and says whether there is more to do at once.

    def _text(self) -> bool:
        opens = self._form.opens
        if not self._anywhere:
            begins = self._buffer.lstrip()
            if not begins.startswith(opens[: len(begins)]):
                self._state = self._plain
                return True
        at = self._buffer.find(opens)
        if at < 0:
            at = len(self._buffer) - _overlap(self._buffer, opens)
            self._add_text(self._buffer[:at])
            self._buffer = self._buffer[at:]
            return False
        self._add_text(self._buffer[:at])
        self._buffer = self._buffer[at + len(opens) :]
        self._state, self._scanned = self._header, 0
        return True

    def _plain(self) -> bool:
        self._add_text(self._buffer)
        self._buffer = ""
        return False

    def _header(self) -> bool:
        closes = self._form.closes
        end = self._buffer.find(closes, self._scanned)
        self._scanned = max(0, len(self._buffer) - len(closes) + 1)
        head = self._head.match(self._buffer[: min(_LONGEST_HEAD, end if end >= 0 else len(self._buffer))])
        name = _name(head[1]) if head else ""
        if head and name:
            self._begin_call(name)
            self._buffer = self._buffer[head.end() :]
            self._state, self._depth, self._quoted = self._arguments, 0, False
            return True
        if end < 0:
            return False
        if self._emit_whole(self._buffer[:end]):
            self._buffer = self._buffer[end + len(closes) :]
        else:
            self._not_a_call()
        return True

    def _arguments(self) -> bool:
        buffer, closes, at = self._buffer, self._form.closes, 0
        while True:
            found = (_IN_STRING if self._quoted else _OUTSIDE).search(buffer, at)
            if found is None:
                self._emit_arguments(buffer)
                self._buffer = ""
                return False
            mark, at = found[0], found.end()
            if mark == "<":
                rest = buffer[at - 1 : at - 1 + len(closes)]
                if rest == closes or closes.startswith(rest):
                    self._emit_arguments(buffer[: at - 1])
                    whole = rest == closes
                    self._buffer = buffer[at - 1 + (len(closes) if whole else 0) :]
                    self._state = self._text if whole else self._arguments
                    return whole
            elif mark == "\\":
                self._emit_arguments(buffer[: at - 1])
                self._buffer = buffer = buffer[at - 1 :]
                if len(buffer) == 1:
                    return False
                at = 2
            elif mark == '"':
                self._quoted = not self._quoted
            else:
                self._depth += 1 if mark in "{[" else -1
                if self._depth == 0:
                    self._emit_arguments(buffer[:at])
                    self._buffer = buffer[at:]
                    self._state = self._tail
                    self.completed += 1
                    return True
            if at > _PIECE:
                self._emit_arguments(buffer[:at])
                self._buffer = buffer = buffer[at:]
                at = 0

    def _tail(self) -> bool:
        """After the arguments: a brace and the closing tag, or else it is text."""
        rest = self._buffer.lstrip()
        if rest.startswith("}"):
            rest = rest[1:].lstrip()
            if rest.startswith(self._form.closes):
                self._buffer = rest[len(self._form.closes) :]
                self._state = self._text
                return True
            going = self._form.closes.startswith(rest)
        else:
            going = not rest
        if not going:
            self._state = self._text
        return not going

    # What comes of it.

    def _begin_call(self, name: str) -> None:
        if self._has_text:
            self._emit_text(self._trailing.removesuffix("\n") if self._form.between else self._trailing)
        self._trailing, self._has_text = "", False
        self._events.append(ToolCallDelta(self._calls, f"call_{self._calls}_{self._salt}", name))
        self._calls += 1

    def _emit_arguments(self, text: str) -> None:
        if text:
            self._events.append(ToolCallDelta(self._calls - 1, arguments=text))

    def _emit_whole(self, body: str) -> bool:
        """Whether it is a call after all, written in another order than ours."""
        call = _object(body)
        name, arguments = call.get("name"), call.get(self._form.arguments, {})
        self._state = self._text
        if not (isinstance(name, str) and name and isinstance(arguments, dict)):
            return False
        self._begin_call(name)
        self._emit_arguments(json.dumps(arguments, ensure_ascii=False))
        self.completed += 1
        return True

    def _not_a_call(self) -> None:
        """The tag is text, and what follows it may still hold a call."""
        self._add_text(self._form.opens)
        self._state = self._text if self._anywhere else self._plain

    def _add_text(self, text: str) -> None:
        text = self._trailing + text
        words = text.rstrip()
        self._trailing = text[len(words) :]
        if words and self._calls and not self._has_text:
            words = words.removeprefix("\n")
        if words:
            self._has_text = True
            self._emit_text(words)

    def _emit_text(self, text: str) -> None:
        if text:
            self._events.append(TextDelta(text))

    def _take_events(self) -> list[TextDelta | ToolCallDelta]:
        events, self._events = self._events, []
        return merge(events)


def merge(events: Iterable[TextDelta | ToolCallDelta]) -> list[TextDelta | ToolCallDelta]:
    """Neighbours of one text or one call together."""
    joined: list[TextDelta | ToolCallDelta] = []
    for event in events:
        last = joined[-1] if joined else None
        if isinstance(last, TextDelta) and isinstance(event, TextDelta):
            joined[-1] = TextDelta(last.text + event.text, last.logprobs + event.logprobs)
        elif isinstance(last, ToolCallDelta) and isinstance(event, ToolCallDelta):
            joined[-1:] = [_longer(last, event)] if last.index == event.index else [last, event]
        else:
            joined.append(event)
    return joined


def collect_calls(
    deltas: Iterable[ToolCallDelta],
) -> tuple[tuple[ToolCall, ...], tuple[ToolCallDelta, ...]]:
    """Calls, and those whose arguments are no JSON object: cut off, or written without a grammar."""
    whole: dict[int, ToolCallDelta] = {}
    for delta in deltas:
        known = whole.get(delta.index)
        whole[delta.index] = _longer(known, delta) if known else delta
    calls, broken = [], []
    for call in whole.values():
        try:
            calls.append(ToolCall(call.id, call.name, _strict(call.arguments)))
        except (ValueError, RecursionError):  # MessageError is a ValueError
            broken.append(call)
    return tuple(calls), tuple(broken)


def _longer(call: ToolCallDelta, delta: ToolCallDelta) -> ToolCallDelta:
    return ToolCallDelta(call.index, call.id, call.name, call.arguments + delta.arguments)


_HEAD = r'\s*\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)+")\s*,\s*"%s"\s*:\s*(?=\{)'
_LONGEST_HEAD = 1024
_PIECE = 4096
_IN_STRING = re.compile(r'["\\]')
_OUTSIDE = re.compile(r'[{}\[\]"<]')


def _strict(text: str) -> Any:
    def none(name: str) -> Any:
        raise ValueError(f"{name} is no JSON")

    return json.loads(text, parse_constant=none)


def _object(text: str) -> dict[str, Any]:
    """Empty where it is none."""
    try:
        value = _strict(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _name(quoted: str) -> str:
    try:
        return str(json.loads(quoted))
    except ValueError:
        return ""


def _overlap(text: str, tag: str) -> int:
    """Characters at the end of `text` that could begin `tag`."""
    return next((n for n in range(min(len(text), len(tag) - 1), 0, -1) if tag.startswith(text[-n:])), 0)
