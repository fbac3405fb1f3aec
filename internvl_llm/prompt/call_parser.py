"""Tool calls in what a model writes: the parser of its text as it comes."""

from __future__ import annotations

import json
import re

from internvl_llm.events import TextDelta, ToolCallDelta
from internvl_llm.prompt.calls import merge
from internvl_llm.prompt.dialects import Format
from internvl_llm.prompt.quoted import Quoted
from internvl_llm.prompt.written_calls import calls_in, may_be_call


class CallParser:
    """Text in, in pieces of any size; text and calls out, the same whatever the pieces were. In time that is
    linear in the text.

    A call is told as soon as its name is known and its arguments begin, and they follow as they come. What
    opens like a call but is none stays text, and so does a call that is `quoted`: one of a name that occurs
    there is told when it is whole. A call that is cut off stays as it is, its arguments no JSON; after
    complete arguments nothing is missed but the closing tag. Line breaks between calls and text, of the
    dialect's own, and blank text around calls are dropped; nothing else is.

    An answer that is nothing but calls of `names`, in no tags, maybe in a fence, is told as those when it is
    whole. `anywhere` says whether a call may follow text. Ids are `call_<index>_<salt>`.
    """

    def __init__(
        self,
        form: Format,
        salt: str,
        *,
        anywhere: bool = True,
        quoted: Quoted | None = None,
        names: frozenset[str] = frozenset(),
    ) -> None:
        self.completed = 0
        """Calls whose arguments came to their end."""
        self._form = form
        self._salt = salt
        self._anywhere = anywhere
        self._quoted = quoted
        self._names = names
        self._state = self._beginning if names and anywhere else self._text
        self._buffer = ""
        self._again = ""
        """What is to be looked at before all that follows: it opened like a call."""
        self._last = ""
        """The body that was looked at last."""
        self._body: list[str] = []
        """Of a bare call, or of a header longer than any of ours."""
        self._blank: list[str] = []
        """White space that may be text, once words follow."""
        self._has_text = False  # since the last call
        self._calls = 0
        self._depth, self._in_string = 0, False
        self._name, self._raw = "", ""
        self._held: list[str] | None = None
        """Arguments of a call that may be quoted."""
        self._events: list[TextDelta | ToolCallDelta] = []

    def push(self, text: str) -> list[TextDelta | ToolCallDelta]:
        self._take(text)
        return self._take_events()

    def finish(self) -> list[TextDelta | ToolCallDelta]:
        while self._state == self._header:
            body = self._whole_body()
            if self._emit_whole(body):
                break
            self._not_a_call(body)
            self._take("")
        if self._state in (self._beginning, self._bare) and not self._emit_whole(self._whole_body()):
            body, self._last = self._last, ""
            self._take(body)
            return self.finish()
        if self._state == self._arguments:
            if self._held is not None:
                self._tell(self._held)
            self._emit_arguments(self._buffer)
        elif self._state != self._tail:
            self._add_text(self._buffer)
            if self._has_text or not self._calls:
                self._emit_text("".join(self._blank))
        self._buffer = ""
        return self._take_events()

    def _take(self, text: str) -> None:
        """Piece by piece: a state may leave a piece in the buffer, and never copies more than that."""
        waiting = [(text, 0)]
        if self._again:
            waiting.append((self._again, 0))
            self._again = ""
        while waiting:
            text, at = waiting.pop()
            if at + _PIECE < len(text):
                waiting.append((text, at + _PIECE))
            self._buffer += text[at : at + _PIECE]
            while self._state() and not self._again:
                pass
            if self._again:
                waiting.append((self._again + self._buffer, 0))
                self._again = self._buffer = ""

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
        self._state, self._in_string, self._body = self._header, False, []
        return True

    def _beginning(self) -> bool:
        """Of the answer: is it a call without tags?"""
        may_be = may_be_call(self._buffer, self._names)
        if may_be is None:
            return False
        self._state = self._bare if may_be else self._text
        return True

    def _bare(self) -> bool:
        self._body.append(self._buffer)
        self._buffer = ""
        return False

    def _plain(self) -> bool:
        self._add_text(self._buffer)
        self._buffer = ""
        return False

    def _header(self) -> bool:
        """A head of ours, or else the whole body, which ends where it can be no JSON."""
        if not self._body:
            head = _HEAD.match(self._buffer[:_LONGEST_HEAD])
            closed = self._buffer.find(self._form.closes)
            name = _name(head[1]) if head and not 0 <= closed < head.end() else ""
            if head and name:
                self._begin_call(name, self._buffer[: head.end()])
                self._buffer = self._buffer[head.end() :]
                self._state, self._depth, self._in_string = self._arguments, 0, False
                return True
            if closed < 0 and len(self._buffer) < _LONGEST_HEAD:
                return False
        return self._long_header()

    def _long_header(self) -> bool:
        buffer, closes, at = self._buffer, self._form.closes, 0
        while (found := _IN_BODY.search(buffer, at)) is not None:
            mark, place = found[0], found.start()
            at = found.end()
            if mark == "<":
                rest = buffer[place : place + len(closes)]
                if rest == closes:
                    self._body.append(buffer[:place])
                    self._buffer = buffer[place:]
                    self._end_body()
                    return True
                if closes.startswith(rest):  # more of it may come
                    at = place
                    break
                if not self._in_string:
                    self._not_a_call(self._whole_body())
                    return True
            elif mark == '"':
                self._in_string = not self._in_string
            elif mark == "\\":
                at = place
                break
            elif not self._in_string and mark != r"\'":  # an escape
                self._not_a_call(self._whole_body())
                return True
        else:
            at = len(buffer)
        self._body.append(buffer[:at])
        self._buffer = buffer[at:]
        return False

    def _end_body(self) -> None:
        """The closing tag is next in the buffer."""
        body = "".join(self._body)
        if self._emit_whole(body):
            self._buffer = self._buffer[len(self._form.closes) :]
            self._body = []
        else:
            self._not_a_call(self._whole_body())

    def _whole_body(self) -> str:
        body = "".join([*self._body, self._buffer])
        self._body, self._buffer = [], ""
        return body

    def _arguments(self) -> bool:
        buffer, closes, at = self._buffer, self._form.closes, 0
        while True:
            found = (_IN_STRING if self._in_string else _OUTSIDE).search(buffer, at)
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
                    if whole and self._held is not None:
                        self._tell(self._held)
                    self._state = self._text if whole else self._arguments
                    return whole
            elif mark == "\\":  # the last character
                self._emit_arguments(buffer[: at - 1])
                self._buffer = mark
                return False
            elif mark == '"':
                self._in_string = not self._in_string
            elif len(mark) == 1:
                self._depth += 1 if mark in "{[" else -1
                if self._depth == 0:
                    self._emit_arguments(buffer[:at])
                    self._buffer = buffer[at:]
                    self._end_call()
                    return True

    def _end_call(self) -> None:
        self._state = self._tail
        if self._held is not None:
            arguments = "".join(self._held)
            if self._quoted is not None and self._quoted.holds(self._name, arguments):
                self._held = None
                self._calls -= 1
                self._state = self._text if self._anywhere else self._plain
                self._add_text(f"{self._form.opens}{self._raw}{arguments}")
                return
            self._tell(self._held)
        self.completed += 1

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
        if not going or len(self._buffer) > _LONGEST_HEAD:
            self._state = self._text
            return True
        return False

    # What comes of it.

    def _begin_call(self, name: str, raw: str) -> None:
        self._name, self._raw = name, raw
        if self._quoted is not None and self._quoted.mentions(name):
            self._held = []
            self._calls += 1
        else:
            self._tell_name()
            self._calls += 1

    def _tell_name(self) -> None:
        if self._has_text:
            blank = "".join(self._blank)
            self._emit_text(blank.removesuffix("\n") if self._form.between else blank)
        self._blank, self._has_text = [], False
        self._events.append(ToolCallDelta(self._calls, f"call_{self._calls}_{self._salt}", self._name))

    def _tell(self, held: list[str]) -> None:
        """It is a call after all."""
        self._held = None
        self._calls -= 1
        self._tell_name()
        self._calls += 1
        self._emit_arguments("".join(held))

    def _emit_arguments(self, text: str) -> None:
        if self._held is not None:
            self._held.append(text)
        elif text:
            self._events.append(ToolCallDelta(self._calls - 1, arguments=text))

    def _emit_whole(self, body: str) -> bool:
        """Whether it is calls after all, written in another way than ours."""
        bare = self._state in (self._beginning, self._bare)
        self._state, self._last = self._text, body
        calls = [(name, json.dumps(arguments, ensure_ascii=False)) for name, arguments in calls_in(body)]
        if not calls or (bare and any(name not in self._names for name, _ in calls)):
            return False
        if self._quoted is not None and any(self._quoted.holds(*call, body) for call in calls):
            return False
        for self._name, written in calls:
            self._tell_name()
            self._calls += 1
            self._emit_arguments(written)
            self.completed += 1
        return True

    def _not_a_call(self, rest: str) -> None:
        """The tag is text, and what follows it may still hold a call."""
        self._add_text(self._form.opens)
        self._state = self._text if self._anywhere else self._plain
        self._again = rest

    def _add_text(self, text: str) -> None:
        words = text.rstrip()
        blank = text[len(words) :]
        if words:
            words = "".join([*self._blank, words])
            self._blank = []
            if self._calls and not self._has_text:
                words = words.removeprefix("\n")
            self._has_text = True
            self._emit_text(words)
        if blank:
            self._blank.append(blank)

    def _emit_text(self, text: str) -> None:
        if text:
            self._events.append(TextDelta(text))

    def _take_events(self) -> list[TextDelta | ToolCallDelta]:
        events, self._events = self._events, []
        return merge(events)


_HEAD = re.compile(r'\s*\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)+")\s*,\s*"(?:arguments|parameters)"\s*:\s*(?=\{)')
_LONGEST_HEAD = 1024
_PIECE = 4096
_IN_STRING = re.compile(r'"|\\.|\\', re.DOTALL)
_OUTSIDE = re.compile(r'[{}\[\]"<]')
_IN_BODY = re.compile(r'["<]|\\.|\\', re.DOTALL)


def _name(quoted: str) -> str:
    try:
        return str(json.loads(quoted))
    except ValueError:
        return ""


def _overlap(text: str, tag: str) -> int:
    """Characters at the end of `text` that could begin `tag`."""
    return next((n for n in range(min(len(text), len(tag) - 1), 0, -1) if tag.startswith(text[-n:])), 0)
