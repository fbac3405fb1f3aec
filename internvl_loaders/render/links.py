"""Links of a text, whose places `spans.marked` marks, written once the text is escaped."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape
from urllib.parse import quote

from internvl_loaders.render.spans import LINK, LINK_END, Marked, outward

_PLACE = re.compile(f"{LINK}([^{LINK}{LINK_END}]*){LINK_END}")
_BRACKET = re.compile(r"(?<!\\)((?:\\\\)*)([\[\]])")
_ADDRESS = "!#$%&'*+,/:;=?@~-._"
"""What stays as it is in an address in markdown; brackets, quotes and `|` could end it."""


def in_markdown(escaped: str, item: Marked) -> str:
    """What was made of the item's marked text, with its links."""

    def link(words: str, url: str) -> str:
        address = re.sub(r"&(?=#?\w+;)", "&amp;", quote(url, safe=_ADDRESS))
        return f"[{_BRACKET.sub(_escaped, words)}]({address})"

    return _written(escaped, item, link)


def _escaped(match: re.Match[str]) -> str:
    return f"{match[1]}\\{match[2]}"


def in_html(escaped: str, item: Marked) -> str:
    """The same in HTML."""

    def link(words: str, url: str) -> str:
        address = escape(quote(url, safe=f"{_ADDRESS}()[]"))
        return f'<a href="{address}" rel="noopener noreferrer">{words}</a>'

    return _written(escaped, item, link)


def _written(escaped: str, item: Marked, link: Callable[[str, str], str]) -> str:
    if LINK not in escaped:
        return escaped
    urls = iter([found.url for found in outward(item)])
    return _PLACE.sub(lambda match: link(match[1], next(urls)), escaped)
