"""Where text is struck through, carried through escaping as two characters that no text may hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from internvl_loaders.values import TextSpan

_OPEN, _CLOSE = "\U0010fffe", "\U0010ffff"


class _Marked(Protocol):
    @property
    def text(self) -> str: ...
    @property
    def spans(self) -> Sequence[TextSpan]: ...


def bare(text: str) -> str:
    """Without what `typed` and `tagged` would take for a mark."""
    return text.replace(_OPEN, "\ufffd").replace(_CLOSE, "\ufffd")


def marked(item: _Marked) -> str:
    """The text with a mark before and behind each stretch that is struck."""
    text = item.text
    if not item.spans:
        return bare(text)
    parts: list[str] = []
    done = 0
    for span in sorted((s for s in item.spans if s.struck), key=lambda s: s.start):
        start, end = max(span.start, done), min(span.end, len(text))
        if text[start:end].strip():
            parts += (bare(text[done:start]), _OPEN, bare(text[start:end]), _CLOSE)
            done = end
    return "".join([*parts, bare(text[done:])])


def has_marks(text: str) -> bool:
    return _OPEN in text


def typed(text: str) -> str:
    """With `~~` for each mark, as markdown has it."""
    return text.replace(_OPEN, "~~").replace(_CLOSE, "~~")


def tagged(text: str) -> str:
    """With `<del>` and `</del>` for the marks."""
    return text.replace(_OPEN, "<del>").replace(_CLOSE, "</del>")
