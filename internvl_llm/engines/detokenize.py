"""Tokens to text while they come: never half a character, never part of a stop string."""

from __future__ import annotations

from collections.abc import Callable, Sequence

Decode = Callable[[Sequence[int]], str]

_BROKEN = "\N{REPLACEMENT CHARACTER}"


class Detokenizer:
    """`push` gives the text that is certain; what could still become a stop string is held back."""

    def __init__(self, decode: Decode, stop: tuple[str, ...]) -> None:
        self._decode = decode
        self._stop = stop
        self._tokens: list[int] = []
        self._from = self._to = 0
        self._held = ""
        self.stopped = False

    def push(self, token: int) -> str:
        self._tokens.append(token)
        before = self._decode(self._tokens[self._from : self._to])
        now = self._decode(self._tokens[self._from :])
        if now.endswith(_BROKEN) or len(now) <= len(before):
            return ""  # in the middle of a character
        self._from, self._to = self._to, len(self._tokens)
        return self._release(now[len(before) :])

    def finish(self) -> str:
        """What is left, half characters as the tokenizer writes them."""
        if self.stopped:
            return ""
        before = self._decode(self._tokens[self._from : self._to])
        rest = self._decode(self._tokens[self._from :])[len(before) :]
        self._from = self._to = len(self._tokens)
        text = self._release(rest)
        if not self.stopped:
            text, self._held = text + self._held, ""
        return text

    def _release(self, text: str) -> str:
        text = self._held + text
        ends = [at for at in (text.find(stop) for stop in self._stop) if at >= 0]
        if ends:
            self.stopped, self._held = True, ""
            return text[: min(ends)]
        keep = max((_overlap(text, stop) for stop in self._stop), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]


def _overlap(text: str, stop: str) -> int:
    """Characters at the end of `text` that could begin `stop`."""
    return next((n for n in range(min(len(text), len(stop) - 1), 0, -1) if stop.startswith(text[-n:])), 0)
