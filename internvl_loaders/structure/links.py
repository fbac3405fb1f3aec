"""Links of a page: from places to words, from words to pieces of text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from internvl_loaders.content import Content, Span
from internvl_loaders.document import Link
from internvl_loaders.structure.placed import places

_SAFE = re.compile(r"(?:https?://|mailto:)[^\s\x00-\x1f\x7f]+", re.IGNORECASE)
_PAGE = re.compile(r"#page=\d{1,6}")
_LONGEST = 2_000
_MOST_WORDS = 80
"""A place with more on it makes a page or a column click, and is no text's link."""
_AROUND = ".,;:!?()[]{}«»\"'“”‘’"


def linked(content: Content) -> Content:
    """The page with the targets of its links at its words; those nobody may follow are left out."""
    links = [link for link in content.links if _allowed(link.target)]
    if not links:
        return content
    order = sorted(range(len(content.spans)), key=lambda n: content.spans[n].y0 + content.spans[n].y1)
    spans = list(content.spans)
    links.sort(key=lambda link: link.rect.y0)
    waiting = 0
    open_links: list[int] = []
    words: dict[int, list[int]] = {}
    for n in order:
        span = spans[n]
        y = (span.y0 + span.y1) / 2
        while waiting < len(links) and links[waiting].rect.y0 <= y:
            open_links.append(waiting)
            waiting += 1
        open_links = [k for k in open_links if links[k].rect.y1 >= y]
        x = (span.x0 + span.x1) / 2
        for k in open_links:
            if links[k].rect.x0 <= x <= links[k].rect.x1:
                words.setdefault(k, []).append(n)
                break
    for k, members in words.items():
        if len(members) <= _MOST_WORDS:
            for n in members:
                spans[n] = replace(spans[n], href=links[k].target, linked=links[k].rect)
    return replace(content, spans=spans)


def _allowed(target: str) -> bool:
    return len(target) <= _LONGEST and bool(_SAFE.fullmatch(target) or _PAGE.fullmatch(target))


def links_of(text: str, spans: Sequence[Span]) -> tuple[Link, ...]:
    """The links of a text that was made of `spans`."""
    return tuple(_links(text, spans)) if any(s.href for s in spans) else ()


def _links(text: str, spans: Sequence[Span]) -> Iterator[Link]:
    known = [
        (span, place) for span, place in zip(spans, places(text, spans), strict=True) if place is not None
    ]
    for href, run in groupby(known, key=lambda pair: pair[0].href):
        if not href:
            continue
        pieces = list(run)
        start, end = pieces[0][1][0], pieces[-1][1][1]
        first, last = pieces[0][0], pieces[-1][0]
        if last.linked and last.linked.x1 < last.x1 - 0.1 * last.size:
            end -= len(text[start:end]) - len(text[start:end].rstrip(_AROUND))
        if first.linked and first.linked.x0 > first.x0 + 0.1 * first.size:
            start += len(text[start:end]) - len(text[start:end].lstrip(_AROUND))
        if start < end:
            page = int(href.removeprefix("#page=")) if href.startswith("#") else None
            yield Link(text=text[start:end], url="" if page else href, page=page, start=start, end=end)


def moved(links: Iterable[Link], text: str, change: Callable[[str], str]) -> tuple[Link, ...]:
    """The links of `text` in what `change` makes of it, piece by piece."""
    return tuple(
        link.model_copy(
            update={
                "text": change(link.text),
                "start": len(change(text[: link.start])),
                "end": len(change(text[: link.end])),
            }
        )
        for link in links
    )
