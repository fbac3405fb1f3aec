"""How each family of models is told of tools and writes its calls, and the parser of what it wrote."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from internvl_llm.checkpoints.family import Dialect
from internvl_llm.errors import MessageError
from internvl_llm.events import TextDelta, ToolCallDelta
from internvl_llm.messages import ToolCall
from internvl_llm.prompt.segments import Control, Plain
from internvl_llm.tools import Tool


@dataclass(frozen=True, slots=True)
class Format:
    """A call is `opens`, a line break, an object of "name" and `arguments`, `before`, `closes`;
    `between` stands between two calls."""

    opens: str
    closes: str
    arguments: str
    before: str = ""
    between: str = ""


FORMATS: dict[Dialect, Format] = {
    "hermes": Format("<tool_call>", "</tool_call>", "arguments", "\n", "\n"),
    "internlm": Format("<|action_start|><|plugin|>", "<|action_end|>", "parameters"),
}

_HERMES = (
    "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
    "You are provided with function signatures within <tools></tools> XML tags:\n<tools>",
    "\n</tools>\n\nFor each function call, return a json object with function name and arguments within "
    "<tool_call></tool_call> XML tags:\n<tool_call>\n"
    '{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>',
)
"""Of Qwen2.5's chat template, byte for byte."""


def told(tools: Sequence[Tool], dialect: Dialect) -> tuple[Control | Plain, ...]:
    """What `prompt.render` takes as `tools`. What a tool says of itself is untrusted."""
    if not tools:
        return ()
    if dialect == "none":
        raise MessageError("this model knows no tools", remedy="Leave tools, tool calls and results out")
    functions = [
        {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
        for tool in tools
    ]
    if dialect == "internlm":
        return (Plain(_json(functions)),)
    lines = "".join(f"\n{_json({'type': 'function', 'function': one})}" for one in functions)
    # A description must not close the list; in JSON an escaped slash is the same.
    lines = re.sub(r"</(?=\s*tools)", r"<\\/", lines, flags=re.IGNORECASE)
    return (Control(_HERMES[0]), Plain(lines), Control(_HERMES[1]))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


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
        self._held = ""
        self._searched = 0
        self._space = ""
        self._spoke = False  # since the last call
        self._calls = 0
        self._depth, self._quoted = 0, False
        self._events: list[TextDelta | ToolCallDelta] = []

    def push(self, text: str) -> list[TextDelta | ToolCallDelta]:
        self._held += text
        while self._state():
            pass
        return self._taken()

    def finish(self) -> list[TextDelta | ToolCallDelta]:
        while self._state == self._header:
            if not self._whole(self._held):
                self._no_call()
                while self._state():
                    pass
            else:
                self._held = ""
        if self._state == self._arguments:
            self._argue(self._held)
        elif self._state != self._tail:
            self._say(self._held)
            if self._spoke or not self._calls:
                self._tell(self._space)
        self._held = ""
        return self._taken()

    # States: each looks at what is held, and says whether there is more to do at once.

    def _text(self) -> bool:
        opens = self._form.opens
        if not self._anywhere:
            begins = self._held.lstrip()
            if not begins.startswith(opens[: len(begins)]):
                self._state = self._plain
                return True
        at = self._held.find(opens)
        if at < 0:
            at = len(self._held) - _overlap(self._held, opens)
            self._say(self._held[:at])
            self._held = self._held[at:]
            return False
        self._say(self._held[:at])
        self._held = self._held[at + len(opens) :]
        self._state, self._searched = self._header, 0
        return True

    def _plain(self) -> bool:
        self._say(self._held)
        self._held = ""
        return False

    def _header(self) -> bool:
        closes = self._form.closes
        end = self._held.find(closes, self._searched)
        self._searched = max(0, len(self._held) - len(closes) + 1)
        head = self._head.match(self._held[: min(_LONGEST_HEAD, end if end >= 0 else len(self._held))])
        name = _name(head[1]) if head else ""
        if head and name:
            self._begin(name)
            self._held = self._held[head.end() :]
            self._state, self._depth, self._quoted = self._arguments, 0, False
            return True
        if end < 0:
            return False
        if self._whole(self._held[:end]):
            self._held = self._held[end + len(closes) :]
        else:
            self._no_call()
        return True

    def _arguments(self) -> bool:
        held, closes, at = self._held, self._form.closes, 0
        while True:
            found = (_IN_STRING if self._quoted else _OUTSIDE).search(held, at)
            if found is None:
                self._argue(held)
                self._held = ""
                return False
            mark, at = found[0], found.end()
            if mark == "<":
                rest = held[at - 1 : at - 1 + len(closes)]
                if rest == closes or closes.startswith(rest):
                    self._argue(held[: at - 1])
                    whole = rest == closes
                    self._held = held[at - 1 + (len(closes) if whole else 0) :]
                    self._state = self._text if whole else self._arguments
                    return whole
            elif mark == "\\":
                self._argue(held[: at - 1])
                self._held = held = held[at - 1 :]
                if len(held) == 1:
                    return False
                at = 2
            elif mark == '"':
                self._quoted = not self._quoted
            else:
                self._depth += 1 if mark in "{[" else -1
                if self._depth == 0:
                    self._argue(held[:at])
                    self._held = held[at:]
                    self._state = self._tail
                    self.completed += 1
                    return True
            if at > _PIECE:
                self._argue(held[:at])
                self._held = held = held[at:]
                at = 0

    def _tail(self) -> bool:
        """After the arguments: a brace and the closing tag, or else it is text."""
        rest = self._held.lstrip()
        if rest.startswith("}"):
            rest = rest[1:].lstrip()
            if rest.startswith(self._form.closes):
                self._held = rest[len(self._form.closes) :]
                self._state = self._text
                return True
            going = self._form.closes.startswith(rest)
        else:
            going = not rest
        if not going:
            self._state = self._text
        return not going

    # What comes of it.

    def _begin(self, name: str) -> None:
        if self._spoke:
            self._tell(self._space.removesuffix("\n") if self._form.between else self._space)
        self._space, self._spoke = "", False
        self._events.append(ToolCallDelta(self._calls, f"call_{self._calls}_{self._salt}", name))
        self._calls += 1

    def _argue(self, text: str) -> None:
        if text:
            self._events.append(ToolCallDelta(self._calls - 1, arguments=text))

    def _whole(self, body: str) -> bool:
        """Whether it is a call after all, written in another order than ours."""
        call = _object(body)
        name, arguments = call.get("name"), call.get(self._form.arguments, {})
        self._state = self._text
        if not (isinstance(name, str) and name and isinstance(arguments, dict)):
            return False
        self._begin(name)
        self._argue(_json(arguments))
        self.completed += 1
        return True

    def _no_call(self) -> None:
        """The tag is text, and what follows it may still hold a call."""
        self._say(self._form.opens)
        self._state = self._text if self._anywhere else self._plain

    def _say(self, text: str) -> None:
        text = self._space + text
        said = text.rstrip()
        self._space = text[len(said) :]
        if said and self._calls and not self._spoke:
            said = said.removeprefix("\n")
        if said:
            self._spoke = True
            self._tell(said)

    def _tell(self, text: str) -> None:
        if text:
            self._events.append(TextDelta(text))

    def _taken(self) -> list[TextDelta | ToolCallDelta]:
        events, self._events = self._events, []
        return merged(events)


def merged(events: Iterable[TextDelta | ToolCallDelta]) -> list[TextDelta | ToolCallDelta]:
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


def gathered(
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
