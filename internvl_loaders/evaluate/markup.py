"""Markdown to plain text and tables: one rule for every tool that answers in markdown."""

from __future__ import annotations

from functools import cache

from lxml import etree, html
from markdown_it import MarkdownIt

_INLINE = frozenset(
    {
        "a",
        "b",
        "code",
        "del",
        "em",
        "i",
        "img",
        "ins",
        "mark",
        "s",
        "small",
        "span",
        "strong",
        "sub",
        "sup",
        "u",
    }
)


@cache
def _markdown() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def markdown_html(markdown: str) -> str:
    """CommonMark with GFM tables as HTML; raw HTML passes. Never to be shown in a browser."""
    return str(_markdown().render(markdown))


def parse_html(markup: str) -> html.HtmlElement | None:
    """The root, without comments; None where there is nothing but these and white space."""
    if not markup.strip():
        return None
    parser = html.HTMLParser(remove_comments=True, remove_pis=True, no_network=True)
    try:
        return html.document_fromstring(markup, parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError):
        return None


def markdown_text(markdown: str) -> str:
    """The text of the rendered markdown; blocks, cells and `<br>` begin new lines, pictures give none."""
    root = parse_html(markdown_html(markdown))
    if root is None:
        return ""
    etree.strip_elements(root, "script", "style", "head", with_tail=False)
    parts: list[str] = []
    for event, element in etree.iterwalk(root, events=("start", "end")):
        if element.tag not in _INLINE:
            parts.append("\n")
        parts.append((element.text if event == "start" else element.tail) or "")
    lines = (" ".join(line.split()) for line in "".join(parts).splitlines())
    return "\n".join(line for line in lines if line)
