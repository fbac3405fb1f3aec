"""Where text is struck or leads somewhere, carried through escaping as characters that no text may hold."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

from internvl_loaders.values import Link, TextSpan

_OPEN, _CLOSE = "\U0010fffe", "\U0010ffff"
LINK, LINK_END = "\U000ffffe", "\U000fffff"
_MARKS = re.compile(f"[{_OPEN}{_CLOSE}{LINK}{LINK_END}]")
_LINKS = re.compile(f"[{LINK}{LINK_END}]")
_FOLLOWED = re.compile(r"(?:https?://|mailto:)[^\s\x00-\x1f\x7f]+", re.IGNORECASE)


class Marked(Protocol):
    @property
    def text(self) -> str: ...
    @property
    def spans(self) -> Sequence[TextSpan]: ...
    @property
    def links(self) -> Sequence[Link]: ...


def bare(text: str) -> str:
    """Without what would be taken for a mark."""
    return _MARKS.sub("\ufffd", text)


def marked(item: Marked) -> str:
    """The text with a mark before and behind each stretch that is struck, and each that leads to an address.

    What is struck does not reach into a link or out of one.
    """
    text = item.text
    if not item.spans and not item.links:
        return bare(text)
    opening: dict[int, str] = {}
    closing: dict[int, str] = {}
    links = outward(item)
    edges = sorted({edge for link in links for edge in (link.start, link.end)})
    done = 0
    for span in sorted((s for s in item.spans if s.struck), key=lambda s: s.start):
        start, end = max(span.start, done), min(span.end, len(text))
        cuts = [start, *(edge for edge in edges if start < edge < end), end]
        for a, b in pairwise(cuts):
            if text[a:b].strip():
                opening[a], closing[b] = _OPEN, _CLOSE
                done = b
    for link in links:
        opening[link.start] = LINK + opening.get(link.start, "")
        closing[link.end] = closing.get(link.end, "") + LINK_END
    parts: list[str] = []
    done = 0
    for place in sorted({*opening, *closing}):
        parts += (bare(text[done:place]), closing.get(place, ""), opening.get(place, ""))
        done = place
    return "".join([*parts, bare(text[done:])])


def outward(item: Marked) -> list[Link]:
    """The links to addresses, apart from one another, from the first to the last.

    Text that is its own address needs none.
    """
    kept: list[Link] = []
    for link in sorted(item.links, key=lambda link: link.start):
        free = link.start >= (kept[-1].end if kept else 0) and link.end <= len(item.text)
        words = item.text[link.start : link.end].strip()
        if free and words and words != link.url and _FOLLOWED.fullmatch(link.url):
            kept.append(link)
    return kept


def has_marks(text: str) -> bool:
    return _MARKS.search(text) is not None


def typed(text: str) -> str:
    """With `~~` for each mark, as markdown has it; links that are not written are left out."""
    return _LINKS.sub("", text).replace(_OPEN, "~~").replace(_CLOSE, "~~")


def tagged(text: str) -> str:
    """With `<del>` and `</del>` for the marks; links that are not written are left out."""
    return _LINKS.sub("", text).replace(_OPEN, "<del>").replace(_CLOSE, "</del>")
