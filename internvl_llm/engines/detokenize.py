"""Tokens to text while they come: never half a character, never part of a stop string."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from internvl_llm.engines.stops import StopFinder

Decode = Callable[[Sequence[int]], str]

_BROKEN = "\N{REPLACEMENT CHARACTER}"


class Detokenizer:
    """`push` gives the text that is certain; what could still become a stop string is held back."""

    def __init__(self, decode: Decode, stop: tuple[str, ...]) -> None:
        self._decode = decode
        self._stops = StopFinder(stop)
        self._tokens: list[int] = []
        self._from = self._to = 0

    @property
    def stopped(self) -> bool:
        return self._stops.stopped

    def push(self, token: int) -> str:
        self._tokens.append(token)
        before = self._decode(self._tokens[self._from : self._to])
        now = self._decode(self._tokens[self._from :])
        if now.endswith(_BROKEN) or len(now) <= len(before):
            return ""  # in the middle of a character
        self._from, self._to = self._to, len(self._tokens)
        return self._stops.push(now[len(before) :])

    def finish(self) -> str:
        """What is left, half characters as the tokenizer writes them."""
        if self.stopped:
            return ""
        before = self._decode(self._tokens[self._from : self._to])
        rest = self._decode(self._tokens[self._from :])[len(before) :]
        self._from = self._to = len(self._tokens)
        text = self._stops.push(rest)
        return text if self.stopped else text + self._stops.finish()
